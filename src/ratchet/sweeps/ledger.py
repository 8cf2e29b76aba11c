"""Record the jobs of a sweep: one file per job, written by the process that ran it, so all launchers leave the same.

`sweep.json` holds the schema version of all files of the sweep, since a plan is a list and the id of a study a text.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ratchet.errors import UserError, storage_error
from ratchet.files import write_json
from ratchet.runs.stored import StoredRun, find_runs, read_run
from ratchet.schema_versions import SWEEP_SCHEMA, read_versioned, version_keys

_PLAN, _STUDY, _VERSION = "plan.json", "study.json", "sweep.json"
Outcome = Literal["finished", "done before", "pruned", "failed", "not run"]


@dataclass(frozen=True)
class Job:
    """A job of a sweep. `run` is the directory of its run relative to the runs directory, if it has one.

    The fields are the keys of the job's file.
    """

    number: int
    overrides: list[str]
    outcome: Outcome = "not run"
    run: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class LostJob:
    """A job that did not finish. `status` is that of its run, or the outcome of a job without a run."""

    status: str
    overrides: list[str]
    reason: str | None
    path: Path | None


@dataclass(frozen=True)
class SweepResult:
    """What is known of a sweep: its jobs and runs, jobs that did not finish, and runs whose outcome is not recorded."""

    jobs: list[Job]
    runs: list[StoredRun]
    lost: list[LostJob]
    unrecorded: list[StoredRun]
    is_search: bool

    @property
    def finished(self) -> list[StoredRun]:
        """Return the runs that finished."""
        return [run for run in self.runs if run.status == "finished"]

    @property
    def succeeded(self) -> bool:
        """Return whether everything finished and was recorded. A grid without any run did not succeed."""
        return not self.lost and not self.unrecorded and (bool(self.runs) or self.is_search)


def plan_sweep(runs_dir: Path, sweep_id: str, jobs: Sequence[Sequence[str]]) -> None:
    """Record the overrides of all jobs before the first one starts, so that a job that never reports is noticed.

    Raises:
        UserError: the file cannot be written.
    """
    _write(_directory(runs_dir, sweep_id) / _PLAN, [list(overrides) for overrides in jobs])


def record_job(runs_dir: Path, sweep_id: str, job: Job, run: Path | None = None) -> None:
    """Record the outcome of a job, and the directory of its run.

    Raises:
        UserError: the file cannot be written.
    """
    relative = None if run is None else Path(os.path.relpath(run, runs_dir)).as_posix()
    _write(_directory(runs_dir, sweep_id) / f"{job.number}.json", asdict(job) | {"run": relative})


def record_study(runs_dir: Path, sweep_id: str, study_id: str) -> None:
    """Record that a sweep is a search, and the study that holds its trials.

    Raises:
        UserError: the file cannot be written.
    """
    _write(_directory(runs_dir, sweep_id) / _STUDY, study_id)


def read_study_id(runs_dir: Path, sweep_id: str) -> str | None:
    """Return the study of a search, None for a grid.

    Raises:
        UserError: a file of the sweep cannot be read, or a newer Ratchet wrote it.
    """
    study = _read_sweep_files(runs_dir, sweep_id)["study"]
    return None if study is None else str(study)


def read_jobs(runs_dir: Path, sweep_id: str) -> list[Job]:
    """Return the jobs of a sweep in order. A job that was killed is known from the plan only: it was not run.

    Raises:
        UserError: a file of the sweep cannot be read, or a newer Ratchet wrote it.
    """
    files = _read_sweep_files(runs_dir, sweep_id)
    jobs = {number: Job(number, overrides) for number, overrides in enumerate(files["plan"])}
    recorded = [Job(**content) for content in files["jobs"]]
    jobs |= {job.number: job for job in recorded}
    return [jobs[number] for number in sorted(jobs)]


def _read_sweep_files(runs_dir: Path, sweep_id: str) -> dict[str, Any]:
    """Return the content of a sweep's files in the current version: `plan`, `jobs`, and `study`, None for a grid."""
    directory = _directory(runs_dir, sweep_id)
    version = directory / _VERSION
    files = {
        "plan": _read_or([], directory / _PLAN),
        "jobs": [_read(path) for path in directory.glob("[0-9]*.json")],
        "study": _read_or(None, directory / _STUDY),
    }
    try:
        return read_versioned({**files, **_read_or({}, version)}, SWEEP_SCHEMA, version)
    except (ValueError, TypeError) as error:
        raise UserError(f"{version}: cannot be read: {error}") from error


def find_sweep_runs(runs_dir: Path, sweep_id: str) -> list[StoredRun]:
    """Return the runs of a sweep in the order in which they began, including finished runs that it reused."""
    runs = [run for run in find_runs(runs_dir) if run.record.sweep_id == sweep_id]
    done_before = [str(job.run) for job in read_jobs(runs_dir, sweep_id) if job.outcome == "done before"]
    reused = [find_recorded_run(runs_dir, run) for run in dict.fromkeys(done_before)]
    runs += [run for run in reused if run is not None]
    return sorted(runs, key=lambda run: (run.record.started_at, run.record.id))


def find_recorded_run(runs_dir: Path, recorded: str) -> StoredRun | None:
    """Return the run of a job or a trial, whose directory may have been renamed since; None if it was removed.

    `recorded` is its directory at that time, relative to the runs directory. It ends in the id of the run.
    """
    path = runs_dir / recorded
    if (path / "record.json").is_file():
        return read_run(path)
    return next((run for run in find_runs(runs_dir) if run.record.id == path.name), None)


def read_sweep(runs_dir: Path, sweep_id: str) -> SweepResult:
    """Return the jobs and runs of a sweep, and what is missing of them.

    Raises:
        UserError: a file of the sweep cannot be read.
    """
    runs, jobs = find_sweep_runs(runs_dir, sweep_id), read_jobs(runs_dir, sweep_id)
    is_search = read_study_id(runs_dir, sweep_id) is not None
    return SweepResult(jobs, runs, _find_lost(runs, jobs), _find_unrecorded(runs, jobs), is_search)


def _find_lost(runs: Sequence[StoredRun], jobs: Sequence[Job]) -> list[LostJob]:
    """Return the runs that did not finish, then the jobs that did not get as far as a run."""
    lost = []
    for run in runs:
        if run.status not in ("finished", "pruned"):
            message = (run.record.error or {}).get("message", "").split("\n")[0]
            lost.append(LostJob(run.status, run.record.overrides, message or None, run.path))
    with_run = {tuple(run.record.overrides) for run in runs}  # a job killed during its run is lost once, as that run
    for job in jobs:
        if job.run is None and tuple(job.overrides) not in with_run:
            lost.append(LostJob(job.outcome, job.overrides, job.reason or "it did not report", None))
    return lost


def _find_unrecorded(runs: Sequence[StoredRun], jobs: Sequence[Job]) -> list[StoredRun]:
    """Return finished runs whose job has no recorded outcome, for example because the disk was full."""
    silent = {tuple(job.overrides) for job in jobs if job.outcome == "not run"}
    return [run for run in runs if run.status == "finished" and tuple(run.record.overrides) in silent]


def list_sweeps(runs_dir: Path) -> list[str]:
    """Return the ids of all recorded sweeps, oldest first."""
    return sorted(path.name for path in (runs_dir / ".sweeps").glob("*") if path.is_dir())


def find_last_sweep(runs_dir: Path) -> str:
    """Return the id of the newest sweep (ids begin with the time), "none yet" without any."""
    recorded = [path.name for path in (runs_dir / ".sweeps").glob("*")]
    of_runs = [run.record.sweep_id for run in find_runs(runs_dir) if run.record.sweep_id]
    return max([*recorded, *of_runs], default="none yet")


def _directory(runs_dir: Path, sweep_id: str) -> Path:
    return runs_dir / ".sweeps" / sweep_id


def _write(path: Path, content: object) -> None:
    version = path.with_name(_VERSION)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not version.is_file():
            write_json(version, version_keys(SWEEP_SCHEMA))
        write_json(path, content)
    except OSError as error:
        otherwise = UserError(f"{path}: cannot be written: {error.strerror}")
        raise storage_error(error, path, ", then run the same command again") or otherwise from error


def _read_or(default: object, path: Path) -> Any:
    return _read(path) if path.is_file() else default


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
