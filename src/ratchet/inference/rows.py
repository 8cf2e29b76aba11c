"""Hold some rows of an input, and convert their values from one file format to another."""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import polars.selectors as cs

from ratchet.data.formats.rows import is_used
from ratchet.data.values import get_value

_SCALARS = {"bool": pl.Boolean, "int": pl.Int64, "long": pl.Int64, "float": pl.Float64, "str": pl.String}


_EXACT = range(-(2**53), 2**53 + 1)  # the integers that a float represents exactly


_INT64 = range(-(2**63), 2**63)


def json_text(value: Any) -> str:
    """Return a value as JSON. NaN and infinity, which JSON lacks, become null; dates within lists ISO 8601."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def cell(value: Any) -> str:
    """Return a value as a field of CSV: text unchanged (bytes as UTF-8), None as "", dates ISO 8601, else JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, date, time, Decimal)):
        return _plain(value)
    if value is None:
        return ""
    return str(value) if isinstance(value, (float, int)) and not isinstance(value, bool) else json_text(value)


def kinds(value: Any) -> Iterable[str]:
    """Return the kinds of a JSON value, for `column_type`; of a list, those of its items: `[str]`, or `[]` if empty."""
    if isinstance(value, list):
        inner = {kind for item in value for kind in kinds(item)} or {""}
        return [f"[{kind}]" for kind in inner]
    if type(value) is int and value not in _EXACT:
        return ("long" if value in _INT64 else "big",)
    return (type(value).__name__,)


def column_type(kinds_in_column: Iterable[str]) -> pl.DataType:
    """Return the Parquet type that holds all values of a column without loss; text (see `cell`) if none does."""
    known = {kind for kind in kinds_in_column if kind != "NoneType"}
    if known and all(kind.startswith("[") for kind in known):
        inner = _scalar({kind[1:-1] for kind in known} - {"", "NoneType"})
        return pl.String() if inner is None else pl.List(inner)
    return _scalar(known) or pl.String()


def _scalar(known: set[str]) -> pl.DataType | None:
    if not known:
        return pl.String()
    if known == {"int", "float"}:
        return pl.Float64()
    if known == {"int", "long"}:
        return pl.Int64()
    [kind, *others] = known
    return _SCALARS[kind]() if kind in _SCALARS and not others else None


def series(name: str, values: Sequence[Any], dtype: pl.DataType) -> pl.Series:
    """Return a column of Parquet from JSON values. Half a surrogate pair, which Parquet lacks, becomes its escape."""
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
    """Yield lists of `size` items, the last one shorter; take no item before it is needed.

    Python 3.11 has no itertools.batched.
    """
    kept = []
    for item in items:
        kept.append(item)
        if len(kept) == size:
            yield kept
            kept = []
    if kept:
        yield kept


class Batch(Protocol):
    """Rows of one file, in their order."""

    @property
    def directory(self) -> Path:
        """Return the directory of the file, to which names of files with texts are relative."""

    def __len__(self) -> int: ...

    def column(self, name: str) -> list[Any]:
        """Return the values of one column, or of a path as data.text; None for a row without it."""

    def rows(self) -> Sequence[Mapping[str, Any]]:
        """Return the values of each row by column, as JSON has them."""

    def lines(self) -> list[str]:
        """Return each row as a JSON object: unchanged if the input is JSON."""

    def frame(self, schema: pl.Schema) -> pl.DataFrame:
        """Return the rows with the columns and types of `schema`."""


@dataclass(frozen=True)
class RowBatch:
    """Rows of a text file; `written` has the JSON of each row as the file spells it, if it is JSON."""

    directory: Path
    values: Sequence[Mapping[str, Any]]
    written: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def column(self, name: str) -> list[Any]:
        """See `Batch`."""
        return [get_value(row, name) for row in self.values]

    def rows(self) -> list[Mapping[str, Any]]:
        """See `Batch`."""
        return list(self.values)

    def lines(self) -> list[str]:
        """See `Batch`."""
        return [json_text(row) for row in self.values] if self.written is None else list(self.written)

    def frame(self, schema: pl.Schema) -> pl.DataFrame:
        """See `Batch`."""
        return pl.DataFrame(
            [series(name, [row.get(name) for row in self.values], dtype) for name, dtype in schema.items()]
        )


@dataclass(frozen=True)
class Frame:
    """Rows of a Parquet file, with their types."""

    directory: Path
    data: pl.DataFrame

    def __len__(self) -> int:
        return self.data.height

    def column(self, name: str) -> list[Any]:
        """See `Batch`; bytes are decoded as UTF-8."""
        if name not in self.data.columns:
            columns = [column for column in self.data.columns if is_used(column, [name])]
            return [get_value(row, name) for row in self.data.select(columns).rows(named=True)]
        values = self.data[name].to_list()
        return [None if value is None else cell(value) for value in values] if self._is_bytes(name) else values

    def _is_bytes(self, name: str) -> bool:
        return self.data.schema[name] == pl.Binary

    def rows(self) -> list[dict[str, Any]]:
        """See `Batch`: dates and times in ISO 8601, decimals as text."""
        plain = self.data.with_columns(cs.temporal().dt.to_string("iso:strict"), cs.decimal().cast(pl.String))
        return plain.rows(named=True)

    def lines(self) -> list[str]:
        """See `Batch`."""
        return [json_text(row) for row in self.rows()]

    def frame(self, schema: pl.Schema) -> pl.DataFrame:
        """See `Batch`; the rows have this schema already."""
        return self.data
