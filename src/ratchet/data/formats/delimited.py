"""Read CSV and TSV row by row, in the dialect that the configuration states.

Nothing is guessed. A file that is probably in another dialect is refused with the key to set.
"""

import csv
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn

from ratchet.config import Format
from ratchet.data.formats.delimited_lines import (
    OTHER_SEPARATORS,
    SEPARATOR_LINE,
    WRITTEN_OUT,
    Lines,
    make_reader,
    name_separator,
    read_rows,
)
from ratchet.data.formats.dialect import Dialect
from ratchet.data.formats.rows import Row, Rows, is_used
from ratchet.data.opening import open_text
from ratchet.data.problems import Problem
from ratchet.errors import UserError

SEPARATORS = {Format.csv: ",", Format.tsv: "\t"}
_COMMENTS = ("#", "//", "--")  # usual starts of a comment
_SAMPLE = 100  # rows in which values of columns without a name are looked for
_TITLE_LINES = 50  # lines in which the header is looked for, to name the key that finds it

Fields = Sequence[str]
Values = Callable[[Fields], dict[str, Any]]


def open_delimited(
    path: Path, name: str, form: Format, dialect: Dialect, columns: Collection[str] | None = None
) -> Rows:
    """Open CSV or TSV, and return its rows; `columns` are those in use (None: all).

    Raises:
        UserError: the file is not text, is empty, is written in another dialect, or a column in use occurs twice.
    """
    with open_text(path, name, dialect.encoding, key=dialect.key) as file:
        first_line = next(file, "")
        match = SEPARATOR_LINE.fullmatch(first_line)
        separator = SEPARATORS[form] if match is None else match[1]
        if dialect.separator is not None:
            separator = WRITTEN_OUT.get(dialect.separator, dialect.separator)
        lines = Lines(chain([first_line], file), dialect)
        rows = (fields for _, fields, _ in read_rows(name, lines, separator, dialect))
        first_row = next(rows, None)
        if first_row is None:
            _refuse_no_rows(name, lines, dialect)
        unnamed = _find_trailing_unnamed(first_row) if dialect.header else None
        sample = list(islice(rows, _SAMPLE)) if unnamed is not None else []
    names = first_row if dialect.header else _get_configured_names(name, len(first_row), dialect)
    if dialect.header and columns is not None and not _have_columns(names, columns):
        _refuse_other_header(path, name, separator, dialect, names, columns)
    if unnamed is not None and 2 * sum(any(fields[unnamed:]) for fields in sample) >= max(1, len(sample)):
        unnamed = None  # these columns have values: they are no place where only misread rows have some
    values = _select_values(name, names[:unnamed], len(names), dialect, columns)
    table = _Table(path, name, form, dialect, separator, names, values, unnamed)
    return Rows(name, "row", list(names), table.iterate, _note_unnamed(name, names, unnamed))


@dataclass(frozen=True)
class _Table:
    """A delimited file. `names` has a name for each field of a row; from `unnamed` on, the columns have none."""

    path: Path
    name: str
    form: Format
    dialect: Dialect
    separator: str
    names: list[str]
    values: Values
    unnamed: int | None

    def iterate(self) -> Iterator[Row | Problem]:
        """Yield each row, or the problem of a row that cannot be read."""
        width, values, unnamed = len(self.names), self.values, self.unnamed
        header = self.names if self.dialect.header else []
        with open_text(self.path, self.name, self.dialect.encoding, key=self.dialect.key) as file:
            lines = Lines(file, self.dialect)
            rows = read_rows(self.name, lines, self.separator, self.dialect)
            if header:
                next(rows, None)
            for number, fields, several in rows:
                if len(fields) != width:
                    yield self._report_width(number, fields, several, lines)
                elif fields == header or (fields[0][:1] == "\ufeff" and _is_marked_header(fields, header)):
                    yield self._report(number, "repeated header", "repeats the header: two files in one?")
                elif several and self._merges_rows(lines):
                    yield self._report_merged(number)
                elif unnamed is not None and any(fields[unnamed:]):
                    yield self._report_unnamed(number, fields, unnamed)
                else:
                    yield Row(number, values(fields))

    def _report(self, number: int, kind: str, message: str) -> Problem:
        return Problem(kind, f"{self.name}, row {number}", message, "stops")

    def _report_width(self, number: int, fields: Fields, several: bool, lines: Lines) -> Problem:
        message = _describe_wrong_width(fields, len(self.names), self.separator)
        comment = next((start for start in _COMMENTS if lines.first.startswith(start)), None)
        if self.dialect.comment is None and comment is not None:
            message = f'{len(fields)} fields: set {self.dialect.key("comment")}="{comment}" if it is a comment'
        elif self.dialect.escape is None and self.dialect.quote and f"\\{self.dialect.quote}" in lines.first:
            message += f', or set {self.dialect.key("escape")}="\\\\" for quotation marks after a backslash'
        elif several:
            message += f", or set {self.dialect.key('quote')}=null if nothing is quoted: the row has several lines"
        return self._report(number, "wrong number of fields", message)

    def _merges_rows(self, lines: Lines) -> bool:
        """Return whether a row of several lines is likely several rows of a TSV file in which nothing is quoted.

        In such a file the first and the last line have all fields. Texts of CSV often hold commas, so there is no such
        sign in CSV; its texts are quoted.
        """
        separators = len(self.names) - 1
        first, last = lines.first.count(self.separator), lines.last.count(self.separator)
        return self.form is Format.tsv and first == last == separators > 0

    def _report_merged(self, number: int) -> Problem:
        key = self.dialect.key
        message = (
            "a quoted text holds tabs and ends of lines, and looks like several rows: set "
            f"{key('quote')}=null if the quotation marks belong to the texts, as is common in TSV; if they enclose "
            f'texts, set {key("format")}=csv and {key("separator")}="\\t"'
        )
        return self._report(number, "rows in quotation marks", message)

    def _report_unnamed(self, number: int, fields: Fields, start: int) -> Problem:
        index = next(index for index, value in enumerate(fields) if index >= start and value)
        message = (
            f"column {index + 1} has no name, but holds {fields[index][:40]!r}: name it in the first row, or quote "
            f"texts that contain {self.separator!r}"
        )
        return self._report(number, "value without a column", message)


def _describe_wrong_width(fields: Fields, expected: int, separator: str) -> str:
    """Return a message about a row whose number of fields differs from that of the first row."""
    return f"{len(fields)} fields, but the first row has {expected}: quote texts that contain {separator!r}"


def _is_marked_header(fields: Fields, header: Fields) -> bool:
    """Return whether a row is the header with a byte order mark, which hides a quotation mark from csv."""
    return [fields[0].removeprefix("\ufeff").strip('"'), *fields[1:]] == [*header]


def _find_trailing_unnamed(names: Fields) -> int | None:
    """Return the index from which on columns have no name: a value there may belong to another column."""
    named = max((index for index, name in enumerate(names) if name.strip()), default=len(names) - 1)
    return named + 1 if named + 1 < len(names) else None


def _note_unnamed(name: str, names: Fields, unnamed: int | None) -> tuple[Problem, ...]:
    if unnamed is None:
        return ()
    number = len(names) - unnamed
    columns = "column" if number == 1 else "columns"
    message = f"{number} {columns} without a name and without values"
    return (Problem("columns left out", name, message, "kept"),)


def _refuse_no_rows(name: str, lines: Lines, dialect: Dialect) -> NoReturn:
    if not lines.skipped:
        raise UserError(f"{name}: the file is empty")
    keys = [dialect.key(field) for field in ("skip_rows", "comment") if getattr(dialect, field)]
    cause = f": change {' or '.join(keys)}" if keys else ""
    raise UserError(f"{name}: no rows follow the {lines.skipped} skipped lines{cause}")


def _get_configured_names(name: str, width: int, dialect: Dialect) -> list[str]:
    """Return the column names of a file without a header: those of the dialect, else "1", "2", and so on."""
    names = list(dialect.column_names or map(str, range(1, width + 1)))
    if len(names) != width:
        raise UserError(
            f"{name}: {width} columns, but {dialect.key('column_names')} has {len(names)}: name every column"
        )
    return names


def _select_values(name: str, names: Fields, width: int, dialect: Dialect, columns: Collection[str] | None) -> Values:
    """Return the function that makes the values of a row from its `width` fields, of the columns in use only.

    Raises:
        UserError: a column in use occurs twice.
    """
    used = [index for index, column in enumerate(names) if is_used(column, columns)]
    many = {column: [index for index in used if names[index] == column] for column in dialect.repeated}
    single = [index for index in used if names[index] not in many]
    keys = [names[index] for index in single]
    repeated = next((column for column, count in Counter(keys).items() if count > 1), None)
    if repeated is not None:
        source = "the first row" if dialect.header else dialect.key("column_names")
        labels = "" if dialect.option_prefix is not None else ". If each holds a label, set data.labels.kind=names"
        raise UserError(f"{name}: column {repeated!r} occurs twice in {source}: rename one of them{labels}")
    select = _select_single(single, keys, width)
    many = {column: indices for column, indices in many.items() if indices}
    if not many:
        return select
    return lambda fields: select(fields) | {column: [fields[i] for i in indices] for column, indices in many.items()}


def _select_single(indices: list[int], keys: list[str], width: int) -> Values:
    """Return the function that makes a dictionary with `keys` of the fields at `indices`."""
    if indices == list(range(width)):
        return lambda fields: dict(zip(keys, fields, strict=True))
    if len(indices) < 2:  # itemgetter would return no tuple
        return lambda fields: {key: fields[index] for key, index in zip(keys, indices, strict=True)}
    pick = itemgetter(*indices)
    return lambda fields: dict(zip(keys, pick(fields), strict=True))


def _have_columns(names: Iterable[str], columns: Collection[str]) -> bool:
    named = [name for name in names if name]
    return all(any(is_used(name, [column]) for name in named) for column in columns)


def _refuse_other_header(
    path: Path, name: str, separator: str, dialect: Dialect, names: list[str], columns: Collection[str]
) -> None:
    """Refuse a file whose first row lacks columns in use because it is written in another dialect.

    Raises:
        UserError: names the keys to set.
    """
    key = dialect.key
    if names[0].lstrip()[:1] in ("{", "["):
        raise UserError(f"{name}: looks like JSON: set {key('format')}=jsonl (one object a line) or json (a list)")
    if _have_columns([column.lstrip() for column in names], columns):
        raise UserError(f"{name}: spaces follow the separators: set {key('skip_initial_space')}=true")
    for line, other in _find_header(path, name, separator, dialect, columns):
        remedies = []
        if line > dialect.skip_rows:
            remedies.append(f"the header seems to be in line {line + 1}: set {key('skip_rows')}={line}")
        if other != separator:
            remedies.append(name_separator(other, key))
        if remedies:
            raise UserError(f"{name}: {', and '.join(remedies)}")
    if len(names) == 1:
        other = max(OTHER_SEPARATORS, key=names[0].count)
        if other in names[0]:
            raise UserError(f"{name}: {name_separator(other, key)}")


def _find_header(
    path: Path, name: str, separator: str, dialect: Dialect, columns: Collection[str]
) -> Iterator[tuple[int, str]]:
    """Yield the index of each of the first lines that has all columns in use, and its separator."""
    with open_text(path, name, dialect.encoding, key=dialect.key) as file:
        for index, line in enumerate(islice(file, _TITLE_LINES)):
            for other in dict.fromkeys((separator, *OTHER_SEPARATORS)):
                try:
                    names: list[str] = next(make_reader([line], other, dialect), [])
                except csv.Error:
                    continue
                if _have_columns(names, columns):
                    yield index, other
