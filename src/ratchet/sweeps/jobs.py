"""Plan and run the jobs of a grid: all are checked before the first one starts, none is run twice, none is lost."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ratchet.config import Config, compose, dump, require_packages
from ratchet.config.grammar import expand_grid, parse_arguments
from ratchet.config.identity import settings_of_results
from ratchet.errors import Pruned, RunFailed, UserError
from ratchet.machine import available_cores
from ratchet.runs import provenance
from ratchet.runs.code import code_of_run, hash_definitions
from ratchet.runs.stored import StoredRun, find_runs
from ratchet.sweeps.ledger import Job, plan_sweep, record_job
from ratchet.sweeps.space import read_request
from ratchet.sweeps.study import pruning_watch

if TYPE_CHECKING:
    from ratchet.training import Inputs

DataIdentity = tuple[str, str, str | None]  # version of the data, hash of the split, hash of the behavioural cases
_NOT_RECORDED = ("hydra.", "hydra/", "launcher=", "sweep_id=")


@dataclass(frozen=True)
class JobResult:
    """A job that ended: its outcome, its run, the exception that failed it, and why its outcome was not recorded."""

    job: Job
    path: Path | None = None
    error: Exception | None = None
    not_recorded: UserError | None = None


def new_sweep_id() -> str:
    """Return a unique id that begins with the time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def recorded_overrides(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that a run records: without Hydra's own, the launcher and the sweep."""
    return [override for override in overrides if not override.lstrip("+~").startswith(_NOT_RECORDED)]


def plan_grid(overrides: Sequence[str], config_dir: Path | None, sweep_id: str) -> Path | None:
    """Compose and record every job of a grid, so that a mistake in the last one stops it before the first one runs.

    Returns the runs directory that holds the plan, None if a sweeper other than Hydra's own decides on the jobs.

    Raises:
        UserError: a mistake in any of them, a package that one needs is not installed, or a key that is not valid for
            several runs.
    """
    arguments = parse_arguments(overrides)
    keys = {argument.key for argument in arguments}
    if "resume" in keys:
        raise UserError("command line: resume continues one run, -m starts new ones: leave one of them out")
    if "run_dir" in keys:
        raise UserError("command line: run_dir fixes one directory, -m makes several runs: leave run_dir out")
    if any(argument.key == "launcher" and argument.is_sweep for argument in arguments):
        raise UserError("command line: one launcher runs all jobs: choose one")
    if "hydra/sweeper" in keys:
        return None
    if "sweep" in keys:
        config = read_request(overrides, config_dir).config
        require_packages(config)
        return Path(config.runs_dir)
    jobs = expand_grid(overrides)
    configs = [compose(job, config_dir) for job in jobs]
    for config in configs:
        require_packages(config)
    runs_dir = Path(configs[0].runs_dir)
    plan_sweep(runs_dir, sweep_id, [recorded_overrides(job) for job in jobs])
    return runs_dir


def run_job(config: Config, overrides: Sequence[str], number: int) -> JobResult:
    """Run a job unless an equal run has finished before, record its outcome, and return it.

    A failed run or a user error is a result, not an exception: the other jobs continue.
    """
    result = _run(config, Job(number, list(overrides), "failed"))
    if config.sweep_id is None:
        return result
    try:
        record_job(Path(config.runs_dir), config.sweep_id, result.job, result.path)
    except UserError as error:  # the other jobs can still run; the end of the sweep reports this one again
        return replace(result, not_recorded=error)
    return result


def _run(config: Config, job: Job) -> JobResult:
    from ratchet.training import read_inputs, set_devices, train  # takes a second: a wrong grid is refused before

    try:
        set_devices(config)
        read = cache(lambda: read_inputs(config))
        if not config.fresh:
            done = _find_done(config, lambda: _data_identity(read()))
            if done is not None:
                return JobResult(replace(job, outcome="done before"), done.path)
        watch = pruning_watch(config.sweep, Path(config.runs_dir))
        outcome = train(config, job.overrides, read=lambda _: read(), watch=watch)
        return JobResult(replace(job, outcome="finished"), outcome.path)
    except Pruned as stop:
        return JobResult(replace(job, outcome="pruned", reason=str(stop)), stop.path)
    except RunFailed as error:
        return JobResult(replace(job, reason=str(error.reason)), error.path, error.reason)
    except UserError as error:
        return JobResult(replace(job, reason=str(error)), None, error)


def _data_identity(inputs: "Inputs") -> DataIdentity:
    from ratchet.evaluation.behaviour import hash_cases

    return inputs.prepared.version, inputs.split.hash, hash_cases(inputs.behaviour)


def _find_done(config: Config, identify_data: Callable[[], DataIdentity]) -> StoredRun | None:
    try:
        return find_done(config, config.threads or available_cores(), identify_data)
    except UserError:  # bad data: the run itself fails with it, and records why
        return None


def find_done(config: Config, threads: int, identify_data: Callable[[], DataIdentity]) -> StoredRun | None:
    """Return the newest finished run that `config` would only repeat, or None.

    Compared are the configuration, the number of threads, the code that they use, the versions of the packages that
    results depend on and, last because it reads the data, what `identify_data` returns. A record that is older than the
    hash of behavioural cases counts as one without cases.
    """
    environment = (hash_definitions(code_of_run(config.model.module)), provenance.read_package_versions(), threads)
    wanted = settings_of_results(yaml.safe_load(dump(config)))
    candidates = [
        run
        for run in find_runs(Path(config.runs_dir), config.data.name, config.name)
        if run.status == "finished"
        and (run.record.code_hash, run.record.packages, run.record.threads) == environment
        and _settings_of(run) == wanted
    ]
    if not candidates:
        return None
    data = identify_data()
    same = [
        run
        for run in candidates
        if (run.record.dataset_version, run.record.split_hash, run.record.behaviour_hash) == data
    ]
    return same[-1] if same else None


def _settings_of(run: StoredRun) -> dict[str, Any] | None:
    """Return the settings of a stored run, None if its configuration is damaged."""
    try:
        return settings_of_results(yaml.safe_load((run.path / "config.yaml").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None
