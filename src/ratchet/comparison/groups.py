"""Labels and slices on which a candidate wins or loses against the baseline: exploratory, and said to be so."""

from typing import Literal

import numpy as np

from ratchet.comparison.differences import TAIL, PValues
from ratchet.comparison.estimates import Floats, difference, estimate
from ratchet.comparison.evidence import Evidence, Measured
from ratchet.comparison.families import benjamini_hochberg
from ratchet.comparison.results import GroupDifference, Interval
from ratchet.comparison.verdicts import verdict_on

MIN_POSITIVES = 10  # labels and slices with fewer are not shown


def group_differences(left: Measured, right: Measured, evidence: Evidence, p_values: PValues) -> list[GroupDifference]:
    """Of all labels and slices with enough positives; labels first, then what is surest."""
    found: list[tuple[Literal["label", "slice"], str, int, list[float]]] = []
    labels = (*_estimates(left, right, "labels"), p_values["labels"])
    for index, label in enumerate(evidence.labels):
        found.append(("label", label, evidence.positives[label], [float(each[index]) for each in labels]))
    for key in p_values:
        if key.startswith("slices/"):
            values = [float(each) for each in (*_estimates(left, right, key), p_values[key])]
            found.append(("slice", key.removeprefix("slices/"), evidence.positives[key], values))
    shown = [each for each in found if each[2] >= MIN_POSITIVES and not np.isnan(each[3]).any()]
    adjusted = benjamini_hochberg([values[-1] for *_, values in shown])
    groups = []
    for (kind, name, positives, (ours, theirs, value, low, high, _)), p in zip(shown, adjusted, strict=True):
        verdict = verdict_on(value, low, high, p)
        groups.append(GroupDifference(kind, name, positives, ours, theirs, Interval(value, low, high), p, verdict))
    return sorted(groups, key=lambda each: (each.kind, each.p_adjusted, -abs(each.difference.value)))


def _estimates(left: Measured, right: Measured, key: str) -> tuple[Floats, ...]:
    """Both values, their difference, and its interval."""
    found = difference(left.drawn[key], right.drawn[key])
    ours, theirs = (estimate(each.drawn[key]).value for each in (left, right))
    return ours, theirs, found.value, found.lower(TAIL), found.upper(TAIL)
