"""Tests for stage `compare`: it compares only the runs of the plan with the baseline."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.stages import PLAN, lay_out, leave_behind, mark_as_measured_on_val
from tests.sample_runs import rewrite_record

from ratchet.comparison.results import Comparison
from ratchet.errors import UserError
from ratchet.pipeline.decision_stages import compare_runs, select_planned_runs
from ratchet.pipeline.plan import PipelineConfig, run_directory
from ratchet.runs import StoredRun
from ratchet.runs.stored import read_run


def compare_plan(plan: PipelineConfig = PLAN) -> Comparison:
    return compare_runs(plan, lambda name: lambda steps: lambda done: None)


@pytest.fixture
def _in_directory_with_runs(sample_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(sample_runs, monkeypatch)


@pytest.fixture(scope="module")
def build(sample_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the read-only output of the stage for three repeats of rule and regression."""
    directory = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(directory)
        lay_out(sample_runs, monkeypatch)
        compare_plan()
    return directory / "build"


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def index_by_name(comparison: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {candidate["name"]: candidate for candidate in comparison["candidates"]}


def test_headline_has_metric_and_difference_with_interval(build: Path) -> None:
    headline = json.loads((build / "metrics.json").read_text(encoding="utf-8"))
    candidates = index_by_name(json.loads((build / "comparison.json").read_text(encoding="utf-8")))
    assert list(headline) == ["rule", "regression"] == list(candidates)
    metric = {name: candidate["metrics"]["f1_weighted"]["value"] for name, candidate in candidates.items()}
    against = candidates["regression"]["baseline"]
    assert headline["rule"] == {"f1_weighted": metric["rule"]}
    assert headline["regression"] == {
        "f1_weighted": metric["regression"],
        "difference": against["value"],
        "low": against["low"],
        "high": against["high"],
    }
    assert headline["regression"]["difference"] == pytest.approx(metric["regression"] - metric["rule"])
    assert headline["regression"]["low"] < headline["regression"]["difference"] < headline["regression"]["high"]


def test_comparison_follows_the_plan(build: Path) -> None:
    comparison = json.loads((build / "comparison.json").read_text(encoding="utf-8"))
    assert (comparison["data"], comparison["part"], comparison["metric"], comparison["baseline"]) == (
        *("sample", "test", "f1_weighted", "rule"),
    )
    assert [split["split_seed"] for split in comparison["splits"]] == [0, 1, 2]
    assert comparison["left_out"] == []


def test_ladder_has_one_row_per_model_with_its_interval(build: Path) -> None:
    candidates = index_by_name(json.loads((build / "comparison.json").read_text(encoding="utf-8")))
    rows = read_rows(build / "plots" / "ladder.csv")
    assert [row["model"] for row in rows] == ["rule", "regression"]
    for row in rows:
        assert list(row) == ["model", "value", "low", "high"]
        interval = candidates[row["model"]]["metrics"]["f1_weighted"]
        assert {key: float(row[key]) for key in ("value", "low", "high")} == interval
        assert 0 < interval["low"] < interval["value"] < interval["high"] < 1


def test_models_without_epochs_have_no_curves(build: Path) -> None:
    assert (build / "plots" / "curves.csv").read_text(encoding="utf-8") == "model,repeat,epoch,value\n"


@pytest.mark.usefixtures("_in_directory_with_runs")
def test_curves_have_the_val_metric_of_each_epoch() -> None:
    history = "epoch,step,key,value\n0,9,train/loss,0.7\n0,9,val/f1_macro,0.25\n1,18,val/f1_macro,0.5\n"
    for repeat in (0, 2):
        run_directory("sample", "regression", repeat).joinpath("history.csv").write_text(history, encoding="utf-8")
    compare_plan()
    assert read_rows(Path("build/plots/curves.csv")) == [
        {"model": "regression", "repeat": str(repeat), "epoch": str(epoch), "value": value}
        for repeat in (0, 2)
        for epoch, value in enumerate(("0.25", "0.5"))
    ]


@pytest.mark.usefixtures("_in_directory_with_runs")
def test_models_not_in_the_plan_are_not_compared(build: Path) -> None:
    leave_behind("cnn")
    assert [candidate.name for candidate in select_planned_runs(PLAN).candidates] == ["rule", "regression"]
    comparison = compare_plan()
    assert [candidate.name for candidate in comparison.candidates] == ["rule", "regression"]
    for name in ("metrics.json", "plots/ladder.csv", "plots/curves.csv"):
        assert Path("build", name).read_bytes() == (build / name).read_bytes()


@pytest.mark.usefixtures("_in_directory_with_runs")
def test_runs_outside_the_plan_are_not_listed_as_left_out(build: Path) -> None:
    leave_behind("cnn")
    comparison = compare_plan()
    assert comparison.left_out == [], "a clone without those runs must give the same result"


@pytest.mark.usefixtures("_in_directory_with_runs")
def test_only_repeats_of_the_plan_are_selected() -> None:
    selection = select_planned_runs(PipelineConfig(models=["regression"], repeats=[0, 2], baseline="regression"))
    assert [run.path.as_posix() for run in selection.runs] == [f"build/runs/sample/regression/{k}" for k in (0, 2)]


@pytest.mark.usefixtures("_in_directory_with_runs")
def test_runs_evaluated_on_val_are_compared_on_val() -> None:
    mark_as_measured_on_val()
    assert select_planned_runs(PLAN).part == "val"
    assert compare_plan().part == "val"


def break_run(change: str, run: StoredRun) -> Sequence[str]:
    if change == "missing":
        shutil.rmtree(run.path)
        return ("build/runs/sample/regression/1",)
    rewrite_record(run.path, status="failed")
    return (str(run.path), "failed")


@pytest.mark.usefixtures("_in_directory_with_runs")
@pytest.mark.parametrize("change", ["missing", "failed"])
def test_missing_or_failed_run_is_named(change: str) -> None:
    parts = break_run(change, read_run(run_directory("sample", "regression", 1)))
    with pytest.raises(UserError) as caught:
        compare_plan()
    for part in parts:
        assert part in str(caught.value)
    assert not Path("build/metrics.json").exists()


def test_first_run_is_named_if_all_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="build/runs/sample/rule/0: "):
        compare_plan()
