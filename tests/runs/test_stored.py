"""Tests for stored runs: the fields of record.json in every version, finding runs, and reading their files."""

import dataclasses
import json
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
from ratchet.runs import Recording, RunRecord, StoredRun, find_run, find_runs, stored
from ratchet.runs.stored import Point, find_repeats, read_run
from ratchet.schema_versions import RECORD_SCHEMA

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


def test_record_round_trips_through_json() -> None:
    record = RunRecord.from_json(
        {**REQUIRED, "tags": ["keep"], "records": {"train": 3}, "error": {"type": "ValueError", "message": "no"}}
    )
    assert RunRecord.from_json(json.loads(json.dumps(plain(record)))) == record
    assert record.records == {"train": 3}


def test_optional_fields_are_empty_by_default() -> None:
    record = RunRecord.from_json(REQUIRED)
    assert (record.parent, record.finished_at, record.error, record.dataset_version) == (None, None, None, None)
    assert (record.tags, record.records, record.git) == ([], {}, {})
    assert record.schema_version == RECORD_SCHEMA.version
    assert RunRecord.from_json(REQUIRED).tags is not record.tags


def test_unknown_keys_are_ignored() -> None:
    record = RunRecord.from_json({**REQUIRED, "colour": "blue"})
    assert record == RunRecord.from_json(REQUIRED)
    assert not hasattr(record, "colour")


@pytest.mark.parametrize("key", sorted(REQUIRED))
def test_missing_required_key_raises(key: str) -> None:
    with pytest.raises(TypeError, match=key):
        RunRecord.from_json({name: value for name, value in REQUIRED.items() if name != key})


def test_run_with_live_process_is_running(store: Store) -> None:
    assert store(status="running").status == "running"


def test_running_run_without_process_was_killed(store: Store) -> None:
    assert store(status="running", pid=0).status == "killed"


def test_zombie_process_counts_as_killed(store: Store) -> None:
    """A killed process keeps its pid until its parent waits for it; in a container without init that never happens."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        watched = psutil.Process(process.pid)
        ticks = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
        own = store().record.process
        run = store(status="running", pid=process.pid, process={**own, "ticks": ticks})
        assert run.status == "running"
        process.kill()
        wait_until(lambda: watched.status() == psutil.STATUS_ZOMBIE)
        assert run.status == "killed"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("status", ["finished", "failed", "interrupted"])
def test_ended_run_needs_no_process(store: Store, status: str) -> None:
    assert store(status=status, pid=0).status == status


def test_runs_are_found_oldest_first(store: Store, tmp_path: Path) -> None:
    for number, hour in enumerate([3, 1, 2]):
        store(f"name=n{number}", started_at=f"2026-01-01T0{hour}:00:00+00:00")
    (tmp_path / "runs" / "sample" / "n0" / "no-run").mkdir()
    assert [run.record.name for run in find_runs(tmp_path / "runs")] == ["n1", "n2", "n0"]


def test_broken_record_is_skipped_with_warning(store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good, broken = store(), store()
    (broken.path / "record.json").write_text('{"id": ')
    with caplog.at_level("WARNING"):
        assert [run.record.id for run in find_runs(tmp_path / "runs")] == [good.record.id]
    assert str(broken.path) in caplog.text


def test_linked_run_is_found_once(store: Store, tmp_path: Path) -> None:
    """A link to a run, a candidate or a data set leads to runs that are found without it."""
    run = store()
    runs_dir = tmp_path / "runs"
    (runs_dir / "sample" / "rule" / "0-link").symlink_to(run.path)
    (runs_dir / "sample" / "a-link").symlink_to(runs_dir / "sample" / "rule")
    (runs_dir / "a-link").symlink_to(runs_dir / "sample")
    assert [found.path for found in find_runs(runs_dir)] == [run.path]
    elsewhere = store(f"run_dir={tmp_path / 'elsewhere'}")
    (runs_dir / "sample" / "rule" / "other").symlink_to(elsewhere.path)
    found = [each.path for each in find_runs(runs_dir)]
    assert found == [run.path, runs_dir / "sample" / "rule" / "other"], "a run elsewhere is found through its link"


@pytest.mark.parametrize("hidden", [".deleted", "sample/.deleted", "sample/rule/.deleted"])
def test_hidden_directory_has_no_runs(store: Store, tmp_path: Path, hidden: str) -> None:
    run = store()
    depth = 3 - len(Path(hidden).parts)
    shutil.copytree(run.path, tmp_path.joinpath("runs", hidden, *["x"] * depth))
    assert [found.path for found in find_runs(tmp_path / "runs")] == [run.path]


def settle(*runs: StoredRun) -> None:
    """Let the records be older than what is read again in any case."""
    for run in runs:
        state = (run.path / "record.json").stat()
        stored._CACHE.pop(str(run.path), None)
        identity = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        stored._CACHE[str(run.path)] = (identity, read_run(run.path).record)


def test_records_are_parsed_again_only_if_they_changed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [store(), store(), store()]
    settle(*runs)
    parsed: list[Path] = []

    def parse(path: Path) -> StoredRun:
        parsed.append(path)
        return read_run(path)

    monkeypatch.setattr(stored, "read_run", parse)
    assert [run.record for run in find_runs(tmp_path / "runs")] == [run.record for run in runs]
    assert parsed == []
    Recording(runs[1].path, runs[1].record).update(hypothesis="changed")
    found = find_runs(tmp_path / "runs")
    assert parsed == [runs[1].path]
    assert [run.record.hypothesis for run in found] == [None, "changed", None]
    find_runs(tmp_path / "runs")
    assert parsed == [runs[1].path] * 2, "it was written just now, so it may be written again at the same time"
    shutil.rmtree(runs[0].path)
    assert [run.path for run in find_runs(tmp_path / "runs")] == [run.path for run in runs[1:]]


def test_record_in_progress_changes_no_stored_record(store: Store, tmp_path: Path) -> None:
    run = store()
    settle(run)
    [found] = find_runs(tmp_path / "runs")
    Recording(found.path, found.record).update(hypothesis="mine")
    assert found.record.hypothesis is None
    assert find_runs(tmp_path / "runs")[0].record.hypothesis == "mine"


def test_missing_directory_has_no_runs(tmp_path: Path) -> None:
    assert find_runs(tmp_path / "nothing") == []


@pytest.fixture
def runs_dir(store: Store, tmp_path: Path) -> Path:
    """Write three runs with fixed ids, by time c, a, b, and return their directory."""
    ids = {1: "20260101T000000Z-cccaaa", 2: "20260101T000000Z-aaaaaa", 3: "20260102T000000Z-bbbbbb"}
    for hour, identifier in ids.items():
        store(id=identifier, started_at=f"2026-01-03T0{hour}:00:00+00:00")
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        ("20260101T000000Z-aaaaaa", "20260101T000000Z-aaaaaa"),
        ("20260102", "20260102T000000Z-bbbbbb"),
        ("bbbbbb", "20260102T000000Z-bbbbbb"),
        ("caaa", "20260101T000000Z-cccaaa"),
        ("last", "20260102T000000Z-bbbbbb"),
    ],
)
def test_run_is_found_by_id_prefix_suffix_or_last(runs_dir: Path, name: str, identifier: str) -> None:
    assert find_run(runs_dir, name).record.id == identifier


def test_last_is_the_newest_finished_run(runs_dir: Path, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    newest = find_run(runs_dir, "last")
    assert caplog.text == ""
    failed = store(id="20260105T000000Z-dddddd", started_at="2026-01-05T00:00:00+00:00", status="failed")
    assert find_run(runs_dir, "last").record.id == newest.record.id
    assert f"the newest run, {failed.record.id}, is failed" in caplog.text


def test_last_to_resume_is_the_newest_run_that_can_be_resumed(runs_dir: Path, store: Store) -> None:
    killed = store(started_at="2026-01-04T00:00:00+00:00", status="running", pid=0)
    store(started_at="2026-01-05T00:00:00+00:00", status="pruned")
    store(started_at="2026-01-06T00:00:00+00:00")
    store(started_at="2026-01-07T00:00:00+00:00", status="running")
    assert find_run(runs_dir, "last", to_resume=True).path == killed.path


def test_last_without_such_a_run_is_explained(store: Store, tmp_path: Path) -> None:
    store(id="20260105T000000Z-dddddd", status="failed")
    with pytest.raises(UserError, match=r"no finished run in .*runs \(the newest run, 2026.*dddddd, is failed\)"):
        find_run(tmp_path / "runs", "last")
    shutil.rmtree(tmp_path / "runs")
    store()
    with pytest.raises(UserError, match=r"no run that can be resumed in .*is finished"):
        find_run(tmp_path / "runs", "last", to_resume=True)


def test_run_is_found_by_directory(runs_dir: Path, store: Store, tmp_path: Path) -> None:
    elsewhere = store(f"run_dir={tmp_path / 'fixed'}", id="20270101T000000Z-ffffff")
    assert find_run(runs_dir, str(elsewhere.path)).record.id == "20270101T000000Z-ffffff"
    with pytest.raises(UserError):  # a run outside of runs_dir is found only by its path
        find_run(runs_dir, "ffffff")


@pytest.mark.parametrize("name", ["20260101", "aaa"])
def test_ambiguous_name_error_lists_runs(runs_dir: Path, name: str) -> None:
    with pytest.raises(UserError) as error:
        find_run(runs_dir, name)
    for part in (f"'{name}'", "2 runs", "20260101T000000Z-cccaaa", "20260101T000000Z-aaaaaa"):
        assert part in str(error.value)
    assert "bbbbbb" not in str(error.value)


@pytest.mark.parametrize("name", ["zzz", "0101T"])  # the middle of an id does not match
def test_unknown_name_error_names_directory(runs_dir: Path, name: str) -> None:
    with pytest.raises(UserError) as error:
        find_run(runs_dir, name)
    for part in (repr(name), str(runs_dir), "3 runs", "ratchet runs list"):
        assert part in str(error.value)


def test_last_raises_without_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'last'.*0 runs"):
        find_run(tmp_path / "runs", "last")


@pytest.mark.parametrize(
    "content", ["{", "", "[]", "3", '{"id": "x"}', '{"schema_version": 1}', '{"schema_version": "new"}', "\x00"]
)
def test_broken_record_error_names_file(store: Store, content: str) -> None:
    run = store()
    (run.path / "record.json").write_text(content)
    with pytest.raises(UserError) as error:
        read_run(run.path)
    assert f"{run.path}/record.json" in str(error.value)


def test_binary_record_error_names_file(store: Store) -> None:
    run = store()
    (run.path / "record.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"record\.json"):
        read_run(run.path)


def test_directory_without_record_raises(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        read_run(tmp_path)
    assert f"{tmp_path}: " in str(error.value)


def test_record_without_a_version_is_of_the_first(store: Store) -> None:
    run = store()
    content = json.loads((run.path / "record.json").read_text())
    del content["schema_version"]
    (run.path / "record.json").write_text(json.dumps(content))
    assert read_run(run.path).record == run.record


def test_record_of_newer_schema_asks_for_update(store: Store) -> None:
    run = store()
    content = json.loads((run.path / "record.json").read_text())
    newer = {**content, "schema_version": RECORD_SCHEMA.version + 1, "packages": {"ratchet-ml": "0.9.0"}}
    (run.path / "record.json").write_text(json.dumps(newer))
    with pytest.raises(UserError) as error:
        read_run(run.path)
    for part in (f"{run.path}/record.json", f"schema {RECORD_SCHEMA.version + 1}", "install ratchet-ml 0.9.0 or newer"):
        assert part in str(error.value)


def test_written_record_is_read_back(store: Store) -> None:
    run = store("seed=5", tags=["keep"], records={"train": 1})
    loaded = read_run(run.path)
    assert dataclasses.asdict(loaded.record) == dataclasses.asdict(run.record)
    assert (loaded.record.seed, loaded.record.tags) == (5, ["keep"])


def test_read_metrics_merges_metrics_and_cost(store: Store) -> None:
    run = store()
    assert run.read_metrics() == {}
    (run.path / "metrics.json").write_text('{"test/f1_weighted": 0.5}')
    assert run.read_metrics() == {"test/f1_weighted": 0.5}
    (run.path / "cost.json").write_text('{"cost/fit_seconds": 1.5}')
    assert run.read_metrics() == {"test/f1_weighted": 0.5, "cost/fit_seconds": 1.5}


def test_missing_file_error_names_run_status(store: Store) -> None:
    run = store(status="running", pid=0)
    with pytest.raises(UserError, match=r"thresholds\.json: .*killed"):
        run.read_json("thresholds.json")


def test_broken_file_error_names_line(store: Store) -> None:
    run = store()
    (run.path / "labels.json").write_text('[\n"a",\nb]')
    with pytest.raises(UserError, match=r"labels\.json, line 3: .*JSON"):
        run.read_json("labels.json")


def test_empty_name_raises_even_with_one_run(store: Callable[..., StoredRun]) -> None:
    run = store()
    with pytest.raises(UserError, match="empty"):
        find_run(run.path.parents[2], "")


def test_history_is_read_with_and_without_epochs(store: Store) -> None:
    run = store()
    (run.path / "history.csv").write_text("epoch,step,key,value\n0,14,val/loss,5.5\n,3,seen,7.0\n")
    assert run.read_history() == [Point(0, "val/loss", 5.5), Point(None, "seen", 7.0)]


def test_new_run_has_empty_history(store: Store) -> None:
    assert store().read_history() == []


@pytest.mark.parametrize("content", ["epoch,step,key,value\n0,1,loss,much\n", "epoch,step,key\n1,2,loss\n", None])
def test_broken_history_error_names_file(content: str | None, store: Store) -> None:
    path = store().path / "history.csv"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(UserError, match=r"history\.csv: "):
        read_run(path.parent).read_history()


@pytest.fixture
def finish(store: Store) -> Store:
    """Return a function such that `finish("model.C=1", split=1)` writes a finished regression run on that split."""

    def write_run(*overrides: str, split: int = 0, seed: int = 0, **fields: Any) -> StoredRun:
        measured = {"dataset_version": "version-1", "split_hash": f"split-{split}", "deterministic": False}
        seeds = (f"split.seed={split}", f"seed={seed}")
        return store("model=regression", *overrides, *seeds, **{**measured, **fields})

    return write_run


def get_repeat_ids(run: StoredRun) -> list[str]:
    return [repeat.record.id for repeat in find_repeats(run)]


def test_run_comes_first_then_repeats_in_order(finish: Store) -> None:
    other_split, run, other_seed = finish(split=2), finish(split=1), finish(split=1, seed=1)
    assert get_repeat_ids(run) == [repeat.record.id for repeat in (run, other_seed, other_split)]
    assert get_repeat_ids(other_split)[0] == other_split.record.id


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
def test_other_candidate_or_data_is_not_a_repeat(finish: Store, overrides: list[str], fields: dict[str, Any]) -> None:
    run, repeat = finish(), finish(split=1)
    finish(*overrides, split=2, **fields)
    assert get_repeat_ids(run) == [run.record.id, repeat.record.id]


def test_repeats_are_the_run_and_newest_of_others(finish: Store) -> None:
    run, _, _, newer = finish(), finish(), finish(split=1), finish(split=1)
    assert get_repeat_ids(run) == [run.record.id, newer.record.id]


def test_seeds_of_deterministic_model_are_not_repeats(finish: Store) -> None:
    run, _ = finish(deterministic=True), finish(seed=1, deterministic=True)
    assert get_repeat_ids(run) == [run.record.id]


def test_copied_run_has_no_repeats(finish: Store, tmp_path: Path) -> None:
    run, _ = finish(), finish(split=1)
    moved = read_run(Path(shutil.copytree(run.path, tmp_path / "elsewhere")))
    assert find_repeats(moved) == [moved]


@pytest.mark.parametrize("key", ["id", "data", "name", "model", "sweep_id"])
@pytest.mark.parametrize("value", ["../pwned", "..", ".", "", "/etc", "a/b", "a\\b", "a\nb", "\u009b2J", 5], ids=repr)
def test_name_that_leads_elsewhere_is_no_name_of_a_record(store: Store, key: str, value: object) -> None:
    """Names become paths: of promotions, of test-set accesses, of modules."""
    run = store()
    content = json.loads((run.path / "record.json").read_text())
    (run.path / "record.json").write_text(json.dumps(content | {key: value}))
    with pytest.raises(UserError, match=rf"record\.json: not a run's record: {key}="):
        read_run(run.path)
    assert find_runs(run.path.parents[2]) == []


@pytest.mark.parametrize("value", ["made-with.ml_2", "größe", "-n"])
def test_name_of_a_directory_is_a_name_of_a_record(store: Store, value: str) -> None:
    run = store()
    content = json.loads((run.path / "record.json").read_text())
    (run.path / "record.json").write_text(json.dumps(content | {"data": value, "name": value}))
    assert read_run(run.path).record.data == value
