"""`ratchet data suggest-taxonomy data=NAME`: aliases for labels, from the train part, for a person to accept."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ratchet.config import bounded, compose, located, parse_options, register, take_config_dir
from ratchet.errors import UserError, did_you_mean
from ratchet.models import all_settings
from ratchet.reporting.terminal import Format, print_json, print_table


@dataclass
class SuggestOptions:
    """Arguments of `data suggest-taxonomy` that are no configuration overrides."""

    output: str | None = located(None)
    """JSON file to write, a taxonomy to edit, which must not exist; null prints the suggestions only."""
    min_texts: int = bounded(5, low=1)
    """Smallest number of train texts with an alias and its label."""
    precision: float = bounded(0.5, low=0, high=1)
    """Smallest share of the texts with an alias that have its label (lower end of the 95 % interval)."""
    most: int = bounded(5, low=1)
    """Largest number of aliases suggested for a label."""
    format: Format = Format.table
    """Format of the printed result."""


def suggest_taxonomy(arguments: list[str]) -> None:
    """Print words of the train part that predict a label, and write a taxonomy file to edit."""
    keys = tuple(f"{name}=" for name in SuggestOptions.__dataclass_fields__)
    own = [argument for argument in arguments if argument.startswith(keys)]
    for name in [argument.partition("=")[0] for argument in arguments if argument not in own and "=" in argument]:
        if get_close_matches(name, SuggestOptions.__dataclass_fields__, n=1, cutoff=0.75):
            raise UserError(f"{name}: {did_you_mean(name, SuggestOptions.__dataclass_fields__)}")
    options = parse_options(SuggestOptions, own)
    output = None if options.output is None else Path(options.output)
    if output is not None:
        _check_output(output)
    register(all_settings())
    config = compose(*take_config_dir([argument for argument in arguments if argument not in own]))

    from ratchet.data.prepared import prepare
    from ratchet.data.splits import make_split
    from ratchet.data.suggesting import add_suggestions, suggest_aliases
    from ratchet.files import write_json

    prepared = prepare(config.data)
    split = make_split(prepared, config.split, config.data.split.column, config.data.split.group)
    train = prepared.select(split.train)
    suggestions = suggest_aliases(train, min_texts=options.min_texts, precision=options.precision, most=options.most)
    rows = [
        {
            "label": suggestion.label,
            "alias": suggestion.alias,
            "texts": f"{suggestion.with_alias:,}",
            "with label": f"{suggestion.with_both:,}",
            "share": f"{suggestion.with_both / suggestion.with_alias:.0%}",
        }
        for suggestion in suggestions
    ]
    if options.format is Format.json:
        print_json([vars(suggestion) for suggestion in suggestions])
    elif rows:
        print_table(rows, markdown=options.format is Format.md, left=2)
    else:
        print(
            f"no word predicts a label well enough in the {len(train.ids):,} texts of train: lower precision= or "
            f"min_texts=, or add records{'; nothing is written' if output else ''}"
        )
    if output is not None and rows:
        write_json(output, add_suggestions(prepared.labels, prepared.taxonomy, suggestions))
        if options.format is not Format.json:
            print(f"\nwritten to {output}: remove aliases that only this sample has, then set data.taxonomy.path")


def _check_output(output: Path) -> None:
    if output.exists():
        raise UserError(f"output={output}: exists already, and may have been edited: name another file")
    if output.suffix != ".json":
        raise UserError(f"output={output}: a taxonomy is a JSON file: name one that ends in .json")
    if not output.parent.is_dir():
        raise UserError(f"output={output}: the directory {output.parent} does not exist: create it")
