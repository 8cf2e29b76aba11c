"""Tests for the count of test-set accesses, which is kept by data set and split and is never too low."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ratchet
from ratchet.errors import UserError
from ratchet.runs.accesses import count_test_accesses, record_test_access
from ratchet.schema_versions import ACCESS_SCHEMA


def test_every_access_is_counted(tmp_path: Path) -> None:
    assert count_test_accesses(tmp_path, "sample", "v1", "s1") == 0
    assert [record_test_access(tmp_path, "sample", "v1", "s1", f"run-{number}") for number in range(3)] == [1, 2, 3]
    assert record_test_access(tmp_path, "sample", "v1", "s1", "run-0") == 4  # the same run again
    assert count_test_accesses(tmp_path, "sample", "v1", "s1") == 4


@pytest.mark.parametrize("key", [("other", "v1", "s1"), ("sample", "v2", "s1"), ("sample", "v1", "s2")])
def test_data_sets_versions_and_splits_are_counted_separately(tmp_path: Path, key: tuple[str, str, str]) -> None:
    record_test_access(tmp_path, "sample", "v1", "s1", "run-0")
    assert count_test_accesses(tmp_path, *key) == 0
    assert record_test_access(tmp_path, *key, "run-1") == 1
    assert count_test_accesses(tmp_path, "sample", "v1", "s1") == 1


def test_line_records_run_data_split_and_time(tmp_path: Path) -> None:
    record_test_access(tmp_path / "runs", "sample", "v1", "s1", "run-0")
    [line] = (tmp_path / "runs" / "sample" / "test_readings.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry.pop("at").endswith("+00:00")
    versions = {"schema_version": ACCESS_SCHEMA.version, "ratchet_version": ratchet.__version__}
    assert entry == {"run": "run-0", "dataset_version": "v1", "split_hash": "s1", **versions}


def test_lines_without_versions_are_counted(tmp_path: Path) -> None:
    """Earlier checkouts wrote lines of only four keys."""
    path = tmp_path / "sample" / "test_readings.jsonl"
    path.parent.mkdir()
    line = '{"at": "2026-01-01T00:00:00+00:00", "run": "run-0", "dataset_version": "v1", "split_hash": "s1"}\n'
    path.write_text(line)
    assert record_test_access(tmp_path, "sample", "v1", "s1", "run-1") == 2
    assert path.read_text().startswith(line)


def test_newer_line_is_refused_with_its_number(tmp_path: Path) -> None:
    record_test_access(tmp_path, "sample", "v1", "s1", "run-0")
    path = tmp_path / "sample" / "test_readings.jsonl"
    newer = {**json.loads(path.read_text()), "schema_version": ACCESS_SCHEMA.version + 1, "ratchet_version": "0.9.0"}
    with path.open("a") as file:
        file.write(json.dumps(newer) + "\n")
    with pytest.raises(UserError) as error:
        count_test_accesses(tmp_path, "sample", "v1", "s1")
    assert str(error.value).startswith(f"{path}, line 2: ")
    assert "install ratchet-ml 0.9.0 or newer" in str(error.value)


def test_concurrent_processes_lose_no_lines(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from ratchet.runs.accesses import record_test_access\n"
        "print(flush=True); input()\n"  # all processes import the module before the first one writes
        "for number in range(100):\n"
        "    record_test_access(Path(sys.argv[1]), 'sample', 'v1', 's1', f'{sys.argv[2]}-{number}')"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path, str(writer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for writer in range(4)
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
    assert count_test_accesses(tmp_path, "sample", "v1", "s1") == 400
    lines = (tmp_path / "sample" / "test_readings.jsonl").read_text().splitlines()
    assert {json.loads(line)["run"] for line in lines} == {f"{w}-{n}" for w in range(4) for n in range(100)}


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    """Record two accesses and truncate the second line, as a full disk does. Return the runs directory."""
    record_test_access(tmp_path, "sample", "v1", "s1", "run-0")
    record_test_access(tmp_path, "sample", "v1", "s1", "run-1")
    path = tmp_path / "sample" / "test_readings.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    return tmp_path


def test_truncated_line_is_ignored(truncated: Path) -> None:
    assert count_test_accesses(truncated, "sample", "v1", "s1") == 1


def test_line_after_truncated_line_is_counted(truncated: Path) -> None:
    assert record_test_access(truncated, "sample", "v1", "s1", "run-2") == 2
    assert record_test_access(truncated, "sample", "v1", "s1", "run-3") == 3
