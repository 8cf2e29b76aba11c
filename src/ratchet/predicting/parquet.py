"""Parquet: columns keep their types."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ratchet.data.texts import TextColumns
from ratchet.errors import UserError
from ratchet.predicting.batches import Batch, Frame
from ratchet.predicting.reading import Advance, Survey, refuse_missing
from ratchet.predicting.results import Layout, Predicted, ScoreDetail, refuse_taken

_ROW_GROUP = 8_192  # rows; several of them are in memory while the output is put together


@dataclass(frozen=True)
class ParquetReader:
    """Reads the rows that are asked for; the file says itself how many there are, and of which types."""

    path: Path

    def survey(self, text: TextColumns, advance: Advance) -> Survey:
        """See `Reader`."""
        schema = self.schema(Survey(0, {}))
        refuse_missing(self.path, list(schema), text)
        for name in text.names:
            if schema[name].is_nested():
                raise UserError(f"{self.path}: {name} holds no text but {schema[name]}")
        rows = _read(self.path, pl.scan_parquet(self.path, glob=False).select(pl.len())).item()
        return Survey(rows, {name: [str(dtype)] for name, dtype in schema.items()})

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """See `Reader`."""
        scan = pl.scan_parquet(self.path, glob=False)
        while (data := _read(self.path, scan.slice(start, size))).height:
            yield Frame(data)
            start += data.height

    def schema(self, survey: Survey) -> pl.Schema:
        """See `Reader`."""
        return _read(self.path, pl.scan_parquet(self.path, glob=False).head(0)).schema


def _read(path: Path, query: pl.LazyFrame) -> pl.DataFrame:
    try:
        return query.collect()
    except (Exception, pl.exceptions.PanicException) as error:
        raise UserError(f"{path}: not a Parquet file: {str(error).splitlines()[0]}") from error


@dataclass(frozen=True)
class ParquetWriter:
    """Writes the columns of `schema` as they are, then the labels as a list, and the scores as numbers.

    Parts are Parquet files themselves.
    """

    schema: pl.Schema
    layout: Layout

    def check(self) -> None:
        """Stop before any work where two columns would have the same name.

        Raises:
            UserError: a name that the input has already.
        """
        refuse_taken(self.schema.names(), self.layout.flat(), "the input")

    def part(self, batch: Batch, predicted: Predicted) -> bytes:
        """See `Writer`."""
        buffer = io.BytesIO()
        batch.frame(self.schema).with_columns(self._new(predicted)).write_parquet(buffer)
        return buffer.getvalue()

    def assemble(self, parts: Sequence[Path], target: Path) -> None:
        """See `Writer`; row after row passes through memory, not all at once."""
        if parts:
            pl.scan_parquet(list(parts), glob=False).sink_parquet(
                target, row_group_size=_ROW_GROUP, maintain_order=True
            )
        else:
            self._empty().write_parquet(target)

    def _empty(self) -> pl.DataFrame:
        """A table of these columns without a row."""
        none = np.zeros((0, len(self.layout.labels)), dtype=np.float32)
        new = self._new(Predicted(none, none.astype(np.uint8), np.zeros(0, dtype=bool)))
        return pl.DataFrame(schema=self.schema).with_columns(new)

    def _new(self, predicted: Predicted) -> list[pl.Series]:
        """The new columns. A row without text has no label, and null for a score."""
        layout, scores = self.layout, predicted.scores
        chosen = predicted.chosen()
        labels = [[layout.labels[column] for column in row] for row in chosen]
        new = [pl.Series(layout.predicted, labels, dtype=pl.List(pl.String))]
        if layout.detail is ScoreDetail.all:
            named = zip(layout.of_labels(), scores.T, strict=True)
            new += [pl.Series(name, column, dtype=pl.Float32).fill_nan(None) for name, column in named]
        elif layout.detail is ScoreDetail.predicted:
            own = [row[columns].tolist() for row, columns in zip(scores, chosen, strict=True)]
            new.append(pl.Series(layout.scores, own, dtype=pl.List(pl.Float32)))
        return new
