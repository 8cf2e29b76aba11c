"""Tests for criteria: each passes, fails or has too little evidence, and names what it needs."""

import dataclasses

import numpy as np
import pytest
from tests.objective.builders import build_evidence, build_objective, find_clause

from ratchet.comparison.evidence import Doubt, Evidence
from ratchet.config import Metric
from ratchet.config.objective_schema import BudgetConfig, MinimumEvidence
from ratchet.objective.criteria import (
    Criterion,
    State,
    check_margin,
    check_not_worse,
    check_own_criteria,
    combine_states,
    correct_alpha,
)
from ratchet.statistics.estimates import Estimate, estimate


@pytest.fixture(scope="module")
def good() -> Evidence:
    return build_evidence(0.8)


def test_candidate_passes_if_all_criteria_pass() -> None:
    states: list[tuple[list[State], State]] = [
        ([], "pass"),
        (["pass", "pass"], "pass"),
        (["pass", "too little evidence"], "too little evidence"),
        (["too little evidence", "fail", "pass"], "fail"),
    ]
    for combination, expected in states:
        assert combine_states([Criterion("", state, "") for state in combination]) == expected


def test_floor_applies_to_lower_bound(good: Evidence) -> None:
    metric = estimate(good.of("a").metrics["f1_weighted"])
    low, value, high = float(metric.lower(0.05)), float(metric.value), float(metric.upper(0.05))
    assert low < value - 0.01
    floors = {low - 1e-6: "pass", low + 1e-6: "too little evidence", value: "too little evidence"}
    floors |= {high - 1e-6: "too little evidence", high + 1e-6: "fail"}
    for floor, state in floors.items():
        assert find_clause(good, build_objective(floor=floor), "f1_weighted at least").state == state, floor
    assert (
        find_clause(good, build_objective(floor=low - 1e-6), "f1_weighted").evidence
        == f"{value:.3f}, at least {low:.3f}"
    )
    failed = find_clause(good, build_objective(floor=high + 0.01), "f1_weighted")
    assert failed.evidence == f"{value:.3f}, at most {high:.3f}"
    assert failed.needed == f"{high + 0.01 - value:.3f} more"


def test_smaller_alpha_is_stricter(good: Evidence) -> None:
    floor = float(estimate(good.of("a").metrics["f1_weighted"]).lower(0.05)) - 1e-6
    assert find_clause(good, build_objective(floor=floor, alpha=0.05), "f1_weighted").state == "pass"
    assert find_clause(good, build_objective(floor=floor, alpha=0.01), "f1_weighted").state == "too little evidence"


def test_floor_uses_metric_of_objective(good: Evidence) -> None:
    macro = float(estimate(good.of("a").metrics["precision_macro"]).value)
    criterion = find_clause(
        good, build_objective(metric=Metric.precision_macro, floor=0.1), "precision_macro at least 0.1"
    )
    assert criterion.evidence.startswith(f"{macro:.3f}, ")


def test_undecided_floor_asks_for_records_or_repeats() -> None:
    evidence = build_evidence(0.8, records=60, splits=1)
    value = float(estimate(evidence.of("a").metrics["f1_weighted"]).value)
    undecided = find_clause(evidence, build_objective(floor=value - 0.05), "f1_weighted")
    assert undecided.state == "too little evidence"
    assert undecided.needed
    assert undecided.needed.startswith("about ")
    assert undecided.needed.endswith(" more test records, if the estimate holds")
    below = find_clause(evidence, build_objective(floor=value + 0.01), "f1_weighted")
    assert (below.state, below.needed) == ("too little evidence", "0.010 more, or more repeats")


def make_estimate(value: float, record_error: float, training_error: float = 0.0) -> Estimate:
    """Return an estimate with these standard errors and enough degrees of freedom for t to be normal."""
    return Estimate(np.array(value), np.array(record_error**2), np.array(training_error**2), np.array(1e6))


@pytest.mark.parametrize(
    ("difference", "state", "needed"),
    [
        (make_estimate(-0.02, 0.005), "pass", None),
        (make_estimate(0.5, 0.2), "pass", None),
        (make_estimate(-0.1, 0.01), "fail", "0.070 more of the metric"),
        (make_estimate(-0.02, 0.02), "too little evidence", "about 24,000 more test records, if the estimate holds"),
        (make_estimate(-0.02, 0.005, training_error=0.02), "too little evidence", "more repeats"),
        (make_estimate(-0.04, 0.02), "too little evidence", "0.010 more, or more repeats"),
    ],
)
def test_margin_decides_state_and_need(difference: Estimate, state: str, needed: str | None) -> None:
    """The 24,000: 1,000 x .02^2 / ((.03 - .02) / (1.645 + .84))^2 records are needed, and there are 1,000."""
    criterion = check_margin("name", difference, margin=0.03, alpha=0.05, num_records=1_000)
    assert (criterion.state, criterion.needed) == (state, needed)
    low, high = float(difference.lower(0.05)), float(difference.upper(0.05))
    assert criterion.evidence == f"{float(difference.value):+.3f}, between {low:+.3f} and {high:+.3f}"


def test_alpha_is_divided_by_number_of_rivals() -> None:
    assert [correct_alpha(0.06, number) for number in (1, 2, 3, 4)] == [0.06, 0.06, 0.03, pytest.approx(0.02)]


def test_more_candidates_make_margin_stricter() -> None:
    two, four = build_evidence(0.8, 0.82), build_evidence(0.8, 0.82, 0.3, 0.3)
    criteria = [
        check_not_worse(evidence.of("a"), evidence.of("b"), evidence, build_objective(margin=0.1))
        for evidence in (two, four)
    ]
    assert [criterion.name for criterion in criteria] == ["no more than 0.1 below b"] * 2
    values, lows = zip(*(criterion.evidence.split(", between ") for criterion in criteria), strict=True)
    assert values[0] == values[1]
    assert float(lows[1].split()[0]) < float(lows[0].split()[0])


def test_minimum_evidence_is_required(good: Evidence) -> None:
    enough = build_objective(evidence=MinimumEvidence(repeats=3, test_records=300))
    assert find_clause(good, enough, "repeats at least 3") == Criterion("repeats at least 3", "pass", "3")
    assert find_clause(good, enough, "test records at least 300").state == "pass"
    more = build_objective(evidence=MinimumEvidence(repeats=5, test_records=1_300))
    repeats = find_clause(good, more, "repeats at least 5")
    assert (repeats.state, repeats.evidence) == ("too little evidence", "3")
    assert str(repeats.needed).startswith("2 more (split.seed=")
    records = find_clause(good, more, "test records at least 1,300")
    assert (records.state, records.evidence, records.needed) == ("too little evidence", "300", "1,000 more")


def test_budgets_apply_to_measured_costs() -> None:
    evidence = build_evidence(0.8, costs=[{"latency_ms_p95": 50.0, "size_mb": 512.0, "fit_seconds": None}])
    objective = build_objective(budgets=BudgetConfig(latency_ms_p95=50, size_mb=500, fit_minutes=1))
    assert find_clause(evidence, objective, "latency") == Criterion("latency p95 at most 50 ms", "pass", "50 ms")
    assert find_clause(evidence, objective, "size") == Criterion("size at most 500 MB", "fail", "512 MB", "12 MB less")
    fit = find_clause(evidence, objective, "fit")
    assert (fit.state, fit.evidence) == ("too little evidence", "not judged, because it was not measured"), (
        "an unmeasured cost is not within its budget"
    )
    assert fit.needed == "`ratchet train -m split.seed=0,1,2`"


BUSY = "82% of the time waiting for a processor, load 11 on 2 cores"
LATENCY = build_objective(budgets=BudgetConfig(latency_ms_p95=50))


def judge_latency(milliseconds: float, doubt: Doubt) -> Criterion:
    evidence = build_evidence(0.8, costs=[{"latency_ms_p95": milliseconds}], doubts=[{"latency_ms_p95": doubt}])
    return find_clause(evidence, LATENCY, "latency")


def test_budget_is_not_judged_above_it_on_a_busy_machine() -> None:
    criterion = judge_latency(281.0, Doubt(dict.fromkeys(("a-0", "a-1", "a-2"), BUSY), only=True))
    assert criterion.state == "too little evidence"
    assert criterion.evidence == f"not judged, because the machine was busy ({BUSY}): 281 ms"
    assert str(criterion.needed).startswith("an idle machine: `ratchet runs measure a-0 a-1 a-2")


def test_budget_is_met_below_it_even_on_a_busy_machine() -> None:
    """Other programs only add time."""
    criterion = judge_latency(49.0, Doubt(dict.fromkeys(("a-0", "a-1", "a-2"), BUSY), only=True))
    assert criterion == Criterion("latency p95 at most 50 ms", "pass", f"49 ms, though the machine was busy ({BUSY})")


@pytest.mark.parametrize(("milliseconds", "state"), [(49.0, "pass"), (51.0, "fail")])
def test_undisturbed_repeats_decide_and_others_are_named(milliseconds: float, state: State) -> None:
    criterion = judge_latency(milliseconds, Doubt({"a-1": BUSY}, only=False))
    assert (criterion.state, criterion.evidence) == (
        state, f"{milliseconds:.0f} ms, without a-1 (the machine was busy)"
    )  # fmt: skip


def test_disturbed_fit_is_trained_again() -> None:
    doubt = Doubt(dict.fromkeys(("a-0", "a-1", "a-2"), BUSY), only=True)
    evidence = build_evidence(0.8, costs=[{"fit_seconds": 90.0}], doubts=[{"fit_seconds": doubt}])
    criterion = find_clause(evidence, build_objective(budgets=BudgetConfig(fit_minutes=1)), "fit")
    assert criterion.state == "too little evidence"
    assert criterion.needed == "an idle machine: `ratchet train -m split.seed=0,1,2`"


def test_slice_without_one_definition_names_who_differs(good: Evidence) -> None:
    evidence = dataclasses.replace(good, slices_left_out={"terse": ["b", "c"]})
    criterion = find_clause(evidence, build_objective(slices={"terse": 0.5}), "slice terse")
    assert (criterion.state, criterion.evidence) == ("too little evidence", "other records in b, c")


def test_fit_budget_is_in_minutes() -> None:
    evidence = build_evidence(0.8, costs=[{"fit_seconds": 90.0}])
    assert find_clause(evidence, build_objective(budgets=BudgetConfig(fit_minutes=1)), "fit") == Criterion(
        "fit at most 1 min", "fail", "1.5 min", "0.5 min less"
    )


def test_null_budget_adds_no_criterion(good: Evidence) -> None:
    names = [
        criterion.name
        for criterion in check_own_criteria(good.of("a"), good, build_objective(budgets=BudgetConfig(size_mb=5)))
    ]
    assert names == ["repeats at least 1", "test records at least 1", "f1_weighted at least 0", "size at most 5 MB"]
