"""`ratchet init [DIR]`: create a project for the sample, or for a data file, without asking questions."""

import csv
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.cells import cell_len

from ratchet.config import is_option, parse_options
from ratchet.errors import UserError
from ratchet.reporting.blocks import one_line
from ratchet.reporting.terminal import print_facts, terminal_width, wrapped

if TYPE_CHECKING:
    from ratchet.scaffold.creating import Created

_WIDTH = 80  # of the evidence if output is piped
_LEAST = 40  # columns of a text next to its name


@dataclass
class Options:
    """Arguments of `init`, in addition to a directory."""

    data: str | None = None
    """File, directory or pattern of the records, or files separated by commas; null uses the sample."""
    text: str = ""
    """Columns of the text, separated by commas; without any, they are guessed."""
    labels: str | None = None
    """Columns of the labels, separated by commas; null guesses them."""
    name: str | None = None
    """Name of the data set; null takes that of the file."""
    id: str | None = None
    """Column of the record's id; null guesses it."""
    header: bool | None = None
    """Whether the first row names the columns, which are called 1, 2 and so on otherwise; null detects it."""
    dry: bool = False
    """List what would be written, and write nothing."""


def run(arguments: list[str]) -> int:
    """Run the verb `init`."""
    directories = [argument for argument in arguments if not is_option(argument)]
    if len(directories) > 1 or any(directory.startswith("-") for directory in directories):
        wrong = next((name for name in directories if name.startswith("-")), directories[-1])
        raise UserError(f"init {wrong!r}: is not understood; init takes one directory and key=value")
    options = parse_options(Options, [argument for argument in arguments if is_option(argument)])

    from ratchet.scaffold.creating import create_project

    created = create_project(
        Path(*directories),
        data=Path(options.data) if options.data is not None else None,
        text=_split_columns(options.text),
        labels=options.labels,
        name=options.name,
        id=options.id,
        header=options.header,
        dry=options.dry,
    )
    if options.dry:
        _list_files(created)
        _print_findings(created)
    else:
        _report(created)
    return 0


def _split_columns(text: str) -> list[str]:
    """Return the columns in a list separated by commas; one with a comma in its name is quoted, as in CSV."""
    return [column.strip() for column in next(csv.reader([text], skipinitialspace=True), []) if column.strip()]


def _list_files(created: "Created") -> None:
    print(f"{created.root}: nothing is written. `ratchet init` would write:")
    rows = [(path.as_posix(), "append" if _is_there(created, path) else "new") for path in created.plan.files]
    rows += [(path.as_posix(), f"copy of {source}") for path, source in created.plan.copies.items()]
    rows += [(path.as_posix(), "exists, stays as it is") for path in created.plan.existing]
    if created.dvc_flags is not None:
        rows.append((".dvc", " ".join(["dvc init", *created.dvc_flags])))
    print_facts([(f"  {path}", what) for path, what in sorted(rows)])


def _is_there(created: "Created", path: Path) -> bool:
    return (created.root / path).exists()


def _report(created: "Created") -> None:
    number = len(created.plan.files) + len(created.plan.copies)
    records = f", {created.inspection.num_records:,} records" if created.inspection else ""
    print(f"{created.root}: wrote {number} files; data set {created.data}{records}")
    _print_findings(created)
    left = [path.as_posix() for path in created.plan.existing]
    facts = [("left as it is", path) for path in left] + [("note", note) for note in created.notes]
    if facts:
        print()
        print_facts(facts, whole=("note",))
    print()
    print("next:")
    for command in _list_commands(created):
        print(f"  {command}")


def _list_commands(created: "Created") -> Sequence[str]:
    is_here = created.root == Path.cwd().resolve()
    enter = [] if is_here else [f"cd {shlex.quote(os.path.relpath(created.root))}"]
    return [*enter, *created.next_commands]


def _print_findings(created: "Created") -> None:
    if created.inspection is None:
        return
    print()
    print_facts(list(_wrap_facts(created.inspection.findings)))


def _wrap_facts(facts: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield facts with long texts in several lines: also piped output is for people, and evidence is prose."""
    start = max(cell_len(name) for name, _ in facts) + 2
    for name, text in facts:
        first, *others = wrapped(one_line(text), max((terminal_width() or _WIDTH) - start, _LEAST))
        yield name, first
        yield from (("", line) for line in others)
