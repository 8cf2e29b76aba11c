"""Tests for runs whose directory, runs directory or project was moved or renamed after they were made."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Verb
from tests.commands import read_files

from ratchet.cli.main import main
from ratchet.runs.stored import find_runs

Move = Callable[[Path], Path]


@pytest.fixture
def stopped(sample_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project with the sample runs, one of them stopped; return that run's directory. Its root is current."""
    root = tmp_path / "here"
    shutil.copytree(sample_runs, root / "runs")
    run = find_runs(root / "runs", "sample", "rule")[0]
    record = json.loads((run.path / "record.json").read_text())
    (run.path / "record.json").write_text(json.dumps(record | {"status": "interrupted"}))
    set_runs_dir(run.path, "runs")
    monkeypatch.chdir(root)
    return run.path


def set_runs_dir(run: Path, runs_dir: str) -> None:
    """Set `runs_dir` in the configuration that a run stores."""
    lines = (run / "config.yaml").read_text().splitlines(keepends=True)
    changed = [f"runs_dir: {runs_dir}\n" if line.startswith("runs_dir:") else line for line in lines]
    (run / "config.yaml").write_text("".join(changed))


def rename_runs(run: Path) -> Path:
    runs = run.parents[2]
    runs.rename(runs.with_name("archive"))
    return runs.with_name("archive") / run.relative_to(runs)


def rename_run(run: Path) -> Path:
    return run.rename(run.with_name("the first one"))


def rename_candidate(run: Path) -> Path:
    return run.parent.rename(run.parent.with_name("old rule")) / run.name


def replace_by_link(run: Path) -> Path:
    """Move a run to another disk, and leave a link in its place."""
    other = run.parents[4] / "disk" / run.name
    other.parent.mkdir()
    run.rename(other)
    run.symlink_to(other)
    return run


def count_lines(path: Path) -> int:
    return len(path.read_text().splitlines())


@pytest.mark.parametrize("move", [rename_runs, rename_run, rename_candidate, replace_by_link])
def test_resumed_run_counts_its_access_where_it_is(stopped: Path, move: Move, verb: Verb) -> None:
    readings = stopped.parents[1] / "test_readings.jsonl"
    before = count_lines(readings)
    same_split = sum(json.loads(stopped.joinpath("record.json").read_text())["split_hash"] in line
                     for line in readings.read_text().splitlines())  # fmt: skip
    moved = move(stopped)
    code, out, err = verb("train", f"resume={moved}")
    assert code == 0, err
    assert f"{same_split + 1} accesses so far" in out
    log = moved.parents[1] / "test_readings.jsonl"
    assert count_lines(log) == before + 1
    assert list(Path.cwd().rglob("test_readings.jsonl")) == [log.absolute()]
    assert json.loads((moved / "record.json").read_text())["test_readings"] == same_split + 1


def test_resumed_run_of_a_moved_project_counts_there(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script stores absolute paths in the configuration of its runs."""
    root = Path.cwd()
    set_runs_dir(stopped, str(root / "runs"))
    root.rename(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "there")
    moved = Path("runs") / stopped.relative_to(root / "runs")
    before = count_lines(Path("runs/sample/test_readings.jsonl"))
    assert main(["train", f"resume={moved.name}"]) == 0
    assert count_lines(Path("runs/sample/test_readings.jsonl")) == before + 1
    assert not root.exists()


def test_run_that_was_copied_out_counts_where_it_was(stopped: Path, tmp_path: Path, verb: Verb) -> None:
    copy = Path(shutil.copytree(stopped, tmp_path / "copy"))
    before = count_lines(Path("runs/sample/test_readings.jsonl"))
    code, _, err = verb("train", f"resume={copy}")
    assert code == 0, err
    assert count_lines(Path("runs/sample/test_readings.jsonl")) == before + 1


def test_commands_read_a_renamed_runs_directory(ladder_here: Path, verb: Verb) -> None:
    """No command makes a directory at the old place."""
    code, before, err = verb("compare", "resamples=100")
    assert code == 0, err
    ladder_here.rename("archive")
    files = read_files(Path("archive"))
    for command in (
        ["compare", "resamples=100", "runs_dir=archive"],
        ["runs", "list", "runs_dir=archive"],
        ["runs", "show", "last", "runs_dir=archive"],
        ["sweep", "list", "runs_dir=archive"],
    ):
        code, out, err = verb(*command)
        assert code == 0, err
        assert command[0] != "compare" or out == before
    assert not Path("runs").exists()
    assert read_files(Path("archive")) == files


def test_evaluation_of_a_moved_run_counts_there(ladder_here: Path, verb: Verb) -> None:
    ladder_here.rename("archive")
    before = count_lines(Path("archive/sample/test_readings.jsonl"))
    run = find_runs(Path("archive"), "sample", "rule")[0]
    code, _, err = verb("evaluate", str(run.path), "part=test")
    assert code == 0, err
    assert count_lines(Path("archive/sample/test_readings.jsonl")) == before + 1
    assert not Path("runs").exists()


def test_grid_in_a_renamed_runs_directory_is_done_before(ladder_here: Path, verb: Verb) -> None:
    run = find_runs(ladder_here, "sample", "rule")[0]
    arguments = ["train", "-m", *run.record.overrides, f"threads={run.record.threads}"]
    assert verb(*arguments)[0] == 0
    ladder_here.rename("archive")
    code, out, err = verb(*arguments, "runs_dir=archive")
    assert code == 0, err
    assert "done before" in out
    assert not Path("runs").exists()
    code, out, _ = verb("sweep", "show", "last", "runs_dir=archive")
    assert code == 0
    assert "done before" in out
