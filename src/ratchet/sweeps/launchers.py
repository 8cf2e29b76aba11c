"""Run the jobs of a sweep in other processes through Hydra's launchers. A process that dies loses no other job.

Hydra's launchers stop at the first job that dies, and leave their processes behind on Ctrl-C. Here every job gets an
outcome in the ledger, also if its process was killed, and all processes end with the sweep.
"""

import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import psutil
from hydra.core.singleton import Singleton
from hydra.plugins.launcher import Launcher

from ratchet.errors import UserError
from ratchet.machine import available_cores, end_with_process, environment, terminate
from ratchet.runs import record_death
from ratchet.sweeps.jobs import recorded_overrides
from ratchet.sweeps.ledger import Job, find_sweep_runs, read_jobs, record_job

_POLL = {"local": 0.1, "slurm": 1.0}  # seconds
_GRACE = 10.0  # seconds that jobs have to end by themselves

Task = Callable[[Any], Any]  # Hydra's task function; its argument is a DictConfig, which is passed on only
Jobs = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Sweep:
    """A sweep whose jobs are launched, and how to report them.

    `set_up(launcher, task)` gives a launcher of Hydra its context and configuration, and the function to run.
    `report_failed` is called with a job whose process died, `print_output` with the stdout and stderr of a job.
    """

    runs_dir: Path
    sweep_id: str
    task: Task
    set_up: Callable[[Launcher, Task], None]
    report_failed: Callable[[Job], None]
    print_output: Callable[[str, str], None]
    full_traces: bool = False

    def settle(self, number: int, overrides: Sequence[str], reason: str) -> None:
        """Record and report a job as failed if it did not record its outcome itself, and end its run."""
        recorded = recorded_overrides(overrides)
        known = {job.number: job for job in read_jobs(self.runs_dir, self.sweep_id)}
        job = known.get(number, Job(number, recorded))
        if job.outcome != "not run":
            return
        runs = [run for run in find_sweep_runs(self.runs_dir, self.sweep_id) if run.record.overrides == recorded]
        for run in runs:
            record_death(run, reason)
        failed = replace(job, outcome="failed", reason=reason)
        self.report_failed(failed)
        record_job(self.runs_dir, self.sweep_id, failed, runs[-1].path if runs else None)

    def count_started(self, jobs: Jobs, first: int) -> int:
        """Count the jobs up to and including the last one that reported or has a run; they start in order."""
        recorded = {job.number for job in read_jobs(self.runs_dir, self.sweep_id) if job.outcome != "not run"}
        of_runs = [run.record.overrides for run in find_sweep_runs(self.runs_dir, self.sweep_id)]
        started = [number in recorded or recorded_overrides(job) in of_runs for number, job in enumerate(jobs, first)]
        return max((count for count, is_started in enumerate(started, 1) if is_started), default=0)


@dataclass(frozen=True)
class InWorker:
    """The task as a worker of a pool runs it: it records the command line of the sweep, and ends cleanly on SIGTERM.

    Ctrl-C in the terminal reaches all processes. Only the process of the sweep handles it; it ends the others.
    """

    task: Task
    argv: list[str] = field(default_factory=lambda: list(sys.argv))
    pid: int = field(default_factory=os.getpid)

    def __call__(self, config: Any) -> object:
        """Run the job. Its return value is not used."""
        if os.getpid() == self.pid:  # joblib runs a pool of one in the process of the sweep
            return self.task(config)
        sys.argv = self.argv  # a record holds sys.argv; that of a worker is joblib's or submitit's
        signal.signal(signal.SIGTERM, terminate)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.task(config)
        except SystemExit:  # the run has recorded it; a process that was stopped midway must not run another job
            sys.stdout.flush()
            os._exit(143)
        return None


@dataclass(frozen=True)
class InOwnProcess(InWorker):
    """The task as a process runs it whose output goes to a file: what it prints is returned as well.

    On the machine of the sweep it ends with the sweep. `started` is when the process of the sweep started; None on a
    cluster.
    """

    started: float | None = None

    def __call__(self, config: Any) -> tuple[str, str]:
        """Run the job, and return what it printed to stdout and to stderr."""
        if self.started is not None:
            end_with_process(self.pid, self.started)
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            super().__call__(config)
        return out.getvalue(), err.getvalue()


def launch(kind: str, settings: Mapping[str, Any], sweep: Sweep, jobs: Jobs, first: int) -> None:
    """Run `jobs`, numbered from `first`, until all have ended. A job that fails or dies does not stop the others.

    Raises:
        UserError: the launcher refuses its settings, or there is no cluster.
    """
    # cli.train sets this variable to 1 to get Hydra's exceptions; the processes of the jobs follow the user's choice.
    with environment(HYDRA_FULL_ERROR="1" if sweep.full_traces else "0"):
        if kind == "joblib":
            _launch_joblib(settings, sweep, jobs, first)
        else:
            _launch_submitit(kind.removeprefix("submitit_"), settings, sweep, jobs, first)


def _launch_joblib(settings: Mapping[str, Any], sweep: Sweep, jobs: Jobs, first: int) -> None:
    """Run jobs in a pool of processes. If one dies, the pool loses its running jobs; a new pool runs the others."""
    from hydra_plugins.hydra_joblib_launcher.joblib_launcher import JoblibLauncher
    from joblib.externals.loky.process_executor import BrokenProcessPool

    # Workers, also idle ones, would outlive a sweep that was killed; loky calls this in each of them before any job.
    launcher = JoblibLauncher(**settings, initializer=end_with_process, initargs=(os.getpid(), _read_start()))
    sweep.set_up(launcher, InWorker(sweep.task))
    while jobs:
        try:
            launcher.launch(jobs, first)
            return
        except BrokenProcessPool as error:
            codes = str(error).partition("{")[2].partition("}")[0] or "it could not start"
            started = max(sweep.count_started(jobs, first), 1)
            for number, overrides in enumerate(jobs[:started], first):
                sweep.settle(number, overrides, f"its process died, or another of the pool ({codes})")
            jobs, first = jobs[started:], first + started


def _read_start() -> float:
    """Return when this process started."""
    return psutil.Process().create_time()


def _launch_submitit(cluster: str, settings: Mapping[str, Any], sweep: Sweep, jobs: Jobs, first: int) -> None:
    """Run jobs through submitit: SLURM gets all of them at once, this machine as many as it has cores for."""
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher

    launcher = BaseSubmititLauncher(**settings)
    sweep.set_up(launcher, InOwnProcess(sweep.task, started=_read_start() if cluster == "local" else None))
    executor = _create_executor(cluster, launcher.params)
    cores = launcher.params["cpus_per_task"] or available_cores()
    limit = len(jobs) if cluster == "slurm" else max(1, available_cores() // cores)
    state = Singleton.get_state()
    # The arguments of BaseSubmititLauncher.__call__, which submitit calls in the process of the job.
    waiting = [(list(job), "hydra.sweep.dir", number, str(number), state) for number, job in enumerate(jobs, first)]
    running: dict[int, Any] = {}  # submitit's job by number
    try:
        while waiting or running:
            room = limit - len(running)
            batch, waiting = waiting[:room], waiting[room:]
            if batch:
                handles = _submit(executor, launcher, batch)
                running |= {call[2]: handle for call, handle in zip(batch, handles, strict=True)}
            for number in [number for number, handle in running.items() if handle.done()]:
                _collect(sweep, number, jobs[number - first], running.pop(number))
            time.sleep(_POLL[cluster])
    except BaseException:
        _end_jobs(running.values())
        raise


def _create_executor(cluster: str, settings: Mapping[str, Any]) -> Any:
    from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
    from submitit import AutoExecutor

    # As Hydra's launcher does: submitit prefixes the parameters of one kind of cluster with its name.
    common = {parameter.name for parameter in fields(BaseQueueConf)}
    parameters = {key if key in common else f"{cluster}_{key}": value for key, value in settings.items()}
    folder = parameters.pop("submitit_folder")
    of_executor = {key: parameters.pop(key) for key in ["slurm_max_num_timeout"] if key in parameters}
    try:
        executor = AutoExecutor(folder, cluster, **of_executor)
        executor.update_parameters(**parameters)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"launcher=submitit_{cluster}: {error}") from error
    return executor


def _submit(executor: Any, launcher: Launcher, calls: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
    """Submit jobs. SIGINT is blocked meanwhile: local jobs inherit that, so that Ctrl-C does not end them midway."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        handles: Sequence[Any] = executor.map_array(launcher, *zip(*calls, strict=True))
        return handles
    except (FailedJobError, FailedSubmissionError) as error:
        raise UserError(f"launcher: the jobs cannot be submitted: {str(error).strip().splitlines()[0]}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _collect(sweep: Sweep, number: int, overrides: Sequence[str], handle: Any) -> None:
    """Print the output of a job that ended. A job without a result died."""
    if not handle.paths.result_pickle.is_file():
        state = "" if _is_local(handle) else f" ({handle.state})"
        sweep.settle(number, overrides, f"its process died{state}, see {_log_path(handle)}")
        return
    if handle.exception() is not None:
        sweep.settle(number, overrides, f"it could not be run, see {_log_path(handle)}")
        return
    out, err = handle.result().return_value
    sweep.print_output(out, err)


def _is_local(handle: Any) -> bool:
    return hasattr(handle, "_process")


def _log_path(handle: Any) -> str:
    return os.path.relpath(str(handle.paths.stderr))


def _end_jobs(handles: Iterable[Any]) -> None:
    """End jobs that are still running. Jobs of this machine get a grace period; SLURM has its own."""
    processes = []
    for handle in handles:
        if _is_local(handle):  # submitit would send SIGINT, which is blocked in them
            handle._process.terminate()
            processes.append(psutil.Process(handle._process.pid))
        else:
            handle.cancel(check=False)
    _, alive = psutil.wait_procs(processes, _GRACE)
    for parent in alive:
        for process in [*parent.children(recursive=True), parent]:
            process.kill()
