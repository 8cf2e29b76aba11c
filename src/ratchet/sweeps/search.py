"""Run a search: ask the study for trials, launch them, store their results, and write the best one as an experiment."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ratchet.config import Config, SearchConfig, config_hash, hash_inputs, plain
from ratchet.machine import available_cores
from ratchet.runs import provenance
from ratchet.runs.code import code_of_run, hash_definitions
from ratchet.runs.stored import StoredRun, find_damage, read_run
from ratchet.sweeps.experiment import Experiment, write_best
from ratchet.sweeps.jobs import recorded_overrides
from ratchet.sweeps.ledger import Job, find_recorded_run, plan_sweep, read_jobs, record_study
from ratchet.sweeps.space import SearchRequest, default_values, read_request, to_overrides
from ratchet.sweeps.study import OpenStudy, Trial, open_study, study_dir
from ratchet.sweeps.trials import SearchResult, read_results
from ratchet.training import read_inputs

Launch = Callable[[list[list[str]], int], object]
_MAX_FAILED = 5  # the search stops after so many failed trials if none has finished


@dataclass(frozen=True)
class SearchStart:
    """What is known before the first trial: how many there are already, and default values outside the space."""

    study_id: str
    tried: int
    wanted: int
    outside: list[str]


@dataclass(frozen=True)
class SearchOutcome:
    """The results of a search; `stopped_after` failed trials (None if it did not stop), and the experiment written.

    There is no experiment if the default settings are the best, or no trial has finished. `lost_weights` says what the
    run of the best trial lacks to score texts.
    """

    study_id: str
    settings: SearchConfig
    result: SearchResult
    stopped_after: int | None
    experiment: Experiment | None
    lost_weights: str | None = None


@dataclass
class _Progress:
    """The progress of this call: the best metric, the planned jobs, failed trials, the run that keeps its weights."""

    best: float
    jobs: list[list[str]] = field(default_factory=list)
    failed: int = 0
    kept: StoredRun | None = None


def run_search(
    overrides: Sequence[str],
    launch: Launch,
    config_dir: Path | None = None,
    on_start: Callable[[SearchStart], None] = lambda start: None,
) -> SearchOutcome:
    """Continue the study that `overrides` ask for until it has the wanted number of trials; write the best one.

    `launch(jobs, first)` runs jobs, each a list of overrides, numbered from `first`. `on_start` is called before them.

    Raises:
        UserError: a mistake in the overrides, or a file of the study or the experiment that cannot be written.
    """
    request = read_request(overrides, config_dir)
    config, settings = request.config, request.config.sweep
    runs_dir = Path(config.runs_dir)
    default, outside = default_values(request)
    about = {**_describe(request), "outside": outside}
    study_id = f"{config.data.name}-{config.name}-{_digest(about['identity'])}"
    directory = study_dir(runs_dir, study_id)
    record_study(runs_dir, str(config.sweep_id), study_id)
    settings.study = study_id
    with open_study(directory, settings, request.space, default, about) as study:
        on_start(SearchStart(study_id, study.tried, settings.trials, outside))
        stopped_after = _run_trials(request, study, launch)
    result = read_results(directory, settings)
    best = result.best
    experiment = write_best(request, best, len(result.trials)) if best and best is not result.default else None
    lost = find_damage(_find_directory(runs_dir, best.run)) if best and best.run and settings.cost is None else None
    return SearchOutcome(study_id, settings, result, stopped_after, experiment, lost)


def _find_directory(runs_dir: Path, recorded: str) -> Path:
    run = find_recorded_run(runs_dir, recorded)
    return runs_dir / recorded if run is None else run.path


def _describe(request: SearchRequest) -> dict[str, Any]:
    """Return study.json: a description for people and, under `identity`, all that makes trials comparable."""
    config, settings = request.config, request.config.sweep
    inputs = read_inputs(config)
    files = sorted({tuple(item) for corner in (config, *request.corners) for item in hash_inputs(corner).items()})
    return {
        "model": config.model.name,
        "data": config.data.name,
        "name": config.name,
        "overrides": recorded_overrides(request.fixed),
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
            "packages": provenance.read_package_versions(),
            "threads": config.threads or available_cores(),
            **({"inputs": [list(item) for item in files]} if files else {}),
        },
    }


def _digest(identity: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def _run_trials(request: SearchRequest, study: OpenStudy, launch: Launch) -> int | None:
    """Run trials until there are enough or the time is over. Return the number of failed ones if these stopped it."""
    settings, progress = request.config.sweep, _Progress(study.best)
    deadline = time.monotonic() + settings.minutes * 60 if settings.minutes is not None else float("inf")
    while (left := settings.trials - study.tried - progress.failed) > 0 and time.monotonic() < deadline:
        if progress.failed >= _MAX_FAILED and not study.tried:
            return progress.failed
        _run_batch(request, study, launch, progress, study.ask(min(left, settings.parallel)))
    return None


def _run_batch(
    request: SearchRequest, study: OpenStudy, launch: Launch, progress: _Progress, trials: Sequence[Trial]
) -> None:
    runs_dir, sweep_id, first = Path(request.config.runs_dir), str(request.config.sweep_id), len(progress.jobs)
    jobs = [_to_job(request, trial) for trial in trials]
    progress.jobs += [recorded_overrides(job) for job in jobs]
    plan_sweep(runs_dir, sweep_id, progress.jobs)
    launch(jobs, first)
    recorded = {job.number: job for job in read_jobs(runs_dir, sweep_id)}
    for number, trial in enumerate(trials, first):
        _store_result(request.config, study, trial, recorded[number], progress)


def _to_job(request: SearchRequest, trial: Trial) -> list[str]:
    return [
        *request.fixed,
        f"sweep.study={request.config.sweep.study}",
        f"sweep.trial={trial.number}",
        *to_overrides(trial.values),
    ]


def _store_result(config: Config, study: OpenStudy, trial: Trial, job: Job, progress: _Progress) -> None:
    """Store the result of a trial in the study."""
    settings = config.sweep
    if job.outcome == "pruned":
        study.tell(trial.number, None, pruned=True, run=job.run)
    elif job.outcome in ("finished", "done before") and job.run is not None:
        run = read_run(Path(config.runs_dir) / job.run)
        metrics = run.read_metrics()
        values = [metrics[f"val/{settings.metric.name}"]]
        values += [metrics[f"cost/{settings.cost.name}"]] if settings.cost is not None else []
        study.tell(trial.number, values, run=job.run)
        if settings.cost is None:
            _keep_best_weights(progress, run, values[0], is_own=job.outcome == "finished")
    else:
        study.tell(trial.number, None)
        progress.failed += 1


def _keep_best_weights(progress: _Progress, run: StoredRun, value: float, *, is_own: bool) -> None:
    """Remove the weights of all runs of this call except the best one: a hundred encoders would fill a disk."""
    beaten = run if is_own else None
    if value > progress.best:
        progress.best, progress.kept, beaten = value, beaten, progress.kept
    if beaten is not None:
        shutil.rmtree(beaten.path / "model", ignore_errors=True)
