"""Some rows of the input, as what any output is made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl
import polars.selectors as cs

from ratchet.predicting.values import cell, json_text, series


class Batch(Protocol):
    """Rows in the input's order."""

    def __len__(self) -> int: ...

    def column(self, name: str) -> list[Any]:
        """The values of one column, None where a row has none."""

    def rows(self) -> list[dict[str, Any]]:
        """Each row's values by column, of the kinds that JSON has."""

    def lines(self) -> list[str]:
        """Each row as a JSON object: as the input wrote it, where it is JSON."""

    def frame(self, schema: pl.Schema) -> pl.DataFrame:
        """The rows with the columns and types of `schema`."""


@dataclass(frozen=True)
class Rows:
    """Rows of a text file; `written` is each one's JSON as it stood in the file, if it did."""

    values: Sequence[dict[str, Any]]
    written: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def column(self, name: str) -> list[Any]:
        """See `Batch`."""
        return [row.get(name) for row in self.values]

    def rows(self) -> list[dict[str, Any]]:
        """See `Batch`."""
        return list(self.values)

    def lines(self) -> list[str]:
        """See `Batch`."""
        return [json_text(row) for row in self.values] if self.written is None else list(self.written)

    def frame(self, schema: pl.Schema) -> pl.DataFrame:
        """See `Batch`."""
        return pl.DataFrame([series(name, self.column(name), dtype) for name, dtype in schema.items()])


@dataclass(frozen=True)
class Frame:
    """Rows of a Parquet file, their types kept."""

    data: pl.DataFrame

    def __len__(self) -> int:
        return self.data.height

    def column(self, name: str) -> list[Any]:
        """See `Batch`; bytes are taken for UTF-8."""
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
        """See `Batch`; the schema is its own."""
        return self.data
