"""Write predictions next to the columns of the input: CSV, TSV, JSON Lines and Parquet.

An output is written in parts, one per batch, which are then joined. Values of the input stay as they are spelled.
"""

import csv
import gzip
import io
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl

from ratchet.config import Format
from ratchet.data.formats import SUFFIXES
from ratchet.data.formats.delimited import SEPARATORS
from ratchet.errors import UserError
from ratchet.inference.columns import Layout, Predicted, ScoreDetail, refuse_taken
from ratchet.inference.readers import Reader, Scan
from ratchet.inference.rows import Batch, cell, json_text

_WRITTEN = (Format.csv, Format.tsv, Format.jsonl, Format.parquet)


class Writer(Protocol):
    """Write parts of one batch each, and join them; equal batches give equal bytes."""

    def part(self, batch: Batch, predicted: Predicted) -> bytes:
        """Return a part: the rows of a batch with their predictions."""

    def assemble(self, parts: Sequence[Path], target: Path) -> None:
        """Join the parts to the output `target`."""


def encode_text(text: str, path: Path) -> bytes:
    """Encode text for the output `path`: UTF-8, half a surrogate pair as its escape, gzip if the name ends in .gz."""
    data = text.encode("utf-8", "backslashreplace")
    return gzip.compress(data, compresslevel=6, mtime=0) if path.suffix.lower() == ".gz" else data


def join_parts(head: bytes, parts: Sequence[Path], target: Path) -> None:
    """Write `head` and the parts one after the other; concatenated gzip files are one gzip file."""
    with target.open("wb") as file:
        file.write(head)
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, file)


@dataclass(frozen=True)
class DelimitedWriter:
    """Write CSV or TSV: `columns` of the input, then the new ones. Every value is text and keeps its spelling."""

    path: Path
    separator: str
    columns: Sequence[str]
    layout: Layout

    def check(self) -> None:
        """Refuse an output that would be ambiguous, before any work.

        Raises:
            UserError: the input has a column of the same name, or a label contains the separator of labels.
        """
        refuse_taken(self.columns, self.layout.flat(), "the input")
        self.layout.refuse_ambiguous()

    def part(self, batch: Batch, predicted: Predicted) -> bytes:
        """See `Writer`."""
        rows = []
        for row, new in zip(batch.rows(), self._new(predicted), strict=True):
            rows.append([*(cell(row.get(name)) for name in self.columns), *new])
        return encode_text(self._text(rows), self.path)

    def assemble(self, parts: Sequence[Path], target: Path) -> None:
        """See `Writer`."""
        join_parts(encode_text(self._text([[*self.columns, *self.layout.flat()]]), self.path), parts, target)

    def _new(self, predicted: Predicted) -> Iterator[list[str]]:
        """Yield the new fields of each row; those of a row without text are empty."""
        layout = self.layout
        for columns, written in predicted.by_row(layout.detail):
            labels = layout.separator.join(layout.labels[column] for column in columns)
            scores = [score for _, score in written]
            if layout.detail is ScoreDetail.all:
                yield [labels, *(scores or [""] * len(layout.labels))]
            elif layout.detail is ScoreDetail.predicted:
                yield [labels, layout.separator.join(scores)]
            else:
                yield [labels]

    def _text(self, rows: Sequence[Sequence[str]]) -> str:
        """Return rows as CSV. csv quotes values with a character of the line end, so this one has both."""
        lines: list[str] = []
        csv.writer(_Lines(lines), delimiter=self.separator, lineterminator="\r\n").writerows(rows)
        return "".join(lines)


@dataclass(frozen=True)
class _Lines:
    """A target of csv, which calls `write` once per row: rows end with a line feed alone."""

    lines: list[str]

    def write(self, row: str) -> None:
        self.lines.append(row.removesuffix("\r\n") + "\n")


@dataclass(frozen=True)
class JsonLinesWriter:
    """Write the object of each row, unchanged, and at its end the labels as a list and the scores as an object."""

    path: Path
    columns: Sequence[str]
    layout: Layout

    def check(self) -> None:
        """Refuse an output with the same key twice in an object, before any work.

        Raises:
            UserError: the input has a key of the same name.
        """
        refuse_taken(self.columns, self.layout.nested(), "the input")

    def part(self, batch: Batch, predicted: Predicted) -> bytes:
        """See `Writer`."""
        lines = [_with(line, new) for line, new in zip(batch.lines(), self._new(predicted), strict=True)]
        return encode_text("".join(lines), self.path)

    def assemble(self, parts: Sequence[Path], target: Path) -> None:
        """See `Writer`."""
        join_parts(b"", parts, target)

    def _new(self, predicted: Predicted) -> Iterator[str]:
        """Yield the new keys of each row with their values; a row without text has no label and no score."""
        layout = self.layout
        names = [json_text(label) for label in layout.labels]
        first, second = json_text(layout.predicted), json_text(layout.scores)
        for columns, written in predicted.by_row(layout.detail):
            labels = f"{first}: [{', '.join(names[column] for column in columns)}]"
            scores = ", ".join(f"{names[column]}: {score}" for column, score in written)
            yield labels if layout.detail is ScoreDetail.none else f"{labels}, {second}: {{{scores}}}"


def _with(line: str, new: str) -> str:
    """Return an object with more keys at its end."""
    own = line[:-1].rstrip()
    return f"{own}{'' if own == '{' else ', '}{new}}}\n"


_ROW_GROUP = 8_192  # rows; several groups are in memory while the parts are joined


@dataclass(frozen=True)
class ParquetWriter:
    """Write Parquet: the columns of `schema` with their types, the labels as a list, the scores as numbers.

    Parts are Parquet files, too.
    """

    schema: pl.Schema
    layout: Layout

    def check(self) -> None:
        """Refuse an output with two columns of the same name, before any work.

        Raises:
            UserError: the input has a column of the same name.
        """
        refuse_taken(self.schema.names(), self.layout.flat(), "the input")

    def part(self, batch: Batch, predicted: Predicted) -> bytes:
        """See `Writer`."""
        buffer = io.BytesIO()
        batch.frame(self.schema).with_columns(self._new(predicted)).write_parquet(buffer)
        return buffer.getvalue()

    def assemble(self, parts: Sequence[Path], target: Path) -> None:
        """See `Writer`; the rows pass through memory in groups."""
        if parts:
            pl.scan_parquet(list(parts), glob=False).sink_parquet(
                target, row_group_size=_ROW_GROUP, maintain_order=True
            )
        else:
            self._empty().write_parquet(target)

    def _empty(self) -> pl.DataFrame:
        """Return a table of these columns without rows."""
        none = np.zeros((0, len(self.layout.labels)), dtype=np.float32)
        new = self._new(Predicted(none, none.astype(np.uint8), np.zeros(0, dtype=bool)))
        return pl.DataFrame(schema=self.schema).with_columns(new)

    def _new(self, predicted: Predicted) -> list[pl.Series]:
        """Return the new columns. A row without text has no label, and null as score."""
        layout, scores = self.layout, predicted.scores
        predicted_columns = predicted.predicted_columns()
        labels = [[layout.labels[column] for column in row] for row in predicted_columns]
        new = [pl.Series(layout.predicted, labels, dtype=pl.List(pl.String))]
        if layout.detail is ScoreDetail.all:
            named = zip(layout.score_columns(), scores.T, strict=True)
            new += [pl.Series(name, column, dtype=pl.Float32).fill_nan(None) for name, column in named]
        elif layout.detail is ScoreDetail.predicted:
            own = [row[columns].tolist() for row, columns in zip(scores, predicted_columns, strict=True)]
            new.append(pl.Series(layout.scores, own, dtype=pl.List(pl.Float32)))
        return new


def output_format(path: Path) -> Format:
    """Return the format of an output by its name.

    Raises:
        UserError: the name has no known format, or one that is not written.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    gzipped = suffixes[-1:] == [".gz"]
    form = SUFFIXES.get(next(reversed(suffixes[:-1] if gzipped else suffixes), ""))
    if form is Format.json:
        raise UserError(f"output={path}: a JSON list cannot be written in parts: one object per line, as .jsonl")
    if form not in _WRITTEN or (gzipped and form is Format.parquet):
        raise UserError(
            f"output={path}: the name must end in the format: .csv, .tsv, .jsonl (these also with .gz) or .parquet"
        )
    return form


def writer_of(path: Path, reader: Reader, scan: Scan, layout: Layout) -> Writer:
    """Return the writer of an output.

    Raises:
        UserError: the name has no known format, or the new columns conflict with those of the input.
    """
    form = output_format(path)
    writer: ParquetWriter | JsonLinesWriter | DelimitedWriter
    if form is Format.parquet:
        writer = ParquetWriter(reader.schema(scan), layout)
    elif form is Format.jsonl:
        writer = JsonLinesWriter(path, list(scan.columns), layout)
    else:
        writer = DelimitedWriter(path, SEPARATORS[form], list(scan.columns), layout)
    writer.check()
    return writer
