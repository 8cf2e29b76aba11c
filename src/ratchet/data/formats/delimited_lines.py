"""Divide the lines of CSV and TSV into fields, and name the key to set where that fails."""

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Any

from ratchet.data.formats.dialect import Dialect
from ratchet.errors import UserError

SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
OTHER_SEPARATORS = ";\t|,"
WRITTEN_OUT = {r"\t": "\t", r"\\": "\\"}  # as a command line has them, where nothing interprets a backslash


class Lines:
    """The lines of a file below the skipped ones, without comments.

    The reader of rows sets `starts_row` before each row. `first` and `last` are then lines of this row, and `skipped`
    is the number of lines that belong to no row.
    """

    def __init__(self, file: Iterable[str], dialect: Dialect) -> None:
        self.comment = dialect.comment
        self.starts_row = True
        self.skipped = 0
        self.first = self.last = ""
        lines = iter(file)
        head = list(islice(lines, max(1, dialect.skip_rows)))
        if dialect.skip_rows or (head and SEPARATOR_LINE.fullmatch(head[0])):
            self.skipped, head = len(head), []
        self._lines = chain(head, lines)

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            if self.starts_row:
                if self.comment and line.startswith(self.comment):
                    self.skipped += 1
                    continue
                self.first = line
                self.starts_row = False
            self.last = line
            yield line


def read_rows(name: str, lines: Lines, separator: str, dialect: Dialect) -> Iterator[tuple[int, list[str], bool]]:
    """Yield the number of each row, its fields, and whether it has several lines; skip blank rows.

    Raises:
        UserError: a row cannot be read, for example because a quote is not closed; gives the last row before it.
    """
    csv.field_size_limit(2**31 - 1)  # the default limit refuses texts above 128 KiB
    reader = make_reader(lines, separator, dialect)
    last, read = lines.skipped, 0
    try:
        for number, fields in enumerate(reader, start=1):
            several = reader.line_num - read > 1
            read = reader.line_num
            if fields:
                last = number + lines.skipped
                yield last, fields, several
            lines.starts_row = True
    except csv.Error as error:
        in_header = last == lines.skipped
        reason = _explain(str(error), lines, separator, dialect, in_header)
        raise UserError(f"{name}, after row {last}: not valid CSV: {reason}") from error


def make_reader(lines: Iterable[str], separator: str, dialect: Dialect) -> Any:
    """Return the reader of `csv` in this dialect.

    Raises:
        UserError: the separator, the quote or the escape is not one character.
    """
    quote, escape = dialect.quote or None, dialect.escape or None
    escape = WRITTEN_OUT.get(escape, escape) if escape else None
    try:
        return csv.reader(
            iter(lines),
            delimiter=separator,
            quotechar=quote,
            quoting=csv.QUOTE_NONE if quote is None else csv.QUOTE_MINIMAL,
            escapechar=escape,
            skipinitialspace=dialect.skip_initial_space,
            strict=True,
        )
    except (TypeError, ValueError) as error:
        key = dialect.key
        raise UserError(
            f"{key('separator')}={separator!r}, {key('quote')}={quote!r} and {key('escape')}={escape!r} must be one "
            f"character each: {error}"
        ) from error


def _explain(error: str, lines: Lines, separator: str, dialect: Dialect, in_header: bool) -> str:
    """Return what is wrong with a quoted field, and the key that reads the file if there is one."""
    if not dialect.quote:
        return error
    if in_header:  # of "id";"text" csv reads the first name, and expects a comma
        for other in OTHER_SEPARATORS:
            if f"{dialect.quote}{other}{dialect.quote}" in lines.first:
                return f"{error}: {name_separator(other, dialect.key)}"
    if dialect.escape is None and f"\\{dialect.quote}" in lines.first + lines.last:
        return f'{error}: a backslash stands before a quotation mark: set {dialect.key("escape")}="\\\\"'
    common = ", as is common in TSV" if separator == "\t" else ""
    return (
        f"{error}: a quotation mark is not closed, or closed before the end of the field: set "
        f"{dialect.key('quote')}=null if the quotation marks belong to the texts{common}; else double them"
    )


def name_separator(separator: str, key: Callable[[str], str]) -> str:
    """Return the remedy for a file with another separator: the key to set."""
    if separator == "\t":
        return f'the fields are separated by tabs: set {key("format")}=tsv, or {key("separator")}="\\t"'
    return f'the fields are separated by {separator!r}: set {key("separator")}="{separator}"'
