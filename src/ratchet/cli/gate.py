"""`ratchet gate`: decide which model ships under an objective; `--check` reads a verdict that was written before."""

import json
from dataclasses import dataclass
from pathlib import Path

from ratchet.cli.selecting import SelectingOptions, parse_selecting, select_runs, show_progress
from ratchet.config import located, parse_options, plain
from ratchet.errors import UserError
from ratchet.objective.gate import gather_and_judge
from ratchet.reporting.terminal import Format, print_blocks, print_json, print_text
from ratchet.reporting.verdict_tables import verdict_blocks, verdict_headline
from ratchet.schema_versions import VERDICT_SCHEMA, read_versioned

NOT_SHIPPED = 3  # exit code: nothing ships, or too little evidence


@dataclass
class CheckOptions:
    """Arguments of `gate --check`: the verdict that the pipeline wrote."""

    verdict: str = located("build/verdict.json")
    """Verdict of the pipeline to check."""


ACTIONS = {"": SelectingOptions, "--check": CheckOptions}


def run(arguments: list[str]) -> int:
    """Run the verb `gate`; exit code 0 if a model ships, 3 if none does or the evidence is too little."""
    if "--check" in arguments:
        return _check(parse_options(CheckOptions, [argument for argument in arguments if argument != "--check"]))
    options, objective = parse_selecting(SelectingOptions, arguments)
    selection = select_runs(options, min_splits=objective.settings.evidence.repeats)
    with show_progress() as bar:
        verdict = gather_and_judge(
            selection, objective, resamples=options.resamples, begin=bar("bootstrapping records")
        )
    if options.format is Format.json:
        print_json(plain(verdict))
    else:
        print_blocks(verdict_blocks(verdict), markdown=options.format is Format.md)
    return _exit_code(verdict.decision.outcome)


def _check(options: CheckOptions) -> int:
    """Print the headline of a stored verdict, and return its exit code."""
    path = Path(options.verdict)
    try:
        verdict = read_versioned(json.loads(path.read_text(encoding="utf-8")), VERDICT_SCHEMA, path)
        decision = verdict["decision"]
        headline = verdict_headline(verdict["data"], decision["ships"], decision["outcome"], decision["why"])
        code = _exit_code(decision["outcome"])
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; `dvc repro` writes it") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a verdict: {error}; `dvc repro` writes it again") from error
    print_text(headline)
    return code


def _exit_code(outcome: str) -> int:
    return 0 if outcome == "ships" else NOT_SHIPPED
