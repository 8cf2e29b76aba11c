"""Read JSON: a list of records, a list below a key, parallel lists, or JSON Lines (one value per line)."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ratchet.config import Format
from ratchet.data.formats.dialect import Dialect
from ratchet.data.formats.rows import Row, Rows, is_used
from ratchet.data.opening import open_text, parse_json
from ratchet.data.problems import Problem
from ratchet.data.values import get_value
from ratchet.errors import UserError, did_you_mean

_FIRST_LINE = 1 << 20  # characters; a longer first line is taken for a complete file
_DEPTH = 3  # levels of keys at which lists of records are looked for, to name them in a message


def open_json(path: Path, name: str, form: Format, dialect: Dialect, columns: Collection[str] | None = None) -> Rows:
    """Open JSON or JSON Lines, and return its rows; `columns` are those in use (None: all).

    A file in JSON whose first line is complete and that goes on is read as JSON Lines.

    Raises:
        UserError: the file is not text, is empty, or holds a list over several lines in spite of `form`.
    """
    head = _read_head(path, name, dialect, may_be_empty=columns is None and form is Format.jsonl)
    is_complete = bool(head) and _parses(head[0])
    if form is Format.jsonl:
        _refuse_list(name, head, is_complete, dialect)
    elif not (is_complete and len(head) > 1 and dialect.under is None):
        return Rows(name, "item", [], partial(_iterate_items, path, name, dialect, columns))
    return Rows(name, "line", [], partial(_iterate_lines, path, name, dialect))


def _read_head(path: Path, name: str, dialect: Dialect, may_be_empty: bool) -> list[str]:
    """Return the first two lines that are not blank; the first one alone if it is very long."""
    head: list[str] = []
    with open_text(path, name, dialect.encoding, "\n", dialect.key, may_be_empty) as file:
        while len(head) < 2 and (line := file.readline(_FIRST_LINE)):
            if line.strip():
                head.append(line.strip())
            if len(line) == _FIRST_LINE:
                break
    return head


def _parses(line: str) -> bool:
    try:
        return isinstance(json.loads(line), (dict, list))
    except (ValueError, RecursionError):
        return False


def _refuse_list(name: str, head: list[str], is_complete: bool, dialect: Dialect) -> None:
    """Refuse a file of JSON Lines that holds one list or object over several lines, or one list in its only line."""
    if is_complete:
        first = json.loads(head[0])
        is_list = isinstance(first, list) and len(first) > 0 and all(isinstance(item, dict) for item in first)
    else:
        is_list = bool(head) and _goes_on(*head)
    if is_list:
        raise UserError(
            f"{name}, line 1: holds one list or object for all records, not one object in each line: set "
            f"{dialect.key('format')}=json"
        )


def _goes_on(first: str, second: str = "") -> bool:
    """Return whether the first line is the start of a list or object that goes on in the second line."""
    if first in ("[", "{"):
        return True
    try:
        json.loads(first)
    except json.JSONDecodeError as error:
        return first[0] in "[{" and error.pos >= len(first) and not _parses(second)
    except (ValueError, RecursionError):
        return False
    return False


def _iterate_lines(path: Path, name: str, dialect: Dialect) -> Iterator[Row | Problem]:
    make_row = _RowMaker(name, "line", dialect)
    with open_text(path, name, dialect.encoding, "\n", dialect.key, may_be_empty=True) as lines:
        for number, line in enumerate(lines, start=1):
            written = line.strip()
            if not written:
                continue
            try:
                item = json.loads(written)
            except (ValueError, RecursionError) as error:
                yield Problem("broken line", f"{name}, line {number}", describe_json_error(error), "stops")
                continue
            yield make_row(number, item, written)


def _iterate_items(path: Path, name: str, dialect: Dialect, columns: Collection[str] | None) -> Iterator[Row | Problem]:
    with open_text(path, name, dialect.encoding, "", dialect.key) as file:
        text = file.read()
    content = parse_json(name, text)
    del text
    make_row = _RowMaker(name, "item", dialect)
    for number, item in enumerate(_find_records(name, content, dialect, columns), start=1):
        yield make_row(number, item)


class _RowMaker:
    """Make rows of JSON values: all are objects or all are lists (named or numbered items), as the first one is.

    Rows have every key of an object, in use or not: the values are in memory, and messages can suggest the names.
    """

    def __init__(self, name: str, unit: str, dialect: Dialect) -> None:
        self.place = f"{name}, {unit}"
        self.dialect = dialect
        self.names: tuple[str, ...] | None = None
        self.expected: type[Any] | None = None

    def __call__(self, number: int, item: Any, written: str | None = None) -> Row | Problem:
        """Return the row of a value, or the problem of one that is no row. `written` is its text in the file."""
        if self.expected is None and isinstance(item, (dict, list)):
            self.expected = type(item)
            self.names = self.dialect.column_names or tuple(map(str, range(1, len(item) + 1)))
        if type(item) is not self.expected:
            expected = "a list of values" if self.expected is list else "an object of columns"
            return self._report(number, "broken line", f"must be {expected}, but is a {type(item).__name__}")
        if isinstance(item, dict):
            return Row(number, item, written)
        names = self.names or ()
        if len(names) != len(item):
            key = self.dialect.key("column_names")
            message = (
                f"{len(item)} values, but {'the first' if self.dialect.column_names is None else key} has {len(names)}"
            )
            return self._report(number, "wrong number of fields", message)
        return Row(number, dict(zip(names, item, strict=True)))

    def _report(self, number: int, kind: str, message: str) -> Problem:
        return Problem(kind, f"{self.place} {number}", message, "stops")


def _find_records(name: str, content: Any, dialect: Dialect, columns: Collection[str] | None) -> Iterable[Any]:
    """Return the records of a parsed file: its list, the list below the configured key, or its parallel lists.

    Raises:
        UserError: there is no such key, or no list of records; names the keys of lists.
    """
    where = name
    if dialect.under is not None:
        content = _descend(name, content, dialect.under, dialect)
        where = f"{name}, {dialect.under}"
    if isinstance(content, list):
        return content
    if isinstance(content, dict) and content:
        parallel = _join_columns(content, columns)
        if parallel is not None:
            return parallel
        paths = [f"{dialect.under}.{path}" if dialect.under else path for path in list_record_paths(content)]
        if paths:
            others = f" (or {', '.join(paths[1:5])})" if len(paths) > 1 else ""
            raise UserError(
                f"{where}: must be a list of records, but is a dict with a list below a key: set "
                f"{dialect.key('under')}={paths[0]}{others}"
            )
    raise UserError(f"{where}: must be a list of records, but is a {type(content).__name__}")


def _descend(name: str, content: Any, under: str, dialect: Dialect) -> Any:
    if isinstance(content, dict):
        inner = get_value(content, under)
        if inner is not None:
            return inner
        paths = [*list_record_paths(content), *content]
        raise UserError(
            f"{name}: nothing is below the key {under!r} ({dialect.key('under')}); {did_you_mean(under, paths)}"
        )
    raise UserError(
        f"{name}: must be an object with the key {under!r} ({dialect.key('under')}), but is a {type(content).__name__}"
    )


def list_record_paths(content: Mapping[str, Any], depth: int = _DEPTH) -> list[str]:
    """Return the keys, or paths of keys, below which a list of objects or of lists is; those of the longest first."""
    length_of: dict[str, int] = {}
    for key, value in content.items():
        if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
            length_of[key] = len(value)
        elif isinstance(value, dict) and depth > 1:
            for path in list_record_paths(value, depth - 1):
                length_of[f"{key}.{path}"] = 0
    return sorted(length_of, key=lambda path: -length_of[path])


def _join_columns(content: dict[str, Any], columns: Collection[str] | None) -> Iterable[dict[str, Any]] | None:
    """Return the records of an object that has a list (or an object by index, as of pandas) for each column.

    None if it is no such object: if a column in use is not one of its keys, or the lists differ in length.
    """
    if columns is None:
        chosen = content
    else:
        chosen = {key: value for key, value in content.items() if is_used(key, columns)}
        if not chosen or not all(any(is_used(key, [column]) for key in chosen) for column in columns):
            return None
    if all(isinstance(value, list) for value in chosen.values()):
        lists = list(chosen.values())
        holds_records = columns is None and any(isinstance(item, dict) for value in lists for item in value[:1])
    elif all(isinstance(value, dict) for value in chosen.values()):
        first = next(iter(chosen.values()))
        if columns is None or any(value.keys() != first.keys() for value in chosen.values()):
            return None
        lists, holds_records = [[value[index] for index in first] for value in chosen.values()], False
    else:
        return None
    if holds_records or len({len(value) for value in lists}) != 1:
        return None
    return (dict(zip(chosen, values, strict=True)) for values in zip(*lists, strict=True))


def describe_json_error(error: ValueError | RecursionError) -> str:
    """Return a message about a line that `json.loads` refused."""
    return f"not valid JSON: {getattr(error, 'msg', error)} at column {getattr(error, 'colno', 1)}"
