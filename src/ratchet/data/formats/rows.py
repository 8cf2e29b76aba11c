"""Define the rows that every format yields: one after another, never all in memory."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ratchet.data.problems import Problem


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its number as an editor or spreadsheet shows it, its values by column, and its text if it is JSON."""

    number: int
    values: Mapping[str, Any]
    written: str | None = None


@dataclass(frozen=True)
class Rows:
    """The rows of one file. A row that cannot be read is yielded as a problem.

    `columns` are all names that the file states (none for JSON); `unit` is what numbers count: row, line or item.
    `notes` are problems of the file as such, which change no row. Each iteration reads the file again.
    """

    name: str
    unit: str
    columns: list[str]
    iterate: Callable[[], Iterator[Row | Problem]]
    notes: tuple[Problem, ...] = ()

    def __iter__(self) -> Iterator[Row | Problem]:
        return self.iterate()

    def location(self, row: Row) -> str:
        """Return the location of a row, for messages."""
        return f"{self.name}, {self.unit} {row.number}"


def decode_values(values: dict[str, Any], place: str) -> Problem | None:
    """Replace bytes by the text that they are in UTF-8. Return the problem of bytes that are not UTF-8, if any."""
    for column, value in values.items():
        if isinstance(value, bytes):
            try:
                values[column] = value.decode()
            except UnicodeDecodeError:
                return Problem(
                    "bytes that are not text", place, f"column {column} holds bytes that are not UTF-8", "stops"
                )
    return None


def is_used(column: str, used: Collection[str] | None) -> bool:
    """Return whether one of the names in use (None: every name) is this column, or a path that leads into it."""
    return used is None or column in used or any(name.startswith((f"{column}.", f"{column}[")) for name in used)
