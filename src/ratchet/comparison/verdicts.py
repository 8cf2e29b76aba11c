"""From an estimate to a verdict, and to words."""

import math

import numpy as np

from ratchet.comparison.estimates import Estimate
from ratchet.comparison.results import Verdict

ALPHA = 0.05
_NAMES = {"f1": "F1", "precision": "precision", "recall": "recall"}
_FAR = 100  # times as many records are no longer an advice


def metric_name(metric: str) -> str:
    """`f1_weighted` as people write it: `weighted F1`."""
    name, _, average = metric.partition("_")
    return f"{average} {_NAMES[name]}"


def verdict_on(value: float, low: float, high: float, p: float) -> Verdict:
    """Different needs both: an adjusted p below .05, and an interval without 0."""
    if p < ALPHA and (low > 0 or high < 0):
        return "better" if value > 0 else "worse"
    return "not distinguishable"


def more_records(
    found: Estimate, num_records: int, *, distance: float | None = None, alpha: float = ALPHA / 2
) -> int | None:
    """About how many more records would tell a difference of this size in four cases of five; None: no number would.

    Only the part of the error that comes from the records shrinks with them. `distance` (the difference itself, unless
    given) is what must be told from 0 at `alpha`.
    """
    wanted = _tolerable(found, distance, alpha) - float(found.training_variance)
    if wanted <= 0:
        return None
    needed = num_records * float(found.record_variance) / wanted
    return rounded(needed - num_records) if num_records < needed <= _FAR * num_records else None


def _tolerable(found: Estimate, distance: float | None = None, alpha: float = ALPHA / 2) -> float:
    """The variance at which a distance is told in four cases of five."""
    reached = float(found.value) if distance is None else distance
    return float((reached / found.errors(alpha)) ** 2)


def rounded(count: float) -> int:
    """Two significant digits, upwards."""
    step: int = 10 ** max(math.floor(math.log10(max(count, 1))) - 1, 0)
    return math.ceil(count / step) * step


def in_words(verdict: Verdict, other: str, found: Estimate, more: int | None) -> str:
    """The verdict as a sentence's end: `better than rule`, `not distinguishable from cnn; ...`."""
    if verdict != "not distinguishable":
        return f"{verdict} than {other}"
    told = f"not distinguishable from {other}"
    if found.value == 0:
        return told
    if more is not None:
        return f"{told}; about {more:,} more test records would tell a difference of this size"
    tolerable = _tolerable(found)
    if found.training_variance + found.record_variance <= tolerable:
        return told  # the swap test alone is in doubt
    if found.training_variance > tolerable / 2:
        return f"{told}; more repeats, not more records, would tell"
    return f"{told}; a difference this small is out of reach of any test set like this one"


def clipped(value: float, low: float, high: float) -> tuple[float, float]:
    """An interval of a share, within [0, 1]."""
    return min(max(low, 0.0), value), max(min(high, 1.0), value)


def number_or_none(value: float) -> float | None:
    """None for NaN, which JSON does not have."""
    return None if np.isnan(value) else float(value)
