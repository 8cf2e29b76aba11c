"""`-m sweep=<model>`: ask for trials, launch them, write down what they gave, and say what to do with the best."""

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ratchet.cli.grid import recorded
from ratchet.cli.search_request import Request, default_values, read_request
from ratchet.cli.search_summary import conclude
from ratchet.config import Config, config_hash, plain
from ratchet.machine import available_cores
from ratchet.runs import provenance
from ratchet.runs.code import code_of_run, hash_definitions
from ratchet.runs.stored import StoredRun, read_run
from ratchet.runs.sweeps import Job, jobs_of, note_study, plan_sweep
from ratchet.search.places import study_dir
from ratchet.search.space import overrides_of
from ratchet.search.study import OpenStudy, Trial, open_study
from ratchet.training import read_inputs

Launch = Callable[[list[list[str]], int], object]
_GIVEN_UP = 5  # trials that fail while none finishes


@dataclass
class _Progress:
    """What this call did so far: the jobs that it planned, how many failed, and the run that has the best weights."""

    best: float
    jobs: list[list[str]] = field(default_factory=list)
    failed: int = 0
    kept: StoredRun | None = None


def search(arguments: Sequence[str], launch: Launch, config_dir: Path | None = None) -> None:
    """Go on with the study until it has as many trials as are wanted; then say and write what is best.

    `launch(jobs, first)` runs jobs, each a list of overrides, numbered from `first`.

    Raises:
        UserError: what is asked for makes no sense, or the study cannot be had.
    """
    request = read_request(arguments, config_dir)
    config, settings = request.config, request.config.sweep
    runs_dir, sweep_id = Path(config.runs_dir), str(config.sweep_id)
    about = _about(request)
    study_id = f"{config.data.name}-{config.name}-{_digest(about['identity'])}"
    directory = study_dir(runs_dir, study_id)
    note_study(runs_dir, sweep_id, study_id)
    settings.study = study_id
    with open_study(directory, settings, request.space, default_values(request), about) as study:
        _run_trials(request, study, launch)
    conclude(request, directory)


def _about(request: Request) -> dict[str, Any]:
    """What study.json says: for people, and, under `identity`, all that makes trials comparable."""
    config, settings = request.config, request.config.sweep
    inputs = read_inputs(config)
    return {
        "model": config.model.name,
        "data": config.data.name,
        "name": config.name,
        "overrides": recorded(request.fixed),
        "settings": {**plain(settings), "space": plain(request.space)},
        "identity": {
            "config_hash": config_hash(config),
            "seed": config.seed,
            "split_seed": config.split.seed,
            "dataset_version": inputs.prepared.version,
            "split_hash": inputs.split.hash,
            "space": plain(request.space),
            "search": [settings.metric.name, plain(settings.cost), settings.prune, settings.seed],
            "code_hash": hash_definitions(code_of_run(config.model.module)),
            "packages": provenance.package_versions(),
            "threads": config.threads or available_cores(),
        },
    }


def _digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def _run_trials(request: Request, study: OpenStudy, launch: Launch) -> None:
    settings, progress = request.config.sweep, _Progress(study.best)
    until = time.monotonic() + settings.minutes * 60 if settings.minutes is not None else float("inf")
    print(f"study {settings.study}: {study.tried} of {settings.trials} trials are there")
    sys.stdout.flush()
    while (left := settings.trials - study.tried - progress.failed) > 0 and time.monotonic() < until:
        if progress.failed >= _GIVEN_UP and not study.tried:
            print(f"the first {progress.failed} trials failed: the search stops", file=sys.stderr)
            return
        _run_batch(request, study, launch, progress, study.ask(min(left, settings.parallel)))


def _run_batch(
    request: Request, study: OpenStudy, launch: Launch, progress: _Progress, trials: Sequence[Trial]
) -> None:
    config, first = request.config, len(progress.jobs)
    jobs = [_job(request, trial) for trial in trials]
    progress.jobs += [recorded(job) for job in jobs]
    plan_sweep(Path(config.runs_dir), str(config.sweep_id), progress.jobs)
    launch(jobs, first)
    heard = {job.number: job for job in jobs_of(Path(config.runs_dir), str(config.sweep_id))}
    for number, trial in enumerate(trials, first):
        _tell(config, study, trial, heard[number], progress)


def _job(request: Request, trial: Trial) -> list[str]:
    own = [f"sweep.study={request.config.sweep.study}", f"sweep.trial={trial.number}"]
    return [*request.fixed, *own, *overrides_of(trial.values)]


def _tell(config: Config, study: OpenStudy, trial: Trial, job: Job, progress: _Progress) -> None:
    """Write down what became of a trial."""
    settings = config.sweep
    if job.outcome == "pruned":
        study.tell(trial.number, None, pruned=True, run=job.run)
    elif job.outcome in ("finished", "done before") and job.run is not None:
        run = read_run(Path(config.runs_dir) / job.run)
        figures = run.figures()
        values = [figures[f"val/{settings.metric.name}"]]
        values += [figures[f"cost/{settings.cost.name}"]] if settings.cost is not None else []
        study.tell(trial.number, values, run=job.run)
        if settings.cost is None:
            _keep_best(progress, run, values[0], own=job.outcome == "finished")
    else:
        study.tell(trial.number, None)
        progress.failed += 1


def _keep_best(progress: _Progress, run: StoredRun, value: float, *, own: bool) -> None:
    """Of the runs that this call made the best one keeps its weights: a hundred encoders would fill a disk."""
    beaten = run if own else None
    if value > progress.best:
        progress.best, progress.kept, beaten = value, beaten, progress.kept
    if beaten is not None:
        shutil.rmtree(beaten.path / "model", ignore_errors=True)
