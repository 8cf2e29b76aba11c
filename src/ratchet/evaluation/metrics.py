"""Compute metrics of multi-label decisions and scores, for one weighting of the records or many at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.config import Average
from ratchet.data.known import Known, hide_unknown

Floats = npt.NDArray[np.float64]
Binary = npt.NDArray[np.uint8]
_MAX_CELLS = 4_000_000  # weights in memory at once: 32 MB


@dataclass(frozen=True)
class Counts:
    """True positives, predicted and actual positives: sums of weights, each of shape (..., num_labels)."""

    true_positives: Floats
    predicted: Floats
    actual: Floats

    @classmethod
    def of(cls, targets: Binary, decisions: Binary, weights: npt.ArrayLike | None = None) -> "Counts":
        """Count over arrays of shape (num_items, num_labels), under `weights` of shape (..., num_items)."""
        weight = np.ones(len(targets)) if weights is None else np.asarray(weights, dtype=np.float64)
        both = (targets & decisions).astype(np.float64)
        return cls(weight @ both, weight @ decisions.astype(np.float64), weight @ targets.astype(np.float64))


def _ratio(numerator: Any, denominator: Any) -> Floats:
    """Divide; 0 / 0 is 0, as in scikit-learn."""
    numerator, denominator = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    ratio: Floats = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
    return ratio


def precision(counts: Counts) -> Floats:
    """Return the precision of each label, shape (..., num_labels)."""
    return _ratio(counts.true_positives, counts.predicted)


def recall(counts: Counts) -> Floats:
    """Return the recall of each label, shape (..., num_labels)."""
    return _ratio(counts.true_positives, counts.actual)


def f1(counts: Counts) -> Floats:
    """Return the F1 of each label, shape (..., num_labels)."""
    return _ratio(2 * counts.true_positives, counts.predicted + counts.actual)


_METRICS = {"precision": precision, "recall": recall, "f1": f1}


def pool_counts(counts: Counts) -> Counts:
    """Return the counts summed over labels, as those of one label: micro averages are its metrics."""
    arrays = (counts.true_positives, counts.predicted, counts.actual)
    return Counts(*(array.sum(axis=-1, keepdims=True) for array in arrays))


def average_over_labels(values: Floats, actual: Floats, average: Average) -> Floats:
    """Return the weighted or macro mean of per-label `values` (..., num_labels), given the labels' support.

    A label without support has weight 0 in both.
    """
    weights = actual if average is Average.weighted else (actual > 0).astype(np.float64)
    return _ratio((values * weights).sum(axis=-1), weights.sum(axis=-1))


def compute_averages(targets: Binary, decisions: Binary, weights: npt.ArrayLike | None = None) -> dict[str, Floats]:
    """Return every metric under every average: `precision_weighted`, `recall_macro`, `f1_samples`, ..."""
    return average_counts(Counts.of(targets, decisions, weights)) | average_over_samples(targets, decisions, weights)


def average_counts(counts: Counts) -> dict[str, Floats]:
    """Return the averages that follow from the counts of labels: weighted, macro and micro."""
    summed = pool_counts(counts)
    result = {}
    for name, metric in _METRICS.items():
        by_label = metric(counts)
        result[f"{name}_weighted"] = average_over_labels(by_label, counts.actual, Average.weighted)
        result[f"{name}_macro"] = average_over_labels(by_label, counts.actual, Average.macro)
        result[f"{name}_micro"] = metric(summed)[..., 0]
    return result


def compute_average(counts: Counts, name: str) -> Floats:
    """Return one average of `average_counts`, by its name: `f1_weighted`, `precision_micro`, ..."""
    metric, _, average = name.partition("_")
    if average == Average.micro.name:
        return _METRICS[metric](pool_counts(counts))[..., 0]
    return average_over_labels(_METRICS[metric](counts), counts.actual, Average[average])


def average_over_samples(targets: Binary, decisions: Binary, weights: npt.ArrayLike | None = None) -> dict[str, Floats]:
    """Return `precision_samples`, `recall_samples`, `f1_samples`: means over records of each record's own metric."""
    by_item = compute_item_metrics(targets, decisions)
    return {f"{name}_samples": _average_over_items(values, weights) for name, values in by_item.items()}


def compute_item_metrics(targets: Binary, decisions: Binary) -> dict[str, Floats]:
    """Return precision, recall and F1 of each record, shape (num_items,)."""
    counts = _count_items(targets, decisions)
    return {name: metric(counts)[:, 0] for name, metric in _METRICS.items()}


def _count_items(targets: Binary, decisions: Binary) -> Counts:
    """Return the counts of each item, shape (num_items, 1)."""
    sums = [array.sum(axis=1, keepdims=True, dtype=np.float64) for array in (targets & decisions, decisions, targets)]
    return Counts(*sums)


def _average_over_items(values: Floats, weights: npt.ArrayLike | None) -> Floats:
    weight = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    return _ratio(weight @ values, weight.sum(axis=-1))


def average_precision(
    targets: Binary, scores: npt.NDArray[Any], weights: npt.ArrayLike | None = None, known: Known | None = None
) -> Floats:
    """Return the average precision of each label over its known items, shape (..., num_labels); NaN without support.

    The area under the precision-recall curve without interpolation, where equal scores are one step, as in
    scikit-learn's average_precision_score, which is not vectorised over `weights`.
    """
    weight = np.ones(len(targets)) if weights is None else np.asarray(weights, dtype=np.float64)
    columns = [
        _average_precision_of(targets[rows, j], scores[rows, j], weight[..., rows])
        for j in range(targets.shape[1])
        for rows in [slice(None) if known is None else known[:, j]]
    ]
    return np.stack(columns, axis=-1) if columns else np.zeros((*weight.shape[:-1], 0))


def _average_precision_of(target: Binary, score: npt.NDArray[Any], weight: Floats) -> Floats:
    """Return the average precision of one label, shape (...), from `target` and `score` of shape (num_items,)."""
    if not len(target):
        return np.full(weight.shape[:-1], np.nan)
    order = np.argsort(-score, kind="stable")
    # equal scores get one threshold: only the last of them ends a step of the curve
    last_of_step = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    seen = np.cumsum(weight[..., order], axis=-1)[..., last_of_step]
    hits = np.cumsum(weight[..., order] * target[order], axis=-1)[..., last_of_step]
    gained = np.diff(hits, axis=-1, prepend=0.0)
    support = hits[..., -1]
    area = (gained * _ratio(hits, seen)).sum(axis=-1)
    value: Floats = np.divide(area, support, out=np.full_like(area, np.nan), where=support > 0)
    return value


def precision_recall_at_k(
    targets: Binary, scores: npt.NDArray[Any], k: int, known: Known | None = None
) -> tuple[float, float]:
    """Return mean precision@k over items, and mean recall@k over items that have a label, among known labels.

    Of equal scores the first label comes first.
    """
    targets, num_labels = hide_unknown(targets, known), np.full(len(targets), targets.shape[1])
    if known is not None:
        scores, num_labels = np.where(known, scores, -np.inf), known.sum(axis=1)
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(targets, top, axis=1).sum(axis=1)
    actual = targets.sum(axis=1)
    precision_at_k = float(_ratio(hits, np.minimum(k, num_labels)).mean())
    with_labels = actual > 0
    recall_at_k = float((hits[with_labels] / actual[with_labels]).mean()) if with_labels.any() else float("nan")
    return precision_at_k, recall_at_k


def generate_bootstrap_weights(
    num_items: int, resamples: int, seed: int = 20_210_401
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield how often each item is in each bootstrap sample, in blocks of shape (block, num_items).

    The samples depend on `seed` and `num_items` only, so that metrics of different runs are paired.
    """
    generator = np.random.default_rng(seed)
    block = max(1, min(resamples, _MAX_CELLS // max(num_items, 1)))
    share = np.full(num_items, 1 / num_items)
    for start in range(0, resamples, block):
        yield generator.multinomial(num_items, share, size=min(block, resamples - start)).astype(np.float64)


def compute_intervals(
    targets: Binary,
    decisions: Binary,
    ranking: npt.NDArray[Any] | None,
    resamples: int,
    known: Known | None = None,
) -> dict[str, tuple[float, float]]:
    """Return 95 % percentile intervals of every averaged metric, and of macro average precision if scores rank.

    `targets` and `decisions` are 0 at unknown cells. `ranking` are the scores, None where they cannot rank. Thresholds
    stay fixed: the intervals cover the sampling of the records, not that of training or tuning.
    """
    resampled: dict[str, list[npt.NDArray[np.float64]]] = {}
    for weights in generate_bootstrap_weights(len(targets), resamples):
        values = compute_averages(targets, decisions, weights)
        if ranking is not None:
            by_label = average_precision(targets, ranking, weights, known)
            supported = ~np.isnan(by_label)
            total, labels = np.where(supported, by_label, 0).sum(-1), supported.sum(-1)
            values["average_precision_macro"] = np.where(labels > 0, total / np.maximum(labels, 1), np.nan)
        for name, value in values.items():
            resampled.setdefault(name, []).append(value)
    low_high = {name: _compute_ends(np.concatenate(values)) for name, values in resampled.items()}
    return {name: (float(low), float(high)) for name, (low, high) in low_high.items()}


def _compute_ends(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the ends of the interval, without resamples in which the metric is undefined."""
    measured = values[~np.isnan(values)]
    ends: npt.NDArray[np.float64] = np.quantile(measured, [0.025, 0.975]) if measured.size else np.full(2, np.nan)
    return ends
