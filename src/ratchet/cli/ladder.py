"""The table at the end of a grid: one row a candidate, the simplest (the MVP) first; read from the run directories."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.experimental.callback import Callback

from ratchet.cli.main import report
from ratchet.errors import UserError
from ratchet.reporting.run_tables import ladder
from ratchet.reporting.terminal import print_blocks
from ratchet.runs import StoredRun
from ratchet.runs.sweeps import Job, jobs_of, runs_of, study_of

if TYPE_CHECKING:
    from omegaconf import DictConfig


class LadderCallback(Callback):
    """Hydra calls it after the last job, whatever launched the jobs; ends with exit code 1 if a run did not finish."""

    def on_multirun_end(self, config: "DictConfig", **_: Any) -> None:
        """Print the table of this sweep's runs, and the runs that did not finish with their reasons."""
        try:
            code = _print_end(Path(config.runs_dir), config.sweep_id)
        except UserError as error:  # Hydra would make a warning of it
            code = report(error)
        if code:
            sys.exit(code)


def _print_end(runs_dir: Path, sweep_id: str) -> int:
    """The end of a sweep in words, and its exit code."""
    runs, jobs = runs_of(runs_dir, sweep_id), jobs_of(runs_dir, sweep_id)
    is_search = study_of(runs_dir, sweep_id) is not None  # it has said what came out
    finished = [run for run in runs if run.status == "finished"]
    if finished and not is_search:
        print()
        print_blocks(ladder(finished))
    lost, unnoted = _lost(runs, jobs), _unnoted(jobs, finished)
    for line in [*lost, *unnoted]:
        print(line, file=sys.stderr)
    if lost or not (runs or is_search):
        print(f"{len(lost)} of {max(len(jobs), len(runs))} runs did not finish", file=sys.stderr)
    return 1 if lost or unnoted or not (runs or is_search) else 0


def print_interrupted(runs_dir: Path, sweep_id: str) -> None:
    """Which runs of a sweep that was interrupted did not finish, and how it goes on."""
    runs, jobs = runs_of(runs_dir, sweep_id), jobs_of(runs_dir, sweep_id)
    lost = _lost(runs, jobs)
    for line in lost:
        print(line, file=sys.stderr)
    print(f"{len(lost)} of {len(jobs)} runs did not finish; the same command goes on with them", file=sys.stderr)


def _lost(runs: Sequence[StoredRun], jobs: Sequence[Job]) -> list[str]:
    """A line for each run that did not finish, and for each job without one."""
    return [line for line in [*map(_failure, runs), *_without_run(jobs, runs)] if line]


def _unnoted(jobs: Sequence[Job], finished: Sequence[StoredRun]) -> list[str]:
    """Jobs of which nothing was written down, as on a full disk, though their runs are there."""
    silent = [job.overrides for job in jobs if job.outcome == "not run"]
    return [
        f"finished, but not noted in the sweep: {' '.join(run.record.overrides)} ({run.path})"
        for run in finished
        if run.record.overrides in silent
    ]


def _failure(run: StoredRun) -> str | None:
    """How and why a run ended that did not finish."""
    if run.status in ("finished", "pruned"):
        return None
    reason = (run.record.error or {}).get("message", "").split("\n")[0]
    return ": ".join(filter(None, (run.status, " ".join(run.record.overrides), reason))) + f" ({run.path})"


def _without_run(jobs: Sequence[Job], runs: Sequence[StoredRun]) -> list[str]:
    """The jobs that did not get as far as a run; one that was killed in its run is told as that."""
    there = [run.record.overrides for run in runs]
    missing = [job for job in jobs if job.run is None and job.overrides not in there]
    return [f"{job.outcome}: {' '.join(job.overrides)}: {(job.reason or 'nothing was heard of it')}" for job in missing]
