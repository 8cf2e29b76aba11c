"""Hold the predictions of some rows, and name the columns that they get in a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from ratchet.errors import UserError
from ratchet.taggers import Scores

Item = TypeVar("Item")


class ScoreDetail(Enum):
    """Which scores are written: none, those of the predicted labels, or those of all labels."""

    none = "none"
    predicted = "predicted"
    all = "all"


@dataclass(frozen=True)
class Predicted:
    """Scores and decisions (0 or 1) of shape (num_rows, num_labels); `has_text` and `has_words` of shape (num_rows,).

    The scores of a row without text are NaN, its decisions 0. A text without words has only marks or invisible
    characters.
    """

    scores: Scores
    decisions: npt.NDArray[np.uint8]
    has_text: npt.NDArray[np.bool_]
    has_words: npt.NDArray[np.bool_] | None = None

    def counts(self) -> dict[str, int]:
        """Count the rows, those without text, with a text but no words, with a text but no label, and the labels."""
        has_words = self.has_text if self.has_words is None else self.has_words
        labels = self.decisions.sum(axis=1, dtype=int)
        return {
            "rows": len(labels),
            "without_text": int((~self.has_text).sum()),
            "without_words": int((self.has_text & ~has_words).sum()),
            "without_label": int((self.has_text & (labels == 0)).sum()),
            "labels": int(labels.sum()),
        }

    def predicted_columns(self) -> list[list[int]]:
        """Return for each row the columns of its predicted labels."""
        return self._by_row(self.decisions.astype(bool), np.nonzero(self.decisions)[1].tolist())

    def written_scores(self, detail: ScoreDetail) -> list[list[tuple[int, str]]]:
        """Return for each row the columns of the labels whose scores are written, with these scores as text.

        A score has the fewest digits that identify a float32.
        """
        with_text = np.broadcast_to(self.has_text[:, None], self.scores.shape)
        mask = with_text if detail is ScoreDetail.all else self.decisions.astype(bool)
        texts = pl.Series(self.scores[mask], dtype=pl.Float32).cast(pl.String).to_list()
        return self._by_row(mask, list(zip(np.nonzero(mask)[1].tolist(), texts, strict=True)))

    def by_row(self, detail: ScoreDetail) -> Iterator[tuple[list[int], list[tuple[int, str]]]]:
        """Yield `predicted_columns` and `written_scores` of each row."""
        return zip(self.predicted_columns(), self.written_scores(detail), strict=True)

    @staticmethod
    def _by_row(mask: npt.NDArray[np.bool_], items: list[Item]) -> list[list[Item]]:
        """Return the items of each row; `items` has one for every true value of the mask, row after row."""
        ends = mask.sum(axis=1).cumsum().tolist()
        return [items[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@dataclass(frozen=True)
class Layout:
    """The new columns of an output: labels, which scores, the prefix of the names, the separator of labels in CSV.

    `one_label` says that each text gets exactly one label, so that nothing has to be separated.
    """

    labels: Sequence[str]
    detail: ScoreDetail = ScoreDetail.predicted
    prefix: str = ""
    separator: str = ";"
    one_label: bool = False

    @property
    def predicted(self) -> str:
        """Return the name of the column of predicted labels."""
        return f"{self.prefix}predicted"

    @property
    def scores(self) -> str:
        """Return the name of the column of scores, for one column with all of them."""
        return f"{self.prefix}scores"

    def score_columns(self) -> list[str]:
        """Return the names of the columns with the score of one label each."""
        return [f"{self.prefix}score:{label}" for label in self.labels]

    def flat(self) -> list[str]:
        """Return the new columns of CSV and Parquet."""
        scores = {ScoreDetail.none: [], ScoreDetail.predicted: [self.scores], ScoreDetail.all: self.score_columns()}
        return [self.predicted, *scores[self.detail]]

    def nested(self) -> list[str]:
        """Return the new keys of JSON Lines."""
        return [self.predicted] if self.detail is ScoreDetail.none else [self.predicted, self.scores]

    def refuse_ambiguous(self) -> None:
        """Refuse a separator that does not separate labels in CSV.

        Raises:
            UserError: the separator is empty, or a label contains it.
        """
        if not self.separator:
            raise UserError("separator= is empty: CSV needs a separator between labels, as separator='|'")
        ambiguous = next((label for label in self.labels if self.separator in label), None)
        if ambiguous is not None and not self.one_label:
            raise UserError(
                f"label {ambiguous!r} contains {self.separator!r}, which separates labels in CSV: choose another, as "
                "separator='|', or an output that ends in .jsonl or .parquet"
            )


def refuse_taken(columns: Sequence[str], new: Sequence[str], path: Any) -> None:
    """Refuse new columns whose names the input has already.

    Raises:
        UserError: names the columns.
    """
    taken = [name for name in new if name in set(columns)]
    if taken:
        names = ", ".join(map(repr, taken[:3]))
        raise UserError(f"{path} has a column {names} already: rename the new ones, as prefix=new_")
