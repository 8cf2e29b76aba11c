"""Jobs of a sweep in other processes, by Hydra's launchers: what becomes of each is told, also of one that dies."""

import io
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction

from ratchet.cli.grid import recorded
from ratchet.cli.main import terminate
from ratchet.cli.train import FULL
from ratchet.errors import UserError
from ratchet.machine import available_cores
from ratchet.runs import note_death
from ratchet.runs.sweeps import Job, jobs_of, note_job, runs_of

if TYPE_CHECKING:
    from omegaconf import DictConfig

_POLL = {"local": 0.1, "slurm": 1.0}  # seconds
_GRACE = 10.0  # seconds that jobs have to end tidily

Jobs = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Sweep:
    """What Hydra gives a launcher."""

    context: HydraContext
    function: TaskFunction
    config: "DictConfig"

    def given_to(self, launcher: Launcher, function: TaskFunction) -> None:
        """Set up one of Hydra's launchers, with `function` in place of the task."""
        launcher.setup(hydra_context=self.context, task_function=function, config=self.config)

    def settle(self, number: int, overrides: Sequence[str], reason: str) -> None:
        """Write down, and say, that a job failed of which nothing was heard; `reason` is why nothing will be."""
        runs_dir, sweep_id, own = Path(self.config.runs_dir), self.config.sweep_id, recorded(overrides)
        known = {job.number: job for job in jobs_of(runs_dir, sweep_id)}
        job = known.get(number, Job(number, own))
        if job.outcome != "not run":
            return
        begun = [run for run in runs_of(runs_dir, sweep_id) if run.record.overrides == own]
        for run in begun:
            note_death(run, reason)
        print(f"#{number} {' '.join(own)}: failed: {reason}", file=sys.stderr)
        note_job(runs_dir, sweep_id, replace(job, outcome="failed", reason=reason), begun[-1].path if begun else None)

    def begun(self, jobs: Jobs, first: int) -> int:
        """Of jobs that are begun in their order, how many there are up to the last that was heard of."""
        runs_dir, sweep_id = Path(self.config.runs_dir), self.config.sweep_id
        noted = {job.number for job in jobs_of(runs_dir, sweep_id) if job.outcome != "not run"}
        of_runs = [run.record.overrides for run in runs_of(runs_dir, sweep_id)]
        heard_of = [number in noted or recorded(job) in of_runs for number, job in enumerate(jobs, first)]
        return max((place for place, heard in enumerate(heard_of, 1) if heard), default=0)


@dataclass(frozen=True)
class InWorker:
    """The task as a worker of a pool runs it: it records the sweep's command line, and SIGTERM ends it tidily.

    Ctrl-C in the terminal is for the process of the sweep, which ends the others.
    """

    function: TaskFunction
    argv: list[str] = field(default_factory=lambda: list(sys.argv))
    pid: int = field(default_factory=os.getpid)

    def __call__(self, config: "DictConfig") -> object:
        """Run the job; what it returns is of no interest."""
        if os.getpid() == self.pid:  # a pool of one is no pool
            return self.function(config)
        sys.argv = self.argv
        signal.signal(signal.SIGTERM, terminate)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.function(config)
        except SystemExit:  # the run says so; a process that was stopped somewhere is not fit for another job
            sys.stdout.flush()
            os._exit(143)
        return None


@dataclass(frozen=True)
class InOwnProcess(InWorker):
    """The task as a process runs it whose output goes to a file: what it prints is handed back too."""

    def __call__(self, config: "DictConfig") -> tuple[str, str]:
        """Run the job; what it printed to stdout and to stderr."""
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            super().__call__(config)
        return out.getvalue(), err.getvalue()


def launch(kind: str, settings: Mapping[str, Any], sweep: Sweep, jobs: Jobs, first: int) -> Sequence[JobReturn]:
    """Run `jobs`, numbered from `first`, to their ends; one that failed or died does not stop the others.

    Raises:
        UserError: the launcher refuses its settings, or there is no cluster.
    """
    with _users_traces():
        if kind == "joblib":
            _by_joblib(settings, sweep, jobs, first)
        else:
            _by_submitit(kind.removeprefix("submitit_"), settings, sweep, jobs, first)
    return [JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED) for overrides in jobs]


@contextmanager
def _users_traces() -> Iterator[None]:
    """Other processes show stack traces if the user wants them, not because Hydra is made to hand exceptions on."""
    before = os.environ["HYDRA_FULL_ERROR"]
    os.environ["HYDRA_FULL_ERROR"] = "1" if FULL else "0"
    try:
        yield
    finally:
        os.environ["HYDRA_FULL_ERROR"] = before


def _by_joblib(settings: Mapping[str, Any], sweep: Sweep, jobs: Jobs, first: int) -> None:
    """By a pool of processes. One that dies takes the jobs beside it along; a new pool runs those not yet begun."""
    from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
    from joblib.externals.loky.process_executor import BrokenProcessPool

    launcher = JoblibLauncher(**settings)
    sweep.given_to(launcher, InWorker(sweep.function))
    while jobs:
        try:
            launcher.launch(jobs, first)
            return
        except BrokenProcessPool as error:
            codes = str(error).partition("{")[2].partition("}")[0] or "it could not begin"
            begun = max(sweep.begun(jobs, first), 1)
            for number, overrides in enumerate(jobs[:begun], first):
                sweep.settle(number, overrides, f"its process died, or one beside it ({codes})")
            jobs, first = jobs[begun:], first + begun


def _by_submitit(cluster: str, settings: Mapping[str, Any], sweep: Sweep, jobs: Jobs, first: int) -> None:
    """By a scheduler: SLURM gets all jobs at once, this machine as many as it has cores for."""
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher

    launcher = BaseSubmititLauncher(**settings)
    sweep.given_to(launcher, InOwnProcess(sweep.function))
    executor = _executor(cluster, launcher.params)
    cores = launcher.params["cpus_per_task"] or available_cores()
    at_once = len(jobs) if cluster == "slurm" else max(1, available_cores() // cores)
    state = Singleton.get_state()
    waiting = [(list(job), "hydra.sweep.dir", number, str(number), state) for number, job in enumerate(jobs, first)]
    running: dict[int, Any] = {}
    try:
        while waiting or running:
            room = at_once - len(running)
            begun, waiting = waiting[:room], waiting[room:]
            if begun:
                running |= {each[2]: job for each, job in zip(begun, _submit(executor, launcher, begun), strict=True)}
            for number in [number for number, job in running.items() if job.done()]:
                _hear(sweep, number, jobs[number - first], running.pop(number))
            time.sleep(_POLL[cluster])
    except BaseException:
        _end(running.values())
        raise


def _executor(cluster: str, settings: Mapping[str, Any]) -> Any:
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
    from submitit import AutoExecutor

    common = {each.name for each in fields(BaseQueueConf)}
    own = {key if key in common else f"{cluster}_{key}": value for key, value in settings.items()}
    folder = own.pop("submitit_folder")
    first = {key: own.pop(key) for key in ["slurm_max_num_timeout"] if key in own}
    try:
        executor = AutoExecutor(folder, cluster, **first)
        executor.update_parameters(**own)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"launcher=submitit_{cluster}: {error}") from error
    return executor


def _submit(executor: Any, launcher: Launcher, begun: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
    """Hand jobs over. Ctrl-C waits until they are: they inherit that they do not hear it."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        handles: Sequence[Any] = executor.map_array(launcher, *zip(*begun, strict=True))
        return handles
    except (FailedJobError, FailedSubmissionError) as error:
        raise UserError(f"launcher: the jobs cannot be submitted: {str(error).strip().splitlines()[0]}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _hear(sweep: Sweep, number: int, overrides: Sequence[str], handle: Any) -> None:
    """Print what a job that is done printed; one that left nothing died."""
    if not handle.paths.result_pickle.is_file():
        state = "" if _is_local(handle) else f" ({handle.state})"
        sweep.settle(number, overrides, f"its process died{state}, see {_log(handle)}")
        return
    error = handle.exception()
    if error is not None:
        sweep.settle(number, overrides, f"it could not be run, see {_log(handle)}")
        return
    out, err = handle.result().return_value
    print(out, end="", flush=True)
    print(err, end="", file=sys.stderr)


def _is_local(handle: Any) -> bool:
    return hasattr(handle, "_process")


def _log(handle: Any) -> str:
    return os.path.relpath(str(handle.paths.stderr))


def _end(handles: Iterable[Any]) -> None:
    """End jobs that are not done. Those of this machine get a while for it; SLURM sees to its own."""
    processes = []
    for handle in handles:
        if _is_local(handle):  # submitit would send SIGINT, which they do not hear
            handle._process.terminate()
            processes.append(psutil.Process(handle._process.pid))
        else:
            handle.cancel(check=False)
    _, alive = psutil.wait_procs(processes, _GRACE)
    for process in [each for parent in alive for each in [*parent.children(recursive=True), parent]]:
        process.kill()
