"""Tests for the output and exit code of `train -m`, per job and at the end of a sweep."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ratchet.cli.train import SweepEnd, print_job, run
from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.runs.stored import read_run
from ratchet.sweeps.jobs import JobResult
from ratchet.sweeps.ledger import Job, plan_sweep, record_job

Make = Callable[..., Path]
EndSweep = Callable[[str], int]
TRIAL = ["sweep=regression", "sweep.study=made", "sweep.trial=4", "model.C=2.0", "model.mention_weight=0.5"]


@pytest.fixture(scope="module")
def runs(make_run: Make) -> dict[str, StoredRun]:
    """Train a sweep with a failed job, and another that is evaluated on val."""
    paths = {
        "finished": make_run("sweep_id=bad", "experiment=rule_exact"),
        "failed": make_run("sweep_id=bad", "data.filter.min_records=1000"),
        "val": make_run("sweep_id=val", "evaluate=val"),
    }
    return {name: read_run(path) for name, path in paths.items()}


@pytest.fixture
def end_sweep(runs: dict[str, StoredRun], workplace: Path) -> EndSweep:
    """Return a function that ends a sweep and returns its exit code."""

    def call(sweep_id: str) -> int:
        config = SimpleNamespace(runs_dir=str(workplace / "runs"), sweep_id=sweep_id)
        try:
            SweepEnd().on_multirun_end(config)  # type: ignore[arg-type]
        except SystemExit as stop:
            return int(stop.code or 0)
        return 0

    return call


def test_arguments_and_environment_of_the_process_are_restored() -> None:
    before = list(sys.argv), dict(os.environ)
    with pytest.raises(UserError, match="model=none"):
        run(["model=none"])
    assert (sys.argv, dict(os.environ)) == before


def test_trial_is_labelled_by_number_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_job(JobResult(Job(2, TRIAL, "pruned", reason="epoch 3"), Path("run")))
    assert capsys.readouterr().out == "#4 C=2.0 mention_weight=0.5: pruned, epoch 3\n"


def test_user_error_of_job_is_printed_without_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_job(JobResult(Job(0, ["seed=0"], "failed", reason="no label"), None, UserError("no label")))
    assert capsys.readouterr() == ("", "#0 seed=0: failed: no label\n")
    print_job(JobResult(Job(0, ["seed=0"], "failed", reason="a bug"), None, RuntimeError("a bug")))
    assert "RuntimeError: a bug" in capsys.readouterr().err


def test_error_of_recording_outcome_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    error = UserError("one/0.json: cannot be written")
    print_job(JobResult(Job(0, ["seed=0"], "failed", reason="no label"), None, UserError("no label"), error))
    assert capsys.readouterr().err.splitlines()[-1].endswith(str(error))


def test_sweep_on_val_shows_val_metrics(
    runs: dict[str, StoredRun], end_sweep: EndSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_sweep("val") == 0
    out = capsys.readouterr().out
    assert out.strip().startswith("sample, val:")
    assert f"{runs['val'].read_metrics()['val/f1_weighted']:.3f}" in out


def test_failed_run_is_listed_and_exits_with_1(
    runs: dict[str, StoredRun], end_sweep: EndSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_sweep("bad") == 1
    out, err = capsys.readouterr()
    assert out.strip().splitlines()[-1].split()[0] == "rule_exact", "finished runs are in the table"
    failure, count = err.strip().splitlines()
    assert failure.startswith("failed: ")
    assert "data.filter.min_records=1000" in failure
    assert "no label is left" in failure
    assert str(runs["failed"].path) in failure
    assert count == "1 of 2 runs did not finish"


def test_run_without_recorded_outcome_exits_with_1(
    runs: dict[str, StoredRun], end_sweep: EndSweep, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs["val"]
    plan_sweep(workplace / "runs", "val", [run.record.overrides])
    assert end_sweep("val") == 1
    assert str(run.path) in capsys.readouterr().err
    record_job(workplace / "runs", "val", Job(0, run.record.overrides, "finished"), run.path)
    assert end_sweep("val") == 0


def test_damaged_job_record_exits_with_2(
    end_sweep: EndSweep, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_sweep(workplace / "runs", "damaged", [["seed=0"]])
    (workplace / "runs" / ".sweeps" / "damaged" / "0.json").write_text("[")
    assert end_sweep("damaged") == 2
    assert "damaged/0.json" in capsys.readouterr().err


def test_sweep_without_runs_exits_with_1(end_sweep: EndSweep, capsys: pytest.CaptureFixture[str]) -> None:
    assert end_sweep("never") == 1
    assert capsys.readouterr().out == ""
