"""Tests for the recorded jobs of a sweep and for the jobs that are missing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import ratchet
from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.schema_versions import SWEEP_SCHEMA
from ratchet.sweeps.ledger import (
    Job,
    LostJob,
    find_last_sweep,
    find_sweep_runs,
    list_sweeps,
    plan_sweep,
    read_jobs,
    read_study_id,
    read_sweep,
    record_job,
    record_study,
)

Store = Callable[..., StoredRun]
PLAN = [["seed=0"], ["seed=1"], ["seed=2"]]


def test_job_without_report_was_not_run(tmp_path: Path) -> None:
    plan_sweep(tmp_path, "one", PLAN)
    record_job(tmp_path, "one", Job(2, ["seed=2"], "failed", reason="no label is left"))
    record_job(tmp_path, "one", Job(0, ["seed=0"], "finished"), tmp_path / "sample" / "rule" / "x")
    assert read_jobs(tmp_path, "one") == [
        Job(0, ["seed=0"], "finished", run="sample/rule/x"),
        Job(1, ["seed=1"], "not run"),
        Job(2, ["seed=2"], "failed", reason="no label is left"),
    ]


def test_last_outcome_of_a_job_counts(tmp_path: Path) -> None:
    for outcome in ("failed", "finished"):
        record_job(tmp_path, "one", Job(0, ["seed=0"], outcome))  # type: ignore[arg-type]
    assert [job.outcome for job in read_jobs(tmp_path, "one")] == ["finished"]


def test_without_plan_only_reported_jobs_are_read(tmp_path: Path) -> None:
    assert read_jobs(tmp_path, "one") == []
    record_job(tmp_path, "one", Job(3, ["seed=3"], "finished"))
    assert [job.number for job in read_jobs(tmp_path, "one")] == [3]


def test_other_files_in_the_directory_are_not_jobs(tmp_path: Path) -> None:
    plan_sweep(tmp_path, "one", PLAN)
    (tmp_path / ".sweeps" / "one" / "multirun.yaml").write_text("x: 1")
    assert len(read_jobs(tmp_path, "one")) == 3


def test_sweep_includes_own_runs_and_earlier_ones(store: Store, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    earlier, own, other = store("sweep_id=first"), store("sweep_id=second", "seed=1"), store("sweep_id=third")
    record_job(runs_dir, "second", Job(0, [], "done before"), earlier.path)
    record_job(runs_dir, "second", Job(1, [], "finished"), own.path)
    assert [run.record.id for run in find_sweep_runs(runs_dir, "second")] == [earlier.record.id, own.record.id]
    assert [run.record.id for run in find_sweep_runs(runs_dir, "third")] == [other.record.id]
    shutil.rmtree(earlier.path)
    assert [run.record.id for run in find_sweep_runs(runs_dir, "second")] == [own.record.id]


def test_runs_directory_may_move(store: Store, tmp_path: Path) -> None:
    stored = store()
    record_job(tmp_path / "runs", "one", Job(0, [], "done before"), stored.path)
    (tmp_path / "runs").rename(tmp_path / "moved")
    assert [run.record.id for run in find_sweep_runs(tmp_path / "moved", "one")] == [stored.record.id]


def test_directory_of_a_reused_run_may_be_renamed(store: Store, tmp_path: Path) -> None:
    stored = store()
    record_job(tmp_path / "runs", "one", Job(0, [], "done before"), stored.path)
    renamed = stored.path.rename(stored.path.with_name("the good one"))
    assert [run.path for run in find_sweep_runs(tmp_path / "runs", "one")] == [renamed]


def test_last_sweep_may_contain_only_earlier_runs(store: Store, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    assert find_last_sweep(runs_dir) == "none yet"
    run = store("sweep_id=20260101T000000Z-bbbbbb")
    assert find_last_sweep(runs_dir) == "20260101T000000Z-bbbbbb"
    record_job(runs_dir, "20260101T000001Z-aaaaaa", Job(0, [], "done before"), run.path)
    assert find_last_sweep(runs_dir) == "20260101T000001Z-aaaaaa"


def test_unwritable_file_error_names_it(tmp_path: Path) -> None:
    (tmp_path / ".sweeps").write_text("a file")
    with pytest.raises(UserError, match=r"\.sweeps/one/plan\.json: "):
        plan_sweep(tmp_path, "one", PLAN)


def test_damaged_file_error_names_it(tmp_path: Path) -> None:
    plan_sweep(tmp_path, "one", PLAN)
    (tmp_path / ".sweeps" / "one" / "plan.json").write_text("[")
    with pytest.raises(UserError, match=r"plan\.json: "):
        read_jobs(tmp_path, "one")


def test_lost_jobs_have_reason_and_run(store: Store, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    plan_sweep(runs_dir, "one", [["seed=0"], ["seed=1"], ["seed=2"], ["seed=3"]])
    error = {"type": "UserError", "message": "no label\nsecond line", "traceback": ""}
    failed = store("sweep_id=one", "seed=0", status="failed", overrides=["seed=0"], error=error)
    record_job(runs_dir, "one", Job(0, ["seed=0"], "failed", reason="no label"), failed.path)
    record_job(runs_dir, "one", Job(1, ["seed=1"], "failed", reason="no directory"))
    unrecorded = store("sweep_id=one", "seed=2", overrides=["seed=2"])
    sweep = read_sweep(runs_dir, "one")
    assert sweep.lost == [
        LostJob("failed", ["seed=0"], "no label", failed.path),
        LostJob("failed", ["seed=1"], "no directory", None),
        LostJob("not run", ["seed=3"], "it did not report", None),
    ]
    assert sweep.unrecorded == sweep.finished == [unrecorded]
    assert not sweep.succeeded


def test_only_a_search_may_succeed_without_new_runs(tmp_path: Path) -> None:
    assert not read_sweep(tmp_path, "one").succeeded
    record_study(tmp_path, "one", "sample-rule_search-12345678")
    assert read_sweep(tmp_path, "one").succeeded
    assert read_study_id(tmp_path, "one") == "sample-rule_search-12345678"


def test_sweep_holds_the_versions_of_schema_and_ratchet(tmp_path: Path) -> None:
    version = tmp_path / ".sweeps" / "one" / "sweep.json"
    record_job(tmp_path, "one", Job(0, ["seed=0"], "finished"))
    written = {"schema_version": SWEEP_SCHEMA.version, "ratchet_version": ratchet.__version__}
    assert json.loads(version.read_text()) == written
    version.write_text(json.dumps({**written, "ratchet_version": "0.0.9"}))
    plan_sweep(tmp_path, "one", PLAN)
    assert json.loads(version.read_text())["ratchet_version"] == "0.0.9", "the Ratchet that began the sweep"


def test_sweep_of_a_newer_ratchet_is_refused(tmp_path: Path) -> None:
    plan_sweep(tmp_path, "one", PLAN)
    version = tmp_path / ".sweeps" / "one" / "sweep.json"
    version.write_text(json.dumps({"schema_version": SWEEP_SCHEMA.version + 1, "ratchet_version": "0.9.0"}))
    for read in (read_jobs, read_study_id, read_sweep):
        with pytest.raises(UserError) as error:
            read(tmp_path, "one")
        assert str(error.value).startswith(f"{version}: ")
        assert "install ratchet-ml 0.9.0 or newer" in str(error.value)


@pytest.mark.parametrize("content", ["", "[]", '{"schema_version": "new"}'])
def test_damaged_version_error_names_the_file(content: str, tmp_path: Path) -> None:
    plan_sweep(tmp_path, "one", PLAN)
    (tmp_path / ".sweeps" / "one" / "sweep.json").write_text(content)
    with pytest.raises(UserError, match=r"sweep\.json: cannot be read"):
        read_jobs(tmp_path, "one")


def test_file_format_of_sweeps_is_stable(tmp_path: Path) -> None:
    """Sweeps of earlier versions must stay readable."""
    directory = tmp_path / ".sweeps" / "20260101T000000Z-aaaaaa"
    directory.mkdir(parents=True)
    (directory / "plan.json").write_text('[["seed=0"], ["seed=1"]]')
    content = {"number": 0, "overrides": ["seed=0"], "outcome": "done before", "run": "sample/rule/x", "reason": None}
    (directory / "0.json").write_text(json.dumps(content))
    (directory / "study.json").write_text('"sample-rule_search-12345678"')
    assert list_sweeps(tmp_path) == [directory.name]
    assert read_jobs(tmp_path, directory.name) == [
        Job(0, ["seed=0"], "done before", run="sample/rule/x"),
        Job(1, ["seed=1"]),
    ]
    assert read_study_id(tmp_path, directory.name) == "sample-rule_search-12345678"
    record_job(tmp_path, "other", Job(0, ["seed=0"], "done before"), tmp_path / "sample" / "rule" / "x")
    assert json.loads((tmp_path / ".sweeps" / "other" / "0.json").read_text()) == content
