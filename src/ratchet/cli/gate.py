"""`ratchet gate`: which model ships under an objective, and what the others would need; `--check` reads a verdict."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet.cli.selecting import SelectingOptions, parse_selecting, progress, selection_of
from ratchet.cli.tables import Format, print_json
from ratchet.config import parse_options, plain
from ratchet.errors import UserError
from ratchet.objective.clauses import Clause
from ratchet.objective.gate import Judgement
from ratchet.objective.verdict import Verdict, gather_and_judge

NOT_SHIPPED = 3  # exit code: nothing ships, or too little evidence
_MARKS = {"pass": "pass", "fail": "FAIL", "too little evidence": "?"}


@dataclass
class CheckOptions:
    """Arguments of `gate --check`: the verdict that the pipeline wrote."""

    verdict: str = "build/verdict.json"


def run(arguments: list[str]) -> int:
    """The verb `gate`; exit code 0 when a model ships, 3 when none does or nobody can tell."""
    if "--check" in arguments:
        return _check(parse_options(CheckOptions, [each for each in arguments if each != "--check"]))
    options, objective = parse_selecting(SelectingOptions, arguments)
    selection = selection_of(options)
    with progress() as bar:
        found = gather_and_judge(selection, objective, resamples=options.resamples, begin=bar("drawing records"))
    if options.format is Format.json:
        print_json(plain(found))
    else:
        print_verdict(found, markdown=options.format is Format.md)
    return _exit_code(found.decision.outcome)


def _check(options: CheckOptions) -> int:
    """Say what a verdict on disk says."""
    path = Path(options.verdict)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        line, outcome = headline_of(found["data"], found["decision"]), found["decision"]["outcome"]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; `dvc repro` writes it") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a verdict: {error}; `dvc repro` writes it anew") from error
    print(line)
    return _exit_code(outcome)


def _exit_code(outcome: str) -> int:
    return 0 if outcome == "ships" else NOT_SHIPPED


def print_verdict(found: Verdict, *, markdown: bool) -> None:
    """What ships and why; then every candidate with every clause and its evidence."""
    objective = found.objective
    print(headline(found))
    commit = f", commit {objective.commit[:12]}" if objective.commit else ", not committed"
    print(f"{'' if markdown else '  '}objective {objective.name} ({objective.hash[:12]}{commit})")
    if objective.changed:
        print(f"{'' if markdown else '  '}note: {objective.changed}")
    for each in found.decision.judgements:
        _print_judgement(each, markdown)
    if found.left_out:
        print()
    for text in found.left_out:
        print(f"{'- ' if markdown else ''}left out  {text}")


def headline(found: Verdict) -> str:
    """The decision in a line."""
    return headline_of(found.data, vars(found.decision))


def headline_of(data: str, decision: Mapping[str, Any]) -> str:
    """The same of a decision as its fields."""
    what = f"{decision['ships']} ships" if decision["ships"] else decision["outcome"]
    return f"{data}: {what}: {decision['why']}"


def _print_judgement(each: Judgement, markdown: bool) -> None:
    ships = "ships" if each.ships else "does not ship"
    if markdown:
        print(f"\n**{each.name}** {ships}: {each.why}\n")
        print("| | clause | found | needed |\n| --- | --- | --- | --- |")
        for clause in each.clauses:
            print(f"| {_MARKS[clause.state]} | {clause.name} | {clause.evidence} | {clause.needed or ''} |")
        return
    print(f"\n{each.name} {ships}: {_short(each)}")
    name_width, evidence_width = (
        max(len(getattr(clause, key)) for clause in each.clauses) for key in ("name", "evidence")
    )
    for clause in each.clauses:
        print("  " + _line(clause, name_width, evidence_width).rstrip())


def _short(each: Judgement) -> str:
    """The reason without what the clauses below say themselves."""
    return each.why.partition("; needed:")[0] if not each.why.startswith("needed:") else "too little evidence"


def _line(clause: Clause, name_width: int, evidence_width: int) -> str:
    needed = f"needed: {clause.needed}" if clause.needed else ""
    return f"{_MARKS[clause.state]:4}  {clause.name:{name_width}}  {clause.evidence:{evidence_width}}  {needed}"
