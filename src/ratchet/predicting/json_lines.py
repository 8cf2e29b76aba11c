"""JSON lines: a row's own JSON stays as it is written, character for character; what is new stands at its end."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ratchet.data.reading import describe_json_error, describe_non_object
from ratchet.errors import UserError
from ratchet.predicting.batches import Batch
from ratchet.predicting.reading import Row, TextReader, opened
from ratchet.predicting.results import Layout, Predicted, ScoreDetail, refuse_taken
from ratchet.predicting.values import json_text
from ratchet.predicting.writing import join_parts, packed


def json_lines_reader(path: Path) -> TextReader:
    """A reader of a file that holds one object of columns a line."""
    return TextReader(path, "line", _rows)


def _rows(path: Path, start: int) -> Iterator[Row]:
    with opened(path, "\n") as lines:
        written = ((number, line.strip()) for number, line in enumerate(lines, start=1))
        for index, (number, line) in enumerate(each for each in written if each[1]):
            if index < start:
                continue
            try:
                values = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{path}, line {number}: {describe_json_error(error)}") from None
            if not isinstance(values, dict):
                raise UserError(f"{path}, line {number}: {describe_non_object(values)}")
            yield Row(number, values, line)


@dataclass(frozen=True)
class JsonLinesWriter:
    """Writes each row's own object, then the labels as a list, and the scores as an object."""

    path: Path
    columns: Sequence[str]
    layout: Layout

    def check(self) -> None:
        """Stop before any work where a name would stand twice in an object.

        Raises:
            UserError: a name that the input has already.
        """
        refuse_taken(self.columns, self.layout.nested(), "the input")

    def part(self, batch: Batch, predicted: Predicted) -> bytes:
        """See `Writer`."""
        lines = [_with(line, new) for line, new in zip(batch.lines(), self._new(predicted), strict=True)]
        return packed("".join(lines), self.path)

    def assemble(self, parts: Sequence[Path], target: Path) -> None:
        """See `Writer`."""
        join_parts(b"", parts, target)

    def _new(self, predicted: Predicted) -> Iterator[str]:
        """The new keys of each row with their values; without text there is no label and no score."""
        layout = self.layout
        names = [json_text(label) for label in layout.labels]
        first, second = json_text(layout.predicted), json_text(layout.scores)
        for chosen, shown in zip(predicted.chosen(), predicted.shown(layout.detail), strict=True):
            labels = f"{first}: [{', '.join(names[column] for column in chosen)}]"
            scores = ", ".join(f"{names[column]}: {score}" for column, score in shown)
            yield labels if layout.detail is ScoreDetail.none else f"{labels}, {second}: {{{scores}}}"


def _with(line: str, new: str) -> str:
    """An object with further keys at its end."""
    own = line[:-1].rstrip()
    return f"{own}{'' if own == '{' else ', '}{new}}}\n"
