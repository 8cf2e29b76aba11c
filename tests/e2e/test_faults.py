"""Disks that are full or read-only, files that are damaged: what is said, what is left, and how it goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.commands import PROJECT, run_command

from ratchet.runs import find_runs

Done = CompletedProcess[str]
FEW = "evaluation.resamples=100"
TRAIN = (sys.executable, PROJECT / "train.py", FEW)


def train(directory: Path, *arguments: str) -> Done:
    return run_command(*TRAIN, *arguments, cwd=directory)


def train_with_small_files(directory: Path, *arguments: str) -> Done:
    """The same where no file may become larger than 15 kB, which needs no rights."""
    program = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (15000, 15000)); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    return run_command(sys.executable, "-c", program, *TRAIN[1:], *arguments, cwd=directory)


def mounted(*arguments: str | Path) -> None:
    """`mount` with these arguments, or the test is skipped."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A disk of `size` at the directory; what is given makes it another size."""
    directory.mkdir()
    mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory)
    try:
        yield lambda other: mounted("-o", f"remount,size={other}", directory)
    finally:
        subprocess.run(["umount", directory], check=True)


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Nobody may write to the directory; the rights of files do not count for root."""
    if os.geteuid() != 0:
        directory.chmod(0o555)
        try:
            yield
        finally:
            directory.chmod(0o755)
        return
    mounted("--bind", directory, directory)
    try:
        mounted("-o", "remount,ro,bind", directory)
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def status(run: Path) -> str:
    return str(json.loads((run / "record.json").read_text(encoding="utf-8"))["status"])


def nothing_is_half_written(directory: Path) -> bool:
    """No temporary file, and every JSON file whole."""
    for path in directory.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    return not list(directory.rglob("*.tmp"))


def test_a_run_without_room_says_so_and_goes_on_once_there_is(tmp_path: Path) -> None:
    done = train_with_small_files(tmp_path, "run_dir=run")
    assert (done.returncode, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert "File too large" in first
    assert "`python train.py resume=run`" in first
    assert second == "The run's record: run"
    assert status(tmp_path / "run") == "failed"
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert nothing_is_half_written(tmp_path)

    again = run_command(*TRAIN[:2], "resume=run", cwd=tmp_path)
    assert (again.returncode, again.stderr) == (0, "")
    assert status(tmp_path / "run") == "finished"


def test_a_grid_that_fills_the_disk_goes_on_once_there_is_room(tmp_path: Path) -> None:
    grid = ("-m", "split.seed=0,1")
    with small_disk(tmp_path / "runs", "200k") as resized:
        done = train(tmp_path, *grid)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "No space left on device" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("1 of 2 runs ")
        finished, full = find_runs(tmp_path / "runs")
        assert (finished.status, full.status in ("failed", "killed")) == ("finished", True)
        assert nothing_is_half_written(tmp_path)

        resized("1m")
        again = train(tmp_path, *grid)
        assert (again.returncode, again.stderr) == (0, "")
        assert again.stdout.count("done before") == 1
        assert [run.status for run in find_runs(tmp_path / "runs")].count("finished") == 2


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run that can be resumed, in runs/run."""
    directory = tmp_path_factory.mktemp("stopped")
    assert train(directory, "data.records.path=nowhere", "run_dir=runs/run").returncode == 2
    return directory


def test_a_directory_that_is_read_only_is_named_and_left_as_it_is(stopped: Path) -> None:
    before = {path: path.read_bytes() for path in (stopped / "runs").rglob("*") if path.is_file()}
    with read_only(stopped / "runs"):
        for arguments, named in (
            ([], "runs/sample/rule/"),
            (["-m", "seed=0,1"], "runs/.sweeps/"),
            (["resume=runs/run"], "runs/run"),
        ):
            done = run_command(*TRAIN[:2], *arguments, cwd=stopped)
            assert (done.returncode, done.stdout) == (2, "")
            [line] = done.stderr.splitlines()
            assert line.startswith(f"error: {named}")
            assert "Make it writable" in line
    assert {path: path.read_bytes() for path in (stopped / "runs").rglob("*") if path.is_file()} == before


def test_a_damaged_configuration_of_the_run_to_resume_is_named(stopped: Path) -> None:
    path = stopped / "runs" / "run" / "config.yaml"
    whole = path.read_bytes()
    path.write_bytes(b"name: caf\xe9\n")
    done = run_command(*TRAIN[:2], "resume=runs/run", cwd=stopped)
    path.write_bytes(whole)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("error: runs/run/config.yaml: ")
