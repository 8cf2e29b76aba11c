"""Review the same evidence under other objectives, each of which differs from the one in force in one thing."""

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


def flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(node, dict):
        return {key: value for name, child in node.items() for key, value in flat(child, f"{prefix}{name}.").items()}
    return {prefix: node}


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[ObjectiveConfig]:
    """Return the objectives that are judged, in their order."""
    seen: list[ObjectiveConfig] = []

    def noting(evidence: Any, objective: ObjectiveConfig) -> Decision:
        seen.append(objective)
        return decide(evidence, objective)

    monkeypatch.setattr(module, "decide", noting)
    return seen


def test_one_thing_is_changed_at_a_time(judged: list[ObjectiveConfig]) -> None:
    others = review(build_evidence(0.8, 0.85, behaviour=BEHAVIOUR), FULL, {}).alternatives
    first, *changed = judged
    assert first == FULL
    assert len(changed) == len(others)
    before = flat(plain(FULL))
    for objective, told in zip(changed, others, strict=True):
        after = flat(plain(objective))
        [key] = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        assert told.part.split()[0] in key, "and it is the one that is said"


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
def test_what_is_changed_and_to_what(part: str, changes: list[str]) -> None:
    others = review(build_evidence(0.8, 0.85, behaviour=BEHAVIOUR), FULL, {}).alternatives
    assert [each.change for each in others if each.part == part] == changes


def test_slices_with_enough_positives_are_tried_as_floors() -> None:
    others = review(build_evidence(0.8), build_objective(floor=0.6), {}).alternatives
    assert [(each.part, each.change) for each in others if each.part.startswith("slice")] == [
        ("slice even", "at least 0.5")
    ], "tiny has too few to pass"


def test_what_differs_comes_out() -> None:
    """Return evidence in which b is much better but slightly too large, and a passes its own criteria."""
    evidence = build_evidence(0.75, 0.95, costs=[{"size_mb": 1.0}, {"size_mb": 15.0}])
    found = review(evidence, build_objective(floor=0.6, budgets=BudgetConfig(size_mb=10)), {})
    current, others = found.current, found.alternatives
    assert current == Alternative("in force", "", "ships", "a")
    by_size = {each.change: (each.outcome, each.ships) for each in others if each.part == "size (MB)"}
    assert by_size == {"none": ("ships", "b"), "5": ("ships", "a"), "20": ("ships", "b")}
    assert {each.ships for each in others if each.part == "margin"} == {"a"}


def test_that_nothing_would_ship_is_an_outcome_too() -> None:
    found = review(build_evidence(0.66), build_objective(floor=0.6), {})
    current, others = found.current, found.alternatives
    assert current.ships == "a"
    higher = next(each for each in others if (each.part, each.change) == ("floor", "0.65"))
    assert (higher.outcome, higher.ships) == ("too little evidence", None)


def test_other_objectives_that_have_a_name_are_tried_the_one_in_force_is_not() -> None:
    strict = build_objective(floor=0.99, evidence=MinimumEvidence(repeats=1, test_records=1))
    found = review(build_evidence(0.8), build_objective(floor=0.6), {"mine": build_objective(floor=0.6), "s": strict})
    current, others = found.current, found.alternatives
    assert current.outcome == "ships"
    assert [each for each in others if each.part.startswith("objective ")] == [
        Alternative("objective s", "-", "nothing ships", None)
    ]


@pytest.mark.parametrize("name", ["default", "strict"])
def test_every_alternative_to_a_named_objective_stays_within_its_ranges(
    name: str, judged: list[ObjectiveConfig]
) -> None:
    review(build_evidence(0.8, 0.85, behaviour=BEHAVIOUR), compose_objective([f"objective={name}"]).settings, {})
    assert len(judged) > 15
    for each in judged:
        assert 0 <= each.floor <= 1
        assert 0 < each.margin <= 1
        assert all(value is None or value > 0 for value in vars(each.budgets).values())
