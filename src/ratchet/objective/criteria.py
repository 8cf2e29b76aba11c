"""Judge a candidate by each criterion of the objective."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ratchet.comparison.evidence import CandidateEvidence, Evidence, ShortEvidence
from ratchet.config import ObjectiveConfig
from ratchet.errors import UserError, did_you_mean
from ratchet.runs.selection import build_measure_command, build_repeat_command
from ratchet.statistics.estimates import Estimate, estimate_more_records

MIN_POSITIVES = 20  # below this a floor of a label or a slice cannot pass
State = Literal["pass", "fail", "too little evidence"]


@dataclass(frozen=True)
class Criterion:
    """One criterion as it was judged: `evidence` is the measurement, `needed` what would make it pass, None if it does.

    All texts are for readers.
    """

    name: str
    state: State
    evidence: str
    needed: str | None = None


def combine_states(criteria: Sequence[Criterion]) -> State:
    """Return the state of criteria that must all pass."""
    states = {criterion.state for criterion in criteria}
    return "fail" if "fail" in states else "too little evidence" if "too little evidence" in states else "pass"


def check_own_criteria(candidate: CandidateEvidence, evidence: Evidence, objective: ObjectiveConfig) -> list[Criterion]:
    """Judge the criteria that do not depend on other candidates: amount of evidence, floors, budgets, behaviour.

    Raises:
        UserError: the objective has a floor for a label that the data do not have.
    """
    metric = objective.metric.name
    floor = f"{metric} at least {objective.floor:g}"
    return [
        *_check_evidence(candidate, evidence, objective),
        _check_floor(floor, candidate.estimate(metric), objective.floor, evidence, objective),
        *_check_budgets(candidate, objective),
        *_check_labels(candidate, evidence, objective),
        *_check_slices(candidate, evidence, objective),
        *_check_behaviour(candidate, objective),
    ]


def check_not_worse(
    candidate: CandidateEvidence, rival: CandidateEvidence, evidence: Evidence, objective: ObjectiveConfig
) -> Criterion:
    """Judge whether a candidate is at most the margin below a rival, at the corrected alpha."""
    metric, margin = objective.metric.name, objective.margin
    alpha = correct_alpha(objective.alpha, len(evidence.candidates))
    key = (candidate.name, rival.name, metric, margin, alpha)
    if key not in evidence.not_worse:  # a review judges the same pairs under twenty objectives
        evidence.not_worse[key] = check_margin(
            f"no more than {margin:g} below {rival.name}",
            evidence.estimate_difference(candidate, rival, metric),
            margin,
            alpha,
            evidence.num_records,
        )
    judged: Criterion = evidence.not_worse[key]
    return judged


def check_set_aside(
    candidate: CandidateEvidence, evidence: Evidence, objective: ObjectiveConfig
) -> Iterator[Criterion]:
    """Yield a criterion for each candidate that was set aside, but scores higher by more than the margin.

    On too few splits that proves nothing, so it never fails. Without it, a candidate would ship because a repeat of a
    much better one was interrupted. One that is over a budget could not ship itself, and has no part in it.
    """
    metric = objective.metric.name
    own = candidate.metrics[metric].by_split()
    value_of = dict(zip(own.splits, own.values.tolist(), strict=True))
    for short in evidence.set_aside:
        shared = [split for split in short.metrics if split in value_of and metric in short.metrics[split]]
        if not shared or combine_states(list(_check_budgets(short, objective))) == "fail":
            continue
        difference = float(np.mean([value_of[split] - short.metrics[split][metric] for split in shared]))
        if difference < -objective.margin:
            count = f"{len(shared)} split{'s' if len(shared) > 1 else ''}"
            name = f"no more than {objective.margin:g} below {short.aside.name}, which is set aside"
            measured = f"{difference:+.3f} on the {count} that both have"
            yield Criterion(name, "too little evidence", measured, f"`{short.aside.complete}`")


def correct_alpha(alpha: float, num_candidates: int) -> float:
    """Divide alpha by the number of rivals: each candidate at the margin is one more chance to ship a worse one."""
    return alpha / max(num_candidates - 1, 1)


def check_margin(name: str, difference: Estimate, margin: float, alpha: float, num_records: int) -> Criterion:
    """Judge whether a difference exceeds -margin: non-inferiority, by the one-sided bounds at `alpha`."""
    value, low, high = float(difference.value), float(difference.lower(alpha)), float(difference.upper(alpha))
    measured = f"{value:+.3f}, between {low:+.3f} and {high:+.3f}"
    if low > -margin:
        return Criterion(name, "pass", measured)
    if high < -margin:
        return Criterion(name, "fail", measured, f"{-margin - value:.3f} more of the metric")
    distance = value + margin
    more = estimate_more_records(difference, num_records, distance=distance, alpha=alpha) if value > -margin else None
    return Criterion(name, "too little evidence", measured, _describe_need(more, -margin - value))


def _check_floor(
    name: str, metric: Estimate, floor: float, evidence: Evidence, objective: ObjectiveConfig
) -> Criterion:
    """Judge whether the lower bound of a metric reaches a floor; it fails only if the upper bound does not."""
    alpha = objective.alpha
    value, low, high = float(metric.value), float(metric.lower(alpha)), float(metric.upper(alpha))
    measured = f"{value:.3f}, at least {max(low, 0.0):.3f}"
    if low >= floor:
        return Criterion(name, "pass", measured)
    if high < floor:
        return Criterion(name, "fail", f"{value:.3f}, at most {min(high, 1.0):.3f}", f"{floor - value:.3f} more")
    distance = value - floor
    records = evidence.num_records
    more = estimate_more_records(metric, records, distance=distance, alpha=alpha) if distance > 0 else None
    return Criterion(name, "too little evidence", measured, _describe_need(more, floor - value))


def _describe_need(records: int | None, missing: float) -> str:
    """Return what would decide a criterion: so many records, or a metric higher by `missing`, or more repeats."""
    if records is not None:
        return f"about {records:,} more test records, if the estimate holds"
    return f"{missing:.3f} more, or more repeats" if missing > 0 else "more repeats"


def _check_evidence(
    candidate: CandidateEvidence, evidence: Evidence, objective: ObjectiveConfig
) -> Iterator[Criterion]:
    """Judge the amount of evidence. It can be too little, but never fails."""
    if evidence.selection.part != "test":
        where = f"measured on {evidence.selection.part}, where it was chosen"
        yield Criterion("measured on test", "too little evidence", where, "runs with evaluate=test")
    for name, count, minimum, remedy in (
        ("repeats", candidate.num_splits, objective.evidence.repeats, " (split.seed=0,1,2,... makes repeats)"),
        ("test records", evidence.num_records, objective.evidence.test_records, ""),
    ):
        title = f"{name} at least {minimum:,}"
        if count >= minimum:
            yield Criterion(title, "pass", f"{count:,}")
        else:
            yield Criterion(title, "too little evidence", f"{count:,}", f"{minimum - count:,} more{remedy}")


def _check_budgets(candidate: CandidateEvidence | ShortEvidence, objective: ObjectiveConfig) -> Iterator[Criterion]:
    """Judge the costs that have a budget: milliseconds, MB, minutes."""
    seconds = candidate.costs["fit_seconds"]
    minutes = None if seconds is None else seconds / 60
    budgets = objective.budgets
    for name, key, unit, cost, budget in (
        ("latency p95", "latency_ms_p95", "ms", candidate.costs["latency_ms_p95"], budgets.latency_ms_p95),
        ("size", "size_mb", "MB", candidate.costs["size_mb"], budgets.size_mb),
        ("fit", "fit_seconds", "min", minutes, budgets.fit_minutes),
    ):
        if budget is not None:
            yield _check_budget(f"{name} at most {budget:g} {unit}", key, unit, cost, budget, candidate)


def _check_budget(
    title: str, key: str, unit: str, cost: float | None, budget: float, candidate: CandidateEvidence | ShortEvidence
) -> Criterion:
    """Judge a cost. On a busy machine it is too high: below the budget it passes, above the budget it is not known."""
    if cost is None:
        needed = f"`{_build_measuring_command(candidate, key)}`"
        return Criterion(title, "too little evidence", "not judged, because it was not measured", needed)
    measured, doubt = _format_amount(cost, unit), candidate.doubts.get(key)
    if doubt is not None and doubt.only:
        why = next(iter(doubt.why.values()))
        if cost > budget:
            unjudged = f"not judged, because the machine was busy ({why}): {measured}"
            needed = f"an idle machine: `{_build_measuring_command(candidate, key)}`"
            return Criterion(title, "too little evidence", unjudged, needed)
        measured += f", though the machine was busy ({why})"
    elif doubt is not None:
        measured += f", without {', '.join(doubt.why)} (the machine was busy)"
    if cost <= budget:
        return Criterion(title, "pass", measured)
    return Criterion(title, "fail", measured, f"{_format_amount(cost - budget, unit)} less")


def _build_measuring_command(candidate: CandidateEvidence | ShortEvidence, key: str) -> str:
    """Return the command that measures a cost of a candidate again. Only a training measures the time of a fit."""
    runs = candidate.candidate.runs
    if key == "latency_ms_p95":
        return build_measure_command(runs)
    return build_repeat_command(runs[-1], [run.record.split_seed for run in runs])


def _format_amount(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}" if value >= 0.01 else f"less than 0.01 {unit}"


def _check_labels(candidate: CandidateEvidence, evidence: Evidence, objective: ObjectiveConfig) -> Iterator[Criterion]:
    """Judge the floors of labels, on F1.

    Raises:
        UserError: there is no such label.
    """
    for label, floor in objective.labels.items():
        if label not in evidence.labels:
            raise UserError(f"objective.labels: there is no label {label!r}; {did_you_mean(label, evidence.labels)}")
        index = evidence.labels.index(label)
        metric = candidate.estimate_label(index)
        yield _check_group_floor(f"label {label}", metric, evidence.positives[label], floor, evidence, objective)


def _check_slices(candidate: CandidateEvidence, evidence: Evidence, objective: ObjectiveConfig) -> Iterator[Criterion]:
    """Judge the floors of slices, on weighted F1. A slice that some test part lacks is too little evidence."""
    for name, floor in objective.slices.items():
        key = f"slices/{name}"
        if key not in candidate.metrics:
            different = evidence.slices_left_out.get(name)
            measured = f"other records in {', '.join(different)}" if different else "no such slice in every test part"
            needed = "one definition of it, or other runs" if different else _describe_slices(candidate)
            yield Criterion(f"slice {name} at least {floor:g}", "too little evidence", measured, needed)
        else:
            metric, positives = candidate.estimate(key), evidence.positives[key]
            yield _check_group_floor(f"slice {name}", metric, positives, floor, evidence, objective)


def _describe_slices(candidate: CandidateEvidence) -> str:
    names = sorted(key.removeprefix("slices/") for key in candidate.metrics if key.startswith("slices/"))
    return f"records in it, or one of {', '.join(names)}" if names else "records in it"


def _check_group_floor(
    title: str,
    metric: Estimate,
    positives: int,
    floor: float,
    evidence: Evidence,
    objective: ObjectiveConfig,
) -> Criterion:
    """Judge the floor of a label or a slice; with too few positives it is never passed, nor failed."""
    title = f"{title} at least {floor:g}"
    if positives < MIN_POSITIVES or np.isnan(metric.value):
        missing = f"{MIN_POSITIVES - positives} more positives"
        return Criterion(title, "too little evidence", f"{positives} positives, {MIN_POSITIVES} are needed", missing)
    return _check_floor(title, metric, floor, evidence, objective)


def _check_behaviour(candidate: CandidateEvidence, objective: ObjectiveConfig) -> Iterator[Criterion]:
    """Judge the shares of behavioural cases that pass: overall (`score`) and by kind."""
    for name, floor in vars(objective.behaviour).items():
        if floor is None:
            continue
        title = f"behaviour {'overall' if name == 'score' else name} at least {floor:g}"
        share = candidate.behaviour.get(name)
        if share is None:
            yield Criterion(title, "too little evidence", "no such cases", "behavioural tests of this data set")
        elif share >= floor:
            yield Criterion(title, "pass", f"{share:.3f} of cases pass")
        else:
            yield Criterion(title, "fail", f"{share:.3f} of cases pass", f"{floor - share:.3f} more")
