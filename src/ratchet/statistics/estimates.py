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
    from scipy.stats import t

    quantile: Floats = t.ppf(level, degrees_of_freedom)
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
    count = (~np.isnan(values)).sum(axis=axis)
    squares = (values - np.expand_dims(mean_without_nan(values, axis), axis)) ** 2
    total = np.where(np.isnan(squares), 0.0, squares).sum(axis=axis)
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
