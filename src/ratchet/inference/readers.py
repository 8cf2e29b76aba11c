"""Read the rows of a file batch by batch, in every format and dialect that training reads.

A scan of all rows comes first, so that a broken row costs no work.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import polars as pl

from ratchet.config import Format
from ratchet.data.formats import Dialect, detect_format, open_rows
from ratchet.data.formats.rows import Rows, is_used
from ratchet.data.opening import refuse_other_content
from ratchet.data.problems import Problem
from ratchet.data.texts import TextColumns
from ratchet.data.values import BadValue, NotText, get_value, has_value
from ratchet.errors import UserError, did_you_mean
from ratchet.inference.rows import Batch, Frame, RowBatch, batched, column_type, kinds

Advance = Callable[[int], None]

INPUT_DIALECT = Dialect(option_prefix="input_")
_PROGRESS_ROWS = 1024  # rows between two steps of the progress bar


@dataclass(frozen=True)
class Scan:
    """What the scan of an input counted: the rows, and the kinds of values of each column."""

    rows: int
    columns: dict[str, list[str]]


class Reader(Protocol):
    """An input that can be read from any row, with no more of it in memory than the rows of a batch."""

    @property
    def path(self) -> Path:
        """Return the path of the input."""

    @property
    def files(self) -> list[Path]:
        """Return the files that are read, in their order."""

    def scan(self, text: TextColumns, advance: Advance) -> Scan:
        """Read every row once, so that errors are reported before any work; `advance` counts the rows.

        Raises:
            UserError: the file is not readable, a row is broken, or a column of `text` is missing or contains no text.
        """

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """Yield the rows from number `start` (from 0), `size` at a time.

        Raises:
            UserError: the file is not readable.
        """

    def schema(self, scan: Scan) -> pl.Schema:
        """Return the columns with their types in Parquet."""


@dataclass(frozen=True)
class RowReader:
    """Read a file row by row. Only a JSON list and an Excel workbook are completely in memory."""

    path: Path
    dialect: Dialect = INPUT_DIALECT

    @property
    def files(self) -> list[Path]:
        """See `Reader`."""
        return [self.path]

    def scan(self, text: TextColumns, advance: Advance) -> Scan:
        """See `Reader`."""
        table = self._open()
        if table.columns and _find_missing(table.columns, text) is not None:
            open_rows(self.path, str(self.path), self.dialect, text.names)  # refuses a file in another dialect
            _refuse_missing(self.path, table.columns, text)
        columns: dict[str, set[str]] = {name: set() for name in table.columns if name}
        paths = set(text.names)  # those that no row has so far
        rows = 0
        for row in table:
            if isinstance(row, Problem):
                raise UserError(f"{row.place}: {row.message}")
            rows += 1
            for name, value in row.values.items():
                columns.setdefault(name, set()).update(kinds(value))
            try:
                text.text([get_value(row.values, name) for name in text.names], self.path.parent)
            except (NotText, BadValue) as error:
                raise UserError(f"{table.location(row)}: {error}") from None
            if paths:
                paths = {name for name in paths if not has_value(row.values, name)}
            if rows % _PROGRESS_ROWS == 0:
                advance(_PROGRESS_ROWS)
        if rows:
            _refuse_missing(self.path, list(columns), text)
            self._refuse_empty_paths(paths - columns.keys())
        return Scan(rows, {name: sorted(seen) for name, seen in columns.items()})

    def _open(self) -> Rows:
        return open_rows(self.path, str(self.path), self.dialect)

    def _refuse_empty_paths(self, paths: set[str]) -> None:
        """Refuse a path into objects, such as data.text, that no row has: it is probably misspelt."""
        if paths:
            raise UserError(
                f"{self.path}: no row has {min(paths)!r}, which makes the text. Other columns: text=title,description"
            )

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """See `Reader`."""
        for rows in batched(islice(self._open(), start, None), size):
            broken = next((row for row in rows if isinstance(row, Problem)), None)
            if broken is not None:
                raise UserError(f"{broken.place}: {broken.message}")
            written = [row.written for row in rows if row.written is not None]
            yield RowBatch(self.path.parent, [row.values for row in rows], written or None)

    def schema(self, scan: Scan) -> pl.Schema:
        """See `Reader`."""
        return pl.Schema({name: column_type(seen) for name, seen in scan.columns.items()})


def _find_missing(columns: list[str], text: TextColumns) -> str | None:
    return next((name for name in text.names if not any(is_used(column, [name]) for column in columns)), None)


def _refuse_missing(path: Path, columns: list[str], text: TextColumns) -> None:
    """Refuse a file without a column of the text.

    Raises:
        UserError: names the missing column, and those of the file.
    """
    missing = _find_missing(columns, text)
    if missing is not None:
        near = did_you_mean(missing, columns)
        hint = f"{near} The" if near.endswith("?") else "the"
        raise UserError(
            f"{path}: no column {missing!r}, which makes the text; {hint} file has: {', '.join(columns)}. "
            "Other columns: text=title,description"
        )


@dataclass(frozen=True)
class ParquetReader:
    """Read Parquet, which stores the number of rows and the types of the columns."""

    path: Path

    @property
    def files(self) -> list[Path]:
        """See `Reader`."""
        return [self.path]

    def scan(self, text: TextColumns, advance: Advance) -> Scan:
        """See `Reader`."""
        schema = self.schema(Scan(0, {}))
        _refuse_missing(self.path, list(schema), text)
        for name in text.names:
            if name in schema and schema[name].is_nested():
                raise UserError(f"{self.path}: {name} contains no text but {schema[name]}")
        rows = _collect(self.path, pl.scan_parquet(self.path, glob=False).select(pl.len())).item()
        return Scan(rows, {name: [str(dtype)] for name, dtype in schema.items()})

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """See `Reader`."""
        rows = pl.scan_parquet(self.path, glob=False)
        while (data := _collect(self.path, rows.slice(start, size))).height:
            yield Frame(self.path.parent, data)
            start += data.height

    def schema(self, scan: Scan) -> pl.Schema:
        """See `Reader`."""
        return _collect(self.path, pl.scan_parquet(self.path, glob=False).head(0)).schema


def _collect(path: Path, query: pl.LazyFrame) -> pl.DataFrame:
    try:
        return query.collect()
    except (Exception, pl.exceptions.PanicException) as error:
        raise UserError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from error


def reader_of(path: Path, dialect: Dialect = INPUT_DIALECT) -> Reader:
    """Return the reader of a file.

    Raises:
        UserError: the name has no known format, or the file is something else than its name says.
    """
    if detect_format(str(path), dialect) is Format.parquet:
        refuse_other_content(path, str(path), Format.parquet, dialect.key)
        return ParquetReader(path)
    return RowReader(path, dialect)
