"""What a reader of an input does, and what all that read text have in common: opening, decoding, a first look."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol, cast

import polars as pl

from ratchet.data.texts import NotText, TextColumns
from ratchet.errors import UserError, did_you_mean
from ratchet.predicting.batches import Batch, Rows
from ratchet.predicting.values import batched, column_type, kinds

Advance = Callable[[int], None]
_LOOK = 1024  # rows between two movements of the progress bar


@dataclass(frozen=True)
class Survey:
    """What a first look at all of the input found: how many rows, and the kinds of values of each column."""

    rows: int
    columns: dict[str, list[str]]


class Reader(Protocol):
    """A file that can be read from any row on, with no more of it in memory than the rows it gives."""

    @property
    def path(self) -> Path:
        """The file."""

    def survey(self, text: TextColumns, advance: Advance) -> Survey:
        """Look at every row once, so that what is wrong is told before any work; `advance` is told of rows seen.

        Raises:
            UserError: not readable, a row that is none, or a column of `text` that is not there or holds no text.
        """

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """The rows from number `start` (from 0) on, `size` at a time.

        Raises:
            UserError: not readable.
        """

    def schema(self, survey: Survey) -> pl.Schema:
        """The columns as Parquet has them."""


@dataclass(frozen=True)
class Row:
    """One row of a text file: where it stands in it, its values, and its JSON if it is written as such."""

    number: int
    values: dict[str, Any]
    written: str | None = None


@dataclass(frozen=True)
class TextReader:
    """Rows that `rows(path, start)` yields; `unit` is what their numbers count (line, row).

    `header(path)` gives the columns that the file names itself.
    """

    path: Path
    unit: str
    rows: Callable[[Path, int], Iterator[Row]]
    header: Callable[[Path], list[str]] = field(default=lambda path: [])

    def survey(self, text: TextColumns, advance: Advance) -> Survey:
        """See `Reader`."""
        columns: dict[str, set[str]] = {name: set() for name in self.header(self.path)}
        if columns:
            refuse_missing(self.path, list(columns), text)
        rows = 0
        for rows, row in enumerate(self.rows(self.path, 0), start=1):
            for name, value in row.values.items():
                columns.setdefault(name, set()).update(kinds(value))
            self._refuse_no_text(row, text)
            if rows % _LOOK == 0:
                advance(_LOOK)
        if rows:
            refuse_missing(self.path, list(columns), text)
        return Survey(rows, {name: sorted(found) for name, found in columns.items()})

    def _refuse_no_text(self, row: Row, text: TextColumns) -> None:
        try:
            text.text([row.values.get(name) for name in text.names])
        except NotText as error:
            raise UserError(f"{self.path}, {self.unit} {row.number}: {error}") from None

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """See `Reader`."""
        for rows in batched(self.rows(self.path, start), size):
            written = [row.written for row in rows if row.written is not None]
            yield Rows([row.values for row in rows], written or None)

    def schema(self, survey: Survey) -> pl.Schema:
        """See `Reader`."""
        return pl.Schema({name: column_type(found) for name, found in survey.columns.items()})


def refuse_missing(path: Path, columns: list[str], text: TextColumns) -> None:
    """Stop where a column of the text is not there.

    Raises:
        UserError: names the column, and those that are there.
    """
    missing = next((name for name in text.names if name not in columns), None)
    if missing is not None:
        raise UserError(
            f"{path}: no column {missing!r}, which makes the text; {did_you_mean(missing, columns)} The file has: "
            f"{', '.join(columns)}. Other columns: text=title,description"
        )


@contextmanager
def opened(path: Path, newline: str) -> Iterator[Iterator[str]]:
    """The lines of a file in UTF-8, with or without a byte order mark, packed by gzip if its name ends in .gz.

    Raises:
        UserError: not to be read, or not UTF-8; names the line.
    """
    try:
        with _text(path, newline) as lines:
            yield lines
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, line {_first_bad_line(path)}: byte 0x{error.object[error.start]:02x} is not UTF-8: convert the "
            "file, as with `iconv -f latin1 -t utf-8`"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _text(path: Path, newline: str) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8-sig", newline=newline))
    return path.open(encoding="utf-8-sig", newline=newline)


def _first_bad_line(path: Path) -> int:
    """Read it again by lines: a decoder that runs ahead knows only the place within its piece."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0
