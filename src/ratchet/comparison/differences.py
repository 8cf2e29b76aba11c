"""Compare one candidate with another: differences, intervals, p-values, verdicts; overall, per label and slice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ratchet.comparison.evidence import CandidateEvidence, Evidence
from ratchet.comparison.results import Difference, GroupDifference, Interval, Verdict
from ratchet.statistics.bootstrap import Advance
from ratchet.statistics.estimates import (
    ALPHA,
    Estimate,
    Floats,
    ResampledMetric,
    estimate,
    estimate_difference,
    estimate_more_records,
    tolerable_variance,
)
from ratchet.statistics.permutation import benjamini_hochberg, holm, permutation_p_values

HEADLINE_METRICS = tuple(
    f"{metric}_{average}"
    for metric in ("f1", "precision", "recall")
    for average in ("weighted", "macro", "micro", "samples")
)
TAIL = 0.025  # on either side of a 95 % interval
MIN_POSITIVES = 10  # labels and slices with fewer are not shown
Pair = tuple[CandidateEvidence, CandidateEvidence]
PValues = dict[str, Floats]
Tested = dict[tuple[str, str], tuple[Difference, PValues]]  # by the names of a pair; p-values before adjustment


def decide_verdict(value: float, low: float, high: float, p: float) -> Verdict:
    """Return the verdict. A difference needs both an adjusted p below .05 and an interval without 0."""
    if p < ALPHA and (low > 0 or high < 0):
        return "better" if value > 0 else "worse"
    return "not distinguishable"


def describe_verdict(verdict: Verdict, other: str, difference: Estimate, more: int | None) -> str:
    """Return the verdict as the end of a sentence: `better than rule`, `not distinguishable from cnn; ...`."""
    if verdict != "not distinguishable":
        return f"{verdict} than {other}"
    text = f"not distinguishable from {other}"
    if difference.value == 0:
        return text
    if more is not None:
        return f"{text}; about {more:,} more test records would detect a difference of this size"
    tolerable = tolerable_variance(difference)
    if difference.training_variance + difference.record_variance <= tolerable:
        return text  # only the permutation test finds no difference
    if difference.training_variance > tolerable / 2:
        return f"{text}; detecting the difference takes more repeats, not more records"
    return f"{text}; no test set of a realistic size would detect a difference this small"


def find_common_splits(left: CandidateEvidence, right: CandidateEvidence) -> set[str]:
    """Return the splits that both candidates were measured on."""
    return {run.split for run in left.run_decisions} & {run.split for run in right.run_decisions}


def compare_pair(
    left: CandidateEvidence, right: CandidateEvidence, evidence: Evidence, metric: str, advance: Advance
) -> tuple[Difference, PValues]:
    """Return the difference between two candidates (p not yet adjusted), and the p-values of all metrics and groups.

    Each p is the larger of the permutation test's, which assumes no distribution but does not see the training, and
    that of the t distribution, which covers both.
    """
    splits = find_common_splits(left, right)
    runs = [[run for run in candidate.run_decisions if run.split in splits] for candidate in (left, right)]
    permuted = permutation_p_values(runs[0], runs[1], metric, evidence.num_records, evidence.resamples, advance=advance)
    differences = {name: _estimate_difference(left, right, name, splits) for name in HEADLINE_METRICS}
    p_values = {metric: np.maximum(permuted[metric], differences[metric].p_value())}
    for name, value in permuted.items():
        if name != metric and name in left.metrics and name in right.metrics:
            p_values[name] = np.maximum(value, _estimate_difference(left, right, name, splits).p_value())
    p = float(p_values[metric])
    return _build_difference(differences[metric], right.name, p, evidence, len(splits), differences), p_values


def _estimate_difference(left: CandidateEvidence, right: CandidateEvidence, name: str, splits: set[str]) -> Estimate:
    return estimate_difference(_select_splits(left.metrics[name], splits), _select_splits(right.metrics[name], splits))


def _select_splits(metric: ResampledMetric, splits: set[str]) -> ResampledMetric:
    rows = [row for row, split in enumerate(metric.splits) if split in splits]
    if len(rows) == len(metric.splits):
        return metric
    return ResampledMetric(metric.values[rows], metric.resampled[:, rows], tuple(metric.splits[row] for row in rows))


def _build_difference(
    difference: Estimate, other: str, p: float, evidence: Evidence, splits: int, metrics: Mapping[str, Estimate]
) -> Difference:
    low, high = float(difference.lower(TAIL)), float(difference.upper(TAIL))
    verdict = decide_verdict(float(difference.value), low, high, p)
    more = estimate_more_records(difference, evidence.num_records) if verdict == "not distinguishable" else None
    return Difference(
        to=other,
        value=float(difference.value),
        low=low,
        high=high,
        p=p,
        p_adjusted=None,
        verdict=verdict,
        in_words=describe_verdict(verdict, other, difference, more) + _describe_scope(splits),
        standard_error=float(difference.standard_error),
        error_from_records=float(np.sqrt(difference.record_variance)),
        error_from_training=float(np.sqrt(difference.training_variance)),
        detectable=float(difference.minimum_detectable_effect),
        more_records=more,
        splits=splits,
        metrics={
            name: Interval(float(metric.value), float(metric.lower(TAIL)), float(metric.upper(TAIL)))
            for name, metric in metrics.items()
        },
    )


def adjust_p_values(
    kinds: Sequence[str], pairs_of: Mapping[str, Mapping[str, Pair]], tested: Tested
) -> dict[tuple[str, str], Difference]:
    """Return the differences of one multiple-testing family by (candidate, kind), with Holm-adjusted p-values.

    The family is all pairs of these `kinds`; `pairs_of` gives the pairs of each candidate by kind.
    """
    keys = [(name, kind) for name, pairs in pairs_of.items() for kind in kinds if kind in pairs]
    differences = [tested[name, pairs_of[name][kind][1].name][0] for name, kind in keys]
    adjusted = holm([difference.p for difference in differences])
    return {
        key: _with_adjusted_p(difference, p) for key, difference, p in zip(keys, differences, adjusted, strict=True)
    }


def _with_adjusted_p(difference: Difference, p: float) -> Difference:
    """Return the difference with its adjusted p, which may turn its verdict into "not distinguishable"."""
    verdict = decide_verdict(difference.value, difference.low, difference.high, p)
    if verdict == difference.verdict:
        return replace(difference, p_adjusted=p)
    scope = _describe_scope(difference.splits)
    words = f"not distinguishable from {difference.to}, once p is adjusted for all comparisons{scope}"
    return replace(difference, p_adjusted=p, verdict=verdict, in_words=words)


def _describe_scope(splits: int) -> str:
    """Return a suffix for verdicts on a single split: they hold for the trained models, not for the method."""
    return " (this one split)" if splits == 1 else ""


def compare_groups(
    left: CandidateEvidence, right: CandidateEvidence, evidence: Evidence, p_values: PValues
) -> list[GroupDifference]:
    """Return the differences of all labels and slices with enough positives: labels first, then by adjusted p.

    The p-values are adjusted after Benjamini and Hochberg over all groups that are shown.
    """
    rows: list[tuple[Literal["label", "slice"], str, int, list[float]]] = []
    labels = (*_estimate_groups(left, right, "labels"), p_values["labels"])
    for index, label in enumerate(evidence.labels):
        rows.append(("label", label, evidence.positives[label], [float(column[index]) for column in labels]))
    for key in p_values:
        if key.startswith("slices/"):
            values = [float(value) for value in (*_estimate_groups(left, right, key), p_values[key])]
            rows.append(("slice", key.removeprefix("slices/"), evidence.positives[key], values))
    shown = [row for row in rows if row[2] >= MIN_POSITIVES and not np.isnan(row[3]).any()]
    adjusted = benjamini_hochberg([values[-1] for *_, values in shown])
    groups = []
    for (kind, name, positives, (ours, theirs, value, low, high, _)), p in zip(shown, adjusted, strict=True):
        verdict = decide_verdict(value, low, high, p)
        groups.append(GroupDifference(kind, name, positives, ours, theirs, Interval(value, low, high), p, verdict))
    return sorted(groups, key=lambda group: (group.kind, group.p_adjusted, -abs(group.difference.value)))


def _estimate_groups(left: CandidateEvidence, right: CandidateEvidence, key: str) -> tuple[Floats, ...]:
    """Return both values, their difference, and the bounds of its 95 % interval."""
    difference = estimate_difference(left.metrics[key], right.metrics[key])
    ours, theirs = (estimate(candidate.metrics[key]).value for candidate in (left, right))
    return ours, theirs, difference.value, difference.lower(TAIL), difference.upper(TAIL)
