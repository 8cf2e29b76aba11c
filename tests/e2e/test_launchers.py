"""Tests for jobs of a sweep in other processes: their output and exit code, also if one of them dies."""

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
from tests.commands import HANG_SECONDS, Command, run_command
from tests.e2e.conftest import Begin, HeldBack

from ratchet.extras import install_command
from ratchet.runs import find_runs

WITHOUT_LAUNCHERS = """
import sys
import hydra_plugins
hydra_plugins.__path__ = [place for place in hydra_plugins.__path__ if "site-packages" not in place]
from ratchet.cli.train import main
sys.exit(main())
"""


def list_statuses(directory: Path) -> list[str]:
    return sorted(run.status for run in find_runs(directory / "runs"))


def kill_waiting(directory: Path) -> None:
    """Kill the first job that waits for its records: its overrides contain a URL."""
    waiting = [run for run in find_runs(directory / "runs") if "=http" in run.record.overrides[0]]
    os.kill(waiting[0].record.pid, signal.SIGKILL)


def test_jobs_of_dead_worker_are_reported_and_rerun(
    held_back: HeldBack, begin: Begin, train: Command, tmp_path: Path
) -> None:
    grid = ["launcher=joblib", "hydra.launcher.n_jobs=2", *held_back.overrides(0, 1)]
    process = begin(*grid)
    held_back.wait_for(2)
    kill_waiting(tmp_path)
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 1
    assert list_statuses(tmp_path) == ["finished", "finished", "interrupted", "interrupted"]
    assert out.splitlines()[-1].split()[:2] == ["rule", "2"], "jobs that had not started still run"
    *reports, summary = err.splitlines()
    assert [line.split()[0] for line in reports] == ["#0", "#1", "interrupted:", "interrupted:"]
    assert all("its process died, or another of the pool (SIGKILL(-9))" in line for line in reports)
    assert summary == "2 of 4 runs did not finish"

    held_back.release()
    second = train(*grid)
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout.count("done before") == 2
    assert second.stdout.splitlines()[-1].split()[:2] == ["rule", "4"]


def test_dead_job_in_its_own_process_does_not_stop_others(held_back: HeldBack, begin: Begin, tmp_path: Path) -> None:
    process = begin("launcher=submitit_local", *held_back.overrides(0))
    held_back.wait_for(1)
    kill_waiting(tmp_path)
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 1
    assert list_statuses(tmp_path) == ["finished", "interrupted"]
    assert out.splitlines()[-1].split()[:2] == ["rule", "1"]
    *reports, summary = err.splitlines()
    assert [line.split()[0] for line in reports] == ["#0", "interrupted:"]
    log = reports[0].rpartition("its process died, see ")[2]
    assert (tmp_path / log).is_file()
    assert summary == "1 of 2 runs did not finish"


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_ctrl_c_ends_all_jobs(launcher: str, held_back: HeldBack, begin: Begin, tmp_path: Path) -> None:
    process = begin(f"launcher={launcher}", *held_back.overrides(0, 1))
    held_back.wait_for(2)
    jobs = [psutil.Process(run.record.pid) for run in find_runs(tmp_path / "runs")]
    assert len({job.pid for job in jobs} - {process.pid}) == 2
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=HANG_SECONDS)
    assert (process.returncode, out, "Traceback" in err) == (130, "", False)
    assert err.endswith("4 of 4 runs did not finish; the same command continues\ninterrupted\n")
    assert not psutil.wait_procs(jobs, HANG_SECONDS)[1]
    assert set(list_statuses(tmp_path)) <= {"interrupted", "killed"}


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_no_process_outlives_a_killed_sweep(launcher: str, held_back: HeldBack, begin: Begin) -> None:
    """With joblib, one of the two workers is idle: it has run the jobs that read their records at once."""
    two = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    process = begin(f"launcher={launcher}", *two, *held_back.overrides(0))
    held_back.wait_for(1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=30)
    for child in alive:
        child.kill()
    process.communicate(timeout=HANG_SECONDS)
    assert not alive


def test_missing_launcher_error_names_its_extra(tmp_path: Path) -> None:
    done = run_command(sys.executable, "-c", WITHOUT_LAUNCHERS, "launcher=joblib", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: launcher=joblib needs hydra-joblib-launcher: {install_command('launchers')}\n"
    assert "[launchers]" in done.stderr


def test_missing_slurm_is_an_error(train: Command) -> None:
    done = train("-m", "launcher=submitit_slurm", "seed=0,1", PATH="/nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith('error: launcher=submitit_slurm: Could not detect "srun"')
    assert len(done.stderr.splitlines()) == 1
