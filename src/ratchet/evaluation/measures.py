"""Compute every metric of a part: overall, ranking, per label and per slice."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.data.dataset import Task
from ratchet.data.known import Known, hide_unknown, list_measured_rows
from ratchet.errors import UserError
from ratchet.evaluation.calibration import compute_calibration_metrics
from ratchet.evaluation.metrics import (
    Binary,
    Positives,
    average_counts,
    average_positives,
    average_precision,
    compute_intervals,
    f1,
    is_binary,
    precision,
    precision_recall_at_k,
    recall,
)
from ratchet.evaluation.own_metrics import compute_own_metrics

Metrics = dict[str, float | int | None]


def compute_metrics(
    part: str,
    targets: Binary,
    scores: npt.NDArray[Any],
    decisions: Binary,
    labels: Sequence[str],
    slices: Sequence[Sequence[str]],
    *,
    task: Task,
    cutoffs: Sequence[int],
    resamples: int,
    known: Known | None = None,
) -> Metrics:
    """Return the metrics of one part by key: `<part>/f1_weighted`, `<part>/labels/<label>/f1`, and so on.

    `targets`, `scores` and `decisions` have shape (num_items, num_labels); `slices` are the slices of each item.
    Averages have `_ci_low` and `_ci_high`. Ranking metrics are None where scores are only 0 and 1; so is a metric
    that has nothing to measure. The project's own metrics are under `<part>/own/`. A "/" in the name of a label or
    slice is written as %2F (and "%" as %25).

    Cells that are not `known` count in no metric, and an item without a known cell is left out.

    Raises:
        UserError: no cell is known, or one of the project's own metrics fails.
    """
    if known is not None:
        rows = list_measured_rows(known, len(targets))
        if not len(rows):
            raise UserError(
                f"{part}: no target is known, so nothing can be measured: check data.labels.unknown, or let "
                "data.filter.drop_unlabelled leave out records without a known label"
            )
        targets, scores, decisions, known = targets[rows], scores[rows], decisions[rows], known[rows]
        targets, decisions = hide_unknown(targets, known), hide_unknown(decisions, known)
        slices = [slices[row] for row in rows]
    ranking = None if is_binary(scores) else scores
    positives = Positives.of(targets, decisions)
    metrics: dict[str, float | int] = {"records": len(targets)}
    metrics |= {name: float(value) for name, value in average_positives(positives).items()}
    ranked, by_label = _rank_metrics(targets, ranking, cutoffs, known)
    metrics |= ranked
    metrics |= compute_calibration_metrics(targets, scores, task, known)
    for name, (low, high) in compute_intervals(targets, decisions, ranking, resamples, known).items():
        measured = np.isfinite(metrics[name])
        metrics[f"{name}_ci_low"], metrics[f"{name}_ci_high"] = (low, high) if measured else (np.nan, np.nan)
    metrics |= _count_labels(positives)
    metrics |= _compute_labels(positives, by_label, labels)
    metrics |= _compute_slices(positives, slices)
    metrics |= compute_own_metrics(targets, scores, decisions, resamples)
    return {f"{part}/{key}": _nan_to_none(value) for key, value in metrics.items()}


def _rank_metrics(
    targets: Binary, scores: npt.NDArray[Any] | None, cutoffs: Sequence[int], known: Known | None
) -> tuple[dict[str, float], npt.NDArray[np.float64]]:
    """Return the ranking metrics, and the average precision of each label; NaN without `scores`."""
    undefined = np.full(targets.shape[1], np.nan)
    by_label = undefined if scores is None else average_precision(targets, scores, known=known)
    supported = by_label[~np.isnan(by_label)]
    ranked = {"average_precision_macro": float(supported.mean()) if supported.size else np.nan}
    for k in cutoffs:
        pair = (np.nan, np.nan) if scores is None else precision_recall_at_k(targets, scores, k, known)
        ranked[f"precision_at_{k}"], ranked[f"recall_at_{k}"] = pair
    return ranked, by_label


def _count_labels(positives: Positives) -> Mapping[str, float]:
    """Return how many labels records have and get, and how many records and labels go without."""
    counts = positives.count_items()
    true, predicted = counts.actual[:, 0], counts.predicted[:, 0]
    return {
        "labels_per_record_true": float(true.mean()),
        "labels_per_record_predicted": float(predicted.mean()),
        "share_without_label_true": float((true == 0).mean()),
        "share_without_label_predicted": float((predicted == 0).mean()),
        "labels_without_support": int((positives.count().actual == 0).sum()),
    }


def _compute_labels(
    positives: Positives, by_label: npt.NDArray[np.float64], labels: Sequence[str]
) -> dict[str, float | int]:
    """Return the metrics of each label, under `labels/<label>/`."""
    counts = positives.count()
    columns = {
        "precision": precision(counts),
        "recall": recall(counts),
        "f1": f1(counts),
        "average_precision": by_label,
        "support": counts.actual.astype(int),
        "predicted": counts.predicted.astype(int),
    }
    return {
        f"labels/{_escape(label)}/{name}": values[index].item()
        for index, label in enumerate(labels)
        for name, values in columns.items()
    }


def _compute_slices(positives: Positives, slices: Sequence[Sequence[str]]) -> dict[str, float | int]:
    """Return the metrics of each slice, under `slices/<slice>/`."""
    rows_of: dict[str, list[int]] = {}
    for row, names in enumerate(slices):
        for name in names:
            rows_of.setdefault(name, []).append(row)
    metrics: dict[str, float | int] = {}
    for name, rows in sorted(rows_of.items()):
        values = average_counts(positives.select(rows).count())
        key = f"slices/{_escape(name)}"
        metrics[f"{key}/records"] = len(rows)
        metrics |= {
            f"{key}/{metric}": float(values[metric])
            for metric in ("f1_weighted", "precision_weighted", "recall_weighted")
        }
    return metrics


def _escape(name: str) -> str:
    """Escape "/", which separates the parts of a key."""
    return name.replace("%", "%25").replace("/", "%2F")


def _nan_to_none(value: float | int) -> float | int | None:
    """Return None for NaN and infinity, which JSON cannot represent."""
    return None if isinstance(value, float) and not np.isfinite(value) else value
