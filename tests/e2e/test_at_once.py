"""Two commands at the same time in one place: nothing is lost, nothing mixed, and who comes second is told."""

import json
import subprocess
import sys
from pathlib import Path

from tests.commands import HANG_SECONDS, PROJECT

from ratchet.runs import find_runs

FEW = "evaluation.resamples=100"


def both(directory: Path, *arguments: str) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of the same command, run twice at the same time."""
    command = [sys.executable, str(PROJECT / "train.py"), *arguments]
    started = [
        subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=HANG_SECONDS) for process in started]
    return [(process.returncode, *said) for process, said in zip(started, ended, strict=True)]


def test_one_directory_is_had_by_one_run(tmp_path: Path) -> None:
    (code, out, errors), (other_code, other_out, other_errors) = sorted(both(tmp_path, FEW, "run_dir=one"))
    assert (code, errors) == (0, "")
    assert out.rstrip().endswith("one")
    assert (other_code, other_out) == (2, "")
    assert other_errors.startswith("error: one: ")
    assert json.loads((tmp_path / "one" / "record.json").read_text())["status"] == "finished"
    assert len((tmp_path / "runs/sample/test_readings.jsonl").read_text().splitlines()) == 1


def test_two_equal_sweeps_lose_and_mix_nothing(tmp_path: Path) -> None:
    ended = both(tmp_path, FEW, "-m", "split.seed=0,1")
    assert [(code, errors) for code, _, errors in ended] == [(0, ""), (0, "")]
    runs = find_runs(tmp_path / "runs")
    assert {run.status for run in runs} == {"finished"}
    predictions: dict[int, set[bytes]] = {}
    for run in runs:
        found = predictions.setdefault(run.record.split_seed, set())
        found.add((run.path / "predictions" / "test.parquet").read_bytes())
    assert {seed: len(found) for seed, found in predictions.items()} == {0: 1, 1: 1}
    readings = (tmp_path / "runs/sample/test_readings.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["run"] for line in readings) == sorted(run.record.id for run in runs)
    for _, out, _ in ended:
        lines = [line for line in out.splitlines() if line.startswith("#")]
        assert len(lines) == 2
        assert out.rstrip().splitlines()[-1].split()[:2] == ["rule", "2"]
