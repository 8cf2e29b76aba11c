"""Tests for interrupted runs: the status in the record, and the exit code."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.commands import HANG_SECONDS, wait_for_file

Command = Callable[..., "subprocess.CompletedProcess[str]"]
LONG = ("evaluation.resamples=100000",)  # seconds of bootstrap for each part


@contextmanager
def start_training(project: Path, directory: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Start `python train.py` in `directory`; kill it at the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, project / "train.py", *LONG, *arguments],
        cwd=directory,
        env={**os.environ, "HYDRA_FULL_ERROR": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def list_runs(ratchet: Command) -> list[dict[str, Any]]:
    done = ratchet("runs", "list", "format=json")
    assert done.returncode == 0, done.stderr
    runs: list[dict[str, Any]] = json.loads(done.stdout)
    return runs


@pytest.mark.parametrize(
    ("sent", "code", "recorded", "shown"),
    [
        (signal.SIGINT, 130, "interrupted", "interrupted"),
        (signal.SIGTERM, 143, "interrupted", "interrupted"),
        (signal.SIGKILL, -9, "running", "killed"),
    ],
)
def test_stopped_run_records_how_it_was_stopped(
    project: Path, tmp_path: Path, ratchet: Command, sent: signal.Signals, code: int, recorded: str, shown: str
) -> None:
    with start_training(project, tmp_path) as process:
        path = wait_for_file(tmp_path, "runs/sample/rule/*/predictions/val.parquet", process).parents[1]
        assert json.loads((path / "record.json").read_text())["status"] == "running"
        [run] = list_runs(ratchet)
        assert run["status"] == "running"
        process.send_signal(sent)
        out, errors = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert out == ""
    record = json.loads((path / "record.json").read_text())
    assert record["status"] == recorded
    assert (record["finished_at"] is None) == (recorded == "running")
    [run] = list_runs(ratchet)
    assert (run["status"], run["id"]) == (shown, path.name)
    assert not (path / "metrics.json").exists()
    assert [file.name for file in path.rglob("*.tmp")] == []


def test_run_killed_while_measuring_test_counts_as_a_test_access(project: Path, tmp_path: Path) -> None:
    with start_training(project, tmp_path) as process:
        wait_for_file(tmp_path, "runs/sample/rule/*/predictions/test.parquet", process)
        process.kill()
        process.communicate()
    assert len((tmp_path / "runs" / "sample" / "test_readings.jsonl").read_text().splitlines()) == 1


def test_interrupted_grid_stops_and_lists_missing_runs(project: Path, tmp_path: Path, ratchet: Command) -> None:
    with start_training(project, tmp_path, "-m", "seed=0,1") as process:
        wait_for_file(tmp_path, "runs/sample/rule/*/predictions/val.parquet", process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 130
    [run] = list_runs(ratchet)
    assert (run["status"], run["seed"]) == ("interrupted", 0)
    assert errors.splitlines() == [
        f"interrupted: {LONG[0]} seed=0 ({run['path']})",
        f"not run: {LONG[0]} seed=1: it did not report",
        "2 of 2 runs did not finish; the same command continues",
        "interrupted",
    ]


def test_invalid_data_leave_a_failed_run(tmp_path: Path, train: Command, ratchet: Command) -> None:
    (tmp_path / "broken.jsonl").write_text('{"id": "1", "title": "a", "description": "b", "tags": ["x"]\n')
    done = train("data.records.path=broken.jsonl")
    assert done.returncode == 2
    assert "broken.jsonl" in done.stderr
    assert "Traceback" not in done.stderr
    [run] = list_runs(ratchet)
    assert (run["status"], run["error"]["type"]) == ("failed", "UserError")
    assert "broken.jsonl" in run["error"]["message"]
    assert run["path"] in done.stderr
