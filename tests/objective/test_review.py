"""Tests for `review`, which judges the same evidence under other objectives with one change each."""

from typing import Any

import pytest
from tests.objective.builders import build_evidence, build_objective

from ratchet.config import BehaviourFloors, ObjectiveConfig, compose_objective, plain
from ratchet.config.objective_schema import BudgetConfig, MinimumEvidence
from ratchet.objective import review as module
from ratchet.objective.gate import Decision, decide
from ratchet.objective.review import Alternative, review

FULL = build_objective(
    floor=0.6,
    margin=0.03,
    budgets=BudgetConfig(latency_ms_p95=50, size_mb=500),
    labels={"audio": 0.3, "vision": 0.4},
    slices={"even": 0.3},
    behaviour=BehaviourFloors(minimum=0.5),
)
BEHAVIOUR = [{"score": 0.9, "minimum": 0.9, "invariance": 0.9}] * 2


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(node, dict):
        return {key: value for name, child in node.items() for key, value in flatten(child, f"{prefix}{name}.").items()}
    return {prefix: node}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[ObjectiveConfig]:
    """Return a list that collects the judged objectives in order."""
    objectives: list[ObjectiveConfig] = []

    def record_and_decide(evidence: Any, objective: ObjectiveConfig) -> Decision:
        objectives.append(objective)
        return decide(evidence, objective)

    monkeypatch.setattr(module, "decide", record_and_decide)
    return objectives


def test_alternatives_change_one_setting_each(judged: list[ObjectiveConfig]) -> None:
    alternatives = review(build_evidence(0.8, 0.85, behaviour=BEHAVIOUR), FULL, {}).alternatives
    first, *changed = judged
    assert first == FULL
    assert len(changed) == len(alternatives)
    before = flatten(plain(FULL))
    for objective, alternative in zip(changed, alternatives, strict=True):
        after = flatten(plain(objective))
        [key] = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        assert alternative.part.split()[0] in key, "the alternative names the changed key"


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("metric", ["f1_macro", "f1_micro", "f1_samples"]),
        ("margin", ["0.01", "0.02", "0.05"]),
        ("floor", ["none", "0.55", "0.65"]),
        ("latency p95 (ms)", ["none", "25", "100"]),
        ("size (MB)", ["none", "250", "1000"]),
        ("fit (min)", []),
        ("label audio", ["no floor"]),
        ("label vision", ["no floor"]),
        ("label graphs", []),
        ("slice even", ["no floor"]),
        ("behaviour", ["no floor"]),
        ("behaviour score", ["at least 0.8"]),
        ("behaviour minimum", []),
        ("behaviour directional", []),
    ],
)
def test_alternatives_of_each_part(part: str, changes: list[str]) -> None:
    alternatives = review(build_evidence(0.8, 0.85, behaviour=BEHAVIOUR), FULL, {}).alternatives
    assert [alternative.change for alternative in alternatives if alternative.part == part] == changes


def test_slices_with_enough_positives_are_tried_as_floors() -> None:
    alternatives = review(build_evidence(0.8), build_objective(floor=0.6), {}).alternatives
    assert [
        (alternative.part, alternative.change) for alternative in alternatives if alternative.part.startswith("slice")
    ] == [("slice even", "at least 0.5")], "slice tiny has too few positives to pass"


def test_size_budget_decides_which_candidate_ships() -> None:
    """Candidate b is much better than a but slightly too large; a passes its own criteria."""
    evidence = build_evidence(0.75, 0.95, costs=[{"size_mb": 1.0}, {"size_mb": 15.0}])
    result = review(evidence, build_objective(floor=0.6, budgets=BudgetConfig(size_mb=10)), {})
    current, alternatives = result.current, result.alternatives
    assert current == Alternative("in force", "", "ships", "a")
    by_size = {
        alternative.change: (alternative.outcome, alternative.ships)
        for alternative in alternatives
        if alternative.part == "size (MB)"
    }
    assert by_size == {"none": ("ships", "b"), "5": ("ships", "a"), "20": ("ships", "b")}
    assert {alternative.ships for alternative in alternatives if alternative.part == "margin"} == {"a"}


def test_alternative_may_ship_nothing() -> None:
    result = review(build_evidence(0.66), build_objective(floor=0.6), {})
    current, alternatives = result.current, result.alternatives
    assert current.ships == "a"
    higher = next(
        alternative for alternative in alternatives if (alternative.part, alternative.change) == ("floor", "0.65")
    )
    assert (higher.outcome, higher.ships) == ("too little evidence", None)


def test_other_named_objectives_are_alternatives() -> None:
    strict = build_objective(floor=0.99, evidence=MinimumEvidence(repeats=1, test_records=1))
    result = review(build_evidence(0.8), build_objective(floor=0.6), {"mine": build_objective(floor=0.6), "s": strict})
    current, alternatives = result.current, result.alternatives
    assert current.outcome == "ships"
    assert [alternative for alternative in alternatives if alternative.part.startswith("objective ")] == [
        Alternative("objective s", "-", "nothing ships", None)
    ]


@pytest.mark.parametrize("name", ["default", "strict"])
def test_alternatives_to_named_objective_stay_in_range(name: str, judged: list[ObjectiveConfig]) -> None:
    review(build_evidence(0.8, 0.85, behaviour=BEHAVIOUR), compose_objective([f"objective={name}"]).settings, {})
    assert len(judged) > 15
    for objective in judged:
        assert 0 <= objective.floor <= 1
        assert 0 < objective.margin <= 1
        assert all(value is None or value > 0 for value in vars(objective.budgets).values())
