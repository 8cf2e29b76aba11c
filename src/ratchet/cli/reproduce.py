"""`ratchet reproduce RUN`: train a run again from its record; exit code 0 if the predictions are identical."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ratchet.config import is_option, located, parse_options, plain
from ratchet.errors import UserError
from ratchet.printable import filter_output, printable, unfiltered
from ratchet.reporting.blocks import format_number
from ratchet.reporting.terminal import Format, print_json, print_table, print_text
from ratchet.reproducing import Reproduction, reproduce
from ratchet.runs import StoredRun, find_run

NOT_REPRODUCED = 3


@dataclass
class Options:
    """Arguments of `reproduce`; `keep=DIRECTORY` leaves the new run there, `trust=true` executes changes of others."""

    keep: str | None = located(None)
    """Directory to keep the new run in; null deletes it."""
    trust: bool = False
    """Execute the run's uncommitted changes (code.diff) although they were not recorded in this repository."""
    format: Format = Format.table
    """Format of the printed result."""
    runs_dir: str = located("runs")
    """Directory of all runs."""


def run(arguments: list[str]) -> int:
    """Run the verb `reproduce`; return exit code 3 if the predictions differ."""
    if not arguments or is_option(arguments[0]):
        raise UserError("which run? `ratchet reproduce RUN`; RUN is an id, a directory or `last`")
    options = parse_options(Options, arguments[1:])
    stored = find_run(Path(options.runs_dir), arguments[0])
    if options.keep is not None and Path(options.keep).exists():
        raise UserError(f"keep={options.keep}: exists already")
    with _show_status(stored):
        keep = Path(options.keep).resolve() if options.keep else None
        reproduction = reproduce(stored, keep=keep, trust=options.trust)
    if options.format is Format.json:
        print_json(plain(reproduction))
    else:
        markdown = options.format is Format.md
        print_text(f"{stored.record.name} ({stored.record.id}): {_describe_outcome(reproduction)}", whole=markdown)
        _print_details(reproduction, markdown)
    return 0 if reproduction.identical else NOT_REPRODUCED


@contextmanager
def _show_status(stored: StoredRun) -> Iterator[None]:
    """Show a status line until the block ends; print nothing unless stderr is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.text import Text

    commit = str(stored.record.git.get("commit"))[:7]
    status = Text(printable(f"training {stored.record.name} again at {commit} ..."))  # a str may have markup
    with Console(file=unfiltered(sys.stderr)).status(status), filter_output():
        yield


def _describe_outcome(reproduction: Reproduction) -> str:
    if reproduction.identical:
        return "reproduced: all predictions are identical, bit for bit"
    if reproduction.largest_change is None:
        return "not reproduced: it was measured on other records"
    return f"not reproduced: scores differ by up to {reproduction.largest_change:.2g}"


def _print_details(reproduction: Reproduction, markdown: bool) -> None:
    if reproduction.differences:
        print("\nwhat has changed since")
        for difference in reproduction.differences:
            print_text(f"- {difference}", whole=markdown)
    elif not reproduction.identical:
        print()
        message = "code, data, split, packages and machine are unchanged: the run is not deterministic"
        print_text(message, whole=markdown)
    rows = [
        {"metric": key, "then": format_number(a, ".4f"), "now": format_number(b, ".4f")}
        for key, (a, b) in reproduction.moved.items()
    ]
    if rows:
        print()
        print_table(rows, markdown=markdown)
