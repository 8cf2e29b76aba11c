"""Tests for full or read-only disks and damaged files: the error, the files left behind, and resuming."""

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
    """Train where no file may become larger than 15 kB; this needs no privileges."""
    program = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (15000, 15000)); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    # Python would cut compiled modules short, too, and fail on them from then on.
    command = (sys.executable, "-c", program, *TRAIN[1:], *arguments)
    return run_command(*command, cwd=directory, PYTHONDONTWRITEBYTECODE="1")


def mount(*arguments: str | Path) -> None:
    """Run `mount` with these arguments; skip the test if it fails."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Callable[[str], None]]:
    """Mount a disk of `size` at the directory; yield a function that resizes it."""
    directory.mkdir()
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory)
    try:
        yield lambda new_size: mount("-o", f"remount,size={new_size}", directory)
    finally:
        subprocess.run(["umount", directory], check=True)


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Make the directory read-only. It is mounted read-only for root, who may ignore file permissions."""
    if os.geteuid() != 0:
        directory.chmod(0o555)
        try:
            yield
        finally:
            directory.chmod(0o755)
        return
    mount("--bind", directory, directory)
    try:
        mount("-o", "remount,ro,bind", directory)
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def read_status(run: Path) -> str:
    return str(json.loads((run / "record.json").read_text(encoding="utf-8"))["status"])


def has_no_partial_files(directory: Path) -> bool:
    """Return whether no temporary file is left; fail if a JSON file is incomplete."""
    for path in directory.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    return not list(directory.rglob("*.tmp"))


def test_run_on_a_full_disk_fails_and_can_be_resumed(tmp_path: Path) -> None:
    done = train_with_small_files(tmp_path, "run_dir=run")
    assert (done.returncode, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert "File too large" in first
    assert "`ratchet train resume=run`" in first
    assert second == "The run's record: run"
    assert read_status(tmp_path / "run") == "failed"
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert has_no_partial_files(tmp_path)

    resumed = run_command(*TRAIN[:2], "resume=run", cwd=tmp_path)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert read_status(tmp_path / "run") == "finished"


def test_grid_on_a_full_disk_fails_and_can_be_continued(tmp_path: Path) -> None:
    grid = ("-m", "split.seed=0,1")
    with small_disk(tmp_path / "runs", "280k") as resize:  # a run takes 200
        done = train(tmp_path, *grid)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "No space left on device" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("1 of 2 runs ")
        finished, full = find_runs(tmp_path / "runs")
        assert (finished.status, full.status in ("failed", "killed")) == ("finished", True)
        assert has_no_partial_files(tmp_path)

        resize("1m")
        resumed = train(tmp_path, *grid)
        assert (resumed.returncode, resumed.stderr) == (0, "")
        assert resumed.stdout.count("done before") == 1
        assert [run.status for run in find_runs(tmp_path / "runs")].count("finished") == 2


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a run that can be resumed, in runs/run."""
    directory = tmp_path_factory.mktemp("stopped")
    assert train(directory, "data.records.path=nowhere", "run_dir=runs/run").returncode == 2
    return directory


def test_read_only_directory_is_named_and_unchanged(stopped: Path) -> None:
    before = {path: path.read_bytes() for path in (stopped / "runs").rglob("*") if path.is_file()}
    with read_only(stopped / "runs"):
        for arguments, location in (
            ([], "runs/sample/rule/"),
            (["-m", "seed=0,1"], "runs/.sweeps/"),
            (["resume=runs/run"], "runs/run"),
        ):
            done = run_command(*TRAIN[:2], *arguments, cwd=stopped)
            assert (done.returncode, done.stdout) == (2, "")
            [line] = done.stderr.splitlines()
            assert line.startswith(f"error: {location}")
            assert "Make it writable" in line
    assert {path: path.read_bytes() for path in (stopped / "runs").rglob("*") if path.is_file()} == before


def test_damaged_configuration_is_named_on_resume(stopped: Path) -> None:
    path = stopped / "runs" / "run" / "config.yaml"
    original = path.read_bytes()
    path.write_bytes(b"name: caf\xe9\n")
    done = run_command(*TRAIN[:2], "resume=runs/run", cwd=stopped)
    path.write_bytes(original)
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("error: runs/run/config.yaml: ")
