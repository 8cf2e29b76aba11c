"""Estimate means and differences over runs and splits: variance, interval, degrees of freedom, power."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_MANY = 1e6  # degrees of freedom at which the t distribution is normal
POWER = 0.84  # standard errors beyond the bound of a test that give it 80 % power: the normal quantile of .8
ALPHA = 0.05
_TOO_MANY = 100  # needing more than this many times the records is no useful advice


@dataclass(frozen=True)
class ResampledMetric:
    """One metric of one candidate, by run and by bootstrap sample.

    `values` has shape (num_runs, ...), `resampled` (num_resamples, num_runs, ...); `splits` names each run's split.
    """

    values: Floats
    resampled: Floats
    splits: tuple[str, ...]

    def by_split(self) -> "ResampledMetric":
        """Return the metric with one entry per split: the mean over its seeds."""
        names = tuple(dict.fromkeys(self.splits))
        if len(names) == len(self.splits):
            return self
        members = [[index for index, split in enumerate(self.splits) if split == name] for name in names]
        values = np.stack([mean_without_nan(self.values[rows], 0) for rows in members])
        resampled = np.stack([mean_without_nan(self.resampled[:, rows], 1) for rows in members], axis=1)
        return ResampledMetric(values, resampled, names)

    def __sub__(self, other: "ResampledMetric") -> "ResampledMetric":
        """Subtract split by split; both sides have one entry per split.

        Raises:
            ValueError: the splits differ.
        """
        rows = [other.splits.index(split) for split in self.splits]
        if len(rows) != len(other.splits):
            raise ValueError(f"{len(self.splits)} splits against {len(other.splits)}")
        return ResampledMetric(self.values - other.values[rows], self.resampled - other.resampled[:, rows], self.splits)


@dataclass(frozen=True)
class Estimate:
    """A metric or a difference: its value, the variance from the records and from the training, degrees of freedom."""

    value: Floats
    record_variance: Floats
    training_variance: Floats
    degrees_of_freedom: Floats

    @property
    def standard_error(self) -> Floats:
        """Return the standard error of the value, from both sources of variance."""
        error: Floats = np.sqrt(self.record_variance + self.training_variance)
        return error

    @property
    def minimum_detectable_effect(self) -> Floats:
        """Return the difference that a two-sided test at level .05 detects with 80 % power."""
        return self.power_multiple(0.025) * self.standard_error

    def power_multiple(self, alpha: float) -> Floats:
        """Return the multiple of the standard error that gives 80 % power at level `alpha` (one-sided).

        2.8 at .025; more with few degrees of freedom.
        """
        multiple: Floats = _t_quantile(1 - alpha, self.degrees_of_freedom) + POWER
        return multiple

    def lower(self, alpha: float) -> Floats:
        """Return the one-sided lower confidence bound at level 1 - `alpha`."""
        bound: Floats = self.value - _t_quantile(1 - alpha, self.degrees_of_freedom) * self.standard_error
        return bound

    def upper(self, alpha: float) -> Floats:
        """Return the one-sided upper confidence bound at level 1 - `alpha`."""
        return 2 * self.value - self.lower(alpha)

    def p_value(self) -> Floats:
        """Return the two-sided p-value of the null hypothesis that the value is 0; 1 where the value is NaN."""
        from scipy.special import stdtr

        error = self.standard_error
        ratio = np.divide(np.abs(self.value), error, out=np.zeros_like(error), where=error > 0)
        ratio = np.where((error == 0) & (self.value != 0), np.inf, ratio)
        ratio = np.where(np.isnan(self.value), 0.0, ratio)
        p: Floats = 2 * stdtr(self.degrees_of_freedom, -ratio)
        return p


def _t_quantile(level: float, degrees_of_freedom: Floats) -> Floats:
    from scipy.special import stdtrit  # what scipy.stats.t.ppf calls, without its overhead of .1 ms

    quantile: Floats = stdtrit(degrees_of_freedom, level)
    return quantile


def estimate(metric: ResampledMetric) -> Estimate:
    """Estimate a candidate's metric: the mean over the seeds of a split, then over splits."""
    splits = metric.by_split()
    return _estimate_mean(splits, [splits if len(splits.splits) > 1 else metric])


def estimate_difference(left: ResampledMetric, right: ResampledMetric) -> Estimate:
    """Estimate `left` minus `right`, split by split; both must have been measured on the same splits."""
    splits = left.by_split() - right.by_split()
    # seeds of different candidates are not paired: with one split, each candidate adds a variance of its own
    return _estimate_mean(splits, [splits] if len(splits.splits) > 1 else [left, right])


def estimate_all_differences(metrics: Sequence[ResampledMetric]) -> Estimate:
    """Estimate the difference of each metric (row) minus each other one (column): arrays of shape (n, n).

    What `estimate_difference` does for single numbers without NaN, to rounding, with matrix products over the resamples
    instead of a pass over them for each pair.
    """
    by_split = [metric.by_split() for metric in metrics]
    values = np.stack([one.values for one in by_split])
    resampled = np.stack([one.resampled for one in by_split])  # (n, num_resamples, num_splits)
    splits = values.shape[1]
    of_mean = resampled.mean(axis=2)
    records = _sum_squared_differences(of_mean - of_mean.mean(axis=1, keepdims=True)) / (of_mean.shape[1] - 1)
    if splits > 1:
        between = _sum_squared_differences(values - values.mean(axis=1, keepdims=True)) / (splits - 1)
        errors = resampled - values[:, None]
        errors -= errors.mean(axis=2, keepdims=True)
        explained = _sum_squared_differences(errors.reshape(len(errors), -1)) / ((splits - 1) * resampled.shape[1])
        training = np.maximum(between - explained, 0.0) / splits
        uncertainty = (between / splits) ** 2 / (splits - 1)
    else:
        own = [_estimate_mean(one, [metric]) for one, metric in zip(by_split, metrics, strict=True)]
        training, uncertainty = (
            np.add.outer(part, part)
            for part in (
                np.array([float(one.training_variance) for one in own]),
                np.array([_measure_uncertainty(metric) for metric in metrics]),
            )
        )
    squared = (records + training) ** 2
    degrees = np.divide(squared, uncertainty, out=np.full(squared.shape, _MANY), where=uncertainty > 0)
    mean = values.mean(axis=1)
    return Estimate(mean[:, None] - mean, records, training, np.clip(degrees, 1.0, _MANY))


def _sum_squared_differences(rows: Floats) -> Floats:
    """Return the squared distance of each row to each other one, shape (n, n)."""
    products = rows @ rows.T
    squares = np.diagonal(products)
    distances: Floats = np.maximum(squares[:, None] + squares - 2 * products, 0.0)
    return distances


def _measure_uncertainty(repeat: ResampledMetric) -> float:
    """Return the variance of the estimated variance between repeats, for Satterthwaite's degrees of freedom."""
    entries = max(int((~np.isnan(repeat.values)).sum()), 1)
    return float((variance_without_nan(repeat.values, axis=0) / entries) ** 2 / max(entries - 1, 1))


def estimate_training_spread(metric: ResampledMetric) -> tuple[Floats, Floats]:
    """Return two standard deviations of a single run's metric: between splits, and between seeds.

    The part that the sampling error of the records explains is subtracted. NaN where there is only one split, or no
    split with several seeds. The spread between splits is that of means over their seeds: with one seed per split it
    contains the spread between seeds.
    """
    splits = metric.by_split()
    seeds = [[row for row, split in enumerate(metric.splits) if split == name] for name in splits.splits]
    within = [
        _net_variance(ResampledMetric(metric.values[rows], metric.resampled[:, rows], tuple(str(row) for row in rows)))
        for rows in seeds
        if len(rows) > 1
    ]
    between = _net_variance(splits)
    unknown = np.full_like(between, np.nan)
    return (
        np.sqrt(between) if len(splits.splits) > 1 else unknown,
        np.sqrt(mean_without_nan(np.stack(within), 0)) if within else unknown,
    )


def mean_without_nan(values: npt.NDArray[Any], axis: int) -> Floats:
    """Return the mean of the values that are not NaN; NaN where all are. Unlike numpy's nanmean it never warns."""
    known = ~np.isnan(values)
    if known.all():  # the usual case: no copy of millions of values
        plain_mean: Floats = values.mean(axis=axis)
        return plain_mean
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    mean: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def variance_without_nan(values: npt.NDArray[Any], axis: int) -> Floats:
    """Return the unbiased variance of the values that are not NaN; 0 where fewer than two are."""
    known = ~np.isnan(values)
    squares = (values - np.expand_dims(mean_without_nan(values, axis), axis)) ** 2
    if not known.all():
        squares = np.where(known, squares, 0.0)
    count, total = known.sum(axis=axis), squares.sum(axis=axis)
    variance: Floats = np.divide(total, count - 1, out=np.zeros(total.shape), where=count > 1)
    return variance


def _net_variance(metric: ResampledMetric) -> Floats:
    """Return the variance between entries less the part that the sampling error of their records explains."""
    from_records = variance_without_nan(metric.resampled - metric.values, axis=1)
    net: Floats = np.maximum(variance_without_nan(metric.values, axis=0) - mean_without_nan(from_records, axis=0), 0.0)
    return net


def _estimate_mean(splits: ResampledMetric, repeats: Sequence[ResampledMetric]) -> Estimate:
    """Estimate the mean over `splits`. The variance of training is the sum over `repeats`, which are independent.

    The degrees of freedom are Satterthwaite's (1946), from the spread between repeats before anything is subtracted.
    """
    records = variance_without_nan(mean_without_nan(splits.resampled, axis=1), axis=0)
    training, uncertainty = np.zeros_like(records), np.zeros_like(records)
    for repeat in repeats:
        entries = np.maximum((~np.isnan(repeat.values)).sum(axis=0), 1)
        training = training + _net_variance(repeat) / entries
        uncertainty = uncertainty + (variance_without_nan(repeat.values, axis=0) / entries) ** 2 / np.maximum(
            entries - 1, 1
        )
    squared = (records + training) ** 2
    degrees = np.divide(squared, uncertainty, out=np.full(squared.shape, _MANY), where=uncertainty > 0)
    return Estimate(mean_without_nan(splits.values, axis=0), records, training, np.clip(degrees, 1.0, _MANY))


def estimate_more_records(
    difference: Estimate, num_records: int, *, distance: float | None = None, alpha: float = ALPHA / 2
) -> int | None:
    """Return about how many more records detect a difference of this size with 80 % power; None if no number does.

    Only the sampling error of the records shrinks with their number. `distance` (default: the difference itself) is
    what must be distinguished from 0 at level `alpha`.
    """
    allowed = tolerable_variance(difference, distance, alpha) - float(difference.training_variance)
    if allowed <= 0:
        return None
    needed = num_records * float(difference.record_variance) / allowed
    return round_up(needed - num_records) if num_records < needed <= _TOO_MANY * num_records else None


def tolerable_variance(difference: Estimate, distance: float | None = None, alpha: float = ALPHA / 2) -> float:
    """Return the largest variance at which `distance` (default: the difference) is detected with 80 % power."""
    effect = float(difference.value) if distance is None else distance
    return float((effect / difference.power_multiple(alpha)) ** 2)


def round_up(count: float) -> int:
    """Round up to two significant digits."""
    step: int = 10 ** max(math.floor(math.log10(max(count, 1))) - 1, 0)
    return math.ceil(count / step) * step
