"""Every clause passes, fails, or has too little evidence; and says what it would take."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ratchet.comparison.evidence import COSTS, Evidence, Measured
from ratchet.config import Metric, ObjectiveConfig
from ratchet.config.objective_schema import BudgetConfig, MinimumEvidence
from ratchet.objective.criteria import Clause, State, combined, corrected_alpha, no_more_below, not_worse, own_clauses
from ratchet.runs import StoredRun
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import RunRecord
from ratchet.statistics.bootstrap import JudgedRun, redraw
from ratchet.statistics.estimates import Estimate, estimate

LABELS = ["audio", "graphs", "vision", "rare"]
RARE = 15  # records that are labelled so


def evidence_of(
    *accuracies: float,
    complexities: Sequence[int] = (0, 1, 2, 3, 4),
    records: int = 300,
    splits: int = 3,
    costs: Sequence[Mapping[str, float | None]] = (),
    behaviour: Sequence[Mapping[str, float]] = (),
) -> Evidence:
    """Candidates a, b, ...: each gives that share of the records their one label, the others a wrong one.

    Every split has test records of its own, which together are all of them; every other record is in slice `even`.
    """
    truth = np.arange(records) // splits % 3
    truth[:: records // RARE] = LABELS.index("rare")
    judged = [_judged(truth, accuracy, number, splits) for number, accuracy in enumerate(accuracies)]
    measured = []
    for number, (runs, drawn) in enumerate(zip(judged, redraw(judged, records, 200), strict=True)):
        told = {**dict.fromkeys(COSTS, 1.0), **(costs[number] if number < len(costs) else {})}
        candidate = _candidate("abcde"[number], complexities[number], splits)
        shares = dict(behaviour[number]) if number < len(behaviour) else {}
        measured.append(Measured(candidate, runs, drawn, told, shares))
    positives = {label: int((truth == index).sum()) for index, label in enumerate(LABELS)}
    positives |= {"slices/even": records // 2, "slices/tiny": 19}
    selection = Selection("toy", "test", "version", tuple(each.candidate for each in measured), ())
    return Evidence(selection, LABELS, records, measured, [], positives, 200)


def _judged(truth: Any, accuracy: float, number: int, splits: int) -> list[JudgedRun]:
    generator, unit = np.random.default_rng(number), np.eye(len(LABELS), dtype=np.uint8)
    runs = []
    for split in range(splits):
        rows = np.arange(split, len(truth), splits)
        right = generator.permutation(len(rows)) < accuracy * len(rows)
        said = np.where(right, truth[rows], (truth[rows] + 1) % len(LABELS))
        slices = {"even": np.flatnonzero(rows % 2 == 0), "tiny": np.flatnonzero(rows < 19)}
        runs.append(JudgedRun(f"s{split}", rows, unit[truth[rows]], unit[said], slices))
    return runs


def _candidate(name: str, complexity: int, splits: int) -> Candidate:
    empty = {"started_at": "2026-01-01T00:00:00+00:00", "pid": 1, "process_started": 0.0, "host": "", "argv": []}
    empty |= {"overrides": [], "data": "toy", "seed": 0, "evaluate": "test", "threads": 1, "status": "finished"}
    whose: dict[str, Any] = {"name": name, "model": name, "complexity": complexity, "config_hash": f"hash-{name}"}
    records = [
        RunRecord.from_json({**empty, **whose, "id": f"{name}-{split}", "split_seed": split, "split_hash": f"s{split}"})
        for split in range(splits)
    ]
    return Candidate(name, tuple(StoredRun(Path("nowhere"), record) for record in records))


def objective_of(**changes: Any) -> ObjectiveConfig:
    """Nothing must hold but `changes`; clauses that cannot be left out pass."""
    return replace(ObjectiveConfig(floor=0.0, evidence=MinimumEvidence(repeats=1, test_records=1)), **changes)


def clause(evidence: Evidence, objective: ObjectiveConfig, name: str, candidate: str = "a") -> Clause:
    """The one whose name begins so."""
    [found] = [each for each in own_clauses(evidence.of(candidate), evidence, objective) if each.name.startswith(name)]
    return found


@pytest.fixture(scope="module")
def good() -> Evidence:
    return evidence_of(0.8)


def test_a_candidate_passes_when_all_of_its_clauses_do() -> None:
    states: list[tuple[list[State], State]] = [
        ([], "pass"),
        (["pass", "pass"], "pass"),
        (["pass", "too little evidence"], "too little evidence"),
        (["too little evidence", "fail", "pass"], "fail"),
    ]
    for each, whole in states:
        assert combined([Clause("", state, "") for state in each]) == whole


def test_the_floor_holds_for_the_lower_bound(good: Evidence) -> None:
    found = estimate(good.of("a").drawn["f1_weighted"])
    low, value, high = float(found.lower(0.05)), float(found.value), float(found.upper(0.05))
    assert low < value - 0.01
    floors = {low - 1e-6: "pass", low + 1e-6: "too little evidence", value: "too little evidence"}
    floors |= {high - 1e-6: "too little evidence", high + 1e-6: "fail"}
    for floor, state in floors.items():
        assert clause(good, objective_of(floor=floor), "f1_weighted at least").state == state, floor
    assert clause(good, objective_of(floor=low - 1e-6), "f1_weighted").evidence == f"{value:.3f}, at least {low:.3f}"
    failed = clause(good, objective_of(floor=high + 0.01), "f1_weighted")
    assert failed.evidence == f"{value:.3f}, at most {high:.3f}"
    assert failed.needed == f"{high + 0.01 - value:.3f} more"


def test_a_smaller_alpha_asks_for_more(good: Evidence) -> None:
    floor = float(estimate(good.of("a").drawn["f1_weighted"]).lower(0.05)) - 1e-6
    assert clause(good, objective_of(floor=floor, alpha=0.05), "f1_weighted").state == "pass"
    assert clause(good, objective_of(floor=floor, alpha=0.01), "f1_weighted").state == "too little evidence"


def test_the_metric_is_the_objectives(good: Evidence) -> None:
    macro = float(estimate(good.of("a").drawn["precision_macro"]).value)
    found = clause(good, objective_of(metric=Metric.precision_macro, floor=0.1), "precision_macro at least 0.1")
    assert found.evidence.startswith(f"{macro:.3f}, ")


def test_records_or_repeats_are_asked_for_where_the_floor_is_in_doubt() -> None:
    few = evidence_of(0.8, records=60, splits=1)
    value = float(estimate(few.of("a").drawn["f1_weighted"]).value)
    doubtful = clause(few, objective_of(floor=value - 0.05), "f1_weighted")
    assert doubtful.state == "too little evidence"
    assert doubtful.needed
    assert doubtful.needed.startswith("about ")
    assert doubtful.needed.endswith(" more test records, if the estimate holds")
    below = clause(few, objective_of(floor=value + 0.01), "f1_weighted")
    assert (below.state, below.needed) == ("too little evidence", "0.010 more, or more repeats")


def of(value: float, records: float, training: float = 0.0) -> Estimate:
    """With these standard errors, and as many degrees of freedom as it takes for t to be normal."""
    return Estimate(np.array(value), np.array(records**2), np.array(training**2), np.array(1e6))


@pytest.mark.parametrize(
    ("found", "state", "needed"),
    [
        (of(-0.02, 0.005), "pass", None),
        (of(0.5, 0.2), "pass", None),
        (of(-0.1, 0.01), "fail", "0.070 more of the metric"),
        (of(-0.02, 0.02), "too little evidence", "about 24,000 more test records, if the estimate holds"),
        (of(-0.02, 0.005, training=0.02), "too little evidence", "more repeats"),
        (of(-0.04, 0.02), "too little evidence", "0.010 more, or more repeats"),
    ],
)
def test_below_the_margin_for_sure_or_not(found: Estimate, state: str, needed: str | None) -> None:
    """24,000: 1,000 x .02^2 / ((.03 - .02) / (1.645 + .84))^2 are needed, and 1,000 are there."""
    judged = no_more_below("name", found, margin=0.03, alpha=0.05, num_records=1_000)
    assert (judged.state, judged.needed) == (state, needed)
    low, high = float(found.lower(0.05)), float(found.upper(0.05))
    assert judged.evidence == f"{float(found.value):+.3f}, between {low:+.3f} and {high:+.3f}"


def test_alpha_is_shared_by_the_comparisons_that_may_err() -> None:
    assert [corrected_alpha(0.06, number) for number in (1, 2, 3, 4)] == [0.06, 0.06, 0.03, pytest.approx(0.02)]


def test_more_candidates_make_a_margin_harder_to_prove() -> None:
    two, four = evidence_of(0.8, 0.82), evidence_of(0.8, 0.82, 0.3, 0.3)
    clauses = [not_worse(each.of("a"), each.of("b"), each, objective_of(margin=0.1)) for each in (two, four)]
    assert [each.name for each in clauses] == ["no more than 0.1 below b"] * 2
    values, lows = zip(*(each.evidence.split(", between ") for each in clauses), strict=True)
    assert values[0] == values[1]
    assert float(lows[1].split()[0]) < float(lows[0].split()[0])


def test_the_least_evidence_is_counted(good: Evidence) -> None:
    enough = objective_of(evidence=MinimumEvidence(repeats=3, test_records=300))
    assert clause(good, enough, "repeats at least 3") == Clause("repeats at least 3", "pass", "3")
    assert clause(good, enough, "test records at least 300").state == "pass"
    more = objective_of(evidence=MinimumEvidence(repeats=5, test_records=1_300))
    repeats = clause(good, more, "repeats at least 5")
    assert (repeats.state, repeats.evidence) == ("too little evidence", "3")
    assert str(repeats.needed).startswith("2 more (split.seed=")
    records = clause(good, more, "test records at least 1,300")
    assert (records.state, records.evidence, records.needed) == ("too little evidence", "300", "1,000 more")


def test_budgets_hold_for_what_was_measured() -> None:
    evidence = evidence_of(0.8, costs=[{"latency_ms_p95": 50.0, "size_mb": 512.0, "fit_seconds": None}])
    objective = objective_of(budgets=BudgetConfig(latency_ms_p95=50, size_mb=500, fit_minutes=1))
    assert clause(evidence, objective, "latency") == Clause("latency p95 at most 50 ms", "pass", "50 ms")
    assert clause(evidence, objective, "size") == Clause("size at most 500 MB", "fail", "512 MB", "12 MB less")
    fit = clause(evidence, objective, "fit")
    assert (fit.state, fit.evidence) == ("too little evidence", "not measured"), "not known is not within"
    assert fit.needed


def test_a_fit_is_judged_in_minutes() -> None:
    evidence = evidence_of(0.8, costs=[{"fit_seconds": 90.0}])
    assert clause(evidence, objective_of(budgets=BudgetConfig(fit_minutes=1)), "fit") == Clause(
        "fit at most 1 min", "fail", "1.5 min", "0.5 min less"
    )


def test_a_budget_that_is_null_is_no_clause(good: Evidence) -> None:
    names = [each.name for each in own_clauses(good.of("a"), good, objective_of(budgets=BudgetConfig(size_mb=5)))]
    assert names == ["repeats at least 1", "test records at least 1", "f1_weighted at least 0", "size at most 5 MB"]
