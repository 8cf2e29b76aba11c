"""Read the rows of a file batch by batch: CSV, TSV and JSON Lines (also packed by gzip), and Parquet.

The format follows from the file's name. A scan of all rows comes first, so that a broken row costs no work.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol, cast

import polars as pl

from ratchet.config import Format
from ratchet.data.reading import (
    SUFFIXES,
    describe_json_error,
    describe_non_object,
    describe_wrong_width,
    iterate_csv_rows,
    refuse_repeated_columns,
)
from ratchet.data.texts import NotText, TextColumns
from ratchet.errors import UserError, did_you_mean
from ratchet.inference.rows import Batch, Frame, Rows, batched, column_type, kinds

Advance = Callable[[int], None]

SEPARATORS = {Format.csv: ",", Format.tsv: "\t"}
_KNOWN = ".csv, .tsv, .jsonl (these also with .gz) or .parquet"
_PROGRESS_ROWS = 1024  # rows between two steps of the progress bar


@dataclass(frozen=True)
class Scan:
    """What the scan of an input counted: the rows, and the kinds of values of each column."""

    rows: int
    columns: dict[str, list[str]]


class Reader(Protocol):
    """A file that can be read from any row, with no more of it in memory than the rows of a batch."""

    @property
    def path(self) -> Path:
        """Return the path of the file."""

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
class Row:
    """One row of a text file: its number in the file, its values, and its JSON as the file spells it, if it is JSON."""

    number: int
    values: dict[str, Any]
    written: str | None = None


@dataclass(frozen=True)
class TextReader:
    """Read the rows that `rows(path, start)` yields; their numbers count `unit` (line or row).

    `header(path)` returns the columns that the first row of the file names.
    """

    path: Path
    unit: str
    rows: Callable[[Path, int], Iterator[Row]]
    header: Callable[[Path], list[str]] = field(default=lambda path: [])

    def scan(self, text: TextColumns, advance: Advance) -> Scan:
        """See `Reader`."""
        columns: dict[str, set[str]] = {name: set() for name in self.header(self.path)}
        if columns:
            refuse_missing(self.path, list(columns), text)
        rows = 0
        for rows, row in enumerate(self.rows(self.path, 0), start=1):
            for name, value in row.values.items():
                columns.setdefault(name, set()).update(kinds(value))
            self._refuse_no_text(row, text)
            if rows % _PROGRESS_ROWS == 0:
                advance(_PROGRESS_ROWS)
        if rows:
            refuse_missing(self.path, list(columns), text)
        return Scan(rows, {name: sorted(seen) for name, seen in columns.items()})

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

    def schema(self, scan: Scan) -> pl.Schema:
        """See `Reader`."""
        return pl.Schema({name: column_type(seen) for name, seen in scan.columns.items()})


def refuse_missing(path: Path, columns: list[str], text: TextColumns) -> None:
    """Refuse a file without a column of the text.

    Raises:
        UserError: names the missing column, and those of the file.
    """
    missing = next((name for name in text.names if name not in columns), None)
    if missing is not None:
        raise UserError(
            f"{path}: no column {missing!r}, which makes the text; {did_you_mean(missing, columns)} The file has: "
            f"{', '.join(columns)}. Other columns: text=title,description"
        )


@contextmanager
def open_lines(path: Path, newline: str) -> Iterator[Iterator[str]]:
    """Open a file in UTF-8, with or without a byte order mark, packed by gzip if its name ends in .gz.

    Raises:
        UserError: the file cannot be read, or is not UTF-8; names the line.
    """
    try:
        with _open_text(path, newline) as lines:
            yield lines
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}, line {_find_bad_line(path)}: byte 0x{error.object[error.start]:02x} is not UTF-8: convert the "
            "file, as with `iconv -f latin1 -t utf-8`"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _open_text(path: Path, newline: str) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8-sig", newline=newline))
    return path.open(encoding="utf-8-sig", newline=newline)


def _find_bad_line(path: Path) -> int:
    """Read the file again by lines: a decoder works on blocks, and knows only the position within its block."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0


def delimited_reader(path: Path, separator: str) -> TextReader:
    """Return a reader of CSV or TSV, whose first row names the columns and whose values are all text."""
    return TextReader(path, "row", partial(_delimited_rows, separator), partial(_header, separator))


def _header(separator: str, path: Path) -> list[str]:
    with open_lines(path, "") as lines:
        _, names = next(iterate_csv_rows(str(path), lines, separator), (0, []))
    if not names:
        raise UserError(f"{path}: the file is empty: its first row must name the columns")
    refuse_repeated_columns(str(path), names, "the first row")
    return names


def _delimited_rows(separator: str, path: Path, start: int) -> Iterator[Row]:
    with open_lines(path, "") as lines:
        rows = iterate_csv_rows(str(path), lines, separator)
        _, names = next(rows)
        for index, (number, fields) in enumerate(rows):
            if len(fields) != len(names):
                raise UserError(f"{path}, row {number}: {describe_wrong_width(fields, len(names), separator)}")
            if index >= start:
                yield Row(number, dict(zip(names, fields, strict=True)))


def json_lines_reader(path: Path) -> TextReader:
    """Return a reader of a file with one JSON object of columns per line."""
    return TextReader(path, "line", _json_rows)


def _json_rows(path: Path, start: int) -> Iterator[Row]:
    with open_lines(path, "\n") as lines:
        written = ((number, line.strip()) for number, line in enumerate(lines, start=1))
        for index, (number, line) in enumerate(numbered for numbered in written if numbered[1]):
            if index < start:
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path}, line {number}: {describe_json_error(error)}") from None
            if not isinstance(values, dict):
                raise UserError(f"{path}, line {number}: {describe_non_object(values)}")
            yield Row(number, values, line)


@dataclass(frozen=True)
class ParquetReader:
    """Read Parquet, which stores the number of rows and the types of the columns."""

    path: Path

    def scan(self, text: TextColumns, advance: Advance) -> Scan:
        """See `Reader`."""
        schema = self.schema(Scan(0, {}))
        refuse_missing(self.path, list(schema), text)
        for name in text.names:
            if schema[name].is_nested():
                raise UserError(f"{self.path}: {name} contains no text but {schema[name]}")
        rows = _collect(self.path, pl.scan_parquet(self.path, glob=False).select(pl.len())).item()
        return Scan(rows, {name: [str(dtype)] for name, dtype in schema.items()})

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """See `Reader`."""
        rows = pl.scan_parquet(self.path, glob=False)
        while (data := _collect(self.path, rows.slice(start, size))).height:
            yield Frame(data)
            start += data.height

    def schema(self, scan: Scan) -> pl.Schema:
        """See `Reader`."""
        return _collect(self.path, pl.scan_parquet(self.path, glob=False).head(0)).schema


def _collect(path: Path, query: pl.LazyFrame) -> pl.DataFrame:
    try:
        return query.collect()
    except (Exception, pl.exceptions.PanicException) as error:
        raise UserError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from error


def format_of(path: Path, option: str) -> Format:
    """Return the format of a file by its name; `option` is the option that names the file.

    Raises:
        UserError: the name has no known format, or one that cannot be read in batches.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    gzipped = suffixes[-1:] == [".gz"]
    suffix = next(reversed(suffixes[:-1] if gzipped else suffixes), "")
    form = SUFFIXES.get(suffix)
    if form is Format.json:
        raise UserError(
            f"{option}={path}: a JSON list cannot be read or written in parts: one object per line, as .jsonl"
        )
    if form is None or (gzipped and form is Format.parquet):
        raise UserError(f"{option}={path}: the name must end in the format: {_KNOWN}")
    return form


def reader_of(path: Path) -> Reader:
    """Return the reader of an input.

    Raises:
        UserError: the name has no known format.
    """
    form = format_of(path, "input")
    if form is Format.parquet:
        return ParquetReader(path)
    return json_lines_reader(path) if form is Format.jsonl else delimited_reader(path, SEPARATORS[form])
