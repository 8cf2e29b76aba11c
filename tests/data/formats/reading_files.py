"""Write a file, and read its rows: for the tests of this directory."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet.data.formats import Dialect, open_rows
from ratchet.data.formats.rows import Row
from ratchet.data.problems import Problem


@dataclass(frozen=True)
class Result:
    """What reading a file yields: the names that it states, its rows and its problems."""

    names: list[str]
    rows: list[Row]
    problems: list[Problem]
    locations: list[str]

    @property
    def columns(self) -> dict[str, list[Any]]:
        """Return the values of each column; None where a row lacks it."""
        names = dict.fromkeys([*self.names, *(name for row in self.rows for name in row.values)])
        return {name: [row.values.get(name) for row in self.rows] for name in names}

    @property
    def values(self) -> list[dict[str, Any]]:
        """Return the values of each row."""
        return [dict(row.values) for row in self.rows]

    @property
    def numbers(self) -> list[int]:
        """Return the number of each row."""
        return [row.number for row in self.rows]

    @property
    def message(self) -> str:
        """Return place and message of the only problem."""
        [problem] = self.problems
        return f"{problem.place}: {problem.message}"


Read = Callable[..., Result]


def make_reader(directory: Path) -> Read:
    """Return `read(name, data, columns, **dialect)`, which writes a file into `directory` and reads it."""

    def read(name: str, data: bytes | str, columns: Collection[str] | None = None, **fields: Any) -> Result:
        path = directory / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        table = open_rows(path, name, Dialect(**fields), columns)
        items = list(table)
        rows = [item for item in items if isinstance(item, Row)]
        problems = [item for item in items if isinstance(item, Problem)]
        return Result(table.columns, rows, problems, [table.location(row) for row in rows])

    return read
