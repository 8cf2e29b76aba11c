"""Tests that a report shows the results of compare, gate and review on the same runs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.reporting.conftest import RESAMPLES, objective

from ratchet.comparison.compare import compare
from ratchet.comparison.evidence import gather_evidence
from ratchet.config import compose_objective, named_objectives
from ratchet.errors import UserError
from ratchet.objective.gate import gather_and_judge
from ratchet.objective.review import review
from ratchet.reporting.findings import Findings, compute_findings
from ratchet.runs.promotions import Promotion, add_decision, describe_promotion
from ratchet.runs.selection import select
from ratchet.statistics.bootstrap import Advance


def findings_in(
    runs_dir: Path,
    *,
    data: str | None = None,
    names: Sequence[str] = (),
    baseline: str = "rule",
    objective: str = "default",
    resamples: int = RESAMPLES,
) -> Findings:
    """Compare and judge the newest runs of each name in a directory, under the objective of that name."""
    selection = select(runs_dir, data=data, names=names)
    composed = compose_objective([f"objective={objective}"])
    return compute_findings(selection, composed, runs_dir=runs_dir, baseline=baseline, resamples=resamples)


def test_findings_match_compare_gate_and_review(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    findings, selection = findings_in(trained, resamples=RESAMPLES), select(trained)
    evidence = gather_evidence(selection, resamples=RESAMPLES)
    assert findings.selection == selection
    assert findings.comparison == compare(
        evidence, runs_dir=trained, metric="f1_weighted", baseline="rule", promoted={}, parents={}
    )
    assert findings.verdict == gather_and_judge(selection, objective(), resamples=RESAMPLES)
    assert findings.review == review(evidence, objective().settings, named_objectives())
    assert findings.comparison.resamples == RESAMPLES


def test_objective_sets_metric_and_verdict(trained: Path) -> None:
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


def test_names_and_baseline_select_candidates(trained: Path) -> None:
    single = findings_in(trained, data="sample", names=["regression"], baseline="regression", resamples=20)
    assert [candidate.name for candidate in single.comparison.candidates] == ["regression"]
    assert single.comparison.left_out == ["not named: rule"]
    swapped = findings_in(trained, baseline="regression", resamples=20).comparison
    assert [candidate.baseline.to if candidate.baseline else None for candidate in swapped.candidates] == [
        "regression",
        None,
    ]


def test_promotion_is_described(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = select(trained).candidates[1].runs[0].record
    fields = ("2026-01-01", "promote", "sample", run.name, run.model, run.config_hash)
    decision = Promotion(*fields, {run.id: str(run.split_hash)}, "because", "nothing ships", forced=True)
    add_decision(tmp_path / "promotions", decision)
    monkeypatch.chdir(tmp_path)
    rule, regression = findings_in(trained, resamples=20).comparison.candidates
    assert (rule.promoted, regression.promoted) == (None, describe_promotion(decision))
    assert regression.promoted == "gate: nothing ships; forced: because"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "rul"}, "did you mean 'rule'"),
        ({"objective": "strikt"}, "strict"),
        ({"names": ["cnn"]}, "name=cnn: no finished run"),
        ({"data": "madewithml"}, "data=madewithml: no runs of it"),
    ],
)
def test_unknown_selection_raises_error(options: dict[str, str], message: str, trained: Path) -> None:
    with pytest.raises(UserError, match=message):
        findings_in(trained, **options)


def test_unknown_baseline_is_refused_before_computing(trained: Path) -> None:
    def fail(task: str) -> Callable[[int], Advance]:
        raise AssertionError(task)

    with pytest.raises(UserError, match="no such candidate"):
        compute_findings(select(trained), objective(), runs_dir=trained, baseline="cnn", bar=fail)


def test_progress_reaches_its_end(trained: Path) -> None:
    announced: dict[str, int] = {}
    done: dict[str, int] = {}

    def bar(task: str) -> Callable[[int], Advance]:
        def begin(steps: int) -> Advance:
            announced[task] = steps
            return lambda count: done.update({task: done.get(task, 0) + count})

        return begin

    compute_findings(select(trained), objective(), runs_dir=trained, baseline="rule", resamples=20, bar=bar)
    assert announced == done == {"bootstrapping records": 20 * 6, "permuting predictions": 20}
