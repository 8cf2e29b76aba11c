"""What was predicted for some rows, and what it looks like in a file."""

from collections.abc import Sequence
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
    """Whose scores are written down: nobody's, those of the predicted labels, those of all labels."""

    none = "none"
    predicted = "predicted"
    all = "all"


@dataclass(frozen=True)
class Predicted:
    """Scores and decisions (0 or 1), both of shape (num_rows, num_labels); a row without text has neither.

    `has_text` has shape (num_rows,). The scores of a row without text are NaN, its decisions 0.
    """

    scores: Scores
    decisions: npt.NDArray[np.uint8]
    has_text: npt.NDArray[np.bool_]

    def counts(self) -> dict[str, int]:
        """Rows, those without text, those with a text but no label, and labels in all."""
        labels = self.decisions.sum(axis=1, dtype=int)
        return {
            "rows": len(labels),
            "without_text": int((~self.has_text).sum()),
            "without_label": int((self.has_text & (labels == 0)).sum()),
            "labels": int(labels.sum()),
        }

    def chosen(self) -> list[list[int]]:
        """For each row the columns of its predicted labels."""
        return self._by_row(self.decisions.astype(bool), np.nonzero(self.decisions)[1].tolist())

    def shown(self, detail: ScoreDetail) -> list[list[tuple[int, str]]]:
        """For each row the columns of the labels whose scores are written, and their scores.

        A score has the fewest digits that tell it from every other float32.
        """
        every = np.broadcast_to(self.has_text[:, None], self.scores.shape)
        mask = every if detail is ScoreDetail.all else self.decisions.astype(bool)
        texts = pl.Series(self.scores[mask], dtype=pl.Float32).cast(pl.String).to_list()
        return self._by_row(mask, list(zip(np.nonzero(mask)[1].tolist(), texts, strict=True)))

    @staticmethod
    def _by_row(mask: npt.NDArray[np.bool_], items: list[Item]) -> list[list[Item]]:
        """The items of each row; there is one for every true value of the mask, row after row."""
        ends = mask.sum(axis=1).cumsum().tolist()
        return [items[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@dataclass(frozen=True)
class Layout:
    """The new columns: the run's labels, whose scores, what stands before the names, and between labels in CSV."""

    labels: Sequence[str]
    detail: ScoreDetail = ScoreDetail.predicted
    prefix: str = ""
    separator: str = ";"
    one_label: bool = False

    @property
    def predicted(self) -> str:
        """The column of predicted labels."""
        return f"{self.prefix}predicted"

    @property
    def scores(self) -> str:
        """The column of scores, where one column holds them."""
        return f"{self.prefix}scores"

    def of_labels(self) -> list[str]:
        """A column for the score of each label, for formats that hold single values."""
        return [f"{self.prefix}score:{label}" for label in self.labels]

    def flat(self) -> list[str]:
        """The new columns of CSV and Parquet."""
        scores = {ScoreDetail.none: [], ScoreDetail.predicted: [self.scores], ScoreDetail.all: self.of_labels()}
        return [self.predicted, *scores[self.detail]]

    def nested(self) -> list[str]:
        """The new columns of JSON lines."""
        return [self.predicted] if self.detail is ScoreDetail.none else [self.predicted, self.scores]

    def refuse_ambiguous(self) -> None:
        """Stop where labels that are joined by the separator could not be told apart again.

        Raises:
            UserError: the separator is empty, or a label holds it.
        """
        if not self.separator:
            raise UserError("separator= is empty: CSV needs something between labels, as separator='|'")
        within = next((label for label in self.labels if self.separator in label), None)
        if within is not None and not self.one_label:
            raise UserError(
                f"label {within!r} holds {self.separator!r}, which stands between labels in CSV: choose another, as "
                "separator='|', or an output that ends in .jsonl or .parquet"
            )


def refuse_taken(columns: Sequence[str], new: Sequence[str], path: Any) -> None:
    """Stop where the input has a column of the same name as a new one.

    Raises:
        UserError: names the columns.
    """
    taken = [name for name in new if name in set(columns)]
    if taken:
        names = ", ".join(map(repr, taken[:3]))
        raise UserError(f"{path} has a column {names} already: name the new ones otherwise, as prefix=new_")
