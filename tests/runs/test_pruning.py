"""Tests for pruning: which runs can be deleted, which are protected, and deletion that is interrupted or raced."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.commands import HANG_SECONDS

from ratchet.cli.runs import run as runs_verb
from ratchet.errors import UserError
from ratchet.project import MARKER
from ratchet.runs import StoredRun, find_run, find_runs, pruning
from ratchet.runs.liveness import lock_run, unlock_run
from ratchet.runs.promotions import Promotion, add_decision
from ratchet.runs.pruning import (
    Request,
    delete_leftovers,
    delete_runs,
    find_leftovers,
    find_promotion_directories,
    plan_pruning,
)

Store = Callable[..., StoredRun]
ENDED_BADLY = ["failed", "interrupted", "killed"]
FAILED = Request(["failed"])


def collect_ids(runs: list[StoredRun]) -> set[str]:
    return {run.record.id for run in runs}


def find_prunable_ids(
    tmp_path: Path, *, statuses: list[str] = ENDED_BADLY, superseded: bool = False, days: float = 0
) -> set[str]:
    return collect_ids(plan_pruning(find_runs(tmp_path / "runs"), Request(statuses, superseded, days)).runs)


def test_runs_are_pruned_by_status(store: Store, tmp_path: Path) -> None:
    runs = {status: store(status=status) for status in ("finished", "failed", "interrupted")}
    runs["killed"] = store(status="running", pid=0)
    runs["running"] = store(status="running")
    identifier = {status: run.record.id for status, run in runs.items()}
    assert find_prunable_ids(tmp_path) == {identifier[status] for status in ENDED_BADLY}
    assert find_prunable_ids(tmp_path, statuses=["killed"]) == {identifier["killed"]}
    assert find_prunable_ids(tmp_path, statuses=["finished"]) == {identifier["finished"]}
    assert find_prunable_ids(tmp_path, statuses=[]) == set()
    assert identifier["running"] not in find_prunable_ids(tmp_path, statuses=[*ENDED_BADLY, "finished", "running"])


@pytest.mark.parametrize("tag", ["keep", "promoted"])
def test_tagged_runs_are_never_pruned(store: Store, tmp_path: Path, tag: str) -> None:
    store(status="failed", tags=["note", tag])
    store(tags=[tag])
    prunable = store(status="failed", tags=["note"])
    last = store()
    statuses = ["failed", "finished"]
    assert find_prunable_ids(tmp_path, statuses=statuses, superseded=True) == {prunable.record.id, last.record.id}


def test_runs_to_keep_are_not_pruned(store: Store, tmp_path: Path) -> None:
    """Records do not show that a run was promoted, so the caller passes the ids to keep."""
    failed, kept_failed = store(status="failed"), store(status="failed")
    kept_old, old, newest = (
        store(started_at=format_time(1)),
        store(started_at=format_time(2)),
        store(started_at=format_time(3)),
    )
    keep = dict.fromkeys([kept_failed.record.id, kept_old.record.id, "no longer there"], "promoted")
    runs, request = find_runs(tmp_path / "runs"), Request(["failed"], superseded=True)
    without_keep, plan = plan_pruning(runs, request).runs, plan_pruning(runs, request, keep)
    with_keep = plan.runs
    assert plan.kept == {"promoted": 2}
    assert collect_ids(without_keep) - collect_ids(with_keep) == {kept_failed.record.id, kept_old.record.id}
    assert collect_ids(with_keep) == {failed.record.id, old.record.id}
    assert newest.record.id not in collect_ids(without_keep)


def test_parents_of_other_runs_are_not_pruned(store: Store, tmp_path: Path) -> None:
    parent = store(status="failed")
    child = store(status="failed", parent=parent.record.id)
    orphan = store(status="failed", parent="no longer there")
    assert find_prunable_ids(tmp_path) == {child.record.id, orphan.record.id}


def format_time(hour: int) -> str:
    return f"2026-01-01T{hour:02}:00:00+00:00"


def test_only_older_finished_runs_are_superseded(store: Store, tmp_path: Path) -> None:
    split = {"split_hash": "s", "dataset_version": "v"}
    old, middle = store(started_at=format_time(1), **split), store(started_at=format_time(2), **split)
    store(started_at=format_time(3), **split)
    store(started_at=format_time(4), status="failed", **split)  # a failed run supersedes nothing
    assert find_prunable_ids(tmp_path, statuses=[]) == set()
    assert find_prunable_ids(tmp_path, statuses=[], superseded=True) == {old.record.id, middle.record.id}


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
def test_run_with_other_settings_supersedes_nothing(
    store: Store, tmp_path: Path, overrides: list[str], fields: dict[str, str]
) -> None:
    split = {"split_hash": "s", "dataset_version": "v"}
    store(started_at=format_time(1), **split)
    store(*overrides, started_at=format_time(2), **{**split, **fields})
    assert find_prunable_ids(tmp_path, statuses=[], superseded=True) == set()


def test_threads_and_resamples_do_not_prevent_superseding(store: Store, tmp_path: Path) -> None:
    old = store(started_at=format_time(1))
    store("threads=1", "hypothesis=again", "evaluation.resamples=200", started_at=format_time(2))
    assert find_prunable_ids(tmp_path, statuses=[], superseded=True) == {old.record.id}


def test_superseded_parent_or_tagged_run_is_kept(store: Store, tmp_path: Path) -> None:
    parent = store(started_at=format_time(1))
    store(started_at=format_time(2), tags=["keep"])
    store(started_at=format_time(3), parent=parent.record.id)
    assert find_prunable_ids(tmp_path, statuses=[], superseded=True) == set()


def test_recent_runs_can_be_kept(store: Store, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old = store(status="failed", started_at=(now - timedelta(days=8)).isoformat())
    recent = store(status="failed", started_at=(now - timedelta(days=6)).isoformat())
    assert find_prunable_ids(tmp_path, days=7) == {old.record.id}
    assert find_prunable_ids(tmp_path, days=0.5) == {old.record.id, recent.record.id}
    assert find_prunable_ids(tmp_path, days=30) == set()


def test_prune_deletes_only_with_delete_true(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed, finished = store(status="failed"), store()
    where = f"runs_dir={tmp_path / 'runs'}"

    runs_verb(["prune", where])
    output = capsys.readouterr().out
    assert failed.record.id in output
    assert finished.record.id not in output
    assert "1 run would be removed" in output
    assert "delete=true" in output
    assert collect_ids(find_runs(tmp_path / "runs")) == {failed.record.id, finished.record.id}

    runs_verb(["prune", where, "delete=true"])
    assert "1 run removed" in capsys.readouterr().out
    assert collect_ids(find_runs(tmp_path / "runs")) == {finished.record.id}

    runs_verb(["prune", where, "delete=true"])
    assert "nothing to prune" in capsys.readouterr().out


def test_prune_accepts_statuses_and_superseded(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, failed = store(started_at=format_time(1)), store(started_at=format_time(2), status="failed")
    newest = store(started_at=format_time(3))
    where = f"runs_dir={tmp_path / 'runs'}"
    runs_verb(["prune", where, "status=[]", "superseded=true"])
    output = capsys.readouterr().out
    assert old.record.id in output
    assert failed.record.id not in output
    assert newest.record.id not in output


@pytest.mark.parametrize("status", ["running", "fialed"])
def test_prune_refuses_invalid_status(store: Store, tmp_path: Path, status: str) -> None:
    run = store(status="running")
    with pytest.raises(UserError, match=f"status={status}"):
        runs_verb(["prune", f"runs_dir={tmp_path / 'runs'}", f"status=[{status}]", "delete=true"])
    assert run.path.exists()


# --- what is protected ------------------------------------------------------------------------------------------------


def test_run_with_unknown_code_supersedes_nothing(store: Store, tmp_path: Path) -> None:
    store(started_at=format_time(1))
    store(started_at=format_time(2), code_hash=None, code_changed=["fit"])
    assert find_prunable_ids(tmp_path, statuses=[], superseded=True) == set()


def test_start_that_cannot_be_read_protects_a_run(store: Store, tmp_path: Path) -> None:
    for written in ("", "yesterday", "2026-01-01T00:00:00"):
        store(status="failed", started_at=written)
    assert find_prunable_ids(tmp_path) == set()


def test_run_whose_process_is_unknown_is_kept_with_the_remedy(store: Store, tmp_path: Path) -> None:
    run = store(status="running", host="elsewhere", process={"boot": "another", "namespace": 1, "ticks": 1})
    plan = plan_pruning(find_runs(tmp_path / "runs"), Request(["killed"]))
    assert plan.runs == []
    [(reason, count)] = plan.kept.items()
    assert count == 1
    assert str(run.path / "record.json") in reason
    assert '"interrupted"' in reason
    assert plan_pruning([run], FAILED).kept == {}, "it is of no interest where killed runs are not requested"


def test_exported_run_is_kept(store: Store, tmp_path: Path) -> None:
    old = store(started_at=format_time(1))
    store(started_at=format_time(2))
    (old.path / "export").mkdir()
    plan = plan_pruning(find_runs(tmp_path / "runs"), Request([], superseded=True))
    assert (plan.runs, list(plan.kept.values())) == ([], [1])


def promote(directory: Path, *runs: StoredRun) -> None:
    splits = {run.record.id: "split" for run in runs}
    fields: dict[str, Any] = {"name": "rule", "model": "rule", "config_hash": "c", "runs": splits}
    directory.mkdir(parents=True, exist_ok=True)
    at = "2026-01-01T00:00:00+00:00"
    add_decision(
        directory, Promotion(at=at, action="promote", data="sample", why="", gate="ships", forced=False, **fields)
    )


@pytest.fixture
def project(store: Store, tmp_path: Path) -> Path:
    """Return a project with a promoted run that another one supersedes, in runs/."""
    (tmp_path / MARKER).write_text("schema: 1\n")
    promoted = store("name=promoted", started_at=format_time(1))
    store("name=promoted", started_at=format_time(2))
    promote(tmp_path / "promotions", promoted)
    return tmp_path


def prune_all(runs_dir: Path, *options: str) -> None:
    runs_verb(["prune", f"runs_dir={runs_dir}", "superseded=true", "delete=true", *options])


def list_names(project: Path) -> list[str]:
    return [run.record.name for run in find_runs(project / "runs")]


def test_promoted_run_is_kept_from_another_directory(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    prune_all(project / "runs")
    assert list_names(project) == ["promoted", "promoted"]
    Path("promotions").mkdir()
    prune_all(project / "runs", "promotions_dir=promotions")
    assert list_names(project) == ["promoted", "promoted"], "a directory that is given is used in addition"


def test_promoted_run_is_kept_where_the_runs_directory_is_a_link(
    project: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("large-disk")
    monkeypatch.chdir(elsewhere)
    (project / "runs").rename(elsewhere / "all")
    (project / "runs").symlink_to(elsewhere / "all")
    prune_all(project / "runs")
    assert list_names(project) == ["promoted", "promoted"]
    (elsewhere / "link").symlink_to(project / "runs")
    prune_all(elsewhere / "link")
    assert list_names(project) == ["promoted", "promoted"]


def test_promotions_of_the_project_of_a_run_are_found_wherever_its_runs_are(
    store: Store, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    project = tmp_path_factory.mktemp("project")
    (project / "promotions").mkdir()
    (project / "own").mkdir()
    given = tmp_path / "nowhere"
    run = store(project=str(project))
    assert find_promotion_directories(tmp_path / "runs", [run], given) == [project / "promotions"]
    other = store("promotions_dir=own", project=str(project))
    absolute = store(f"promotions_dir='{project / 'own'}'", project=None)
    for configured in (other, absolute):
        assert find_promotion_directories(tmp_path / "runs", [configured], given) == [project / "own"]
    assert find_promotion_directories(tmp_path / "runs", [], project) == [project]


def test_run_that_is_promoted_after_it_was_listed_is_kept(project: Path) -> None:
    runs_dir = project / "runs"
    request = Request(["finished"])
    listed = plan_pruning(find_runs(runs_dir), request).runs
    promote(project / "promotions", listed[-1])
    assert delete_runs(runs_dir, listed, request, promotions_dir=project / "nowhere", keep={}) == []
    assert len(find_runs(runs_dir)) == 2


# --- races and links --------------------------------------------------------------------------------------------------


def delete(tmp_path: Path, *runs: StoredRun) -> list[StoredRun]:
    return delete_runs(tmp_path / "runs", runs, FAILED, promotions_dir=tmp_path / "promotions", keep={})


def test_only_the_directory_of_a_run_is_deleted(store: Store, tmp_path: Path) -> None:
    failed, kept = store(status="failed"), store()
    (failed.path / "model").mkdir()
    (failed.path / "model" / "weights.npz").write_bytes(b"x")
    assert delete(tmp_path, failed) == [failed]
    assert [path.name for path in failed.path.parent.iterdir()] == [kept.path.name]


def test_run_that_another_process_uses_or_changed_is_kept(store: Store, tmp_path: Path) -> None:
    resumed, used, parent = store(status="failed"), store(status="failed"), store(status="failed")
    record = json.loads((resumed.path / "record.json").read_text())
    (resumed.path / "record.json").write_text(json.dumps({**record, "resumes": [{"at": "now"}]}))
    lock = lock_run(used.path)
    store(parent=parent.record.id)
    assert delete(tmp_path, resumed, used, parent) == []
    unlock_run(lock)
    assert delete(tmp_path, used) == [used]


def test_linked_run_keeps_its_target(store: Store, tmp_path: Path) -> None:
    """A run of another disk is linked, or a candidate, or a data set: what the links lead to is left as it is."""
    target = store(f"run_dir={tmp_path / 'archive' / 'sample' / 'rule' / 'one'}", status="failed")
    for link, leads_to in (
        ("runs/sample/rule/linked", "archive/sample/rule/one"),
        ("runs/sample/rule_linked", "archive/sample/rule"),
        ("runs/sample_linked", "archive/sample"),
    ):
        (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / link).symlink_to(tmp_path / leads_to)
        runs = find_runs(tmp_path / "runs")
        assert len(runs) == 1
        plan = plan_pruning(runs, FAILED)
        assert (plan.runs, list(plan.kept.values())) == ([], [1])
        assert delete(tmp_path, *runs) == []
        assert pruning._set_aside(runs[0]) is None
        assert (target.path / "record.json").is_file()
        (tmp_path / link).unlink()


def test_link_inside_a_run_is_not_followed(store: Store, tmp_path: Path) -> None:
    run = store(status="failed")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    (run.path / "model").symlink_to(tmp_path / "mine")
    (run.path / "predictions").mkdir()
    (run.path / "predictions" / "link").symlink_to(tmp_path / "mine")
    assert delete(tmp_path, run) == [run]
    assert not run.path.exists()
    assert (tmp_path / "mine" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("entries", [0, 1, 3])
def test_killed_deletion_leaves_no_run_and_is_completed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    """The process is killed between the renaming and the end of the deletion."""
    run, other = store(status="failed"), store(status="failed")
    removed = iter(range(100))
    unlink = Path.unlink

    def kill(path: Path, missing_ok: bool = False) -> None:
        if next(removed) >= entries:
            raise SystemExit(137)
        unlink(path, missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", kill)
        with pytest.raises(SystemExit):
            delete(tmp_path, run)
    assert collect_ids(find_runs(tmp_path / "runs")) == {other.record.id}
    assert len(find_leftovers(tmp_path / "runs")) == 1
    with pytest.raises(UserError, match="no run"):
        find_run(tmp_path / "runs", run.record.id)
    prune_all(tmp_path / "runs", "status=[]")
    assert [path.name for path in run.path.parent.iterdir()] == [other.path.name]


def test_foreign_directory_is_no_leftover(store: Store, tmp_path: Path) -> None:
    run = store()
    mine = run.path.with_name(".mine.pruned")
    mine.mkdir()
    (mine / "notes.txt").write_text("mine")
    delete_leftovers(tmp_path / "runs")
    assert (mine / "notes.txt").is_file()
    (mine / "notes.txt").unlink()
    delete_leftovers(tmp_path / "runs")
    assert not mine.exists(), "an empty one is the end of a deletion"


# --- live runs --------------------------------------------------------------------------------------------------------

_HOLD = """
import sys
from ratchet.config import compose, register
from ratchet.models import all_settings
from ratchet.runs import open_run
register(all_settings())
with open_run(compose([f"runs_dir={sys.argv[1]}"]), threads=1, overrides=[]) as run:
    print(run.path, flush=True)
    sys.stdin.read()
"""


def test_live_run_of_another_namespace_is_kept_until_it_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In another container the id of the process means nothing; this is simulated where no namespace can be made."""
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "runs")]
    namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    can_unshare = (
        shutil.which("unshare") is not None
        and subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode == 0
    )
    holder = subprocess.Popen(
        [*(namespace if can_unshare else []), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "HYDRA_FULL_ERROR": "0"},
    )
    assert holder.stdout is not None
    try:
        path = Path(holder.stdout.readline().strip())
        if not can_unshare:
            record = json.loads((path / "record.json").read_text())
            record["process"]["namespace"] += 1
            (path / "record.json").write_text(json.dumps({**record, "pid": 0}))
        runs_verb(["prune", f"runs_dir={tmp_path / 'runs'}", "delete=true"])
        assert "nothing to prune" in capsys.readouterr().out
        assert (path / "record.json").is_file()
    finally:
        holder.kill()
        holder.communicate(timeout=HANG_SECONDS)
    runs_verb(["prune", f"runs_dir={tmp_path / 'runs'}", "delete=true"])
    assert "1 run removed" in capsys.readouterr().out
    assert not path.exists()


@pytest.mark.parametrize("days", ["nan", "inf", "-inf", "-1", "1e300", "1e5"])
def test_age_must_be_a_possible_number(store: Store, tmp_path: Path, days: str) -> None:
    run = store(status="failed")
    with pytest.raises(UserError, match=r"older_than_days=.* out of range: .*at least 0 and at most 36500"):
        runs_verb(["prune", f"runs_dir={tmp_path / 'runs'}", f"older_than_days={days}", "delete=true"])
    assert run.path.exists()
