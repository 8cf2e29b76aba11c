"""Tests for results.lock.json: the recorded results, and whether another machine reproduces them."""

import copy
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline.locks import FOUND, MACHINE, with_metric, without
from tests.pipeline.stages import PLAN, lay_out
from tests.sample_runs import rewrite_record as rewrite

from ratchet.errors import UserError
from ratchet.pipeline.locks import (
    RESULTS,
    TOLERANCE,
    Results,
    find_differences,
    is_same_environment,
    list_changes,
    read_committed_file,
    read_committed_results,
    read_results,
    write_results,
)
from ratchet.pipeline.plan import run_directory
from ratchet.schema_versions import RESULTS_SCHEMA

BROKEN: dict[str, Any] = {
    "conflict": '<<<<<<< HEAD\n{"machine": {}}\n=======\n{}\n>>>>>>> branch\n',
    "list": "[]",
    "empty": "",
    "other keys": '{"machine": {}, "found": 1}',
    "other version": json.dumps({**vars(FOUND), "schema_version": "new"}),
}


def test_equal_results_have_no_differences() -> None:
    assert list(find_differences(FOUND, copy.deepcopy(FOUND))) == []
    assert list_changes(FOUND, copy.deepcopy(FOUND)) == []


@pytest.mark.parametrize("value", [0.512, 0.488])
def test_mean_beyond_the_tolerance_is_reported_by_model_and_metric(value: float) -> None:
    differences = list(find_differences(FOUND, with_metric("rule/0", "test/f1_macro", value)))
    assert differences == [f"rule: test/f1_macro: 0.6000 in the lock, {(value + 0.7) / 2:.4f} now"]


def test_tolerance_is_wider_for_random_models_on_another_machine() -> None:
    elsewhere = {**MACHINE, "processor": "another"}
    locked = replace(
        FOUND,
        metrics={f"cnn/{repeat}": {"test/f1_macro": value} for repeat, value in enumerate((0.68, 0.70, 0.72))},
        predictions={f"cnn/{repeat}": "aa" for repeat in range(3)},
    )

    def shift_metrics(moved: float, **changed: Any) -> Results:
        metrics = {name: {"test/f1_macro": values["test/f1_macro"] + moved} for name, values in locked.metrics.items()}
        return replace(locked, metrics=metrics, **changed)

    allowed = TOLERANCE + 3 * 0.02 / 3**0.5
    assert list(find_differences(locked, shift_metrics(0.99 * allowed, machine=elsewhere))) == []
    assert len(list(find_differences(locked, shift_metrics(1.01 * allowed, machine=elsewhere)))) == 1
    assert len(list(find_differences(locked, shift_metrics(1.01 * TOLERANCE)))) == 1, (
        "the same kind of machine gets no extra tolerance"
    )
    certain = replace(locked, random=[])
    assert len(list(find_differences(certain, shift_metrics(1.01 * TOLERANCE, machine=elsewhere)))) == 1


@given(moved=st.floats(-TOLERANCE * 1.99, TOLERANCE * 1.99))
def test_mean_within_the_tolerance_is_no_difference(moved: float) -> None:
    assert list(find_differences(FOUND, with_metric("rule/0", "test/f1_macro", 0.5 + moved))) == [], (
        "the mean of two repeats"
    )


@given(value=st.floats(0, 1))
def test_number_of_differences_is_symmetric(value: float) -> None:
    changed = with_metric("rule/0", "test/f1_macro", value)
    forward, backward = list(find_differences(FOUND, changed)), list(find_differences(changed, FOUND))
    assert len(forward) == len(backward)


def test_added_and_removed_metrics_and_runs_are_reported() -> None:
    reduced = replace(
        FOUND, metrics={**FOUND.metrics, "rule/0": {"test/f1_macro": 0.5}, "rule/1": {"test/f1_macro": 0.7}}
    )
    assert list(find_differences(FOUND, reduced)) == ["rule: val/f1_macro: gone"]
    assert list(find_differences(reduced, FOUND)) == ["rule: val/f1_macro: new"]
    assert list(find_differences(FOUND, without("cnn/0"))) == ["cnn/0: not run"]
    assert list(find_differences(without("cnn/0"), FOUND)) == ["cnn/0: a run that is not in the lock"]


def test_predictions_are_compared_only_in_the_same_environment() -> None:
    changed = replace(FOUND, predictions={**FOUND.predictions, "cnn/0": "other"})
    assert list(find_differences(FOUND, changed)) == [
        "cnn/0: different predictions on the same kind of machine with the same packages"
    ]
    for key in MACHINE:
        elsewhere = replace(changed, machine={**MACHINE, key: "another"})
        assert not is_same_environment(FOUND, elsewhere)
        assert list(find_differences(FOUND, elsewhere)) == []
    for lock_hash in ("another", None):
        assert list(find_differences(FOUND, replace(changed, lock_hash=lock_hash))) == []


def test_change_compares_means_over_the_repeats() -> None:
    now = with_metric("rule/1", "test/f1_macro", 0.8)
    assert list_changes(FOUND, now) == [
        {"model": "rule", "metric": "test/f1_macro", "then": "0.6000", "now": "0.6500", "change": "+0.0500"}
    ]
    assert list_changes(FOUND, with_metric("rule/1", "test/f1_macro", 0.70001)) == [], "too small to show in a table"


def test_added_and_removed_models_are_rows() -> None:
    cnn = {"model": "cnn", "metric": "test/f1_macro", "then": "-", "now": "0.8000", "change": "new"}
    assert list_changes(without("cnn/0"), FOUND) == [cnn]
    assert list_changes(FOUND, without("cnn/0")) == [{**cnn, "then": "0.8000", "now": "-", "change": "gone"}]


def test_removed_metric_is_a_row() -> None:
    before, now = copy.deepcopy(FOUND.metrics), copy.deepcopy(FOUND.metrics)
    for name in ("rule/0", "rule/1"):
        del now[name]["test/f1_macro"]
    [row] = list_changes(replace(FOUND, metrics=before), replace(FOUND, metrics=now))
    assert (row["model"], row["metric"], row["then"], row["change"]) == ("rule", "test/f1_macro", "0.6000", "gone")


def test_rows_always_have_the_same_columns() -> None:
    rows = list_changes(without("cnn/0"), replace(with_metric("rule/0", "test/f1_macro", 0.1)))
    rows += list_changes(FOUND, without("cnn/0"))
    assert {tuple(row) for row in rows} == {("model", "metric", "then", "now", "change")}


# --- results of real runs ---
@pytest.fixture
def _in_directory_with_runs(sample_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lay_out(sample_runs, monkeypatch)


@pytest.mark.usefixtures("_in_directory_with_runs")
def test_results_have_overall_metrics_and_prediction_hashes() -> None:
    results = read_results(PLAN)
    names = [f"{model}/{repeat}" for model in ("rule", "regression") for repeat in (0, 1, 2)]
    assert list(results.metrics) == list(results.predictions) == names
    assert set(results.machine) == set(MACHINE)
    for name, metrics in results.metrics.items():
        stored = json.loads((run_directory("sample", "rule", 0).parents[1] / name / "metrics.json").read_text())
        assert metrics.items() <= stored.items()
        assert {"test/f1_weighted", "val/f1_macro", "behaviour/score"} <= set(metrics)
        for part in ("labels/", "slices/", "_ci_low", "_ci_high", "cost/", "behaviour/cases"):
            assert not [key for key in metrics if part in key]
    assert results == read_results(PLAN)
    write_results(results)
    assert Results(**json.loads(RESULTS.read_text(encoding="utf-8"))) == results
    assert list(find_differences(results, read_results(PLAN))) == []


@pytest.mark.usefixtures("_in_directory_with_runs")
def test_changed_predictions_are_reported() -> None:
    before = read_results(PLAN)
    source, target = (
        run_directory("sample", "regression", repeat) / "predictions" / "val.parquet" for repeat in (0, 1)
    )
    shutil.copy(source, target)
    differences = list(find_differences(before, read_results(PLAN)))
    assert differences == ["regression/1: different predictions on the same kind of machine with the same packages"]


@pytest.mark.usefixtures("_in_directory_with_runs")
@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_unfinished_or_missing_run_has_no_results(status: str) -> None:
    path = run_directory("sample", "rule", 2)
    rewrite(path, status=status)
    with pytest.raises(UserError, match=f"{path.as_posix()}: the run is {status}: `dvc repro`"):
        read_results(PLAN)
    shutil.rmtree(path)
    with pytest.raises(UserError, match=f"{path.as_posix()}: does not exist: `dvc repro`"):
        read_results(PLAN)


# --- results of a commit ---
def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@e", *arguments], check=True, capture_output=True)


def commit(files: dict[str, str]) -> None:
    """Commit these files; create the repository if needed."""
    for name, text in files.items():
        Path(name).write_text(text, encoding="utf-8")
    if not Path(".git").exists():
        git("init", "--quiet", "--initial-branch=trunk")
    git("add", ".")
    git("commit", "--quiet", "--allow-empty", "--message=next")


@pytest.fixture
def _outside_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change to a directory outside any repository, without git settings of the user."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("_outside_git")
def test_results_are_read_from_the_commit_not_the_directory() -> None:
    commit({str(RESULTS): json.dumps(vars(FOUND))})
    RESULTS.unlink()
    assert read_committed_results("HEAD") == read_committed_results("trunk") == FOUND
    Path("below").mkdir()
    commit({"below/own.txt": "line\r\n"})
    assert read_committed_file("HEAD", Path("below/own.txt")) == "line\r\n"


@pytest.mark.usefixtures("_outside_git")
@pytest.mark.parametrize("revision", ["HEAD", "nowhere", "", "--help", "HEAD~1"])
def test_missing_repository_commit_or_file_raises_an_error(revision: str) -> None:
    message = f"results.lock.json of {revision} cannot be read"
    with pytest.raises(UserError, match=message):
        read_committed_results(revision)
    commit({"other.txt": ""})
    with pytest.raises(UserError, match=message):
        read_committed_results(revision)


@pytest.mark.usefixtures("_outside_git")
@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_broken_results_error_names_the_file(text: str) -> None:
    commit({str(RESULTS): text})
    with pytest.raises(UserError, match=r"results\.lock\.json"):
        read_committed_results("HEAD")


@pytest.mark.usefixtures("_outside_git")
def test_newer_results_ask_for_a_newer_ratchet() -> None:
    """The lock does not name its Ratchet: it depends on the results alone."""
    newer = {**vars(FOUND), "schema_version": RESULTS_SCHEMA.version + 1, "added": {}}
    commit({str(RESULTS): json.dumps(newer)})
    with pytest.raises(UserError, match=r"results\.lock\.json of HEAD: .*results schema \d+;.*newer ratchet-ml"):
        read_committed_results("HEAD")
