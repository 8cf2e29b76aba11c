"""Tests for jobs in other processes, without the processes, which tests/e2e/test_launchers.py starts."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ratchet.config import compose
from ratchet.machine import available_cores
from ratchet.runs import open_run
from ratchet.runs.stored import find_runs
from ratchet.sweeps.launchers import InOwnProcess, InWorker, Sweep
from ratchet.sweeps.ledger import Job, plan_sweep, read_jobs, record_job

JOBS = [["seed=0"], ["seed=1"]]


@pytest.fixture
def reported() -> list[Job]:
    """Return a list that collects the failed jobs that the sweep reports."""
    return []


@pytest.fixture
def sweep(tmp_path: Path, reported: list[Job]) -> Sweep:
    """Return a sweep of two jobs that have not reported."""
    plan_sweep(tmp_path, "one", JOBS)
    return Sweep(tmp_path, "one", print, lambda launcher, task: None, reported.append, lambda out, err: None)


@pytest.fixture
def signals() -> Iterator[None]:
    """Restore the signal handlers after the test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def start_run(runs_dir: Path, overrides: list[str]) -> None:
    """Start a run that lasts as long as this process."""
    config = compose([*overrides, f"runs_dir={runs_dir}", "sweep_id=one"])
    open_run(config, threads=1, overrides=overrides).__enter__()


def test_job_that_did_not_report_fails_and_its_run_ends(sweep: Sweep, tmp_path: Path, reported: list[Job]) -> None:
    start_run(tmp_path, JOBS[1])
    sweep.settle(1, [*JOBS[1], "launcher=joblib", "sweep_id=one"], "its process died")
    [run] = find_runs(tmp_path)
    assert (run.record.status, run.record.error) == (
        "interrupted",
        {"type": "ProcessDied", "message": "its process died", "traceback": ""},
    )
    relative = run.path.relative_to(tmp_path).as_posix()
    assert read_jobs(tmp_path, "one") == [
        Job(0, JOBS[0]),
        Job(1, JOBS[1], "failed", run=relative, reason="its process died"),
    ]
    assert reported == [Job(1, JOBS[1], "failed", reason="its process died")]


def test_outcome_recorded_by_the_job_is_kept(sweep: Sweep, tmp_path: Path, reported: list[Job]) -> None:
    recorded = Job(0, JOBS[0], "failed", reason="no label is left")
    record_job(tmp_path, "one", recorded)
    sweep.settle(0, JOBS[0], "its process died")
    assert read_jobs(tmp_path, "one")[0] == recorded
    assert reported == []


def test_job_without_plan_is_settled(sweep: Sweep, tmp_path: Path) -> None:
    sweep.settle(7, ["seed=7"], "its process died")
    assert read_jobs(tmp_path, "one")[-1] == Job(7, ["seed=7"], "failed", reason="its process died")


def test_jobs_are_counted_up_to_last_started(sweep: Sweep, tmp_path: Path) -> None:
    jobs = [[f"seed={seed}"] for seed in range(4)]
    assert sweep.count_started(jobs, 0) == 0
    record_job(tmp_path, "one", Job(0, jobs[0], "finished"))
    assert sweep.count_started(jobs, 0) == 1
    start_run(tmp_path, jobs[2])
    assert sweep.count_started(jobs, 0) == 3
    assert sweep.count_started(jobs[1:], 1) == 2


def test_task_runs_unchanged_in_sweep_process(signals: None) -> None:
    assert InWorker(lambda config: config)("x") == "x"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_job_in_own_process_returns_its_output(signals: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def task(config: Any) -> None:
        print("out", sys.argv[-1])
        print("err", file=sys.stderr)

    monkeypatch.setattr(sys, "argv", ["submitit"])
    worker = InOwnProcess(task, ["train.py", "-m"], pid=os.getpid() - 1)
    assert worker(None) == ("out -m\n", "err\n")
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "submitit_slurm"])
def test_launcher_sets_only_threads_and_search_batch(launcher: str) -> None:
    for threads in (1, 3):
        at_once = 1 if launcher == "submitit_slurm" else max(1, available_cores() // threads)
        overrides = [f"launcher={launcher}", *([f"threads={threads}"] if threads > 1 else [])]
        assert compose(overrides) == compose([f"threads={threads}", f"sweep.parallel={at_once}"])


Cores = Callable[[int], None]


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Cores:
    return lambda count: monkeypatch.setattr(
        sys.modules["ratchet.config.composition"], "available_cores", lambda: count
    )


@pytest.mark.parametrize(("threads", "jobs"), [("1", 16), ("4", 4), ("5", 3), ("null", 1), ("32", 1)])
def test_number_of_concurrent_jobs_depends_on_cores_and_threads(threads: str, jobs: int, cores: Cores) -> None:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from tests.commands import CONF

    cores(16)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = hydra_compose("config", ["launcher=joblib", f"threads={threads}"], return_hydra_config=True)
    assert composed.hydra.launcher.n_jobs == jobs
