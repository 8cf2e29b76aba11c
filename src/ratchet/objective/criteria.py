"""Judge a candidate by each criterion of the objective."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ratchet.comparison.evidence import CandidateEvidence, Evidence
from ratchet.config import ObjectiveConfig
from ratchet.errors import UserError, did_you_mean
from ratchet.statistics.estimates import Estimate, ResampledMetric, estimate, estimate_difference, estimate_more_records

MIN_POSITIVES = 20  # below this a floor of a label or a slice cannot pass
State = Literal["pass", "fail", "too little evidence"]


@dataclass(frozen=True)
class Clause:
    """One condition: `evidence` is what was found, `needed` what would make it pass (None where it does)."""

    name: str
    state: State
    evidence: str
    needed: str | None = None


def combined(clauses: Sequence[Clause]) -> State:
    """Of several conditions that must all hold."""
    states = {clause.state for clause in clauses}
    return "fail" if "fail" in states else "too little evidence" if "too little evidence" in states else "pass"


def own_clauses(each: CandidateEvidence, evidence: Evidence, objective: ObjectiveConfig) -> list[Clause]:
    """All that a candidate must reach by itself.

    Raises:
        UserError: the objective has a floor for a label that the data do not have.
    """
    metric = objective.metric.name
    floor = f"{metric} at least {objective.floor:g}"
    return [
        *_evidence(each, evidence, objective),
        _bound(floor, estimate(each.metrics[metric]), objective.floor, evidence, objective),
        *_budgets(each, objective),
        *_labels(each, evidence, objective),
        *_slices(each, evidence, objective),
        *_behaviour(each, objective),
    ]


def not_worse(
    each: CandidateEvidence, rival: CandidateEvidence, evidence: Evidence, objective: ObjectiveConfig
) -> Clause:
    """No more than the margin below the rival, at alpha divided by the number of comparisons that may err."""
    metric = objective.metric.name
    return no_more_below(
        f"no more than {objective.margin:g} below {rival.name}",
        estimate_difference(each.metrics[metric], rival.metrics[metric]),
        objective.margin,
        corrected_alpha(objective.alpha, len(evidence.candidates)),
        evidence.num_records,
    )


def corrected_alpha(alpha: float, num_candidates: int) -> float:
    """Several candidates at the margin are several chances to ship one that is below it."""
    return alpha / max(num_candidates - 1, 1)


def no_more_below(name: str, found: Estimate, margin: float, alpha: float, num_records: int) -> Clause:
    """Test whether a difference exceeds -margin."""
    value, low, high = float(found.value), float(found.lower(alpha)), float(found.upper(alpha))
    said = f"{value:+.3f}, between {low:+.3f} and {high:+.3f}"
    if low > -margin:
        return Clause(name, "pass", said)
    if high < -margin:
        return Clause(name, "fail", said, f"{-margin - value:.3f} more of the metric")
    more = estimate_more_records(found, num_records, distance=value + margin, alpha=alpha) if value > -margin else None
    return Clause(name, "too little evidence", said, _more(more, -margin - value))


def _bound(name: str, found: Estimate, floor: float, evidence: Evidence, objective: ObjectiveConfig) -> Clause:
    """Test whether a metric reaches a floor."""
    alpha = objective.alpha
    value, low, high = float(found.value), float(found.lower(alpha)), float(found.upper(alpha))
    said = f"{value:.3f}, at least {max(low, 0.0):.3f}"
    if low >= floor:
        return Clause(name, "pass", said)
    if high < floor:
        return Clause(name, "fail", f"{value:.3f}, at most {min(high, 1.0):.3f}", f"{floor - value:.3f} more")
    distance = value - floor
    more = estimate_more_records(found, evidence.num_records, distance=distance, alpha=alpha) if distance > 0 else None
    return Clause(name, "too little evidence", said, _more(more, floor - value))


def _more(records: int | None, short: float) -> str:
    if records is not None:
        return f"about {records:,} more test records, if the estimate holds"
    return f"{short:.3f} more, or more repeats" if short > 0 else "more repeats"


def _evidence(each: CandidateEvidence, evidence: Evidence, objective: ObjectiveConfig) -> Iterator[Clause]:
    if evidence.selection.part != "test":
        where = f"measured on {evidence.selection.part}, where it was chosen"
        yield Clause("measured on test", "too little evidence", where, "runs with evaluate=test")
    for name, found, least, how in (
        ("repeats", each.num_splits, objective.evidence.repeats, " (split.seed=0,1,2,... makes repeats)"),
        ("test records", evidence.num_records, objective.evidence.test_records, ""),
    ):
        title = f"{name} at least {least:,}"
        if found >= least:
            yield Clause(title, "pass", f"{found:,}")
        else:
            yield Clause(title, "too little evidence", f"{found:,}", f"{least - found:,} more{how}")


def _budgets(each: CandidateEvidence, objective: ObjectiveConfig) -> Iterator[Clause]:
    seconds = each.costs["fit_seconds"]
    minutes = None if seconds is None else seconds / 60
    for name, unit, found, most in (
        ("latency p95", "ms", each.costs["latency_ms_p95"], objective.budgets.latency_ms_p95),
        ("size", "MB", each.costs["size_mb"], objective.budgets.size_mb),
        ("fit", "min", minutes, objective.budgets.fit_minutes),
    ):
        if most is None:
            continue
        title = f"{name} at most {most:g} {unit}"
        if found is None:
            yield Clause(title, "too little evidence", "not measured", "a run that measures it")
        elif found <= most:
            yield Clause(title, "pass", _amount(found, unit))
        else:
            yield Clause(title, "fail", _amount(found, unit), f"{_amount(found - most, unit)} less")


def _amount(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}" if value >= 0.01 else f"less than 0.01 {unit}"


def _labels(each: CandidateEvidence, evidence: Evidence, objective: ObjectiveConfig) -> Iterator[Clause]:
    drawn = each.metrics["labels"]
    for label, floor in objective.labels.items():
        if label not in evidence.labels:
            raise UserError(f"objective.labels: there is no label {label!r}; {did_you_mean(label, evidence.labels)}")
        index = evidence.labels.index(label)
        one = ResampledMetric(drawn.values[:, index], drawn.resampled[:, :, index], drawn.splits)
        yield _floor_of_group(f"label {label}", one, evidence.positives[label], floor, evidence, objective)


def _slices(each: CandidateEvidence, evidence: Evidence, objective: ObjectiveConfig) -> Iterator[Clause]:
    for name, floor in objective.slices.items():
        key = f"slices/{name}"
        if key not in each.metrics:
            said = "no such slice in every test part"
            yield Clause(f"slice {name} at least {floor:g}", "too little evidence", said, _known_slices(each))
        else:
            yield _floor_of_group(
                f"slice {name}", each.metrics[key], evidence.positives[key], floor, evidence, objective
            )


def _known_slices(each: CandidateEvidence) -> str:
    known = sorted(found.removeprefix("slices/") for found in each.metrics if found.startswith("slices/"))
    return f"records in it, or one of {', '.join(known)}" if known else "records in it"


def _floor_of_group(
    title: str, drawn: ResampledMetric, positives: int, floor: float, evidence: Evidence, objective: ObjectiveConfig
) -> Clause:
    title = f"{title} at least {floor:g}"
    if positives < MIN_POSITIVES or np.isnan(drawn.values).all():
        missing = f"{MIN_POSITIVES - positives} more positives"
        return Clause(title, "too little evidence", f"{positives} positives, {MIN_POSITIVES} are needed", missing)
    return _bound(title, estimate(drawn), floor, evidence, objective)


def _behaviour(each: CandidateEvidence, objective: ObjectiveConfig) -> Iterator[Clause]:
    for name, floor in vars(objective.behaviour).items():
        if floor is None:
            continue
        title = f"behaviour {'overall' if name == 'score' else name} at least {floor:g}"
        found = each.behaviour.get(name)
        if found is None:
            yield Clause(title, "too little evidence", "no such cases", "behavioural tests of this data set")
        elif found >= floor:
            yield Clause(title, "pass", f"{found:.3f} of cases pass")
        else:
            yield Clause(title, "fail", f"{found:.3f} of cases pass", f"{floor - found:.3f} more")
