"""What became of the jobs of a sweep: a file each, written by who ran it, so that every launcher leaves the same."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ratchet.errors import UserError, storage_error
from ratchet.files import write_json
from ratchet.runs.stored import StoredRun, find_runs, read_run

_PLAN, _STUDY = "plan.json", "study.json"
Outcome = Literal["finished", "done before", "pruned", "failed", "not run"]


@dataclass(frozen=True)
class Job:
    """A job of a sweep. `run` is the directory of its run, as seen from the runs directory, if it came to have one."""

    number: int
    overrides: list[str]
    outcome: Outcome = "not run"
    run: str | None = None
    reason: str | None = None


def plan_sweep(runs_dir: Path, sweep_id: str, jobs: Sequence[Sequence[str]]) -> None:
    """Write down which jobs there will be, so that one of which nothing is heard is missed.

    Raises:
        UserError: nothing can be written there.
    """
    _write(_directory(runs_dir, sweep_id) / _PLAN, [list(overrides) for overrides in jobs])


def note_job(runs_dir: Path, sweep_id: str, job: Job, run: Path | None = None) -> None:
    """Write down what became of a job, and where its run is.

    Raises:
        UserError: nothing can be written there.
    """
    place = None if run is None else Path(os.path.relpath(run, runs_dir)).as_posix()
    _write(_directory(runs_dir, sweep_id) / f"{job.number}.json", asdict(job) | {"run": place})


def note_study(runs_dir: Path, sweep_id: str, study: str) -> None:
    """Write down that a sweep is a search, and in which study its trials are.

    Raises:
        UserError: nothing can be written there.
    """
    _write(_directory(runs_dir, sweep_id) / _STUDY, study)


def study_of(runs_dir: Path, sweep_id: str) -> str | None:
    """The study of a sweep that is a search; None of a grid."""
    path = _directory(runs_dir, sweep_id) / _STUDY
    return str(_read(path)) if path.is_file() else None


def jobs_of(runs_dir: Path, sweep_id: str) -> list[Job]:
    """The jobs of a sweep in their order; of one that was killed nothing but its plan is known."""
    directory = _directory(runs_dir, sweep_id)
    planned = _read(directory / _PLAN) if (directory / _PLAN).is_file() else []
    jobs = {number: Job(number, overrides) for number, overrides in enumerate(planned)}
    heard_of = [Job(**_read(path)) for path in directory.glob("[0-9]*.json")]
    jobs |= {job.number: job for job in heard_of}
    return [jobs[number] for number in sorted(jobs)]


def runs_of(runs_dir: Path, sweep_id: str) -> list[StoredRun]:
    """The runs of a sweep, with those that were done before it, in the order in which they began."""
    runs = [run for run in find_runs(runs_dir) if run.record.sweep_id == sweep_id]
    before = [runs_dir / str(job.run) for job in jobs_of(runs_dir, sweep_id) if job.outcome == "done before"]
    runs += [read_run(path) for path in dict.fromkeys(before) if (path / "record.json").is_file()]
    return sorted(runs, key=lambda run: (run.record.started_at, run.record.id))


def known_sweeps(runs_dir: Path) -> list[str]:
    """The ids of all sweeps that were written down, oldest first."""
    return sorted(path.name for path in (runs_dir / ".sweeps").glob("*") if path.is_dir())


def last_sweep(runs_dir: Path) -> str:
    """The id of the newest sweep; ids begin with the time."""
    known = [path.name for path in (runs_dir / ".sweeps").glob("*")]
    return max(
        [*known, *(run.record.sweep_id for run in find_runs(runs_dir) if run.record.sweep_id)], default="none yet"
    )


def _directory(runs_dir: Path, sweep_id: str) -> Path:
    return runs_dir / ".sweeps" / sweep_id


def _write(path: Path, content: object) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, content)
    except OSError as error:
        otherwise = UserError(f"{path}: cannot be written: {error.strerror}")
        raise storage_error(error, path, ", then give the same command again") or otherwise from error


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
