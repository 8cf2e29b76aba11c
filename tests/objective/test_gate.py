"""Of the candidates that pass every clause the simplest ships; or nothing does; or nobody can tell."""

import pytest
from tests.objective.test_clauses import evidence_of, objective_of

from ratchet.config import Metric
from ratchet.config.objective_schema import BudgetConfig, MinimumEvidence
from ratchet.errors import UserError
from ratchet.objective.gate import Decision, decide

BUDGET = BudgetConfig(size_mb=10)
LARGE = {"size_mb": 100.0}


def states(found: Decision) -> dict[str, str]:
    return {each.name: each.state for each in found.judgements}


def test_the_simplest_of_those_that_pass_ships() -> None:
    found = decide(evidence_of(0.4, 0.80, 0.82, 0.83), objective_of(floor=0.6, margin=0.2))
    assert states(found) == {"a": "fail", "b": "pass", "c": "pass", "d": "pass"}
    assert (found.outcome, found.ships) == ("ships", "b")
    assert found.why == "the simplest of 3 that pass every clause"
    assert [each.ships for each in found.judgements] == [False, True, False, False]
    assert found.of("b").why == "passes every clause, and nothing simpler does"
    assert found.of("c").why == "passes too, but b is simpler"


def test_a_simpler_one_that_falls_short_of_a_better_one_does_not_ship() -> None:
    found = decide(evidence_of(0.6, 0.9), objective_of(margin=0.05))
    assert (found.ships, found.why) == ("b", "the only one that passes every clause")
    assert found.of("a").clauses[-1].name == "no more than 0.05 below b"
    assert found.of("a").state == "fail"
    assert found.of("a").why.startswith("fails 1 of 4 clauses; needed: no more than 0.05 below b: 0.")


def test_of_equally_simple_ones_the_better_ships() -> None:
    found = decide(evidence_of(0.80, 0.85, complexities=[1, 1]), objective_of(margin=0.3))
    assert states(found) == {"a": "pass", "b": "pass"}
    assert found.ships == "b"
    assert found.of("a").why == "passes too, but b is as simple and scores higher"


@pytest.mark.parametrize("metric", [Metric.f1_weighted, Metric.f1_macro])
def test_a_judgement_tells_the_objectives_metric(metric: Metric) -> None:
    evidence = evidence_of(0.80, 0.85)
    for each in decide(evidence, objective_of(metric=metric)).judgements:
        drawn = evidence.of(each.name).drawn
        assert each.value == pytest.approx(drawn[metric.name].values.mean())
        assert drawn["f1_weighted"].values.mean() != pytest.approx(drawn["f1_macro"].values.mean())


def test_a_candidate_over_budget_sets_no_bar_for_the_others() -> None:
    evidence = evidence_of(0.7, 0.95, costs=[{}, LARGE])
    alone = decide(evidence, objective_of(margin=0.05))
    assert alone.ships == "b", "without a budget it ships, and a does not"
    found = decide(evidence, objective_of(margin=0.05, budgets=BUDGET))
    assert (found.outcome, found.ships) == ("ships", "a")
    assert not any("below b" in each.name for each in found.of("a").clauses)
    assert found.of("b").state == "fail"
    assert found.of("b").clauses[-1].name == "no more than 0.05 below a", "itself it is judged against the others"


def test_a_candidate_that_is_not_proven_bad_does_set_a_bar() -> None:
    evidence = evidence_of(0.7, 0.95, costs=[{}, {"size_mb": None}])
    found = decide(evidence, objective_of(margin=0.05, budgets=BUDGET))
    assert states(found) == {"a": "fail", "b": "too little evidence"}
    assert found.outcome == "too little evidence"


def test_nothing_ships_when_every_candidate_fails_a_clause() -> None:
    found = decide(evidence_of(0.5, 0.6), objective_of(floor=0.9))
    assert (found.outcome, found.ships, found.why) == ("nothing ships", None, "every candidate fails a clause")
    assert states(found) == {"a": "fail", "b": "fail"}
    assert not any(each.ships for each in found.judgements)


def test_what_failed_nothing_is_named_when_nobody_can_tell() -> None:
    evidence = evidence_of(0.80, 0.82, 0.81, 0.3)
    found = decide(evidence, objective_of(margin=0.2, evidence=MinimumEvidence(repeats=5)))
    assert (found.outcome, found.ships) == ("too little evidence", None)
    assert found.why == "nothing passes every clause, but a, b and c failed none"
    assert found.of("a").why.startswith("needed: repeats at least 5: 2 more")
    one = decide(evidence_of(0.8), objective_of(evidence=MinimumEvidence(repeats=5)))
    assert one.why == "nothing passes every clause, but a failed none"


@pytest.mark.parametrize(
    ("minimum", "outcome"),
    [((3, 300), "ships"), ((4, 300), "too little evidence"), ((3, 301), "too little evidence")],
)
def test_below_the_least_evidence_nothing_ships(minimum: tuple[int, int], outcome: str) -> None:
    objective = objective_of(evidence=MinimumEvidence(*minimum))
    assert decide(evidence_of(0.8), objective).outcome == outcome


def test_equals_that_are_hard_to_tell_apart_ship_nothing() -> None:
    found = decide(evidence_of(0.8, 0.8, records=60), objective_of(margin=0.01))
    assert found.outcome == "too little evidence"
    assert all(each.state == "too little evidence" for each in found.judgements)


def test_a_candidate_has_no_clause_against_itself() -> None:
    found = decide(evidence_of(0.8, 0.8, 0.8), objective_of())
    for each in found.judgements:
        against = [clause.name.rpartition(" ")[2] for clause in each.clauses if "below" in clause.name]
        assert sorted([*against, each.name]) == ["a", "b", "c"]


def test_a_judgement_names_its_candidate_and_its_runs() -> None:
    [found] = decide(evidence_of(0.8, complexities=[2]), objective_of()).judgements
    assert (found.name, found.model, found.complexity, found.config_hash) == ("a", "a", 2, "hash-a")
    assert found.runs == ["a-0", "a-1", "a-2"]


def test_a_label_that_is_not_there_is_told() -> None:
    with pytest.raises(UserError, match="did you mean 'audio'"):
        decide(evidence_of(0.8), objective_of(labels={"adio": 0.5}))
