"""Tests for two commands in one directory at the same time: nothing is lost or mixed, and conflicts are errors."""

import json
import subprocess
import sys
from pathlib import Path

from tests.commands import HANG_SECONDS, PROJECT

from ratchet.runs import find_runs

FEW = "evaluation.resamples=100"


def run_twice_at_once(directory: Path, *arguments: str) -> list[tuple[int, str, str]]:
    """Run the same command twice at the same time; return exit code, output and errors of each."""
    command = [sys.executable, str(PROJECT / "train.py"), *arguments]
    started = [
        subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=HANG_SECONDS) for process in started]
    return [(process.returncode, *output) for process, output in zip(started, ended, strict=True)]


def test_only_one_run_uses_a_directory(tmp_path: Path) -> None:
    (code, out, errors), (other_code, other_out, other_errors) = sorted(run_twice_at_once(tmp_path, FEW, "run_dir=one"))
    assert (code, errors) == (0, "")
    assert out.rstrip().endswith("one")
    assert (other_code, other_out) == (2, "")
    assert other_errors.startswith("error: one: ")
    assert json.loads((tmp_path / "one" / "record.json").read_text())["status"] == "finished"
    assert len((tmp_path / "runs/sample/test_readings.jsonl").read_text().splitlines()) == 1


def test_equal_sweeps_at_once_lose_and_mix_nothing(tmp_path: Path) -> None:
    ended = run_twice_at_once(tmp_path, FEW, "-m", "split.seed=0,1")
    assert [(code, errors) for code, _, errors in ended] == [(0, ""), (0, "")]
    runs = find_runs(tmp_path / "runs")
    assert {run.status for run in runs} == {"finished"}
    predictions: dict[int, set[bytes]] = {}
    for run in runs:
        contents = predictions.setdefault(run.record.split_seed, set())
        contents.add((run.path / "predictions" / "test.parquet").read_bytes())
    assert {seed: len(contents) for seed, contents in predictions.items()} == {0: 1, 1: 1}
    readings = (tmp_path / "runs/sample/test_readings.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["run"] for line in readings) == sorted(run.record.id for run in runs)
    for _, out, _ in ended:
        lines = [line for line in out.splitlines() if line.startswith("#")]
        assert len(lines) == 2
        assert out.rstrip().splitlines()[-1].split()[:2] == ["rule", "2"]
