"""Stage `compare`: the runs of the plan, and no others, against the baseline."""

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


def compared(plan: PipelineConfig = PLAN) -> Comparison:
    return compare_runs(plan, lambda what: lambda steps: lambda done: None)


@pytest.fixture
def _here(sample_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(sample_runs, monkeypatch)


@pytest.fixture(scope="module")
def build(sample_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stage wrote of three repeats of rule and regression, to read."""
    directory = tmp_path_factory.mktemp("compared")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(directory)
        lay_out(sample_runs, monkeypatch)
        compared()
    return directory / "build"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in found["candidates"]}


def test_the_headline_is_the_metric_and_the_difference_with_its_interval(build: Path) -> None:
    headline = json.loads((build / "metrics.json").read_text(encoding="utf-8"))
    candidates = by_name(json.loads((build / "comparison.json").read_text(encoding="utf-8")))
    assert list(headline) == ["rule", "regression"] == list(candidates)
    metric = {name: each["metrics"]["f1_weighted"]["value"] for name, each in candidates.items()}
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


def test_the_comparison_is_of_the_plan(build: Path) -> None:
    found = json.loads((build / "comparison.json").read_text(encoding="utf-8"))
    assert (found["data"], found["part"], found["metric"], found["baseline"]) == (
        *("sample", "test", "f1_weighted", "rule"),
    )
    assert [split["split_seed"] for split in found["splits"]] == [0, 1, 2]
    assert found["left_out"] == []


def test_the_ladder_has_a_row_a_model_with_its_interval(build: Path) -> None:
    candidates = by_name(json.loads((build / "comparison.json").read_text(encoding="utf-8")))
    rows = rows_of(build / "plots" / "ladder.csv")
    assert [row["model"] for row in rows] == ["rule", "regression"]
    for row in rows:
        assert list(row) == ["model", "value", "low", "high"]
        interval = candidates[row["model"]]["metrics"]["f1_weighted"]
        assert {key: float(row[key]) for key in ("value", "low", "high")} == interval
        assert 0 < interval["low"] < interval["value"] < interval["high"] < 1


def test_models_without_epochs_have_no_curves(build: Path) -> None:
    assert (build / "plots" / "curves.csv").read_text(encoding="utf-8") == "model,repeat,epoch,value\n"


@pytest.mark.usefixtures("_here")
def test_a_curve_is_what_a_model_reached_on_val_after_each_epoch() -> None:
    history = "epoch,step,key,value\n0,9,train/loss,0.7\n0,9,val/f1_macro,0.25\n1,18,val/f1_macro,0.5\n"
    for repeat in (0, 2):
        run_directory("sample", "regression", repeat).joinpath("history.csv").write_text(history, encoding="utf-8")
    compared()
    assert rows_of(Path("build/plots/curves.csv")) == [
        {"model": "regression", "repeat": str(repeat), "epoch": str(epoch), "value": value}
        for repeat in (0, 2)
        for epoch, value in enumerate(("0.25", "0.5"))
    ]


@pytest.mark.usefixtures("_here")
def test_models_that_are_no_longer_in_the_plan_do_not_take_part(build: Path) -> None:
    leave_behind("cnn")
    assert [each.name for each in select_planned_runs(PLAN).candidates] == ["rule", "regression"]
    found = compared()
    assert [each.name for each in found.candidates] == ["rule", "regression"]
    for name in ("metrics.json", "plots/ladder.csv", "plots/curves.csv"):
        assert Path("build", name).read_bytes() == (build / name).read_bytes()


@pytest.mark.usefixtures("_here")
def test_what_lies_beside_the_runs_of_the_plan_changes_nothing(build: Path) -> None:
    leave_behind("cnn")
    found = compared()
    assert found.left_out == [], "a clone that never had those runs must find the same"


@pytest.mark.usefixtures("_here")
def test_of_a_smaller_plan_only_its_repeats_take_part() -> None:
    found = select_planned_runs(PipelineConfig(models=["regression"], repeats=[0, 2], baseline="regression"))
    assert [run.path.as_posix() for run in found.runs] == [f"build/runs/sample/regression/{k}" for k in (0, 2)]


@pytest.mark.usefixtures("_here")
def test_runs_that_were_measured_on_val_are_compared_on_val() -> None:
    mark_as_measured_on_val()
    assert select_planned_runs(PLAN).part == "val"
    assert compared().part == "val"


def broken(change: str, run: StoredRun) -> Sequence[str]:
    if change == "missing":
        shutil.rmtree(run.path)
        return ("build/runs/sample/regression/1",)
    rewrite_record(run.path, status="failed")
    return (str(run.path), "failed")


@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize("change", ["missing", "failed"])
def test_a_run_of_the_plan_that_is_not_there_or_not_finished_is_named(change: str) -> None:
    parts = broken(change, read_run(run_directory("sample", "regression", 1)))
    with pytest.raises(UserError) as caught:
        compared()
    for part in parts:
        assert part in str(caught.value)
    assert not Path("build/metrics.json").exists()


def test_without_any_run_the_first_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="build/runs/sample/rule/0: "):
        compared()
