"""What is known of a sweep's jobs, whoever ran them and however they ended."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.runs.sweeps import Job, jobs_of, last_sweep, note_job, plan_sweep, runs_of

Store = Callable[..., StoredRun]
PLAN = [["seed=0"], ["seed=1"], ["seed=2"]]


def test_a_job_of_which_nothing_is_heard_was_not_run(tmp_path: Path) -> None:
    plan_sweep(tmp_path, "one", PLAN)
    note_job(tmp_path, "one", Job(2, ["seed=2"], "failed", reason="no label is left"))
    note_job(tmp_path, "one", Job(0, ["seed=0"], "finished"), tmp_path / "sample" / "rule" / "x")
    assert jobs_of(tmp_path, "one") == [
        Job(0, ["seed=0"], "finished", run="sample/rule/x"),
        Job(1, ["seed=1"], "not run"),
        Job(2, ["seed=2"], "failed", reason="no label is left"),
    ]


def test_what_is_heard_last_of_a_job_counts(tmp_path: Path) -> None:
    for outcome in ("failed", "finished"):
        note_job(tmp_path, "one", Job(0, ["seed=0"], outcome))  # type: ignore[arg-type]
    assert [job.outcome for job in jobs_of(tmp_path, "one")] == ["finished"]


def test_jobs_without_a_plan_are_those_that_were_heard_of(tmp_path: Path) -> None:
    assert jobs_of(tmp_path, "one") == []
    note_job(tmp_path, "one", Job(3, ["seed=3"], "finished"))
    assert [job.number for job in jobs_of(tmp_path, "one")] == [3]


def test_files_that_others_leave_there_are_no_jobs(tmp_path: Path) -> None:
    plan_sweep(tmp_path, "one", PLAN)
    (tmp_path / ".sweeps" / "one" / "multirun.yaml").write_text("x: 1")
    assert len(jobs_of(tmp_path, "one")) == 3


def test_runs_of_a_sweep_are_its_own_and_those_done_before(store: Store, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    earlier, own, other = store("sweep_id=first"), store("sweep_id=second", "seed=1"), store("sweep_id=third")
    note_job(runs_dir, "second", Job(0, [], "done before"), earlier.path)
    note_job(runs_dir, "second", Job(1, [], "finished"), own.path)
    assert [run.record.id for run in runs_of(runs_dir, "second")] == [earlier.record.id, own.record.id]
    assert [run.record.id for run in runs_of(runs_dir, "third")] == [other.record.id]
    shutil.rmtree(earlier.path)
    assert [run.record.id for run in runs_of(runs_dir, "second")] == [own.record.id]


def test_a_runs_directory_may_move(store: Store, tmp_path: Path) -> None:
    run = store()
    note_job(tmp_path / "runs", "one", Job(0, [], "done before"), run.path)
    (tmp_path / "runs").rename(tmp_path / "moved")
    assert [each.record.id for each in runs_of(tmp_path / "moved", "one")] == [run.record.id]


def test_the_last_sweep_is_the_newest_even_if_all_of_it_was_done_before(store: Store, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    assert last_sweep(runs_dir) == "none yet"
    run = store("sweep_id=20260101T000000Z-bbbbbb")
    assert last_sweep(runs_dir) == "20260101T000000Z-bbbbbb"
    note_job(runs_dir, "20260101T000001Z-aaaaaa", Job(0, [], "done before"), run.path)
    assert last_sweep(runs_dir) == "20260101T000001Z-aaaaaa"


def test_where_nothing_can_be_written_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / ".sweeps").write_text("a file")
    with pytest.raises(UserError, match=r"\.sweeps/one/plan\.json: "):
        plan_sweep(tmp_path, "one", PLAN)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    plan_sweep(tmp_path, "one", PLAN)
    (tmp_path / ".sweeps" / "one" / "plan.json").write_text("[")
    with pytest.raises(UserError, match=r"plan\.json: "):
        jobs_of(tmp_path, "one")
