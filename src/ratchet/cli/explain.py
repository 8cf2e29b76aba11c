"""`ratchet explain RUN text="..."`: show the words behind a run's labels."""

from dataclasses import dataclass
from pathlib import Path

from ratchet.config import is_option, located, parse_options
from ratchet.errors import UserError
from ratchet.reporting.terminal import Format, print_json, print_table
from ratchet.runs import find_run


@dataclass
class Options:
    """Arguments of `explain` except the text, which is used as it is typed."""

    format: Format = Format.table
    """Format of the printed result."""
    runs_dir: str = located("runs")
    """Directory of all runs."""


def run(arguments: list[str]) -> int:
    """Run the verb `explain`."""
    if len(arguments) < 2 or is_option(arguments[0]):
        raise UserError("which run, which text? `ratchet explain RUN text='...'`; RUN is an id, a directory or `last`")
    name, *rest = arguments
    texts = [argument.removeprefix("text=") for argument in rest if argument.startswith("text=")]
    options = parse_options(Options, [argument for argument in rest if not argument.startswith("text=")])
    if not texts:
        raise UserError("which text? `ratchet explain RUN text='...'`")
    stored = find_run(Path(options.runs_dir), name)

    from ratchet.inference.scorer import explain_text, load_scorer

    explanation = explain_text(load_scorer(stored, use_export=False), texts[-1])
    if options.format is Format.json:
        print_json(
            {
                "labels": sorted(explanation.labels),
                "scores": explanation.scores,
                "evidence": [{"label": e.label, "words": e.words, "weight": e.weight} for e in explanation.evidence],
            }
        )
        return 0
    rows = [
        {
            "label": evidence.label,
            "words": evidence.words,
            "weight": f"{evidence.weight:.2f}",
            "score": f"{explanation.scores[evidence.label]:.3f}",
            "decided": "yes" if evidence.label in explanation.labels else "no",
        }
        for evidence in explanation.evidence
    ]
    if rows:
        print_table(rows, markdown=options.format is Format.md, left=2)
    else:
        print("no words support any label")
    return 0
