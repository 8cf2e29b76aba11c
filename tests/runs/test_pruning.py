"""What may be removed, and what never is."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ratchet.cli.runs import run as runs_verb
from ratchet.errors import UserError
from ratchet.runs import StoredRun, find_runs
from ratchet.runs.pruning import prunable, remove

Store = Callable[..., StoredRun]
ENDED_BADLY = ["failed", "interrupted", "killed"]


def ids(runs: list[StoredRun]) -> set[str]:
    return {run.record.id for run in runs}


def found(tmp_path: Path, *, statuses: list[str] = ENDED_BADLY, superseded: bool = False, days: float = 0) -> set[str]:
    runs = find_runs(tmp_path / "runs")
    return ids(prunable(runs, statuses=statuses, superseded=superseded, older_than_days=days))


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_runs_go_by_their_status(store: Store, tmp_path: Path, dead_pid: int) -> None:
    runs = {status: store(status=status) for status in ("finished", "failed", "interrupted")}
    runs["killed"] = store(status="running", pid=dead_pid)
    runs["running"] = store(status="running")
    identifier = {status: run.record.id for status, run in runs.items()}
    assert found(tmp_path) == {identifier[status] for status in ENDED_BADLY}
    assert found(tmp_path, statuses=["killed"]) == {identifier["killed"]}
    assert found(tmp_path, statuses=["finished"]) == {identifier["finished"]}
    assert found(tmp_path, statuses=[]) == set()
    assert identifier["running"] not in found(tmp_path, statuses=[*ENDED_BADLY, "finished", "running"])


@pytest.mark.parametrize("tag", ["keep", "promoted"])
def test_tagged_runs_stay_whatever_became_of_them(store: Store, tmp_path: Path, tag: str) -> None:
    store(status="failed", tags=["note", tag])
    store(tags=[tag])
    other = store(status="failed", tags=["note"])
    last = store()
    statuses = ["failed", "finished"]
    assert found(tmp_path, statuses=statuses, superseded=True) == {other.record.id, last.record.id}


def test_runs_that_are_to_be_kept_stay(store: Store, tmp_path: Path) -> None:
    """Those that a promotion rests on: their records do not say so, the caller does."""
    failed, kept_failed = store(status="failed"), store(status="failed")
    kept_old, old, newest = store(started_at=at(1)), store(started_at=at(2)), store(started_at=at(3))
    keep = {kept_failed.record.id, kept_old.record.id, "no longer there"}
    runs = find_runs(tmp_path / "runs")
    whole = prunable(runs, statuses=["failed"], superseded=True, older_than_days=0)
    spared = prunable(runs, statuses=["failed"], superseded=True, older_than_days=0, keep=keep)
    assert ids(whole) - ids(spared) == {kept_failed.record.id, kept_old.record.id}
    assert ids(spared) == {failed.record.id, old.record.id}
    assert newest.record.id not in ids(whole)


def test_parents_of_other_runs_stay(store: Store, tmp_path: Path) -> None:
    parent = store(status="failed")
    child = store(status="failed", parent=parent.record.id)
    grandparent_of_none = store(status="failed", parent="no longer there")
    assert found(tmp_path) == {child.record.id, grandparent_of_none.record.id}


def at(hour: int) -> str:
    return f"2026-01-01T{hour:02}:00:00+00:00"


def test_only_older_finished_runs_are_superseded(store: Store, tmp_path: Path) -> None:
    split = {"split_hash": "s", "dataset_version": "v"}
    old, middle = store(started_at=at(1), **split), store(started_at=at(2), **split)
    store(started_at=at(3), **split)
    store(started_at=at(4), status="failed", **split)  # a failure replaces nothing
    assert found(tmp_path, statuses=[]) == set()
    assert found(tmp_path, statuses=[], superseded=True) == {old.record.id, middle.record.id}


@pytest.mark.parametrize(
    ("overrides", "fields"),
    [
        ([], {"split_hash": "other"}),
        ([], {"dataset_version": "other"}),
        (["seed=1"], {}),
        (["evaluate=val"], {}),
        (["name=other"], {}),
        (["model=regression", "name=rule"], {}),
        (["model.stemming=false"], {}),
        (["data.name=other"], {}),
    ],
    ids=["split", "data version", "seed", "part", "name", "model", "settings", "data"],
)
def test_a_run_of_something_else_supersedes_nothing(
    store: Store, tmp_path: Path, overrides: list[str], fields: dict[str, str]
) -> None:
    split = {"split_hash": "s", "dataset_version": "v"}
    store(started_at=at(1), **split)
    store(*overrides, started_at=at(2), **{**split, **fields})
    assert found(tmp_path, statuses=[], superseded=True) == set()


def test_where_and_by_what_it_was_run_makes_no_other_candidate(store: Store, tmp_path: Path) -> None:
    old = store(started_at=at(1))
    store("threads=1", "hypothesis=again", "evaluation.resamples=200", started_at=at(2))
    assert found(tmp_path, statuses=[], superseded=True) == {old.record.id}


def test_a_superseded_run_that_is_a_parent_or_tagged_stays(store: Store, tmp_path: Path) -> None:
    parent = store(started_at=at(1))
    store(started_at=at(2), tags=["keep"])
    store(started_at=at(3), parent=parent.record.id)
    assert found(tmp_path, statuses=[], superseded=True) == set()


def test_young_runs_can_be_spared(store: Store, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old = store(status="failed", started_at=(now - timedelta(days=8)).isoformat())
    young = store(status="failed", started_at=(now - timedelta(days=6)).isoformat())
    assert found(tmp_path, days=7) == {old.record.id}
    assert found(tmp_path, days=0.5) == {old.record.id, young.record.id}
    assert found(tmp_path, days=30) == set()


def test_removing_takes_the_directory_and_nothing_beside_it(store: Store, tmp_path: Path) -> None:
    gone, kept = store(), store()
    (gone.path / "model").mkdir()
    (gone.path / "model" / "weights.npz").write_bytes(b"x")
    remove(gone)
    assert not gone.path.exists()
    assert ids(find_runs(tmp_path / "runs")) == {kept.record.id}


def test_the_command_removes_nothing_until_it_is_told_to(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed, finished = store(status="failed"), store()
    where = f"runs_dir={tmp_path / 'runs'}"

    runs_verb(["prune", where])
    said = capsys.readouterr().out
    assert failed.record.id in said
    assert finished.record.id not in said
    assert "1 run would be removed" in said
    assert "delete=true" in said
    assert ids(find_runs(tmp_path / "runs")) == {failed.record.id, finished.record.id}

    runs_verb(["prune", where, "delete=true"])
    assert "1 run removed" in capsys.readouterr().out
    assert ids(find_runs(tmp_path / "runs")) == {finished.record.id}

    runs_verb(["prune", where, "delete=true"])
    assert "nothing to prune" in capsys.readouterr().out


def test_the_command_takes_statuses_and_superseded_runs(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, failed = store(started_at=at(1)), store(started_at=at(2), status="failed")
    newest = store(started_at=at(3))
    where = f"runs_dir={tmp_path / 'runs'}"
    runs_verb(["prune", where, "status=[]", "superseded=true"])
    said = capsys.readouterr().out
    assert old.record.id in said
    assert failed.record.id not in said
    assert newest.record.id not in said


@pytest.mark.parametrize("status", ["running", "fialed"])
def test_the_command_refuses_a_status_that_cannot_be_pruned(store: Store, tmp_path: Path, status: str) -> None:
    run = store(status="running")
    with pytest.raises(UserError, match=f"status={status}"):
        runs_verb(["prune", f"runs_dir={tmp_path / 'runs'}", f"status=[{status}]", "delete=true"])
    assert run.path.exists()
