"""What is told of jobs in other processes; tests/e2e/test_launchers.py has the processes themselves."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ratchet.cli.grid import plan_grid, recorded
from ratchet.cli.launching import InOwnProcess, InWorker, Sweep
from ratchet.config import compose
from ratchet.errors import UserError
from ratchet.machine import available_cores
from ratchet.runs import open_run
from ratchet.runs.stored import find_runs
from ratchet.runs.sweeps import Job, jobs_of, note_job, plan_sweep

JOBS = [["seed=0"], ["seed=1"]]


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """A sweep of two jobs, nothing heard of either."""
    plan_sweep(tmp_path, "one", JOBS)
    return Sweep(None, print, SimpleNamespace(runs_dir=str(tmp_path), sweep_id="one"))  # type: ignore[arg-type]


@pytest.fixture
def signals() -> Iterator[None]:
    """Handlers as they were, once the test is over."""
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


def begin_run(runs_dir: Path, overrides: list[str]) -> None:
    """A run that goes on for as long as this process does."""
    config = compose([*overrides, f"runs_dir={runs_dir}", "sweep_id=one"])
    open_run(config, threads=1, overrides=overrides).__enter__()


def test_a_job_of_which_nothing_was_heard_failed_and_its_run_is_over(
    sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begin_run(tmp_path, JOBS[1])
    sweep.settle(1, [*JOBS[1], "launcher=joblib", "sweep_id=one"], "its process died")
    [run] = find_runs(tmp_path)
    assert (run.record.status, run.record.error) == (
        "interrupted",
        {"type": "ProcessDied", "message": "its process died", "traceback": ""},
    )
    place = run.path.relative_to(tmp_path).as_posix()
    assert jobs_of(tmp_path, "one") == [
        Job(0, JOBS[0]),
        Job(1, JOBS[1], "failed", run=place, reason="its process died"),
    ]
    assert capsys.readouterr().err == "#1 seed=1: failed: its process died\n"


def test_what_a_job_said_itself_stays(sweep: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = Job(0, JOBS[0], "failed", reason="no label is left")
    note_job(tmp_path, "one", said)
    sweep.settle(0, JOBS[0], "its process died")
    assert jobs_of(tmp_path, "one")[0] == said
    assert capsys.readouterr().err == ""


def test_a_job_without_a_plan_is_told_too(sweep: Sweep, tmp_path: Path) -> None:
    sweep.settle(7, ["seed=7"], "its process died")
    assert jobs_of(tmp_path, "one")[-1] == Job(7, ["seed=7"], "failed", reason="its process died")


def test_jobs_begin_in_their_order(sweep: Sweep, tmp_path: Path) -> None:
    jobs = [[f"seed={seed}"] for seed in range(4)]
    assert sweep.begun(jobs, 0) == 0
    note_job(tmp_path, "one", Job(0, jobs[0], "finished"))
    assert sweep.begun(jobs, 0) == 1
    begin_run(tmp_path, jobs[2])
    assert sweep.begun(jobs, 0) == 3
    assert sweep.begun(jobs[1:], 1) == 2


def test_in_the_process_of_the_sweep_the_task_is_itself(signals: None) -> None:
    assert InWorker(lambda config: config)("x") == "x"  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_process_of_its_own_hands_back_what_was_printed(signals: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def task(config: Any) -> None:
        print("out", sys.argv[-1])
        print("err", file=sys.stderr)

    monkeypatch.setattr(sys, "argv", ["submitit"])
    worker = InOwnProcess(task, ["train.py", "-m"], pid=os.getpid() - 1)
    assert worker(None) == ("out -m\n", "err\n")  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_the_record_has_what_is_run_and_not_who_runs_it() -> None:
    overrides = [
        "launcher=joblib",
        "seed=1",
        "hydra.launcher.n_jobs=4",
        "sweep_id=x",
        "++hydra/launcher=basic",
        "name=a",
    ]
    assert recorded(overrides) == ["seed=1", "name=a"]


def test_one_launcher_runs_all_jobs() -> None:
    with pytest.raises(UserError, match="one launcher runs all jobs"):
        plan_grid(["launcher=basic,joblib"], None, "one")


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "submitit_slurm"])
def test_a_launcher_sets_the_threads_and_nothing_else_of_a_configuration(launcher: str) -> None:
    """But for how many trials a search asks for at once, where all run on this machine."""
    for threads in (1, 3):
        at_once = 1 if launcher == "submitit_slurm" else max(1, available_cores() // threads)
        chosen = [f"launcher={launcher}", *([f"threads={threads}"] if threads > 1 else [])]
        assert compose(chosen) == compose([f"threads={threads}", f"sweep.parallel={at_once}"])


def test_a_plan_has_the_overrides_that_records_will_have(tmp_path: Path) -> None:
    overrides = ["launcher=joblib", "hydra.launcher.n_jobs=2", "seed=0,1", f"runs_dir={tmp_path}"]
    plan_grid(overrides, None, "two")
    assert [job.overrides for job in jobs_of(tmp_path, "two")] == [
        ["seed=0", f"runs_dir={tmp_path}"],
        ["seed=1", f"runs_dir={tmp_path}"],
    ]


Cores = Callable[[int], None]


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Cores:
    return lambda count: monkeypatch.setattr(
        sys.modules["ratchet.config.composition"], "available_cores", lambda: count
    )


@pytest.mark.parametrize(("threads", "jobs"), [("1", 16), ("4", 4), ("5", 3), ("null", 1), ("32", 1)])
def test_so_many_jobs_run_at_once_as_there_are_cores_for(threads: str, jobs: int, cores: Cores) -> None:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from ratchet.project import CONF

    cores(16)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = hydra_compose("config", ["launcher=joblib", f"threads={threads}"], return_hydra_config=True)
    assert composed.hydra.launcher.n_jobs == jobs
