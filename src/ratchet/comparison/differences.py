"""Compare one candidate with another: differences, intervals, p-values, verdicts; overall, per label and slice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ratchet.comparison.evidence import Evidence, Measured
from ratchet.comparison.results import Difference, GroupDifference, Interval, Verdict
from ratchet.statistics.bootstrap import Advance
from ratchet.statistics.estimates import ALPHA, Drawn, Estimate, Floats, _tolerable, difference, estimate, more_records
from ratchet.statistics.permutation import benjamini_hochberg, holm, permutation_p_values

HEADLINE = tuple(
    f"{metric}_{average}"
    for metric in ("f1", "precision", "recall")
    for average in ("weighted", "macro", "micro", "samples")
)
TAIL = 0.025  # on either side of a 95 % interval
Pair = tuple[Measured, Measured]
PValues = dict[str, Floats]
Tested = dict[tuple[str, str], tuple[Difference, PValues]]
MIN_POSITIVES = 10  # labels and slices with fewer are not shown


def verdict_on(value: float, low: float, high: float, p: float) -> Verdict:
    """Return the verdict. A difference needs both an adjusted p below .05 and an interval without 0."""
    if p < ALPHA and (low > 0 or high < 0):
        return "better" if value > 0 else "worse"
    return "not distinguishable"


def in_words(verdict: Verdict, other: str, found: Estimate, more: int | None) -> str:
    """Return the verdict as the end of a sentence: `better than rule`, `not distinguishable from cnn; ...`."""
    if verdict != "not distinguishable":
        return f"{verdict} than {other}"
    text = f"not distinguishable from {other}"
    if found.value == 0:
        return text
    if more is not None:
        return f"{text}; about {more:,} more test records would tell a difference of this size"
    tolerable = _tolerable(found)
    if found.training_variance + found.record_variance <= tolerable:
        return text  # only the permutation test finds no difference
    if found.training_variance > tolerable / 2:
        return f"{text}; more repeats, not more records, would tell"
    return f"{text}; a difference this small is out of reach of any test set like this one"


def common_splits(left: Measured, right: Measured) -> set[str]:
    """Return the splits that both candidates were measured on."""
    return {run.split for run in left.judged} & {run.split for run in right.judged}


def compare_pair(
    left: Measured, right: Measured, evidence: Evidence, metric: str, advance: Advance
) -> tuple[Difference, PValues]:
    """Return the difference (p not yet adjusted) and all p-values, those of labels and slices included."""
    splits = common_splits(left, right)
    runs = [[run for run in each.judged if run.split in splits] for each in (left, right)]
    swap = permutation_p_values(runs[0], runs[1], metric, evidence.num_records, evidence.resamples, advance=advance)
    found = {name: _difference(left, right, name, splits) for name in HEADLINE}
    p_values = {metric: np.maximum(swap[metric], found[metric].p_value())}
    for name, value in swap.items():
        if name != metric and name in left.drawn and name in right.drawn:
            p_values[name] = np.maximum(value, _difference(left, right, name, splits).p_value())
    return _to_difference(found[metric], right.name, float(p_values[metric]), evidence, len(splits), found), p_values


def _difference(left: Measured, right: Measured, name: str, splits: set[str]) -> Estimate:
    return difference(_on(left.drawn[name], splits), _on(right.drawn[name], splits))


def _on(drawn: Drawn, splits: set[str]) -> Drawn:
    rows = [row for row, split in enumerate(drawn.splits) if split in splits]
    if len(rows) == len(drawn.splits):
        return drawn
    return Drawn(drawn.values[rows], drawn.draws[:, rows], tuple(drawn.splits[row] for row in rows))


def _to_difference(
    found: Estimate, other: str, p: float, evidence: Evidence, splits: int, metrics: Mapping[str, Estimate]
) -> Difference:
    low, high = float(found.lower(TAIL)), float(found.upper(TAIL))
    verdict = verdict_on(float(found.value), low, high, p)
    more = more_records(found, evidence.num_records) if verdict == "not distinguishable" else None
    return Difference(
        to=other,
        value=float(found.value),
        low=low,
        high=high,
        p=p,
        p_adjusted=None,
        verdict=verdict,
        in_words=in_words(verdict, other, found, more) + _scope(splits),
        standard_error=float(found.standard_error),
        error_from_records=float(np.sqrt(found.record_variance)),
        error_from_training=float(np.sqrt(found.training_variance)),
        detectable=float(found.detectable),
        more_records=more,
        splits=splits,
        metrics={
            name: Interval(float(each.value), float(each.lower(TAIL)), float(each.upper(TAIL)))
            for name, each in metrics.items()
        },
    )


def family(
    kinds: Sequence[str], against: Mapping[str, Mapping[str, Pair]], tested: Tested
) -> dict[tuple[str, str], Difference]:
    """Return the differences of one family by (candidate, kind), with Holm-adjusted p-values."""
    keys = [(name, kind) for name, pairs in against.items() for kind in kinds if kind in pairs]
    found = [tested[name, against[name][kind][1].name][0] for name, kind in keys]
    adjusted = holm([each.p for each in found])
    return {key: _adjusted(each, p) for key, each, p in zip(keys, found, adjusted, strict=True)}


def _adjusted(found: Difference, p: float) -> Difference:
    """Return the difference with its adjusted p, which may turn its verdict into "not distinguishable"."""
    verdict = verdict_on(found.value, found.low, found.high, p)
    if verdict == found.verdict:
        return replace(found, p_adjusted=p)
    words = f"not distinguishable from {found.to}, once all comparisons are accounted for{_scope(found.splits)}"
    return replace(found, p_adjusted=p, verdict=verdict, in_words=words)


def _scope(splits: int) -> str:
    """Return a suffix for verdicts on a single split: they hold for the trained models, not for the method."""
    return " (this one split)" if splits == 1 else ""


def group_differences(left: Measured, right: Measured, evidence: Evidence, p_values: PValues) -> list[GroupDifference]:
    """Return the differences of all labels and slices with enough positives: labels first, then by adjusted p."""
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
    """Return both values, their difference, and the bounds of its interval."""
    found = difference(left.drawn[key], right.drawn[key])
    ours, theirs = (estimate(each.drawn[key]).value for each in (left, right))
    return ours, theirs, found.value, found.lower(TAIL), found.upper(TAIL)
