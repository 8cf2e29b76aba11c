"""`ratchet doctor`: check the installation and the project; each line is ok, or has a remedy."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ratchet.cli.locating import enter_project
from ratchet.config import parse_options, plain
from ratchet.errors import UserError
from ratchet.project import Project, current_project
from ratchet.reporting.blocks import NONE
from ratchet.reporting.terminal import Format, print_facts, print_json, print_table

if TYPE_CHECKING:
    from ratchet.scaffold.machine_checks import Check


@dataclass
class Options:
    """Options of `doctor`."""

    format: Format = Format.table
    """Format of the printed result."""


def run(arguments: list[str]) -> int:
    """Run the verb `doctor`."""
    rest, project = _enter_project(arguments)
    options = parse_options(Options, rest)

    from ratchet.scaffold.checkup import run_checkup

    checks = run_checkup(project)
    problems = sum(check.status.value == "problem" for check in checks)
    if options.format is Format.json:
        print_json({"checks": [plain(check) for check in checks], "problems": problems})
    else:
        _print_checks(checks, markdown=options.format is Format.md)
    return int(problems > 0)


def _enter_project(arguments: list[str]) -> tuple[list[str], Project | UserError]:
    """Enter the project, and return the other arguments; if it is broken, the error, which is one of the findings.

    Raises:
        UserError: --project names no project.
    """
    try:
        return enter_project(arguments, [Options]), current_project()
    except UserError as error:
        if any(argument.partition("=")[0] == "--project" for argument in arguments):
            raise
        return arguments, error


def _print_checks(checks: "Sequence[Check]", *, markdown: bool) -> None:
    if markdown:
        rows = [
            {"check": check.name, "status": check.status.value, "seen": check.seen, "remedy": check.remedy or NONE}
            for check in checks
        ]
        print_table(rows, markdown=True, left=4)
        return
    width = max(len(check.name) for check in checks)
    facts = []
    for check in checks:
        facts.append((f"{check.name:<{width}}  {check.status.value}", check.seen))
        if check.remedy:
            facts.append(("", f"remedy: {check.remedy}"))
    print_facts(facts)
    counts = Counter(check.status.value for check in checks)
    problems, notes = counts["problem"], counts["note"]
    print(f"\n{problems} problem{'s' * (problems != 1)}, {notes} note{'s' * (notes != 1)}, {counts['ok']} ok")
