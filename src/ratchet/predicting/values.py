"""Values of one file format as another one holds them."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

_SCALARS = {"bool": pl.Boolean, "int": pl.Int64, "long": pl.Int64, "float": pl.Float64, "str": pl.String}
_EXACT = range(-(2**53), 2**53 + 1)  # the whole numbers that a float holds
_INT64 = range(-(2**63), 2**63)


def json_text(value: Any) -> str:
    """A value as JSON; NaN and infinity, which JSON has not, as null, dates within lists as ISO 8601."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def cell(value: Any) -> str:
    """A value as a CSV file holds it: text as it is (bytes taken for UTF-8), nothing as "", all else as JSON has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return _plain(value)
    if value is None:
        return ""
    return str(value) if isinstance(value, (float, int)) and not isinstance(value, bool) else json_text(value)


def kinds(value: Any) -> Iterable[str]:
    """What a JSON value is, for `column_type`; of a list, what is in it: `[str]`, `[]` where nothing is."""
    if isinstance(value, list):
        inner = {kind for item in value for kind in kinds(item)} or {""}
        return [f"[{kind}]" for kind in inner]
    if type(value) is int and value not in _EXACT:
        return ("long" if value in _INT64 else "big",)
    return (type(value).__name__,)


def column_type(found: Iterable[str]) -> pl.DataType:
    """The Parquet type that holds all values of a column without loss; text (see `cell`) where none does."""
    found = {kind for kind in found if kind != "NoneType"}
    if found and all(kind.startswith("[") for kind in found):
        inner = _scalar({kind[1:-1] for kind in found} - {"", "NoneType"})
        return pl.String() if inner is None else pl.List(inner)
    return _scalar(found) or pl.String()


def _scalar(found: set[str]) -> pl.DataType | None:
    if not found:
        return pl.String()
    if found == {"int", "float"}:
        return pl.Float64()
    if found == {"int", "long"}:
        return pl.Int64()
    [kind, *others] = found
    return _SCALARS[kind]() if kind in _SCALARS and not others else None


def series(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    """A column of Parquet out of JSON values; half a surrogate pair, which Parquet has not, as its escape."""
    if dtype == pl.String:
        values = [None if value is None else cell(value) for value in values]
    elif dtype == pl.Float64:
        values = [None if value is None else float(value) for value in values]
    elif dtype == pl.List(pl.Float64):
        values = [None if value is None else [None if x is None else float(x) for x in value] for value in values]
    try:
        return pl.Series(name, values, dtype=dtype)
    except UnicodeEncodeError:
        return pl.Series(name, [_encodable(value) for value in values], dtype=dtype)


def _encodable(value: Any) -> Any:
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def batched(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of `size` items, the last one shorter; takes no item before it is wanted. (itertools has it from 3.12.)"""
    kept = []
    for item in items:
        kept.append(item)
        if len(kept) == size:
            yield kept
            kept = []
    if kept:
        yield kept
