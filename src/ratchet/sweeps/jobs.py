"""Plan and run the jobs of a grid: all are checked before the first one starts, none is run twice, none is lost."""

import json
import secrets
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ratchet.config import Config, DataConfig, compose_jobs, config_hash, dump, hash_inputs, plain
from ratchet.config.grammar import expand_grid, parse_arguments
from ratchet.config.identity import settings_of_results
from ratchet.errors import Pruned, RunFailed, UserError
from ratchet.machine import available_cores
from ratchet.models import check_ready
from ratchet.runs import provenance
from ratchet.runs.code import code_of_run, hash_definitions
from ratchet.runs.stored import RunRecord, StoredRun, find_damage, find_runs
from ratchet.sweeps.ledger import Job, plan_sweep, record_job
from ratchet.sweeps.space import read_request
from ratchet.sweeps.study import pruning_watch

if TYPE_CHECKING:
    from ratchet.data.prepared import Prepared
    from ratchet.training import Inputs

RunIndex = dict[Hashable, list[StoredRun]]
DataIdentity = tuple[str, str, str | None]  # version of the data, hash of the split, hash of the behavioural cases
_NOT_RECORDED = ("hydra.", "hydra/", "launcher=", "sweep_id=")


@dataclass(frozen=True)
class JobResult:
    """A job that ended: its outcome, its run, the exception that failed it, and why its outcome was not recorded."""

    job: Job
    path: Path | None = None
    error: Exception | None = None
    not_recorded: UserError | None = None


@dataclass(frozen=True)
class Plan:
    """The jobs of a grid with their overrides and configurations; a search has none before it begins."""

    runs_dir: Path
    sweep_id: str
    jobs: Sequence[Sequence[str]] = ()
    configs: Sequence[Config] = ()


def new_sweep_id() -> str:
    """Return a unique id that begins with the time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def recorded_overrides(overrides: Sequence[str]) -> list[str]:
    """Return the overrides that a run records: without Hydra's own, the launcher and the sweep."""
    return [override for override in overrides if not override.lstrip("+~").startswith(_NOT_RECORDED)]


def plan_grid(overrides: Sequence[str], config_dir: Path | None, sweep_id: str) -> Plan | None:
    """Compose and record every job of a grid, so that a mistake in the last one stops it before the first one runs.

    Returns None if a sweeper other than Hydra's own decides on the jobs.

    Raises:
        UserError: a mistake in any of them, a package, a device or an encoder that one needs is missing, or a key that
            is not valid for several runs.
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
    runs_here = not any(argument.text == "launcher=submitit_slurm" for argument in arguments)
    if "sweep" in keys:
        request = read_request(overrides, config_dir)
        for config in (request.config, *request.corners):
            check_ready(config, runs_here=runs_here)
        return Plan(Path(request.config.runs_dir), sweep_id)
    jobs = expand_grid(overrides)
    configs = compose_jobs(jobs, config_dir)
    for config in configs:
        check_ready(config, runs_here=runs_here)
    plan = Plan(Path(configs[0].runs_dir), sweep_id, [recorded_overrides(job) for job in jobs], configs)
    plan_sweep(plan.runs_dir, sweep_id, plan.jobs)
    return plan


def find_finished_jobs(plan: Plan) -> list[JobResult] | None:
    """Return the results of a grid all of whose jobs finished before, and record them; None if one has to run.

    For each job that runs, Hydra composes the configuration two more times. Here the runs and the data are read once.
    """
    from ratchet.training import set_devices

    if not plan.configs or any(config.fresh for config in plan.configs):
        return None
    for config in plan.configs:
        set_devices(config)
    index = cache(lambda *location: _index(find_runs(*location)))
    identify = _DataOfJobs().identify
    results = []
    for number, (overrides, config) in enumerate(zip(plan.jobs, plan.configs, strict=True)):
        runs = index(plan.runs_dir, config.data.name, config.name)
        done = _find_done(config, partial(identify, config), runs)
        if done is None:
            return None
        results.append(JobResult(Job(number, list(overrides), "done before"), done.path))
    return [_record(plan.runs_dir, plan.sweep_id, result) for result in results]


class _DataOfJobs:
    """The data of several jobs: each data set is read once, each split is made once."""

    def __init__(self) -> None:
        self._prepared: dict[str, Prepared] = {}
        self._identities: dict[str, DataIdentity] = {}

    def identify(self, config: Config) -> DataIdentity:
        """Return what identifies the data of a job."""
        from ratchet.training import read_inputs

        key = json.dumps([plain(config.data), plain(config.split), plain(config.evaluation)], default=str)
        if key not in self._identities:
            self._identities[key] = _data_identity(read_inputs(config, self._prepare))
        return self._identities[key]

    def _prepare(self, data: DataConfig) -> "Prepared":
        from ratchet.data.prepared import prepare

        key = json.dumps(plain(data), default=str)
        if key not in self._prepared:
            self._prepared[key] = prepare(data)
        return self._prepared[key]


def run_job(config: Config, overrides: Sequence[str], number: int, config_dir: Path | None = None) -> JobResult:
    """Run a job unless an equal run has finished before, record its outcome, and return it.

    A failed run or a user error is a result, not an exception: the other jobs continue.
    """
    result = _run(config, Job(number, list(overrides), "failed"), config_dir)
    return result if config.sweep_id is None else _record(Path(config.runs_dir), config.sweep_id, result)


def _record(runs_dir: Path, sweep_id: str, result: JobResult) -> JobResult:
    try:
        record_job(runs_dir, sweep_id, result.job, result.path)
    except UserError as error:  # the other jobs can still run; the end of the sweep reports this one again
        return replace(result, not_recorded=error)
    return result


def _run(config: Config, job: Job, config_dir: Path | None) -> JobResult:
    from ratchet.training import read_inputs, set_devices, train  # takes a second: a wrong grid is refused before

    try:
        set_devices(config)
        read = cache(lambda: read_inputs(config))
        if not config.fresh:
            done = _find_done(config, lambda: _data_identity(read()))
            if done is not None:
                return JobResult(replace(job, outcome="done before"), done.path)
        watch = pruning_watch(config.sweep, Path(config.runs_dir))
        outcome = train(config, job.overrides, read=lambda _: read(), watch=watch, config_dir=config_dir)
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


def _find_done(
    config: Config, identify_data: Callable[[], DataIdentity], index: RunIndex | None = None
) -> StoredRun | None:
    try:
        return find_done(config, config.threads or available_cores(), identify_data, index)
    except UserError:  # bad data: the run itself fails with it, and records why
        return None


def find_done(
    config: Config, threads: int, identify_data: Callable[[], DataIdentity], index: RunIndex | None = None
) -> StoredRun | None:
    """Return the newest finished run that `config` would only repeat, or None.

    Compared are what the records hold (seeds, the hash of the configuration and of the files that it names, the number
    of threads, the code, the versions of the packages that results depend on), then the configuration and whether the
    run still has its weights and results, which need other files, and last, because it reads the data, what
    `identify_data` returns. A record that is older than the hash of behavioural cases counts as one without cases.
    """
    if index is None:
        index = _index(find_runs(Path(config.runs_dir), config.data.name, config.name))
    inputs = hash_inputs(config)
    candidate = (config_hash(config, inputs), config.seed, config.split.seed, config.evaluate.name)
    code, packages = hash_definitions(code_of_run(config.model.module)), provenance.read_package_versions()
    same = index.get((*candidate, code, _freeze(packages), _freeze(inputs), threads), [])
    candidates = [run for run in same if _has_settings(run, config) and find_damage(run.path) is None]
    if not candidates:
        return None
    data = identify_data()
    done = [
        run
        for run in candidates
        if (run.record.dataset_version, run.record.split_hash, run.record.behaviour_hash) == data
    ]
    return done[-1] if done else None


def _index(runs: Iterable[StoredRun]) -> RunIndex:
    """Return the finished runs by what their records hold of what a job would repeat."""
    index: RunIndex = {}
    for run in runs:
        if run.record.status == "finished":
            index.setdefault(_identify(run.record), []).append(run)
    return index


def _identify(record: RunRecord) -> Hashable:
    candidate = (record.config_hash, record.seed, record.split_seed, record.evaluate)
    return (*candidate, record.code_hash, _freeze(record.packages), _freeze(record.inputs), record.threads)


def _freeze(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


def _has_settings(run: StoredRun, config: Config) -> bool:
    """Return whether a stored run has all settings of `config` that results depend on."""
    stored = _settings_of(run)
    # Written and read back, some values differ from themselves; that takes longer and is seldom necessary.
    return stored is not None and (
        stored == settings_of_results(plain(config)) or stored == settings_of_results(_parse(dump(config)))
    )


def _parse(text: str) -> Any:
    """Parse YAML with libyaml, which is ten times as fast, if PyYAML was built with it."""
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _settings_of(run: StoredRun) -> dict[str, Any] | None:
    """Return the settings of a stored run, None if its configuration is damaged."""
    try:
        return settings_of_results(_parse((run.path / "config.yaml").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError):
        return None
