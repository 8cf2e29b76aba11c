"""What a report shows is what compare, gate and review say of the same runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.reporting.conftest import RESAMPLES, objective

from ratchet.comparison.compare import compare
from ratchet.comparison.evidence import gather_evidence
from ratchet.config import named_objectives
from ratchet.errors import UserError
from ratchet.objective.gate import gather_and_judge
from ratchet.objective.review import review
from ratchet.reporting.findings import compute_findings, findings_in
from ratchet.runs.promotions import Promotion, add_decision, describe_promotion
from ratchet.runs.selection import select
from ratchet.statistics.bootstrap import Advance


def test_all_three_are_what_their_commands_find(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found, selection = findings_in(trained, resamples=RESAMPLES), select(trained)
    evidence = gather_evidence(selection, resamples=RESAMPLES)
    assert found.selection == selection
    assert found.comparison == compare(
        evidence, runs_dir=trained, metric="f1_weighted", baseline="rule", promoted={}, parents={}
    )
    assert found.verdict == gather_and_judge(selection, objective(), resamples=RESAMPLES)
    assert found.review == review(evidence, objective().settings, named_objectives())
    assert found.comparison.resamples == RESAMPLES


def test_the_objective_sets_metric_and_verdict(trained: Path) -> None:
    strict = findings_in(trained, objective="strict", resamples=20)
    assert strict.verdict == gather_and_judge(select(trained), objective("objective=strict"), resamples=20)
    assert strict.verdict.objective.name == "strict"
    macro = compute_findings(
        select(trained),
        objective("objective.metric=precision_macro"),
        runs_dir=trained,
        baseline="rule",
        resamples=20,
    )
    assert macro.comparison.metric == "precision_macro"
    assert "objective.metric=precision_macro" in str(macro.verdict.objective.changed)


def test_names_and_baseline_are_what_was_asked_for(trained: Path) -> None:
    alone = findings_in(trained, data="sample", names=["regression"], baseline="regression", resamples=20)
    assert [each.name for each in alone.comparison.candidates] == ["regression"]
    assert alone.comparison.left_out == ["not named: rule"]
    back = findings_in(trained, baseline="regression", resamples=20).comparison
    assert [each.baseline.to if each.baseline else None for each in back.candidates] == ["regression", None]


def test_what_is_promoted_is_said(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = select(trained).candidates[1].runs[0].record
    told = ("2026-01-01", "promote", "sample", run.name, run.model, run.config_hash)
    decision = Promotion(*told, {run.id: str(run.split_hash)}, "because", "nothing ships", forced=True)
    add_decision(tmp_path / "promotions", decision)
    monkeypatch.chdir(tmp_path)
    rule, regression = findings_in(trained, resamples=20).comparison.candidates
    assert (rule.promoted, regression.promoted) == (None, describe_promotion(decision))
    assert regression.promoted == "gate: nothing ships; forced: because"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"baseline": "rul"}, "did you mean 'rule'"),
        ({"objective": "strikt"}, "strict"),
        ({"names": ["cnn"]}, "name=cnn: no finished run"),
        ({"data": "madewithml"}, "data=madewithml: no runs of it"),
    ],
)
def test_what_cannot_be_found_is_told(asked: dict[str, str], said: str, trained: Path) -> None:
    with pytest.raises(UserError, match=said):
        findings_in(trained, **asked)


def test_a_baseline_that_is_not_there_is_told_before_anything_is_drawn(trained: Path) -> None:
    def never(what: str) -> Callable[[int], Advance]:
        raise AssertionError(what)

    with pytest.raises(UserError, match="no such candidate"):
        compute_findings(select(trained), objective(), runs_dir=trained, baseline="cnn", bar=never)


def test_progress_is_told_to_its_end(trained: Path) -> None:
    announced: dict[str, int] = {}
    done: dict[str, int] = {}

    def bar(what: str) -> Callable[[int], Advance]:
        def begin(steps: int) -> Advance:
            announced[what] = steps
            return lambda count: done.update({what: done.get(what, 0) + count})

        return begin

    compute_findings(select(trained), objective(), runs_dir=trained, baseline="rule", resamples=20, bar=bar)
    assert announced == done == {"bootstrapping records": 20 * 6, "permuting predictions": 20}
