"""`ratchet models`: list the models. `ratchet models NAME | check NAME`: show the settings of one, or check it."""

import sys
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ratchet.cli.help import print_settings
from ratchet.cli.selecting import show_progress
from ratchet.config import (
    ModelConfig,
    configs_of,
    headline,
    is_option,
    model_config,
    parse_options,
    plain,
    register,
    settings_of,
    take_config_dir,
    written,
)
from ratchet.config.options import summarise_models
from ratchet.errors import UserError, did_you_mean
from ratchet.machine import limited_threads
from ratchet.models import all_settings
from ratchet.reporting.blocks import NONE
from ratchet.reporting.terminal import Format, print_facts, print_json, print_table, print_text

if TYPE_CHECKING:
    from ratchet.contract import Outcome


@dataclass
class Options:
    """Options of `models` and `models check`, in addition to a name and --config-dir."""

    format: Format = Format.table
    """Format of the printed result."""


ACTIONS = {"": Options, "check": Options}


def run(arguments: list[str]) -> int:
    """Run the verb `models`."""
    rest, config_dir = take_config_dir(arguments)
    if rest[:1] == ["check"]:
        return _check(rest[1:], config_dir)
    names = [argument for argument in rest[:1] if not is_option(argument)]
    known = configs_of("model", config_dir)
    if names and names[0] not in known:
        raise UserError(f"models {names[0]}: {did_you_mean(names[0], [*known, 'check'])}")
    options = parse_options(Options, rest[len(names) :])
    if names:
        _show(names[0], config_dir, options.format)
    else:
        _list(config_dir, options.format)
    return 0


def _list(config_dir: Path | None, form: Format) -> None:
    """Print the models from their YAML files: to import every module would be slow, and one may be broken."""
    summaries = summarise_models(config_dir)
    if form is Format.json:
        print_json(
            [
                {
                    "model": summary.name,
                    "module": summary.module,
                    "complexity": summary.complexity,
                    "what": summary.what,
                    "problem": None if summary.problem is None else str(summary.problem),
                }
                for summary in summaries
            ]
        )
        return
    rows = [
        {
            "model": summary.name,
            "module": summary.module or NONE,
            "complexity": NONE if summary.complexity is None else str(summary.complexity),
            "what": summary.what if summary.problem is None else str(summary.problem),
        }
        for summary in summaries
    ]
    print_table(rows, markdown=form is Format.md, left=4)


def _load_config(name: str, config_dir: Path | None) -> ModelConfig:
    """Return the settings of a model.

    Raises:
        UserError: there is no such model, its file is wrong, or its module cannot be imported; names the location.
    """
    for summary in summarise_models(config_dir):
        if summary.name == name and summary.problem is not None:
            raise summary.problem
    register(all_settings())
    return model_config(name, config_dir)


def _show(name: str, config_dir: Path | None, form: Format) -> None:
    config = _load_config(name, config_dir)
    settings = settings_of(name, config_dir)
    what = headline(configs_of("model", config_dir)[name])
    if form is Format.json:
        print_json(
            {
                "model": name,
                "module": config.module,
                "complexity": config.complexity,
                "what": what,
                "settings": [plain(setting) for setting in settings],
            }
        )
        return
    print_text(f"{name} (module {config.module}, complexity {config.complexity}): {what}", whole=form is Format.md)
    print()
    settings = [replace(setting, key=f"model.{setting.key}") for setting in settings]
    if form is Format.table:
        print_settings(settings)
        return
    rows = [
        {"key": setting.key, "default": written(setting.value), "may be": setting.kind, "what": setting.remark}
        for setting in settings
    ]
    print_table(rows, markdown=True, left=4)


def _check(arguments: list[str], config_dir: Path | None) -> int:
    if not arguments or is_option(arguments[0]):
        raise UserError(
            f"which model? `ratchet models check NAME`; {did_you_mean('', configs_of('model', config_dir))}"
        )
    name, *rest = arguments
    options = parse_options(Options, rest)
    config = _load_config(name, config_dir)

    from ratchet.contract import CHECKS, Status, make_subject, run_checks  # here: the list does without it

    # What a model prints must not mix with the result.
    with TemporaryDirectory() as directory, limited_threads(1), redirect_stdout(sys.stderr), show_progress() as bar:
        outcomes = run_checks(make_subject(config, Path(directory)), bar(f"checking {name}")(len(CHECKS)))
    _print_outcomes(name, outcomes, options.format)
    return int(any(outcome.status is Status.failed for outcome in outcomes))


def _print_outcomes(name: str, outcomes: "list[Outcome]", form: Format) -> None:
    rows: list[dict[str, Any]] = [
        {
            "check": outcome.check,
            "result": outcome.status.value,
            "explanation": outcome.explanation,
            "location": outcome.location,
        }
        for outcome in outcomes
    ]
    if form is Format.json:
        print_json({"model": name, "checks": rows})
        return
    if form is Format.md:
        print_table([{key: value or NONE for key, value in row.items()} for row in rows], markdown=True, left=4)
        return
    facts = []
    for row in rows:
        facts += [(row["result"], row["check"]), *(("", row[key]) for key in ("explanation", "location") if row[key])]
    print_facts(facts, at=9)
    counts = Counter(row["result"] for row in rows)
    print(f"\n{name}: {', '.join(f'{count} {result}' for result, count in counts.items())}")
