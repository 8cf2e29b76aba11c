"""Floors of labels, slices and behavioural cases: too few positives never pass, and what is not there is said."""

from dataclasses import replace

import pytest
from tests.objective.test_criteria import RARE, clause, evidence_of, objective_of

from ratchet.comparison.evidence import Evidence
from ratchet.config import BehaviourFloors
from ratchet.errors import UserError
from ratchet.objective.criteria import MIN_POSITIVES, Clause, own_clauses
from ratchet.statistics.estimates import Drawn, estimate


@pytest.fixture(scope="module")
def good() -> Evidence:
    return evidence_of(0.8)


@pytest.fixture(scope="module")
def perfect() -> Evidence:
    return evidence_of(1.0)


def without_a_slice(evidence: Evidence, name: str) -> Evidence:
    """As when one test part has no record in it: its figures are left out."""
    only = evidence.candidates[0]
    drawn = {key: each for key, each in only.drawn.items() if key != f"slices/{name}"}
    return replace(evidence, candidates=[replace(only, drawn=drawn)])


@pytest.mark.parametrize("kind", ["labels", "slices"])
def test_a_floor_holds_for_the_lower_bound_of_the_group(kind: str, good: Evidence) -> None:
    drawn = good.of("a").drawn["labels" if kind == "labels" else "slices/even"]
    if kind == "labels":
        drawn = Drawn(drawn.values[:, 1], drawn.draws[:, :, 1], drawn.splits)
    found = estimate(drawn)
    name = "graphs" if kind == "labels" else "even"
    low, high = float(found.lower(0.05)), float(found.upper(0.05))
    for floor, state in {low - 1e-6: "pass", low + 1e-6: "too little evidence", high + 1e-6: "fail"}.items():
        judged = clause(good, objective_of(**{kind: {name: floor}}), f"{kind.removesuffix('s')} {name} at least ")
        assert judged.state == state
        assert judged.evidence.startswith(f"{float(found.value):.3f}, ")
        assert (judged.needed is None) == (state == "pass")


def test_a_label_with_few_positives_never_passes(perfect: Evidence) -> None:
    assert RARE < MIN_POSITIVES == 20
    index = perfect.labels.index("rare")
    assert (perfect.of("a").drawn["labels"].values[:, index] == 1).all(), "perfect, and yet"
    judged = clause(perfect, objective_of(labels={"rare": 0.1}), "label rare")
    assert judged == Clause(
        "label rare at least 0.1",
        "too little evidence",
        f"{RARE} positives, 20 are needed",
        f"{20 - RARE} more positives",
    )


@pytest.mark.parametrize(("positives", "state"), [(19, "too little evidence"), (20, "pass")])
def test_a_slice_with_few_positives_never_passes(positives: int, state: str, perfect: Evidence) -> None:
    counted = replace(perfect, positives=perfect.positives | {"slices/tiny": positives})
    assert clause(counted, objective_of(slices={"tiny": 0.1}), "slice tiny").state == state


def test_few_positives_do_not_fail_either() -> None:
    hopeless = evidence_of(0.0)
    assert clause(hopeless, objective_of(labels={"rare": 0.9}), "label rare").state == "too little evidence"


def test_an_unknown_label_is_told_with_the_nearest(good: Evidence) -> None:
    with pytest.raises(UserError, match=r"objective\.labels: there is no label 'vison'; did you mean 'vision'"):
        own_clauses(good.of("a"), good, objective_of(labels={"graphs": 0.1, "vison": 0.5}))


def test_a_slice_that_is_not_in_every_test_part_cannot_pass(good: Evidence) -> None:
    evidence = without_a_slice(good, "tiny")
    judged = clause(evidence, objective_of(slices={"tiny": 0.0}), "slice tiny")
    assert judged.state == "too little evidence"
    assert judged.evidence == "no such slice in every test part"
    assert judged.needed == "records in it, or one of even"
    none = without_a_slice(evidence, "even")
    assert clause(none, objective_of(slices={"tiny": 0.0}), "slice tiny").needed == "records in it"


def test_every_floor_is_a_clause_of_its_own(good: Evidence) -> None:
    objective = objective_of(
        labels={"audio": 0.1, "vision": 0.2}, slices={"even": 0.3}, behaviour=BehaviourFloors(score=0.5, minimum=0.6)
    )
    assert [each.name for each in own_clauses(good.of("a"), good, objective)][3:] == [
        "label audio at least 0.1",
        "label vision at least 0.2",
        "slice even at least 0.3",
        "behaviour overall at least 0.5",
        "behaviour minimum at least 0.6",
    ]


def test_the_share_of_behavioural_cases_is_held_against_its_floor() -> None:
    evidence = evidence_of(0.8, behaviour=[{"score": 0.8, "minimum": 0.5}])
    objective = objective_of(behaviour=BehaviourFloors(score=0.8, minimum=0.75, invariance=0.5))
    overall, minimum, invariance = (clause(evidence, objective, f"behaviour {name}") for name in
                                    ("overall", "minimum", "invariance"))  # fmt: skip
    assert (overall.state, overall.evidence, overall.needed) == ("pass", "0.800 of cases pass", None)
    assert (minimum.state, minimum.evidence, minimum.needed) == ("fail", "0.500 of cases pass", "0.250 more")
    assert (invariance.state, invariance.evidence) == ("too little evidence", "no such cases")
    assert invariance.needed
