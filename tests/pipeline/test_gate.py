"""Stage `gate`: the verdict of `ratchet gate`, on the runs of the plan."""

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
def _here(sample_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(sample_runs, monkeypatch)


def judged(plan: PipelineConfig = PLAN) -> Verdict:
    return judge_runs(plan, lambda steps: lambda done: None)


def written() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path("build/verdict.json").read_text(encoding="utf-8"))
    return found


def freeze_objective(monkeypatch: pytest.MonkeyPatch, objective: str) -> None:
    lay_out(Path("nowhere"), monkeypatch, PipelineConfig(models=["rule"], repeats=[], objective=objective))


def test_the_verdict_is_what_the_command_says_of_the_same_runs(capsys: pytest.CaptureFixture[str]) -> None:
    judged()
    capsys.readouterr()
    code = main(["gate", "runs_dir=build/runs", "format=json"])
    assert written() == json.loads(capsys.readouterr().out)
    assert code == (0 if written()["decision"]["outcome"] == "ships" else 3)
    assert main(["gate", "--check"]) == code


def test_what_is_frozen_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged().decision.ships == "regression"
    freeze_objective(monkeypatch, "strict")
    found = judged()
    assert found.objective.name == written()["objective"]["name"] == "strict"
    assert found.decision.ships is None, "three repeats are too few for it"


def test_nothing_ships_that_was_measured_where_it_was_chosen() -> None:
    assert judged().decision.ships == "regression"
    mark_as_measured_on_val()
    found = judged().decision
    assert found.ships is None
    assert found.outcome != "ships"
    for each in found.judgements:
        [clause] = [clause for clause in each.clauses if clause.name == "measured on test"]
        assert (clause.state, clause.needed) == ("too little evidence", "runs with evaluate=test")
        assert "val" in clause.evidence
        assert not each.ships
    assert main(["gate", "--check"]) == 3


def test_on_test_that_clause_is_not_there() -> None:
    names = {clause.name for each in judged().decision.judgements for clause in each.clauses}
    assert "measured on test" not in names
    assert "repeats at least 3" in names


def test_models_that_are_no_longer_in_the_plan_are_not_judged() -> None:
    leave_behind("cnn")
    found = judged()
    assert [each.name for each in found.decision.judgements] == ["rule", "regression"]
    clauses = [clause.name for each in found.decision.judgements for clause in each.clauses]
    assert not [name for name in clauses if "cnn" in name], "and set no bar"


def test_what_lies_beside_the_runs_of_the_plan_changes_no_byte_of_the_verdict() -> None:
    judged()
    before = Path("build/verdict.json").read_bytes()
    leave_behind("cnn")
    judged()
    assert Path("build/verdict.json").read_bytes() == before, "a clone that never had those runs must write the same"


def test_too_few_repeats_are_too_little_evidence() -> None:
    found = judged(PipelineConfig(models=["rule", "regression"], repeats=[0, 1]))
    assert (found.decision.outcome, found.decision.ships) == ("too little evidence", None)
