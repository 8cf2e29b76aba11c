"""What people look at record by record and label by label."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.metrics import Binary, Counts, f1, precision, recall
from ratchet.runs.predictions import Predictions
from ratchet.tracking.base import Table

SAMPLE = 50
_TEXT = 2_000  # characters of a text that are shown


def label_table(
    labels: Sequence[str], train_counts: Mapping[str, int], predictions: Predictions, decisions: Binary
) -> Table:
    """How well each label is found, beside how often it was seen."""
    counts = Counts.of(predictions.targets, decisions)
    measured = [values.tolist() for values in (precision(counts), recall(counts), f1(counts))]
    supports = counts.actual.astype(int).tolist()
    rows = [
        [label, train_counts.get(label, 0), support, *(_rounded(value) for value in values)]
        for label, support, *values in zip(labels, supports, *measured, strict=True)
    ]
    return Table("labels", ["label", "train", "positives", "precision", "recall", "f1"], rows)


def prediction_sample(
    labels: Sequence[str], texts: Mapping[str, str], predictions: Predictions, decisions: Binary
) -> Table:
    """Records with what was predicted, the wrong ones first; every run on the same records shows the same ones."""
    rows = sorted(range(len(predictions.ids)), key=lambda row: _draw(predictions.ids[row]))[:SAMPLE]
    right = {row: bool((predictions.targets[row] == decisions[row]).all()) for row in rows}
    shown = [
        [
            predictions.ids[row],
            texts[predictions.ids[row]][:_TEXT],
            ", ".join(labels[index] for index in np.flatnonzero(predictions.targets[row]).tolist()),
            _with_scores(labels, predictions.scores[row], decisions[row]),
            right[row],
        ]
        for row in sorted(rows, key=lambda row: right[row])
    ]
    return Table("predictions", ["id", "text", "true", "predicted", "right"], shown)


def _with_scores(labels: Sequence[str], scores: npt.NDArray[Any], decisions: Binary) -> str:
    """The labels that were decided for, the surest first."""
    chosen = [index for index in np.argsort(-scores, kind="stable").tolist() if decisions[index]]
    return ", ".join(f"{labels[index]} {scores[index]:.2f}" for index in chosen)


def _draw(identifier: str) -> bytes:
    """An order that has nothing to do with the ids' own, and is the same for every run."""
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).digest()


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
