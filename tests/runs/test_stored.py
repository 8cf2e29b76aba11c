"""record.json and its fields, now and as other versions wrote them."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.commands import wait_until

from ratchet.config import plain
from ratchet.errors import UserError
from ratchet.runs import RunRecord, StoredRun, find_run, find_runs
from ratchet.runs.stored import SCHEMA_VERSION, Point, find_repeats, read_run

REQUIRED = {
    "id": "20260101T000000Z-abcdef",
    "status": "running",
    "started_at": "2026-01-01T00:00:00+00:00",
    "pid": 4321,
    "process_started": 1767225600.25,
    "host": "somewhere",
    "argv": ["train.py", "seed=1"],
    "overrides": ["seed=1"],
    "name": "rule",
    "model": "rule",
    "complexity": 0,
    "data": "sample",
    "config_hash": "ab" * 32,
    "seed": 1,
    "split_seed": 0,
    "evaluate": "val",
    "threads": 2,
}
Store = Callable[..., StoredRun]


def test_a_record_is_the_same_after_json() -> None:
    record = RunRecord.from_json(
        {**REQUIRED, "tags": ["keep"], "records": {"train": 3}, "error": {"type": "ValueError", "message": "no"}}
    )
    assert RunRecord.from_json(json.loads(json.dumps(plain(record)))) == record
    assert record.records == {"train": 3}


def test_what_is_not_known_yet_is_empty() -> None:
    record = RunRecord.from_json(REQUIRED)
    assert (record.parent, record.finished_at, record.error, record.dataset_version) == (None, None, None, None)
    assert (record.tags, record.records, record.git) == ([], {}, {})
    assert record.schema_version == SCHEMA_VERSION
    assert RunRecord.from_json(REQUIRED).tags is not record.tags


def test_keys_that_a_newer_version_added_are_left_out() -> None:
    record = RunRecord.from_json({**REQUIRED, "colour": "blue"})
    assert record == RunRecord.from_json(REQUIRED)
    assert not hasattr(record, "colour")


@pytest.mark.parametrize("key", sorted(REQUIRED))
def test_a_key_that_every_version_has_must_be_there(key: str) -> None:
    with pytest.raises(TypeError, match=key):
        RunRecord.from_json({name: value for name, value in REQUIRED.items() if name != key})


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def own_process() -> dict[str, Any]:
    return {"pid": os.getpid(), "process_started": psutil.Process().create_time()}


def test_a_run_whose_process_lives_is_running(store: Store) -> None:
    assert store(status="running", **own_process()).status == "running"


def test_a_running_run_without_its_process_was_killed(store: Store, dead_pid: int) -> None:
    assert store(status="running", pid=dead_pid).status == "killed"


def test_a_process_that_took_over_the_pid_is_not_the_runs(store: Store) -> None:
    other = {**own_process(), "process_started": psutil.Process().create_time() - 100}
    assert store(status="running", **other).status == "killed"


def test_a_process_that_nobody_waited_for_is_gone(store: Store) -> None:
    """A killed process keeps its pid until its parent asks for it; in a container without init nobody ever does."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        watched = psutil.Process(process.pid)
        run = store(status="running", pid=process.pid, process_started=watched.create_time())
        assert run.status == "running"
        process.kill()
        wait_until(lambda: watched.status() == psutil.STATUS_ZOMBIE)
        assert run.status == "killed"
    finally:
        process.kill()
        process.communicate()


def test_a_run_of_another_host_is_taken_at_its_word(store: Store, dead_pid: int) -> None:
    assert store(status="running", pid=dead_pid, host="elsewhere").status == "running"


@pytest.mark.parametrize("status", ["finished", "failed", "interrupted"])
def test_an_ended_run_needs_no_process(store: Store, dead_pid: int, status: str) -> None:
    assert store(status=status, pid=dead_pid).status == status


def test_runs_are_found_oldest_first(store: Store, tmp_path: Path) -> None:
    for number, hour in enumerate([3, 1, 2]):
        store(f"name=n{number}", started_at=f"2026-01-01T0{hour}:00:00+00:00")
    (tmp_path / "runs" / "sample" / "n0" / "no-run").mkdir()
    assert [run.record.name for run in find_runs(tmp_path / "runs")] == ["n1", "n2", "n0"]


def test_a_broken_record_is_left_out_with_a_warning(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, broken = store(), store()
    (broken.path / "record.json").write_text('{"id": ')
    with caplog.at_level("WARNING"):
        assert [run.record.id for run in find_runs(tmp_path / "runs")] == [good.record.id]
    assert str(broken.path) in caplog.text


def test_no_directory_has_no_runs(tmp_path: Path) -> None:
    assert find_runs(tmp_path / "nothing") == []


@pytest.fixture
def three(store: Store, tmp_path: Path) -> Path:
    """Three runs with ids of our choice, in the order of time c, a, b; the directory they are in."""
    ids = {1: "20260101T000000Z-cccaaa", 2: "20260101T000000Z-aaaaaa", 3: "20260102T000000Z-bbbbbb"}
    for hour, identifier in ids.items():
        store(id=identifier, started_at=f"2026-01-03T0{hour}:00:00+00:00")
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("wanted", "identifier"),
    [
        ("20260101T000000Z-aaaaaa", "20260101T000000Z-aaaaaa"),
        ("20260102", "20260102T000000Z-bbbbbb"),
        ("bbbbbb", "20260102T000000Z-bbbbbb"),
        ("caaa", "20260101T000000Z-cccaaa"),
        ("last", "20260102T000000Z-bbbbbb"),
    ],
)
def test_a_run_is_named_by_id_beginning_end_or_last(three: Path, wanted: str, identifier: str) -> None:
    assert find_run(three, wanted).record.id == identifier


def test_a_run_is_named_by_its_directory(three: Path, store: Store, tmp_path: Path) -> None:
    elsewhere = store(f"run_dir={tmp_path / 'fixed'}", id="20270101T000000Z-ffffff")
    assert find_run(three, str(elsewhere.path)).record.id == "20270101T000000Z-ffffff"
    with pytest.raises(UserError):  # outside of runs_dir nothing else finds it
        find_run(three, "ffffff")


@pytest.mark.parametrize("wanted", ["20260101", "aaa"])
def test_a_name_of_several_runs_lists_them(three: Path, wanted: str) -> None:
    with pytest.raises(UserError) as error:
        find_run(three, wanted)
    for part in (f"'{wanted}'", "2 runs", "20260101T000000Z-cccaaa", "20260101T000000Z-aaaaaa"):
        assert part in str(error.value)
    assert "bbbbbb" not in str(error.value)


@pytest.mark.parametrize("wanted", ["zzz", "0101T"])  # the middle of an id is no name
def test_a_name_of_no_run_says_where_it_looked(three: Path, wanted: str) -> None:
    with pytest.raises(UserError) as error:
        find_run(three, wanted)
    for part in (repr(wanted), str(three), "3 runs", "ratchet runs list"):
        assert part in str(error.value)


def test_there_is_no_last_run_before_the_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'last'.*0 runs"):
        find_run(tmp_path / "runs", "last")


@pytest.mark.parametrize(
    "content", ["{", "", "[]", "3", '{"id": "x"}', '{"schema_version": 1}', '{"schema_version": "new"}', "\x00"]
)
def test_a_broken_record_is_named(store: Store, content: str) -> None:
    run = store()
    (run.path / "record.json").write_text(content)
    with pytest.raises(UserError) as error:
        read_run(run.path)
    assert f"{run.path}/record.json" in str(error.value)


def test_a_record_that_is_no_text_is_named(store: Store) -> None:
    run = store()
    (run.path / "record.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"record\.json"):
        read_run(run.path)


def test_a_directory_without_record_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        read_run(tmp_path)
    assert f"{tmp_path}: " in str(error.value)


def test_a_record_of_a_newer_version_asks_for_an_update(store: Store) -> None:
    run = store()
    content = json.loads((run.path / "record.json").read_text())
    (run.path / "record.json").write_text(json.dumps({**content, "schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(UserError) as error:
        read_run(run.path)
    for part in (str(run.path), f"schema {SCHEMA_VERSION + 1}", "update ratchet"):
        assert part in str(error.value)


def test_what_was_written_is_read(store: Store) -> None:
    run = store("seed=5", tags=["keep"], records={"train": 1})
    again = read_run(run.path)
    assert dataclasses.asdict(again.record) == dataclasses.asdict(run.record)
    assert (again.record.seed, again.record.tags) == (5, ["keep"])


def test_figures_are_metrics_and_cost_as_far_as_there_are_any(store: Store) -> None:
    run = store()
    assert run.read_metrics() == {}
    (run.path / "metrics.json").write_text('{"test/f1_weighted": 0.5}')
    assert run.read_metrics() == {"test/f1_weighted": 0.5}
    (run.path / "cost.json").write_text('{"cost/fit_seconds": 1.5}')
    assert run.read_metrics() == {"test/f1_weighted": 0.5, "cost/fit_seconds": 1.5}


def test_a_missing_file_is_told_with_the_status_of_the_run(store: Store, dead_pid: int) -> None:
    run = store(status="running", pid=dead_pid)
    with pytest.raises(UserError, match=r"thresholds\.json: .*killed"):
        run.read_json("thresholds.json")


def test_a_broken_file_is_told_with_its_line(store: Store) -> None:
    run = store()
    (run.path / "labels.json").write_text('[\n"a",\nb]')
    with pytest.raises(UserError, match=r"labels\.json, line 3: .*JSON"):
        run.read_json("labels.json")


def test_an_empty_name_is_no_run_even_where_there_is_only_one(store: Callable[..., StoredRun]) -> None:
    run = store()
    with pytest.raises(UserError, match="empty"):
        find_run(run.path.parents[2], "")


def test_history_is_read_back_with_and_without_epochs(store: Store) -> None:
    run = store()
    (run.path / "history.csv").write_text("epoch,step,key,value\n0,14,val/loss,5.5\n,3,seen,7.0\n")
    assert run.read_history() == [Point(0, "val/loss", 5.5), Point(None, "seen", 7.0)]


def test_a_run_without_curves_has_no_history(store: Store) -> None:
    assert store().read_history() == []


@pytest.mark.parametrize("content", ["epoch,step,key,value\n0,1,loss,much\n", "epoch,step,key\n1,2,loss\n", None])
def test_a_broken_history_is_named(content: str | None, store: Store) -> None:
    path = store().path / "history.csv"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(UserError, match=r"history\.csv: "):
        read_run(path.parent).read_history()


@pytest.fixture
def finish(store: Store) -> Store:
    """`finish("model.C=1", split=1)`: a finished run of a regression on that split."""

    def make(*overrides: str, split: int = 0, seed: int = 0, **fields: Any) -> StoredRun:
        measured = {"dataset_version": "version-1", "split_hash": f"split-{split}", "deterministic": False}
        seeds = (f"split.seed={split}", f"seed={seed}")
        return store("model=regression", *overrides, *seeds, **{**measured, **fields})

    return make


def ids(run: StoredRun) -> list[str]:
    return [each.record.id for each in find_repeats(run)]


def test_a_run_comes_first_then_the_other_splits_and_seeds_in_their_order(finish: Store) -> None:
    other_split, run, other_seed = finish(split=2), finish(split=1), finish(split=1, seed=1)
    assert ids(run) == [each.record.id for each in (run, other_seed, other_split)]
    assert ids(other_split)[0] == other_split.record.id


@pytest.mark.parametrize(
    ("overrides", "fields"),
    [
        (["model.C=7"], {}),
        (["name=another"], {}),
        ([], {"dataset_version": "version-2"}),
        ([], {"status": "failed"}),
        ([], {"data": "another"}),
    ],
    ids=str,
)
def test_another_candidate_or_other_data_are_no_repeat(
    finish: Store, overrides: list[str], fields: dict[str, Any]
) -> None:
    run, repeat = finish(), finish(split=1)
    finish(*overrides, split=2, **fields)
    assert ids(run) == [run.record.id, repeat.record.id]


def test_the_newest_run_of_a_split_and_seed_counts_but_the_run_itself_always(finish: Store) -> None:
    run, _, _, newer = finish(), finish(), finish(split=1), finish(split=1)
    assert ids(run) == [run.record.id, newer.record.id]


def test_without_randomness_seeds_of_a_split_are_no_repeats(finish: Store) -> None:
    run, _ = finish(deterministic=True), finish(seed=1, deterministic=True)
    assert ids(run) == [run.record.id]


def test_a_run_that_was_taken_elsewhere_is_alone(finish: Store, tmp_path: Path) -> None:
    run, _ = finish(), finish(split=1)
    moved = read_run(Path(shutil.copytree(run.path, tmp_path / "elsewhere")))
    assert find_repeats(moved) == [moved]
