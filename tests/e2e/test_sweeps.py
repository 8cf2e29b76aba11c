"""A grid that is run again, or was killed: nothing is run twice, nothing is lost, and everything is reported."""

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


def runs(directory: Path) -> list[StoredRun]:
    return find_runs(directory / "runs")


def predictions(directory: Path) -> dict[int, bytes]:
    """The bytes of the test predictions of every finished run, by split seed."""
    finished = [run for run in runs(directory) if run.status == "finished"]
    return {run.record.split_seed: (run.path / "predictions" / "test.parquet").read_bytes() for run in finished}


def table(done: Done) -> str:
    return done.stdout.rstrip().split("\n\n")[-1]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """The grid, run to its end, for all to copy."""
    directory = tmp_path_factory.mktemp("grid")
    done = sweep(directory, *GRID)
    assert (done.returncode, done.stderr) == (0, "")
    return directory, done


@pytest.fixture
def finished(original: tuple[Path, Done], tmp_path: Path) -> Done:
    """The grid, run to its end in this directory."""
    directory, done = original
    shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    return done


def test_the_same_grid_again_makes_no_run_and_ends_in_the_same_table(finished: Done, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/sample/**/*")}
    again = sweep(tmp_path, *GRID)
    assert (again.returncode, again.stderr) == (0, "")
    jobs = [line for line in again.stdout.splitlines() if line.startswith("#")]
    assert [line.split(": ")[:2] for line in jobs] == [
        [f"#{seed} model=rule split.seed={seed}", "done before"] for seed in range(3)
    ]
    assert table(again) == table(finished)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/sample/**/*")} == before


def test_only_what_is_new_in_a_larger_grid_is_made(finished: Done, tmp_path: Path) -> None:
    done = sweep(tmp_path, "-m", "model=rule", "split.seed=1,2,3")
    assert [line.count("done before") for line in done.stdout.splitlines() if line.startswith("#")] == [1, 1, 0]
    assert [run.record.split_seed for run in runs(tmp_path)] == [0, 1, 2, 3]
    assert table(done).splitlines()[-1].split()[:2] == ["rule", "3"]


def test_fresh_makes_all_of_it_again(finished: Done, tmp_path: Path) -> None:
    done = sweep(tmp_path, *GRID, "fresh=true")
    assert "done before" not in done.stdout
    assert len(runs(tmp_path)) == 6


def test_a_single_run_is_made_however_often_it_was(finished: Done, tmp_path: Path) -> None:
    assert sweep(tmp_path, "model=rule").returncode == 0
    assert len(runs(tmp_path)) == 4


def test_the_listing_of_a_sweep_has_what_was_done_before_it(finished: Done, ratchet: Command, tmp_path: Path) -> None:
    sweep(tmp_path, "-m", "model=rule", "split.seed=2,3")
    listed = json.loads(ratchet("runs", "list", "sweep=last", "format=json").stdout)
    assert [each["split_seed"] for each in listed] == [2, 3]


def test_a_killed_grid_goes_on_and_predicts_as_one_that_was_not(
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
    wait_until(lambda: len(runs(directory)) >= 2 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = [(run.record.split_seed, run.status) for run in runs(directory)]
    assert before[0] == (0, "finished")
    assert len(before) < 3, "it was killed too late to tell anything"

    done = sweep(directory, *GRID)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].startswith("#0 model=rule split.seed=0: done before: test F1 ")
    assert done.stdout.count("done before") == sum(status == "finished" for _, status in before)
    assert predictions(directory) == predictions(tmp_path)
    assert table(done).splitlines()[-1].split()[:2] == ["rule", "3"]


def test_what_failed_is_tried_again_and_what_did_not_is_not(tmp_path: Path) -> None:
    grid = ("-m", "model=rule", "data.filter.min_records=1,1000")
    for done_before in (0, 1):
        done = sweep(tmp_path, *grid)
        assert done.returncode == 1
        assert done.stdout.count("done before") == done_before
        assert done.stderr.rstrip().endswith("1 of 2 runs did not finish")
    assert [run.status for run in runs(tmp_path)] == ["finished", "failed", "failed"]


def test_a_job_that_cannot_make_its_directory_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "runs" / "sample").mkdir(parents=True)
    (tmp_path / "runs" / "sample" / "taken").write_text("a file")
    done = sweep(tmp_path, "-m", "name=taken,free")
    assert done.returncode == 1
    assert [run.record.name for run in runs(tmp_path)] == ["free"]
    *_, named, counted = done.stderr.splitlines()
    assert named.startswith("failed: name=taken: ")
    assert "the run directory cannot be created" in named
    assert counted == "1 of 2 runs did not finish"
    assert "Traceback" not in done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and of its configuration, whose sources a test may edit."""
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


def test_a_comment_in_the_code_neither_repeats_a_grid_nor_starts_another_study(copy: Path) -> None:
    grid = ("model=rule", "evaluation.resamples=100")
    search = ("sweep=rule", "sweep.trials=4", "evaluation.resamples=100")
    sweep_copy(copy, *grid)
    study = sweep_copy(copy, *search).stdout.partition(":")[0]
    count = len(runs(copy.parent))
    add_comment(copy)
    assert "done before" in sweep_copy(copy, *grid).stdout
    assert sweep_copy(copy, *search).stdout.startswith(f"{study}: 4 of 4 ")
    assert len(runs(copy.parent)) == count
    changed = copy / "src" / "ratchet" / "models" / "rule.py"
    changed.write_text(f"{changed.read_text(encoding='utf-8')}\nIS_CHANGED = True\n", encoding="utf-8")
    assert "done before" not in sweep_copy(copy, *grid).stdout, "the copy is what runs, and code counts"
