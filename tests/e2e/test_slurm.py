"""Test for a sweep on a real SLURM cluster of one node. SLURM=1 enables it, as `.ci/run --full` does."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.commands import HANG_SECONDS, PROGRAMS, Command, run_command, wait_until
from tests.e2e.conftest import Begin, HeldBack
from tests.own_projects import CONSTANT, write_project
from tests.slurm import missing, slurm_cluster

from ratchet.runs import StoredRun, find_runs


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Start the cluster; yield the environment variables for its commands."""
    if os.environ.get("SLURM") != "1":
        pytest.skip("SLURM=1 starts a SLURM cluster")
    if reason := missing():
        pytest.skip(reason)
    with slurm_cluster(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


def list_runs(directory: Path, status: str) -> list[StoredRun]:
    return [run for run in find_runs(directory / "runs") if run.status == status]


def test_cancelled_job_is_reported_and_the_sweep_continues(
    slurm: dict[str, str],
    held_back: HeldBack,
    begin: Begin,
    train: Command,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name, value in slurm.items():
        monkeypatch.setenv(name, value)
    grid = ("launcher=submitit_slurm", "hydra.launcher.partition=local", *held_back.overrides(0, 1))
    process = begin(*grid)
    held_back.wait_for(2)
    waiting = {run.record.seed: run for run in list_runs(tmp_path, "running")}
    array = subprocess.run(["squeue", "-h", "-o", "%F"], capture_output=True, text=True, check=True).stdout.split()[0]
    subprocess.run(["scancel", f"{array}_0"], check=True)
    wait_until(lambda: len(list_runs(tmp_path, "interrupted")) == 1, lambda: str(find_runs(tmp_path / "runs")))
    held_back.release()
    out, err = process.communicate(timeout=HANG_SECONDS)

    assert process.returncode == 1
    assert [run.path for run in list_runs(tmp_path, "interrupted")] == [waiting[0].path]
    assert {run.record.threads for run in list_runs(tmp_path, "finished")} == {1}
    assert len(list_runs(tmp_path, "finished")) == 3
    assert out.splitlines()[-1].split()[:2] == ["rule", "3"]
    *reports, summary = err.splitlines()
    assert [line.split()[0] for line in reports] == ["#0", "interrupted:"]
    assert "its process died (CANCELLED), see runs/.sweeps/" in reports[0]
    assert summary == "1 of 4 runs did not finish"

    second = train(*grid)
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout.count("done before") == 3
    assert second.stdout.splitlines()[-1].split()[:2] == ["rule", "4"]


def test_model_of_a_project_is_found_in_jobs_of_the_cluster(slurm: dict[str, str], tmp_path: Path) -> None:
    """Jobs unpickle settings of a module that only the project has."""
    root = write_project(tmp_path / "project", models={"constant": CONSTANT})
    (root / "sub").mkdir()
    grid = ("launcher=submitit_slurm", "hydra.launcher.partition=local", "model=constant", "model.shift=0,1")
    done = run_command(
        PROGRAMS / "ratchet", "train", "-m", *grid, "evaluation.resamples=100", cwd=root / "sub", **slurm
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {(run.record.name, run.status) for run in find_runs(root / "runs")} == {("constant", "finished")}
    assert len(find_runs(root / "runs")) == 2
