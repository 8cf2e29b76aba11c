"""Read the bytes of a file into columns, and report each row that cannot be read.

Row numbers are those that an editor or a spreadsheet shows for the file.
"""

import csv
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from ratchet.config import DataConfig
from ratchet.data.formats import SUFFIXES as SUFFIXES
from ratchet.data.formats import Dialect, open_rows
from ratchet.data.problems import Outcome, Problem
from ratchet.data.sources import Content
from ratchet.errors import UserError


@dataclass
class Table:
    """Columns of equal length. Value i was read from `unit` (line, row or item) number `rows[i]`, from 1."""

    name: str
    unit: str
    rows: list[int]
    columns: dict[str, list[Any]]
    problems: list[Problem]

    def location(self, index: int) -> str:
        """Return the location of value `index` in the file, for messages."""
        return f"{self.name}, {self.unit} {self.rows[index]}"


def read_table(content: Content, config: DataConfig) -> Table:
    """Read `content` in the configured format. Return its columns and the rows that could not be read.

    Raises:
        UserError: the suffix is unknown, the encoding is wrong, or the file as such is not in its format.
    """
    outcome: Outcome = "dropped" if config.drop_bad_rows else "stops"
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, f"table{PurePath(content.name).suffix}")
        path.write_bytes(content.data)
        rows = open_rows(path, content.name, Dialect.from_config(config))
        numbers, values, problems = [], [], []
        for row in rows:
            if isinstance(row, Problem):
                problems.append(replace(row, outcome=outcome if row.outcome == "stops" else row.outcome))
            else:
                numbers.append(row.number)
                values.append(row.values)
    names = dict.fromkeys([*(name for name in rows.columns if name), *(name for row in values for name in row)])
    return Table(
        content.name, rows.unit, numbers, {name: [row.get(name) for row in values] for name in names}, problems
    )


def iterate_csv_rows(name: str, lines: Iterable[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number (from 1) and the fields of each row of `lines`; skip blank rows.

    Raises:
        UserError: a row cannot be read, for example because a quote is not closed; gives the last row before it.
    """
    csv.field_size_limit(2**31 - 1)  # the default limit refuses texts above 128 KiB
    last = 0
    try:
        for number, fields in enumerate(csv.reader(lines, delimiter=separator, strict=True), start=1):
            if fields:
                last = number
                yield number, fields
    except csv.Error as error:
        raise UserError(f"{name}, after row {last}: not valid CSV: {error}") from error
