"""Tests for stage `gate`: the verdict of `ratchet gate` on the runs of the plan."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.stages import PLAN, lay_out, leave_behind, mark_as_measured_on_val

from ratchet.cli.main import main
from ratchet.objective.gate import Verdict
from ratchet.pipeline.decision_stages import judge_runs
from ratchet.pipeline.plan import PipelineConfig


@pytest.fixture(autouse=True)
def _in_directory_with_runs(sample_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(sample_runs, monkeypatch)


def judge_plan(plan: PipelineConfig = PLAN) -> Verdict:
    return judge_runs(plan, lambda steps: lambda done: None)


def read_verdict() -> dict[str, Any]:
    verdict: dict[str, Any] = json.loads(Path("build/verdict.json").read_text(encoding="utf-8"))
    return verdict


def freeze_objective(monkeypatch: pytest.MonkeyPatch, objective: str) -> None:
    lay_out(Path("nowhere"), monkeypatch, PipelineConfig(models=["rule"], repeats=[], objective=objective))


def test_verdict_equals_that_of_the_gate_command(capsys: pytest.CaptureFixture[str]) -> None:
    judge_plan()
    capsys.readouterr()
    code = main(["gate", "runs_dir=build/runs", "format=json"])
    assert read_verdict() == json.loads(capsys.readouterr().out)
    assert code == (0 if read_verdict()["decision"]["outcome"] == "ships" else 3)
    assert main(["gate", "--check"]) == code


def test_frozen_objective_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge_plan().decision.ships == "regression"
    freeze_objective(monkeypatch, "strict")
    verdict = judge_plan()
    assert verdict.objective.name == read_verdict()["objective"]["name"] == "strict"
    assert verdict.decision.ships is None, "the strict objective needs more than three repeats"


def test_nothing_ships_on_results_of_val() -> None:
    assert judge_plan().decision.ships == "regression"
    mark_as_measured_on_val()
    decision = judge_plan().decision
    assert decision.ships is None
    assert decision.outcome != "ships"
    for judgement in decision.judgements:
        [clause] = [clause for clause in judgement.clauses if clause.name == "measured on test"]
        assert (clause.state, clause.needed) == ("too little evidence", "runs with evaluate=test")
        assert "val" in clause.evidence
        assert not judgement.ships
    assert main(["gate", "--check"]) == 3


def test_results_on_test_have_no_clause_about_val() -> None:
    names = {clause.name for judgement in judge_plan().decision.judgements for clause in judgement.clauses}
    assert "measured on test" not in names
    assert "repeats at least 3" in names


def test_models_not_in_the_plan_are_not_judged() -> None:
    leave_behind("cnn")
    verdict = judge_plan()
    assert [judgement.name for judgement in verdict.decision.judgements] == ["rule", "regression"]
    clauses = [clause.name for judgement in verdict.decision.judgements for clause in judgement.clauses]
    assert not [name for name in clauses if "cnn" in name], "they are no bar for other models"


def test_runs_outside_the_plan_do_not_change_the_verdict() -> None:
    judge_plan()
    before = Path("build/verdict.json").read_bytes()
    leave_behind("cnn")
    judge_plan()
    assert Path("build/verdict.json").read_bytes() == before, "a clone without those runs must write the same"


def test_too_few_repeats_are_too_little_evidence() -> None:
    verdict = judge_plan(PipelineConfig(models=["rule", "regression"], repeats=[0, 1]))
    assert (verdict.decision.outcome, verdict.decision.ships) == ("too little evidence", None)
