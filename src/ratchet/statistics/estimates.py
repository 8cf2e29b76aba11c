"""Estimate means and differences over runs and splits: variance, interval, degrees of freedom, power."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Floats = npt.NDArray[np.float64]
_CERTAIN = 1e6  # degrees of freedom at which t is normal
POWER = 0.84  # standard errors beyond the bound of a test: passed in four cases of five
ALPHA = 0.05
_FAR = 100  # needing more than this many times the records is no useful advice


@dataclass(frozen=True)
class Drawn:
    """One figure of one candidate: `values` (num_runs, ...), `draws` (num_resamples, num_runs, ...), runs by split."""

    values: Floats
    draws: Floats
    splits: tuple[str, ...]

    def by_split(self) -> "Drawn":
        """One entry a split: the mean over its seeds."""
        names = tuple(dict.fromkeys(self.splits))
        if len(names) == len(self.splits):
            return self
        member = [[index for index, split in enumerate(self.splits) if split == name] for name in names]
        values = np.stack([mean_of(self.values[rows], 0) for rows in member])
        draws = np.stack([mean_of(self.draws[:, rows], 1) for rows in member], axis=1)
        return Drawn(values, draws, names)

    def __sub__(self, other: "Drawn") -> "Drawn":
        """Split by split, one entry a split on either side; `ValueError` if the splits differ."""
        rows = [other.splits.index(split) for split in self.splits]
        if len(rows) != len(other.splits):
            raise ValueError(f"{len(self.splits)} splits against {len(other.splits)}")
        return Drawn(self.values - other.values[rows], self.draws - other.draws[:, rows], self.splits)


@dataclass(frozen=True)
class Estimate:
    """A figure or a difference, its variance from the records and from the training, and its degrees of freedom."""

    value: Floats
    record_variance: Floats
    training_variance: Floats
    freedom: Floats

    @property
    def standard_error(self) -> Floats:
        """Of the value, with all that is known to move it."""
        error: Floats = np.sqrt(self.record_variance + self.training_variance)
        return error

    @property
    def detectable(self) -> Floats:
        """The difference that would be found in four cases of five, at .05, two-sided."""
        return self.errors(0.025) * self.standard_error

    def errors(self, alpha: float) -> Floats:
        """So many standard errors clear a bound at `alpha` in four cases of five: 2.8 at .025, more for few repeats."""
        needed: Floats = stats.t.ppf(1 - alpha, self.freedom) + POWER
        return needed

    def lower(self, alpha: float) -> Floats:
        """What the value exceeds with confidence 1 - `alpha`."""
        bound: Floats = self.value - stats.t.ppf(1 - alpha, self.freedom) * self.standard_error
        return bound

    def upper(self, alpha: float) -> Floats:
        """What the value stays below with confidence 1 - `alpha`."""
        return 2 * self.value - self.lower(alpha)

    def p_value(self) -> Floats:
        """Two-sided p-value of a value of 0; 1 where nothing can be told."""
        error = self.standard_error
        ratio = np.divide(np.abs(self.value), error, out=np.zeros_like(error), where=error > 0)
        ratio = np.where((error == 0) & (self.value != 0), np.inf, ratio)
        ratio = np.where(np.isnan(self.value), 0.0, ratio)
        p: Floats = 2 * special.stdtr(self.freedom, -ratio)
        return p


def estimate(drawn: Drawn) -> Estimate:
    """Of a candidate's figure."""
    splits = drawn.by_split()
    return _estimate(splits, [splits if len(splits.splits) > 1 else drawn])


def difference(left: Drawn, right: Drawn) -> Estimate:
    """Of `left` minus `right`, split by split; both must have been measured on the same splits."""
    splits = left.by_split() - right.by_split()
    return _estimate(splits, [splits] if len(splits.splits) > 1 else [left, right])  # seeds have nothing in common


def training_spread(drawn: Drawn) -> tuple[Floats, Floats]:
    """Standard deviations of a single run's figure, less what the records explain: between splits, between seeds.

    NaN where there is only one split, or no split with several seeds. The spread between splits is that of means over
    their seeds: with one seed a split the two move together.
    """
    splits = drawn.by_split()
    seeds = [[row for row, split in enumerate(drawn.splits) if split == name] for name in splits.splits]
    within = [
        _net_variance(Drawn(drawn.values[rows], drawn.draws[:, rows], tuple(str(row) for row in rows)))
        for rows in seeds
        if len(rows) > 1
    ]
    between = _net_variance(splits)
    nothing = np.full_like(between, np.nan)
    return (
        np.sqrt(between) if len(splits.splits) > 1 else nothing,
        np.sqrt(mean_of(np.stack(within), 0)) if within else nothing,
    )


def mean_of(values: npt.NDArray[Any], axis: int) -> Floats:
    """The mean of what is not NaN; NaN where nothing is."""
    told = ~np.isnan(values)
    if told.all():
        whole: Floats = values.mean(axis=axis)
        return whole
    count = told.sum(axis=axis)
    total = np.where(told, values, 0.0).sum(axis=axis)
    mean: Floats = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean


def variance_of(values: npt.NDArray[Any], axis: int) -> Floats:
    """The unbiased variance of what is not NaN; 0 where fewer than two are."""
    count = (~np.isnan(values)).sum(axis=axis)
    squares = (values - np.expand_dims(mean_of(values, axis), axis)) ** 2
    total = np.where(np.isnan(squares), 0.0, squares).sum(axis=axis)
    variance: Floats = np.divide(total, count - 1, out=np.zeros(total.shape), where=count > 1)
    return variance


def _net_variance(drawn: Drawn) -> Floats:
    """The variance between entries, less what they would differ by if only their records differed."""
    from_records = variance_of(drawn.draws - drawn.values, axis=1)
    net: Floats = np.maximum(variance_of(drawn.values, axis=0) - mean_of(from_records, axis=0), 0.0)
    return net


def _estimate(splits: Drawn, repeats: Sequence[Drawn]) -> Estimate:
    """The mean over `splits`; each of `repeats` moves it by its training, independently of the others."""
    records = variance_of(mean_of(splits.draws, axis=1), axis=0)
    training, doubt = np.zeros_like(records), np.zeros_like(records)
    for drawn in repeats:
        entries = np.maximum((~np.isnan(drawn.values)).sum(axis=0), 1)
        training = training + _net_variance(drawn) / entries
        doubt = doubt + (variance_of(drawn.values, axis=0) / entries) ** 2 / np.maximum(entries - 1, 1)
    whole = (records + training) ** 2
    freedom = np.divide(whole, doubt, out=np.full(whole.shape, _CERTAIN), where=doubt > 0)
    return Estimate(mean_of(splits.values, axis=0), records, training, np.clip(freedom, 1.0, _CERTAIN))


def more_records(
    found: Estimate, num_records: int, *, distance: float | None = None, alpha: float = ALPHA / 2
) -> int | None:
    """Return about how many more records detect a difference of this size with 80 % power; None if no number does.

    Only the sampling error of the records shrinks with their number. `distance` (default: the difference itself) is
    what must be distinguished from 0 at level `alpha`.
    """
    wanted = _tolerable(found, distance, alpha) - float(found.training_variance)
    if wanted <= 0:
        return None
    needed = num_records * float(found.record_variance) / wanted
    return rounded(needed - num_records) if num_records < needed <= _FAR * num_records else None


def _tolerable(found: Estimate, distance: float | None = None, alpha: float = ALPHA / 2) -> float:
    """Return the largest variance at which a distance is detected with 80 % power."""
    reached = float(found.value) if distance is None else distance
    return float((reached / found.errors(alpha)) ** 2)


def rounded(count: float) -> int:
    """Round up to two significant digits."""
    step: int = 10 ** max(math.floor(math.log10(max(count, 1))) - 1, 0)
    return math.ceil(count / step) * step
