"""Tests for `trainer=ddp_cpu`: only the fit runs in two processes, with the same results as in one."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tests.commands import HANG_SECONDS, PROJECT, run_command, wait_until

from ratchet.runs.predictions import read_predictions

QUICK = ("model=cnn", "model.tokens=word", "model.dropout=0", "model.teacher_share=0", "model.max_epochs=5")
ARGUMENTS = (*QUICK, "model.patience=8", "evaluation.resamples=100", "threads=2")
SAME = (
    "history.csv",
    "metrics.json",
    "model/weights.safetensors",
    "predictions/val.parquet",
    "predictions/test.parquet",
)


ONE_DECISION = 2e-3  # change of an F1 if rounding moves one score across the threshold


def select_overall(metrics: dict[str, Any]) -> dict[str, float]:
    """Return metrics over all records, without intervals: one decision of about 700 changes them little."""
    return {key: value for key, value in metrics.items() if key.count("/") == 1 and isinstance(value, float)}


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def read_history(run: Path) -> dict[tuple[str, str, str], float]:
    with (run / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    values = {(row["epoch"], row["step"], row["key"]): float(row["value"]) for row in rows}
    assert len(values) == len(rows), "no line occurs twice"
    return values


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Return the same run in one and in two processes, by their number, below a path that contains a space."""
    directory = tmp_path_factory.mktemp("one and two")
    done = run_command(sys.executable, PROJECT / "train.py", "-m", "trainer=cpu,ddp_cpu", *ARGUMENTS, cwd=directory)
    assert (done.returncode, done.stderr) == (0, "")
    directories = list((directory / "runs" / "sample" / "cnn").iterdir())
    assert len(directories) == 2, "one directory per run"
    assert {path.name for path in directory.iterdir()} == {"runs"}
    return {2 if "\n  devices: 2\n" in (run / "config.yaml").read_text() else 1: run for run in directories}


def test_two_processes_equal_one_within_rounding(runs: dict[int, Path]) -> None:
    one, two = runs[1], runs[2]
    assert {path.relative_to(one) for path in one.rglob("*")} == {path.relative_to(two) for path in two.rglob("*")}
    assert (one / "model/weights.safetensors").read_bytes() != (two / "model/weights.safetensors").read_bytes()
    assert read_history(two) == pytest.approx(read_history(one), rel=1e-4, abs=ONE_DECISION)
    assert list(read_history(two)) == list(read_history(one)), "in the same order"
    metrics_of_two, metrics_of_one = (select_overall(read_json(run / "metrics.json")) for run in (two, one))
    assert metrics_of_two == pytest.approx(metrics_of_one, abs=ONE_DECISION)
    for part in ("val", "test"):
        predictions_of_two, predictions_of_one = (
            read_predictions(run / "predictions" / f"{part}.parquet") for run in (two, one)
        )
        assert predictions_of_two.ids == predictions_of_one.ids
        np.testing.assert_array_equal(predictions_of_two.targets, predictions_of_one.targets)
        np.testing.assert_allclose(predictions_of_two.scores, predictions_of_one.scores, atol=1e-4)


def test_number_of_processes_does_not_change_the_candidate(runs: dict[int, Path]) -> None:
    records = [read_json(runs[size] / "record.json") for size in (1, 2)]
    assert [record["status"] for record in records] == ["finished", "finished"]
    assert records[0]["config_hash"] == records[1]["config_hash"]
    log = (runs[2] / "log.txt").read_text()
    assert [log.count(f"epoch {epoch}:") for epoch in range(5)] == [1] * 5
    assert "distributed" not in log, "no advice of Lightning is logged"


def run_and_disturb(
    directory: Path, *arguments: str, disturb: Callable[[int, list[psutil.Process]], bool]
) -> tuple[int, str]:
    """Run until `disturb`, given the other processes of the fit, returns True; return exit code and stderr."""
    with subprocess.Popen(
        [sys.executable, PROJECT / "train.py", *arguments],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        workers: list[psutil.Process] = []

        def is_disturbed() -> bool:
            nonlocal workers
            assert process.poll() is None, process.communicate()
            children = psutil.Process(process.pid).children()
            workers = [child for child in children if "spawn_main" in "".join(read_command_line(child))]
            return len(workers) == 1 and disturb(process.pid, workers)

        wait_until(is_disturbed)
        _, errors = process.communicate(timeout=HANG_SECONDS)
    psutil.wait_procs(workers, timeout=HANG_SECONDS)  # workers of a killed run end by themselves
    for worker in workers:  # no worker may outlive the run
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert not list(directory.rglob("*.tmp"))
    return process.returncode, errors


def read_command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


@pytest.mark.thorough
def test_stopped_run_ends_all_processes_and_can_be_resumed(runs: dict[int, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"

    def ctrl_c(group: int, workers: list[psutil.Process]) -> bool:
        os.killpg(group, signal.SIGINT)  # a terminal sends it to the process group
        return True

    def terminate(group: int, workers: list[psutil.Process]) -> bool:
        if "\n1," not in (run / "history.csv").read_text():
            return False
        os.kill(group, signal.SIGTERM)
        return True

    def kill_the_run(group: int, workers: list[psutil.Process]) -> bool:
        if "\n2," not in (run / "history.csv").read_text():  # a worker that still starts prints a trace of Python's
            return False
        os.kill(group, signal.SIGKILL)
        return True

    def kill(group: int, workers: list[psutil.Process]) -> bool:
        if "\n0," not in (run / "history.csv").read_text():
            return False
        workers[0].kill()
        return True

    code, errors = run_and_disturb(tmp_path, "trainer=ddp_cpu", *ARGUMENTS, "run_dir=run", disturb=ctrl_c)
    assert (code, errors) == (130, "interrupted\n")
    assert read_json(run / "record.json")["status"] == "interrupted"

    code, errors = run_and_disturb(tmp_path, "resume=run", disturb=kill)
    assert code == 1
    assert "error: process 2 of the 2 of this fit was killed by SIGKILL" in errors
    record = read_json(run / "record.json")
    assert (record["status"], record["error"]["type"]) == ("failed", "ProcessDied")

    code, errors = run_and_disturb(tmp_path, "resume=run", disturb=terminate)
    assert (code, errors) == (143, "")
    assert read_json(run / "record.json")["status"] == "interrupted"

    code, errors = run_and_disturb(tmp_path, "resume=run", disturb=kill_the_run)
    assert (code, errors) == (-signal.SIGKILL, "")

    done = run_command(sys.executable, PROJECT / "train.py", "resume=run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [name for name in SAME if (run / name).read_bytes() != (runs[2] / name).read_bytes()] == []
