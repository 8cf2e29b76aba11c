"""`ratchet gate`: which model ships under an objective, and what the others would need; `--check` reads a verdict."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from ratchet.cli.columns import Column, arranged
from ratchet.cli.lines import print_facts, print_text, terminal_width
from ratchet.cli.selecting import SelectingOptions, parse_selecting, progress, selection_of
from ratchet.cli.tables import Format, print_json
from ratchet.config import parse_options, plain
from ratchet.errors import UserError
from ratchet.objective.criteria import Clause
from ratchet.objective.gate import Judgement, Verdict, gather_and_judge

NOT_SHIPPED = 3  # exit code: nothing ships, or too little evidence
_MARKS = {"pass": "pass", "fail": "FAIL", "too little evidence": "?"}


@dataclass
class CheckOptions:
    """Arguments of `gate --check`: the verdict that the pipeline wrote."""

    verdict: str = "build/verdict.json"


ACTIONS = {"": SelectingOptions}


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
    print_text(line)
    return _exit_code(outcome)


def _exit_code(outcome: str) -> int:
    return 0 if outcome == "ships" else NOT_SHIPPED


def print_verdict(found: Verdict, *, markdown: bool) -> None:
    """What ships and why; then every candidate with every clause and its evidence."""
    objective = found.objective
    indent = 0 if markdown else 2
    print_text(headline(found), whole=markdown)
    commit = f", commit {objective.commit[:12]}" if objective.commit else ", not committed"
    print_text(f"objective {objective.name} ({objective.hash[:12]}{commit})", indent=indent, whole=markdown)
    if objective.changed:
        print_text(f"note: {objective.changed}", indent=indent, whole=markdown)
    for each in found.decision.judgements:
        _print_judgement(each, markdown)
    if found.left_out:
        print()
    if markdown:
        print("".join(f"- left out  {text}\n" for text in found.left_out), end="")
    else:
        print_facts([("left out", text) for text in found.left_out])


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
    print()
    print_text(f"{each.name} {ships}: {_short(each)}")
    for line in _clause_lines(each.clauses):
        print("  " + line)


def _short(each: Judgement) -> str:
    """The reason without what the clauses below say themselves."""
    return each.why.partition("; needed:")[0] if not each.why.startswith("needed:") else "too little evidence"


def _clause_lines(clauses: Sequence[Clause]) -> list[str]:
    """A line a clause; on a terminal that is too narrow, what is needed stands below what was found."""
    width = terminal_width()
    needed = [f"needed: {each.needed}" if each.needed else "" for each in clauses]
    marks = Column("", [f"{_MARKS[each.state]:4}" for each in clauses])
    names = Column("", [each.name for each in clauses], folds=True)
    found = [each.evidence for each in clauses]
    [beside] = arranged([marks, names, Column("", found), Column("", needed)], None)
    if width is None or all(cell_len(line) <= width - 2 for line in beside.body):
        return beside.body
    both = [f"{one}\n{other}".rstrip() for one, other in zip(found, needed, strict=True)]
    blocks = arranged([marks, names, Column("", both, folds=True)], width - 2)
    return [line for block in blocks for line in block.body]
