"""CSV and TSV: every value is text and stays as it is written."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ratchet.data.reading import describe_wrong_width, iterate_csv_rows, refuse_repeated_columns
from ratchet.errors import UserError
from ratchet.predicting.batches import Batch
from ratchet.predicting.reading import Row, TextReader, opened
from ratchet.predicting.results import Layout, Predicted, ScoreDetail, refuse_taken
from ratchet.predicting.values import cell
from ratchet.predicting.writing import join_parts, packed


def delimited_reader(path: Path, separator: str) -> TextReader:
    """A reader of a file whose first row names its columns."""
    return TextReader(path, "row", partial(_rows, separator), partial(_header, separator))


def _header(separator: str, path: Path) -> list[str]:
    with opened(path, "") as lines:
        _, names = next(iterate_csv_rows(str(path), lines, separator), (0, []))
    if not names:
        raise UserError(f"{path}: the file is empty: its first row must name the columns")
    refuse_repeated_columns(str(path), names, "the first row")
    return names


def _rows(separator: str, path: Path, start: int) -> Iterator[Row]:
    with opened(path, "") as lines:
        rows = iterate_csv_rows(str(path), lines, separator)
        _, names = next(rows)
        for index, (number, fields) in enumerate(rows):
            if len(fields) != len(names):
                raise UserError(f"{path}, row {number}: {describe_wrong_width(fields, len(names), separator)}")
            if index >= start:
                yield Row(number, dict(zip(names, fields, strict=True)))


@dataclass(frozen=True)
class DelimitedWriter:
    """Writes `columns` of the input, then the new ones."""

    path: Path
    separator: str
    columns: Sequence[str]
    layout: Layout

    def check(self) -> None:
        """Stop before any work where the output would be ambiguous.

        Raises:
            UserError: a name that the input has already, or labels that hold what separates them.
        """
        refuse_taken(self.columns, self.layout.flat(), "the input")
        self.layout.refuse_ambiguous()

    def part(self, batch: Batch, predicted: Predicted) -> bytes:
        """See `Writer`."""
        rows = []
        for row, new in zip(batch.rows(), self._new(predicted), strict=True):
            rows.append([*(cell(row.get(name)) for name in self.columns), *new])
        return packed(self._text(rows), self.path)

    def assemble(self, parts: Sequence[Path], target: Path) -> None:
        """See `Writer`."""
        join_parts(packed(self._text([[*self.columns, *self.layout.flat()]]), self.path), parts, target)

    def _new(self, predicted: Predicted) -> Iterator[list[str]]:
        """The new fields of each row; those of a row without text are empty."""
        layout = self.layout
        for chosen, shown in zip(predicted.chosen(), predicted.shown(layout.detail), strict=True):
            labels = layout.separator.join(layout.labels[column] for column in chosen)
            scores = [score for _, score in shown]
            if layout.detail is ScoreDetail.all:
                yield [labels, *(scores or [""] * len(layout.labels))]
            elif layout.detail is ScoreDetail.predicted:
                yield [labels, layout.separator.join(scores)]
            else:
                yield [labels]

    def _text(self, rows: Sequence[Sequence[str]]) -> str:
        """Rows as CSV. The writer is told of line ends of both kinds, so that it quotes both."""
        lines: list[str] = []
        csv.writer(_Lines(lines), delimiter=self.separator, lineterminator="\r\n").writerows(rows)
        return "".join(lines)


@dataclass(frozen=True)
class _Lines:
    """What csv writes to, one row a call: rows end with a line feed alone."""

    lines: list[str]

    def write(self, row: str) -> None:
        self.lines.append(row.removesuffix("\r\n") + "\n")
