"""Tests for the count of test-set accesses, which is kept by content and is never too low."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ratchet
from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.runs.accesses import count_test_accesses, find_runs_dir, record_test_access
from ratchet.schema_versions import ACCESS_SCHEMA

Store = Callable[..., StoredRun]
LOG = "sample/test_readings.jsonl"


@pytest.fixture
def run(store: Store) -> StoredRun:
    """Return a run in `tmp_path / "runs"`."""
    return store("model=rule")


@pytest.fixture
def runs_dir(run: StoredRun) -> Path:
    return run.path.parents[2]


def record(run: StoredRun, data: str = "sample", version: str = "v1", split: str = "s1") -> int:
    return record_test_access(run.path.parents[2], run, data, version, split)


def test_every_access_is_counted(run: StoredRun, runs_dir: Path, store: Store) -> None:
    assert count_test_accesses(runs_dir, "v1", "s1") == 0
    assert [record(run), record(store("model=rule")), record(run)] == [1, 2, 3]
    assert count_test_accesses(runs_dir, "v1", "s1") == 3


@pytest.mark.parametrize("key", [("v2", "s1"), ("v1", "s2")])
def test_versions_and_splits_are_counted_separately(run: StoredRun, runs_dir: Path, key: tuple[str, str]) -> None:
    record(run)
    assert count_test_accesses(runs_dir, *key) == 0
    assert record(run, "sample", *key) == 1
    assert count_test_accesses(runs_dir, "v1", "s1") == 1


def test_data_sets_of_equal_records_share_a_count(run: StoredRun, runs_dir: Path) -> None:
    assert [record(run), record(run, data="copy"), record(run)] == [1, 2, 3]
    (runs_dir / "sample").rename(runs_dir / "renamed")
    assert count_test_accesses(runs_dir, "v1", "s1") == 3


def test_line_records_run_data_split_and_time(run: StoredRun, runs_dir: Path) -> None:
    record(run)
    [line] = (runs_dir / LOG).read_text().splitlines()
    assert (run.path / "accesses.jsonl").read_text() == f"{line}\n"
    entry = json.loads(line)
    assert entry.pop("at").endswith("+00:00")
    assert len(entry.pop("id")) == 36
    versions = {"schema_version": ACCESS_SCHEMA.version, "ratchet_version": ratchet.__version__}
    assert entry == {"run": run.record.id, "dataset_version": "v1", "split_hash": "s1", **versions}


def test_count_survives_a_lost_log(run: StoredRun, runs_dir: Path) -> None:
    record(run)
    record(run)
    (runs_dir / LOG).unlink()
    assert count_test_accesses(runs_dir, "v1", "s1") == 2


def test_count_survives_a_removed_run(run: StoredRun, runs_dir: Path) -> None:
    record(run)
    record(run, data="copy")
    shutil.rmtree(run.path)
    (runs_dir / "sample").rename(runs_dir / "renamed")
    assert count_test_accesses(runs_dir, "v1", "s1") == 2


def test_copies_of_runs_and_logs_count_once(run: StoredRun, runs_dir: Path, tmp_path: Path) -> None:
    record(run)
    shutil.copytree(run.path, run.path.with_name("copy"))
    shutil.copytree(runs_dir / "sample", runs_dir / "another")
    assert count_test_accesses(runs_dir, "v1", "s1") == 1
    assert count_test_accesses(tmp_path / "elsewhere", "v1", "s1", [run, run]) == 1


def test_run_without_a_log_counts_as_it_recorded(store: Store, tmp_path: Path) -> None:
    """Earlier versions kept no log in the run."""
    run = store("model=rule", dataset_version="v1", split_hash="s1", test_readings=5)
    assert count_test_accesses(tmp_path / "elsewhere", "v1", "s1", [run]) == 5
    assert count_test_accesses(tmp_path / "elsewhere", "v1", "s2", [run]) == 0


def test_lines_without_ids_and_versions_are_counted(run: StoredRun, runs_dir: Path) -> None:
    """Earlier checkouts wrote lines of only four keys."""
    path = runs_dir / LOG
    line = '{"at": "2026-01-01T00:00:00+00:00", "run": "run-0", "dataset_version": "v1", "split_hash": "s1"}\n'
    path.write_text(line + line.replace(":00+", ":01+"))
    assert record(run) == 3
    assert path.read_text().startswith(line)


def test_newer_line_is_refused_with_its_number(run: StoredRun, runs_dir: Path) -> None:
    record(run)
    path = runs_dir / LOG
    newer = {**json.loads(path.read_text()), "schema_version": ACCESS_SCHEMA.version + 1, "ratchet_version": "0.9.0"}
    with path.open("a") as file:
        file.write(json.dumps(newer) + "\n")
    with pytest.raises(UserError) as error:
        count_test_accesses(runs_dir, "v1", "s1")
    assert str(error.value).startswith(f"{path}, line 2: ")
    assert "install ratchet-ml 0.9.0 or newer" in str(error.value)


def test_concurrent_processes_lose_no_lines(run: StoredRun, runs_dir: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ratchet.runs.accesses import record_test_access\n"
        "from ratchet.runs.stored import read_run; run = read_run(Path(sys.argv[1]))\n"
        "print(flush=True); input()\n"  # all processes import the module before the first one writes
        "for number in range(5): record_test_access(run.path.parents[2], run, 'sample', 'v1', 's1')"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, run.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert count_test_accesses(runs_dir, "v1", "s1") == 40
    for path in (runs_dir / LOG, run.path / "accesses.jsonl"):
        assert len({json.loads(line)["id"] for line in path.read_text().splitlines()}) == 40


def test_cut_line_is_not_counted_and_the_next_one_is(run: StoredRun, runs_dir: Path) -> None:
    record(run)
    record(run)
    for path in (runs_dir / LOG, run.path / "accesses.jsonl"):
        path.write_bytes(path.read_bytes()[:-30])
    assert count_test_accesses(runs_dir, "v1", "s1") == 1
    assert [record(run), record(run)] == [2, 3]


def test_run_with_its_own_place_logs_in_its_project(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store("model=rule")
    project = tmp_path / "project"
    (project / "runs").mkdir(parents=True)
    (project / "ratchet.yaml").touch()
    placed = StoredRun(Path(shutil.move(run.path, project / "build" / "it")), run.record)
    (tmp_path / "elsewhere/runs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert find_runs_dir(placed, "runs", has_own_place=True) == project / "runs"
