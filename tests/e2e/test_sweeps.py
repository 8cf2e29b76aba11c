"""Tests for a grid that is repeated or was killed: nothing runs twice, nothing is lost, all runs are reported."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.commands import PROJECT, Command, run_command, wait_until

from ratchet.runs import StoredRun, find_runs

Done = CompletedProcess[str]
GRID = ("-m", "model=rule", "split.seed=0,1,2")


def sweep(directory: Path, *arguments: str) -> Done:
    return run_command(sys.executable, PROJECT / "train.py", *arguments, cwd=directory)


def list_runs(directory: Path) -> list[StoredRun]:
    return find_runs(directory / "runs")


def read_predictions(directory: Path) -> dict[int, bytes]:
    """Return the bytes of the test predictions of every finished run, by split seed."""
    finished = [run for run in list_runs(directory) if run.status == "finished"]
    return {run.record.split_seed: (run.path / "predictions" / "test.parquet").read_bytes() for run in finished}


def read_table(done: Done) -> str:
    return done.stdout.rstrip().split("\n\n")[-1]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """Run the grid once, for all tests to copy."""
    directory = tmp_path_factory.mktemp("grid")
    done = sweep(directory, *GRID)
    assert (done.returncode, done.stderr) == (0, "")
    return directory, done


@pytest.fixture
def finished(original: tuple[Path, Done], tmp_path: Path) -> Done:
    """Copy the finished grid to this directory; return its output."""
    directory, done = original
    shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    return done


def test_repeated_grid_runs_nothing_and_prints_the_same_table(finished: Done, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/sample/**/*")}
    repeated = sweep(tmp_path, *GRID)
    assert (repeated.returncode, repeated.stderr) == (0, "")
    jobs = [line for line in repeated.stdout.splitlines() if line.startswith("#")]
    assert [line.split(": ")[:2] for line in jobs] == [
        [f"#{seed} model=rule split.seed={seed}", "done before"] for seed in range(3)
    ]
    assert read_table(repeated) == read_table(finished)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/sample/**/*")} == before


def test_larger_grid_runs_only_its_new_jobs(finished: Done, tmp_path: Path) -> None:
    done = sweep(tmp_path, "-m", "model=rule", "split.seed=1,2,3")
    assert [line.count("done before") for line in done.stdout.splitlines() if line.startswith("#")] == [1, 1, 0]
    assert [run.record.split_seed for run in list_runs(tmp_path)] == [0, 1, 2, 3]
    assert read_table(done).splitlines()[-1].split()[:2] == ["rule", "3"]


def test_fresh_runs_all_jobs_again(finished: Done, tmp_path: Path) -> None:
    done = sweep(tmp_path, *GRID, "fresh=true")
    assert "done before" not in done.stdout
    assert len(list_runs(tmp_path)) == 6


def test_single_run_is_always_repeated(finished: Done, tmp_path: Path) -> None:
    assert sweep(tmp_path, "model=rule").returncode == 0
    assert len(list_runs(tmp_path)) == 4


def test_list_of_a_sweep_includes_earlier_runs(finished: Done, ratchet: Command, tmp_path: Path) -> None:
    sweep(tmp_path, "-m", "model=rule", "split.seed=2,3")
    listed = json.loads(ratchet("runs", "list", "sweep=last", "format=json").stdout)
    assert [run["split_seed"] for run in listed] == [2, 3]


def test_killed_grid_resumes_with_the_same_predictions(
    finished: Done, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    directory = tmp_path_factory.mktemp("killed")
    process = subprocess.Popen(
        [sys.executable, PROJECT / "train.py", *GRID],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ),
    )
    wait_until(lambda: len(list_runs(directory)) >= 2 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = [(run.record.split_seed, run.status) for run in list_runs(directory)]
    assert before[0] == (0, "finished")
    assert len(before) < 3, "it was killed too late for this test"

    done = sweep(directory, *GRID)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("#0 model=rule split.seed=0: done before: test F1 ")
    assert done.stdout.count("done before") == sum(status == "finished" for _, status in before)
    assert read_predictions(directory) == read_predictions(tmp_path)
    assert read_table(done).splitlines()[-1].split()[:2] == ["rule", "3"]


def test_only_failed_jobs_are_retried(tmp_path: Path) -> None:
    grid = ("-m", "model=rule", "data.filter.min_records=1,1000")
    for done_before in (0, 1):
        done = sweep(tmp_path, *grid)
        assert done.returncode == 1
        assert done.stdout.count("done before") == done_before
        assert done.stderr.rstrip().endswith("1 of 2 runs did not finish")
    assert [run.status for run in list_runs(tmp_path)] == ["finished", "failed", "failed"]


def test_job_without_directory_is_named_and_others_continue(tmp_path: Path) -> None:
    (tmp_path / "runs" / "sample").mkdir(parents=True)
    (tmp_path / "runs" / "sample" / "taken").write_text("a file")
    done = sweep(tmp_path, "-m", "name=taken,free")
    assert done.returncode == 1
    assert [run.record.name for run in list_runs(tmp_path)] == ["free"]
    *_, named, counted = done.stderr.splitlines()
    assert named.startswith("failed: name=taken: ")
    assert "the run directory cannot be created" in named
    assert counted == "1 of 2 runs did not finish"
    assert "Traceback" not in done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of the package and its configuration, whose sources a test may edit."""
    directory = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("src", "conf"):
        shutil.copytree(PROJECT / name, directory / name, ignore=ignored)
    (directory / "data").symlink_to(PROJECT / "data")
    shutil.copy(PROJECT / "train.py", directory)
    return directory


def add_comment(copy: Path) -> None:
    """Add a comment to modules that a run and a search of the rule execute."""
    for name in ("training.py", "models/rule.py", "evaluation/metrics.py", "sweeps/search.py"):
        path = copy / "src" / "ratchet" / name
        path.write_text(f"{path.read_text(encoding='utf-8')}\n# A comment that changes nothing.\n", encoding="utf-8")


def sweep_copy(copy: Path, *arguments: str) -> Done:
    done = run_command(
        sys.executable, copy / "train.py", "-m", *arguments, cwd=copy.parent, PYTHONPATH=str(copy / "src")
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done


def test_comment_in_the_code_repeats_no_grid_and_no_study(copy: Path) -> None:
    grid = ("model=rule", "evaluation.resamples=100")
    search = ("sweep=rule", "sweep.trials=4", "evaluation.resamples=100")
    sweep_copy(copy, *grid)
    study = sweep_copy(copy, *search).stdout.partition(":")[0]
    count = len(list_runs(copy.parent))
    add_comment(copy)
    assert "done before" in sweep_copy(copy, *grid).stdout
    assert sweep_copy(copy, *search).stdout.startswith(f"{study}: 4 of 4 ")
    assert len(list_runs(copy.parent)) == count
    changed = copy / "src" / "ratchet" / "models" / "rule.py"
    changed.write_text(f"{changed.read_text(encoding='utf-8')}\nIS_CHANGED = True\n", encoding="utf-8")
    assert "done before" not in sweep_copy(copy, *grid).stdout, "changed code repeats the grid"
