"""Look up values in rows, and convert them to text; what is not text, such as an object, never becomes its repr."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

_MISSING = object()
_INDEX = re.compile(r"\[(\d+)\]\.?")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_INVISIBLE = ("Cf", "Cc", "Zs", "Zl", "Zp")  # Unicode categories of characters that show nothing
_TYPES = {bool: "true or false", dict: "an object", list: "a list", bytes: "bytes", int: "a number", float: "a number"}
_PLAIN = (int, float, Decimal, date, time, timedelta, UUID)


class NotText(ValueError):
    """Report that a value is not text, such as a list."""


class BadValue(ValueError):
    """Report that a row cannot be used because of one value. Reports count such rows by `kind`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def get_value(values: Mapping[str, Any], name: str) -> Any:
    """Return the value of a column, or of a path into objects and lists; None if there is none.

    A column that is called like the path comes first. `annotations[0].result` takes one item of a list; without an
    index, as in `annotations.result`, all items are looked up, and their values form one list.
    """
    value = values.get(name, _MISSING)
    if value is not _MISSING:
        return value
    value = _descend(values, name) if "." in name or "[" in name else None
    return None if value is _MISSING else value


def has_value(values: Mapping[str, Any], name: str) -> bool:
    """Return whether a row has this column or path, be its value null."""
    return name in values or (("." in name or "[" in name) and _descend(values, name) is not _MISSING)


def make_getter(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return the function that looks up `name` in a row, as `get_value` does."""
    if "." in name or "[" in name:
        return lambda values: get_value(values, name)
    return lambda values: values.get(name)


def list_paths(values: Mapping[str, Any], depth: int = 4) -> Iterator[str]:
    """Yield the columns of a row and the paths into its objects and lists, for messages."""
    for key, value in values.items():
        yield key
        for suffix, inner in (("", value), ("[0]", value[0] if isinstance(value, list) and value else None)):
            if isinstance(inner, Mapping) and depth > 1:
                yield from (f"{key}{suffix}.{path}" for path in list_paths(inner, depth - 1))


def _descend(value: Any, path: str) -> Any:
    """Return what is at a path; `_MISSING` if nothing is."""
    if not path:
        return value
    if isinstance(value, Mapping):
        for key, rest in _split_path(path):
            if key in value and (inner := _descend(value[key], rest)) is not _MISSING:
                return inner
        return _MISSING
    if not isinstance(value, list):
        return _MISSING
    index = _INDEX.match(path)
    if index is not None:
        position = int(index[1])
        return _descend(value[position], path[index.end() :]) if position < len(value) else _MISSING
    inners = [inner for item in value if (inner := _descend(item, path)) is not _MISSING]
    if value and not inners:
        return _MISSING
    return [item for inner in inners if inner is not None for item in (inner if isinstance(inner, list) else [inner])]


@lru_cache(maxsize=4096)
def _split_path(path: str) -> tuple[tuple[str, str], ...]:
    """Return each way to divide a path into a key and the rest; the longest key first, since keys may have dots."""
    ends = [match.start() for match in re.finditer(r"[.\[]", path) if match.start() > 0]
    splits = [(path[:end], path[end:].removeprefix(".")) for end in reversed(ends)]
    return ((path, ""), *splits)


def to_string(value: Any, column: str = "the column") -> str:
    """Return a value of a table as text; "" for None and NaN; "true" or "false" for a truth value.

    Raises:
        NotText: the value is a list, an object or another value without a text; names `column`.
    """
    if isinstance(value, str):
        return value
    if value is None or (isinstance(value, (float, Decimal)) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # tools such as pandas turn an integer column with a gap into floats
    if isinstance(value, _PLAIN):
        return str(value)
    raise NotText(f"{column} must hold text, but holds {describe_type(value)}")


def is_plain(value: Any) -> bool:
    """Return whether a value is text, or is written as text: a number, a date, a truth value or nothing."""
    return value is None or isinstance(value, (str, *_PLAIN))


def describe_type(value: Any) -> str:
    """Return what a value is, for messages: "an object", "a list", "a number"."""
    return _TYPES.get(type(value), f"a {type(value).__name__}")


def check_characters(text: str, what: str) -> None:
    """Check that a label, an id or a value of a slice can be stored, and shown on one line; `what` names it.

    Raises:
        BadValue: it holds half a character (a lone surrogate) or a control character.
    """
    match = _UNPRINTABLE.search(text)
    if match is None:
        return
    code = ord(match[0])
    if 0xD800 <= code <= 0xDFFF:
        raise BadValue(
            "half a character", f"{what} holds half a character (\\u{code:04x}), as a cut-off text does: {text[:60]!a}"
        )
    shown = f"\\u{code:04x}" if code > 0xFF else f"\\x{code:02x}"
    raise BadValue("control character", f"{what} holds a control character ({shown}): {text[:60]!a}")


def is_blank(text: str) -> bool:
    """Return whether a text has only characters that show nothing: spaces, control and format characters."""
    if text[:1].isalnum():  # of nearly all texts: ten times as fast
        return False
    return all(unicodedata.category(character) in _INVISIBLE for character in text)
