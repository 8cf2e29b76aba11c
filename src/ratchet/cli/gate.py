"""`ratchet gate`: which model ships under an objective, and what the others would need."""

from ratchet.cli.selecting import SelectingOptions, parse_selecting, progress, selection_of
from ratchet.cli.tables import Format, print_json
from ratchet.config import plain
from ratchet.objective.clauses import Clause
from ratchet.objective.gate import Judgement
from ratchet.objective.verdict import Verdict, gather_and_judge

NOT_SHIPPED = 3  # exit code: nothing ships, or too little evidence
_MARKS = {"pass": "pass", "fail": "FAIL", "too little evidence": "?"}


def run(arguments: list[str]) -> int:
    """The verb `gate`; exit code 0 when a model ships, 3 when none does or nobody can tell."""
    options, objective = parse_selecting(SelectingOptions, arguments)
    selection = selection_of(options)
    with progress() as bar:
        found = gather_and_judge(selection, objective, resamples=options.resamples, begin=bar("drawing records"))
    if options.format is Format.json:
        print_json(plain(found))
    else:
        print_verdict(found, markdown=options.format is Format.md)
    return 0 if found.decision.outcome == "ships" else NOT_SHIPPED


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
    decision = found.decision
    what = f"{decision.ships} ships" if decision.ships else decision.outcome
    return f"{found.data}: {what}: {decision.why}"


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
