"""From an estimate to a verdict, and to words."""

import math

import numpy as np

from ratchet.comparison.estimates import DETECTABLE, Estimate
from ratchet.comparison.results import Verdict

ALPHA = 0.05
_FAR = 100  # times as many records are no longer an advice


def verdict_on(value: float, low: float, high: float, p: float) -> Verdict:
    """Different needs both: an adjusted p below .05, and an interval without 0."""
    if p < ALPHA and not low <= 0 <= high:
        return "better" if value > 0 else "worse"
    return "not distinguishable"


def more_records(
    found: Estimate, num_records: int, *, distance: float | None = None, errors: float = DETECTABLE
) -> int | None:
    """About how many more records would tell a difference of this size in four cases of five; None: no number would.

    Only the part of the error that comes from the records shrinks with them. `distance` (the difference itself, unless
    given) must come to so many `errors`.
    """
    reached = float(found.value) if distance is None else distance
    wanted = (reached / errors) ** 2 - float(found.training_variance)
    if wanted <= 0:
        return None
    needed = num_records * float(found.record_variance) / wanted
    return rounded(max(needed - num_records, 1)) if needed <= _FAR * num_records else None


def rounded(count: float) -> int:
    """Two significant digits, upwards."""
    step: int = 10 ** max(math.floor(math.log10(count)) - 1, 0)
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
    if found.training_variance > (found.value / DETECTABLE) ** 2:
        return f"{told}; more repeats, not more records, would tell"
    return f"{told}; a difference this small is out of reach of any test set like this one"


def clipped(value: float, low: float, high: float) -> tuple[float, float]:
    """An interval of a share, within [0, 1]."""
    return min(max(low, 0.0), value), max(min(high, 1.0), value)


def number_or_none(value: float) -> float | None:
    """None for NaN, which JSON does not have."""
    return None if np.isnan(value) else float(value)
