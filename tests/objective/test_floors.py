"""Tests for the floors of labels, slices and behavioural cases."""

from dataclasses import replace

import pytest
from tests.objective.builders import RARE, build_evidence, build_objective, find_clause

from ratchet.comparison.evidence import Evidence
from ratchet.config import BehaviourFloors
from ratchet.errors import UserError
from ratchet.objective.criteria import MIN_POSITIVES, Criterion, check_own_criteria
from ratchet.statistics.estimates import ResampledMetric, estimate


@pytest.fixture(scope="module")
def good() -> Evidence:
    return build_evidence(0.8)


@pytest.fixture(scope="module")
def perfect() -> Evidence:
    return build_evidence(1.0)


def drop_slice(evidence: Evidence, name: str) -> Evidence:
    """Return the evidence without the metrics of a slice, as if it were empty in one test part."""
    candidate = evidence.candidates[0]
    metrics = {key: metric for key, metric in candidate.metrics.items() if key != f"slices/{name}"}
    return replace(evidence, candidates=[replace(candidate, metrics=metrics)])


@pytest.mark.parametrize("kind", ["labels", "slices"])
def test_group_floor_applies_to_lower_bound(kind: str, good: Evidence) -> None:
    metric = good.of("a").metrics["labels" if kind == "labels" else "slices/even"]
    if kind == "labels":
        metric = ResampledMetric(metric.values[:, 1], metric.resampled[:, :, 1], metric.splits)
    expected = estimate(metric)
    name = "graphs" if kind == "labels" else "even"
    low, high = float(expected.lower(0.05)), float(expected.upper(0.05))
    for floor, state in {low - 1e-6: "pass", low + 1e-6: "too little evidence", high + 1e-6: "fail"}.items():
        criterion = find_clause(
            good, build_objective(**{kind: {name: floor}}), f"{kind.removesuffix('s')} {name} at least "
        )
        assert criterion.state == state
        assert criterion.evidence.startswith(f"{float(expected.value):.3f}, ")
        assert (criterion.needed is None) == (state == "pass")


def test_label_with_few_positives_never_passes(perfect: Evidence) -> None:
    assert RARE < MIN_POSITIVES == 20
    index = perfect.labels.index("rare")
    assert (perfect.of("a").metrics["labels"].values[:, index] == 1).all(), "even a perfect score is not enough"
    criterion = find_clause(perfect, build_objective(labels={"rare": 0.1}), "label rare")
    assert criterion == Criterion(
        "label rare at least 0.1",
        "too little evidence",
        f"{RARE} positives, 20 are needed",
        f"{20 - RARE} more positives",
    )


@pytest.mark.parametrize(("positives", "state"), [(19, "too little evidence"), (20, "pass")])
def test_slice_with_few_positives_never_passes(positives: int, state: str, perfect: Evidence) -> None:
    evidence = replace(perfect, positives=perfect.positives | {"slices/tiny": positives})
    assert find_clause(evidence, build_objective(slices={"tiny": 0.1}), "slice tiny").state == state


def test_label_with_few_positives_never_fails() -> None:
    evidence = build_evidence(0.0)
    assert find_clause(evidence, build_objective(labels={"rare": 0.9}), "label rare").state == "too little evidence"


def test_unknown_label_error_suggests_nearest_name(good: Evidence) -> None:
    with pytest.raises(UserError, match=r"objective\.labels: .*'vison'.*'vision'"):
        check_own_criteria(good.of("a"), good, build_objective(labels={"graphs": 0.1, "vison": 0.5}))


def test_slice_missing_from_a_test_part_cannot_pass(good: Evidence) -> None:
    evidence = drop_slice(good, "tiny")
    criterion = find_clause(evidence, build_objective(slices={"tiny": 0.0}), "slice tiny")
    assert criterion.state == "too little evidence"
    assert criterion.evidence == "no such slice in every test part"
    assert criterion.needed == "records in it, or one of even"
    without_slices = drop_slice(evidence, "even")
    assert find_clause(without_slices, build_objective(slices={"tiny": 0.0}), "slice tiny").needed == "records in it"


def test_every_floor_is_a_criterion(good: Evidence) -> None:
    objective = build_objective(
        labels={"audio": 0.1, "vision": 0.2}, slices={"even": 0.3}, behaviour=BehaviourFloors(score=0.5, minimum=0.6)
    )
    assert [criterion.name for criterion in check_own_criteria(good.of("a"), good, objective)][3:] == [
        "label audio at least 0.1",
        "label vision at least 0.2",
        "slice even at least 0.3",
        "behaviour overall at least 0.5",
        "behaviour minimum at least 0.6",
    ]


def test_behaviour_floors_apply_to_share_of_passing_cases() -> None:
    evidence = build_evidence(0.8, behaviour=[{"score": 0.8, "minimum": 0.5}])
    objective = build_objective(behaviour=BehaviourFloors(score=0.8, minimum=0.75, invariance=0.5))
    overall, minimum, invariance = (find_clause(evidence, objective, f"behaviour {name}") for name in
                                    ("overall", "minimum", "invariance"))  # fmt: skip
    assert (overall.state, overall.evidence, overall.needed) == ("pass", "0.800 of cases pass", None)
    assert (minimum.state, minimum.evidence, minimum.needed) == ("fail", "0.500 of cases pass", "0.250 more")
    assert (invariance.state, invariance.evidence) == ("too little evidence", "no such cases")
    assert invariance.needed
