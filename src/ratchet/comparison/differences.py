"""Compare one candidate with another: differences, intervals, p-values, verdicts; overall, per label and slice."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from ratchet.comparison.evidence import CandidateEvidence, Evidence
from ratchet.comparison.results import Difference, GroupDifference, Interval, Verdict
from ratchet.statistics.bootstrap import Advance, map_in_threads
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
from ratchet.statistics.permutation import RunPair, benjamini_hochberg, holm, permute_pairs

HEADLINE_METRICS = tuple(
    f"{metric}_{average}"
    for metric in ("f1", "precision", "recall")
    for average in ("weighted", "macro", "micro", "samples")
)
TAIL = 0.025  # on either side of a 95 % interval
MIN_POSITIVES = 10  # labels and slices with fewer are not shown
MAX_CELLS = 8_000_000  # resampled metrics of labels in memory at once: 64 MB
Pair = tuple[CandidateEvidence, CandidateEvidence]
PValues = dict[str, Floats]
GroupRow = tuple[Literal["label", "slice"], str, int, list[float]]  # kind, name, positives; values, bounds, p
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


def compare_pairs(
    pairs: Sequence[Pair], evidence: Evidence, metric: str, advance: Advance, with_groups: Collection[Pair] = ()
) -> Tested:
    """Return the difference of each pair of candidates (p not yet adjusted), and the p-values of the permutation test.

    The p of a difference is the larger of the permutation test's, which assumes no distribution but does not see the
    training, and that of the t distribution, which covers both. The pairs `with_groups` have p-values of all labels
    and slices, too.
    """
    tested_pairs = []
    for left, right in pairs:
        splits = find_common_splits(left, right)
        runs = [[run for run in candidate.run_decisions if run.split in splits] for candidate in (left, right)]
        tested_pairs.append(RunPair(runs[0], runs[1], any(left is a and right is b for a, b in with_groups)))
    permuted = permute_pairs(tested_pairs, metric, evidence.num_records, evidence.resamples, advance=advance)
    tested = {}
    for (left, right), p_values in zip(pairs, permuted, strict=True):
        splits = find_common_splits(left, right)
        differences = {name: _estimate_difference(left, right, name, splits) for name in HEADLINE_METRICS}
        p = float(np.maximum(p_values[metric], differences[metric].p_value()))
        difference = _build_difference(differences[metric], right.name, p, evidence, len(splits), differences)
        tested[left.name, right.name] = difference, p_values
    return tested


def compare_pair(
    left: CandidateEvidence, right: CandidateEvidence, evidence: Evidence, metric: str, advance: Advance
) -> tuple[Difference, PValues]:
    """Return what `compare_pairs` does for one pair, with the p-values of its labels and slices."""
    pair = (left, right)
    return compare_pairs([pair], evidence, metric, advance, [pair])[left.name, right.name]


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
    candidates: Sequence[CandidateEvidence], baseline: CandidateEvidence, evidence: Evidence, tested: Tested
) -> dict[str, list[GroupDifference]]:
    """Return the differences of all labels and slices with enough positives by candidate: labels first, then by p.

    The p-values are adjusted after Benjamini and Hochberg over all groups of a candidate that are shown.
    """
    rows: dict[str, list[GroupRow]] = {candidate.name: [] for candidate in candidates}

    def measure(candidate: CandidateEvidence, theirs: ResampledMetric, key: str, block: list[int]) -> list[GroupRow]:
        permuted = tested[candidate.name, baseline.name][1]
        if key == "labels":
            ours, p = candidate.metrics.measure_labels(block), permuted[key][block]
            columns = _estimate_groups(ours, theirs, p)
            names = [evidence.labels[index] for index in block]
            return [
                ("label", name, evidence.positives[name], [float(column[at]) for column in columns])
                for at, name in enumerate(names)
            ]
        if key not in permuted or key not in candidate.metrics:
            return []
        values = [float(value) for value in _estimate_groups(candidate.metrics[key], theirs, permuted[key])]
        return [("slice", key.removeprefix("slices/"), evidence.positives[key], values)]

    # each group of the baseline is resampled once, for all candidates
    labels = [index for index, label in enumerate(evidence.labels) if evidence.positives[label] >= MIN_POSITIVES]
    slices = [key for key in baseline.metrics if key.startswith("slices/")]
    groups: list[tuple[str, list[int]]] = [("labels", block) for block in _divide_labels(labels, evidence)]
    groups += [(key, []) for key in slices if evidence.positives[key] >= MIN_POSITIVES]
    for key, block in groups:
        theirs = baseline.metrics.measure_labels(block) if key == "labels" else baseline.metrics[key]
        measured = map_in_threads(partial(measure, theirs=theirs, key=key, block=block), candidates)
        for candidate, of_candidate in zip(candidates, measured, strict=True):
            rows[candidate.name] += of_candidate
    return {name: _adjust_groups(of_candidate) for name, of_candidate in rows.items()}


def _adjust_groups(rows: Sequence[GroupRow]) -> list[GroupDifference]:
    """Return the groups whose metrics are defined, with adjusted p-values and verdicts."""
    shown = [row for row in rows if not np.isnan(row[3]).any()]
    adjusted = benjamini_hochberg([values[-1] for *_, values in shown])
    groups = []
    for (kind, name, positives, (ours, theirs, value, low, high, _)), p in zip(shown, adjusted, strict=True):
        verdict = decide_verdict(value, low, high, p)
        groups.append(GroupDifference(kind, name, positives, ours, theirs, Interval(value, low, high), p, verdict))
    return sorted(groups, key=lambda group: (group.kind, group.p_adjusted, -abs(group.difference.value)))


def _divide_labels(indices: Sequence[int], evidence: Evidence) -> list[list[int]]:
    """Divide labels into blocks whose resampled metrics take about 64 MB."""
    runs = max(len(candidate.run_decisions) for candidate in evidence.candidates)
    width = max(2, MAX_CELLS // (evidence.resamples * runs))
    blocks = -(-len(indices) // width)
    return [[int(index) for index in block] for block in np.array_split(indices, blocks)] if blocks else []


def _estimate_groups(left: ResampledMetric, right: ResampledMetric, permuted: Floats) -> tuple[Floats, ...]:
    """Return both values, their difference, the bounds of its 95 % interval, and its p (see `compare_pairs`)."""
    difference = estimate_difference(left, right)
    ours, theirs = (estimate(metric).value for metric in (left, right))
    p = np.maximum(permuted, difference.p_value())
    return ours, theirs, difference.value, difference.lower(TAIL), difference.upper(TAIL), p
