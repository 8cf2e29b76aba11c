"""Compute metrics of multi-label decisions and scores, for one weighting of the records or many at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.config import Average
from ratchet.data.known import Known, hide_unknown

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = npt.NDArray[np.float64]
Binary = npt.NDArray[np.uint8]
MAX_CELLS = 4_000_000  # cells that one step works on, which bounds memory: 32 MB of weights
MAX_RANKED = 200_000_000  # records x labels x resamples: up to this size the ranking is bootstrapped, a few seconds
_COLUMNS = 32  # labels whose scores are copied at once: a single column of a large array is slow to read


@dataclass(frozen=True)
class Counts:
    """True positives, predicted and actual positives: sums of weights, each of shape (..., num_labels)."""

    true_positives: Floats
    predicted: Floats
    actual: Floats

    @classmethod
    def of(cls, targets: Binary, decisions: Binary, weights: npt.ArrayLike | None = None) -> "Counts":
        """Count over arrays of shape (num_items, num_labels), under `weights` of shape (..., num_items)."""
        return Positives.of(targets, decisions).count(weights)


@dataclass(frozen=True)
class Positives:
    """The true labels, the decided labels and those that are both, as sparse matrices (num_items, num_labels).

    Records have few of the labels, so that counts take time and memory by label of a record, not by cell. Sums of
    whole weights are exact in any order.
    """

    targets: "csr_array"
    decisions: "csr_array"
    both: "csr_array"

    @classmethod
    def of(cls, targets: Binary, decisions: Binary) -> "Positives":
        """Return the positives of arrays of shape (num_items, num_labels)."""
        true, decided = _to_sparse(targets), _to_sparse(decisions)
        return cls(true, decided, true.multiply(decided).tocsr())

    def select(self, rows: Any) -> "Positives":
        """Return the positives of these items."""
        return Positives(self.targets[rows], self.decisions[rows], self.both[rows])

    def count(self, weights: npt.ArrayLike | None = None) -> Counts:
        """Count by label, under `weights` of shape (..., num_items)."""
        matrices = (self.both, self.decisions, self.targets)
        if weights is None:
            return Counts(*(matrix.sum(axis=0, dtype=np.float64) for matrix in matrices))
        weight = np.asarray(weights, dtype=np.float64)
        by_item = np.ascontiguousarray(weight.reshape(-1, weight.shape[-1]).T)
        shape = (*weight.shape[:-1], self.targets.shape[1])
        # contiguous by label again: the order in memory is the order in which numpy adds averages up
        return Counts(*(np.ascontiguousarray((matrix.T @ by_item).T).reshape(shape) for matrix in matrices))

    def count_items(self) -> Counts:
        """Count by item, shape (num_items, 1)."""
        matrices = (self.both, self.decisions, self.targets)
        return Counts(*(np.diff(matrix.indptr).astype(np.float64)[:, None] for matrix in matrices))


def _to_sparse(cells: Binary) -> "csr_array":
    """Return the ones of `cells` as a sparse matrix. Blocks of rows bound the memory for their positions."""
    from scipy.sparse import csr_array

    rows = [np.flatnonzero(cells[part]) for part in split_rows(cells.shape)]
    starts = [part.start * cells.shape[1] for part in split_rows(cells.shape)]
    ones = np.concatenate([positions + start for positions, start in zip(rows, starts, strict=True)] or [np.zeros(0)])
    item, label = np.divmod(ones.astype(np.int64), max(cells.shape[1], 1))
    pointers = np.concatenate([[0], np.cumsum(np.bincount(item, minlength=len(cells)))])
    return csr_array((np.ones(len(label)), label, pointers), shape=cells.shape)


def split_rows(shape: tuple[int, ...]) -> list[slice]:
    """Return slices of rows with at most `MAX_CELLS` cells each (one row at least); small arrays are one slice."""
    rows, step = shape[0], max(1, MAX_CELLS // max(shape[1], 1))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def is_binary(scores: npt.NDArray[Any]) -> bool:
    """Return whether scores are only 0 and 1, so that they rank nothing."""
    return all(bool(np.isin(scores[rows], (0, 1)).all()) for rows in split_rows(scores.shape))


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


METRICS = {"precision": precision, "recall": recall, "f1": f1}


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
    return average_positives(Positives.of(targets, decisions), weights)


def average_positives(positives: Positives, weights: npt.ArrayLike | None = None) -> dict[str, Floats]:
    """Return what `compute_averages` does, for decisions that are counted under several weights."""
    return average_counts(positives.count(weights)) | average_over_samples(positives, weights)


def average_counts(counts: Counts) -> dict[str, Floats]:
    """Return the averages that follow from the counts of labels: weighted, macro and micro."""
    summed = pool_counts(counts)
    result = {}
    for name, metric in METRICS.items():
        by_label = metric(counts)
        result[f"{name}_weighted"] = average_over_labels(by_label, counts.actual, Average.weighted)
        result[f"{name}_macro"] = average_over_labels(by_label, counts.actual, Average.macro)
        result[f"{name}_micro"] = metric(summed)[..., 0]
    return result


def compute_average(counts: Counts, name: str) -> Floats:
    """Return one average of `average_counts`, by its name: `f1_weighted`, `precision_micro`, ..."""
    metric, _, average = name.partition("_")
    if average == Average.micro.name:
        return METRICS[metric](pool_counts(counts))[..., 0]
    return average_over_labels(METRICS[metric](counts), counts.actual, Average[average])


def average_over_samples(positives: Positives, weights: npt.ArrayLike | None = None) -> dict[str, Floats]:
    """Return `precision_samples`, `recall_samples`, `f1_samples`: means over records of each record's own metric."""
    by_item = measure_items(positives)
    weight = np.ones(positives.targets.shape[0]) if weights is None else np.asarray(weights, dtype=np.float64)
    total = weight.sum(axis=-1)
    return {f"{name}_samples": _ratio(weight @ values, total) for name, values in by_item.items()}


def compute_item_metrics(targets: Binary, decisions: Binary) -> dict[str, Floats]:
    """Return precision, recall and F1 of each record, shape (num_items,)."""
    return measure_items(Positives.of(targets, decisions))


def measure_items(positives: Positives) -> dict[str, Floats]:
    """Return what `compute_item_metrics` does."""
    counts = positives.count_items()
    return {name: metric(counts)[:, 0] for name, metric in METRICS.items()}


def average_precision(
    targets: Binary, scores: npt.NDArray[Any], weights: npt.ArrayLike | None = None, known: Known | None = None
) -> Floats:
    """Return the average precision of each label over its known items, shape (..., num_labels); NaN without support.

    The area under the precision-recall curve without interpolation, where equal scores are one step, as in
    scikit-learn's average_precision_score, which is not vectorised over `weights`.
    """
    weight = None if weights is None else np.asarray(weights, dtype=np.float64)
    values = np.zeros((*(() if weight is None else weight.shape[:-1]), targets.shape[1]))
    for label, target, score, rows in iterate_labels(targets, scores, known):
        if weight is None:
            values[label] = rank_label(target, score).average_precision
        else:
            values[..., label] = _average_precision_of(target, score, weight[..., rows])
    return values


def iterate_labels(
    targets: Binary, scores: npt.NDArray[Any], known: Known | None = None
) -> Iterator[tuple[int, Binary, npt.NDArray[Any], Any]]:
    """Yield the index of each label, with its targets and scores at known items, and the rows of these items."""
    for first in range(0, targets.shape[1], _COLUMNS):
        block = slice(first, first + _COLUMNS)
        columns = (np.ascontiguousarray(cells[:, block].T) for cells in (targets, scores))
        for label, (target, score) in enumerate(zip(*columns, strict=True), first):
            rows = slice(None) if known is None else known[:, label]
            yield label, target[rows], score[rows], rows


@dataclass(frozen=True)
class RankedLabel:
    """The precision-recall curve of one label, at the scores of its positives in descending order.

    `steps` are the indices of these scores among all distinct ones, of which there are `num_steps`; `gained`, `hits`
    and `seen` are the positives at each score, the positives up to it, and the items up to it.
    """

    scores: npt.NDArray[Any]
    steps: npt.NDArray[np.intp]
    num_steps: int
    gained: Floats
    hits: Floats
    seen: Floats

    @property
    def average_precision(self) -> float:
        """Return the area under the curve; NaN without a positive."""
        if not len(self.hits):
            return float("nan")
        terms = np.zeros(self.num_steps)  # with the zeros between: sums as over the steps of the complete curve
        terms[self.steps] = self.gained * (self.hits / self.seen)
        return float(terms.sum() / self.hits[-1])


def rank_label(target: Binary, score: npt.NDArray[Any]) -> RankedLabel:
    """Return the curve of one label, from `target` and `score` of shape (num_items,). Equal scores are one step."""
    ascending = np.sort(score)
    distinct = np.append(np.flatnonzero(np.diff(ascending)) + 1, len(ascending))  # ends of runs of equal scores
    at, counts = np.unique(score[target > 0], return_counts=True)
    at, gained = at[::-1], counts[::-1].astype(np.float64)
    below = np.searchsorted(ascending, at, side="left")
    steps = len(distinct) - 1 - np.searchsorted(distinct, below, side="right")
    return RankedLabel(at, steps, len(distinct), gained, np.cumsum(gained), len(score) - below.astype(np.float64))


def _average_precision_of(target: Binary, score: npt.NDArray[Any], weight: Floats) -> Floats:
    """Return the average precision of one label, shape (...), from `target` and `score` of shape (num_items,)."""
    if not target.any():
        return np.full(weight.shape[:-1], np.nan)
    order = np.argsort(-score, kind="stable")
    # equal scores get one threshold: only the last of them ends a step of the curve
    last_of_step = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)
    positive = np.flatnonzero(target[order])
    step = np.searchsorted(last_of_step, positive)  # the step of each positive; only these steps add to the area
    steps, first = np.unique(step, return_index=True)
    # by step first: additions run along the first axis of memory, where zeros between the steps change nothing
    by_item = np.ascontiguousarray(np.moveaxis(weight, -1, 0)[order])
    gained = np.add.reduceat(by_item[positive], first, axis=0)
    seen = np.cumsum(by_item, axis=0, out=by_item)[last_of_step[steps]]
    hits = np.cumsum(gained, axis=0)
    area, support = (gained * _ratio(hits, seen)).sum(axis=0), hits[-1]
    value: Floats = np.divide(area, support, out=np.full_like(area, np.nan), where=support > 0)
    return value


def compute_influence(targets: Binary, scores: npt.NDArray[Any], known: Known | None = None) -> Floats:
    """Return the influence of each item on the macro average precision, shape (num_items,): its derivative by weight.

    The infinitesimal jackknife (Jaeckel 1972; Efron 1982, "The Jackknife, the Bootstrap and Other Resampling Plans",
    chapter 6) gives the variance over bootstrap samples as the sum of their squares, from one sort per label.
    """
    influence, supported = np.zeros(len(targets)), 0
    for _, target, score, rows in iterate_labels(targets, scores, known):
        if target.any():
            influence[rows] += _compute_label_influence(target, score)
            supported += 1
    return influence / max(supported, 1)


def _compute_label_influence(target: Binary, score: npt.NDArray[Any]) -> Floats:
    """Return the derivatives of the average precision of one label by the weights of the items."""
    curve = rank_label(target, score)
    precision_at = curve.hits / curve.seen
    # an item is seen at every score of a positive that is not above its own: from the first such step to the last
    first = len(curve.scores) - np.searchsorted(curve.scores[::-1], score, side="right")
    as_hit = _sum_from(curve.gained / curve.seen)[first]
    as_seen = _sum_from(curve.gained * curve.hits / curve.seen**2)[first]
    own = np.append(precision_at, 0.0)[first] + as_hit - curve.average_precision
    influence: Floats = (np.where(target > 0, own, 0.0) - as_seen) / curve.hits[-1]
    return influence


def _sum_from(values: Floats) -> Floats:
    """Return the sum from each index to the end, and 0 for the index after the last."""
    return np.append(np.cumsum(values[::-1])[::-1], 0.0)


def precision_recall_at_k(
    targets: Binary, scores: npt.NDArray[Any], k: int, known: Known | None = None
) -> tuple[float, float]:
    """Return mean precision@k over items, and mean recall@k over items that have a label, among known labels.

    Of equal scores the first label comes first.
    """
    num_labels = np.full(len(targets), targets.shape[1]) if known is None else known.sum(axis=1)
    hits, actual = np.zeros(len(targets), dtype=np.int64), np.zeros(len(targets), dtype=np.int64)
    for rows in split_rows(targets.shape):
        part = None if known is None else known[rows]
        true = hide_unknown(targets[rows], part)
        shown = scores[rows] if part is None else np.where(part, scores[rows], -np.inf)
        hits[rows] = _count_top(true, shown, k)
        actual[rows] = true.sum(axis=1)
    precision_at_k = float(_ratio(hits, np.minimum(k, num_labels)).mean())
    with_labels = actual > 0
    recall_at_k = float((hits[with_labels] / actual[with_labels]).mean()) if with_labels.any() else float("nan")
    return precision_at_k, recall_at_k


def _count_top(targets: Binary, scores: npt.NDArray[Any], k: int) -> npt.NDArray[np.int64]:
    """Return how many of the k labels with the highest scores each item has; of equal scores the first comes first."""
    k = min(k, scores.shape[1])
    lowest = np.partition(scores, -k, axis=1)[:, [-k]]
    above, equal = scores > lowest, scores == lowest
    chosen = above | (equal & (np.cumsum(equal, axis=1) <= k - above.sum(axis=1, keepdims=True)))
    hits: npt.NDArray[np.int64] = np.count_nonzero(chosen & (targets > 0), axis=1)
    return hits


def generate_bootstrap_weights(
    num_items: int, resamples: int, seed: int = 20_210_401
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield how often each item is in each bootstrap sample, in blocks of shape (block, num_items).

    The samples depend on `seed` and `num_items` only, so that metrics of different runs are paired.
    """
    generator = np.random.default_rng(seed)
    block = max(1, min(resamples, MAX_CELLS // max(num_items, 1)))
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
    stay fixed: the intervals cover the sampling of the records, not that of training or tuning. Beyond `MAX_RANKED`,
    the interval of macro average precision is 1.96 standard errors of the infinitesimal jackknife on either side.
    """
    resampled: dict[str, list[npt.NDArray[np.float64]]] = {}
    positives = Positives.of(targets, decisions)
    is_large = targets.size * resamples > MAX_RANKED
    for weights in generate_bootstrap_weights(len(targets), resamples):
        values = average_positives(positives, weights)
        if ranking is not None and not is_large:
            by_label = average_precision(targets, ranking, weights, known)
            supported = ~np.isnan(by_label)
            total, labels = np.where(supported, by_label, 0).sum(-1), supported.sum(-1)
            values["average_precision_macro"] = np.where(labels > 0, total / np.maximum(labels, 1), np.nan)
        for name, value in values.items():
            resampled.setdefault(name, []).append(value)
    low_high = {name: _compute_ends(np.concatenate(values)) for name, values in resampled.items()}
    if ranking is not None and is_large:
        low_high["average_precision_macro"] = _compute_ranking_ends(targets, ranking, known)
    return {name: (float(low), float(high)) for name, (low, high) in low_high.items()}


def _compute_ends(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return the ends of the interval, without resamples in which the metric is undefined."""
    measured = values[~np.isnan(values)]
    ends: npt.NDArray[np.float64] = np.quantile(measured, [0.025, 0.975]) if measured.size else np.full(2, np.nan)
    return ends


def _compute_ranking_ends(targets: Binary, scores: npt.NDArray[Any], known: Known | None) -> npt.NDArray[np.float64]:
    """Return the ends of the interval of macro average precision by the infinitesimal jackknife."""
    value = np.nanmean(average_precision(targets, scores, known=known)) if targets.any() else np.nan
    error = np.sqrt((compute_influence(targets, scores, known) ** 2).sum())
    ends: npt.NDArray[np.float64] = np.clip(value + np.array([-1.96, 1.96]) * error, 0.0, 1.0)
    return ends
