"""What a sweep costs beside its runs, and what running its jobs side by side saves.

    python benchmarks/launchers.py               # 20 jobs of the rules; 12 jobs of the cnn; 3 times each
    python benchmarks/launchers.py 5             # 5 times

First: seconds a job of `python train.py -m`, launcher=basic, after the first job, against the same runs made by calls
of `train` in one process, after the first call. The seconds of a job are those from the beginning of its run to the
beginning of the next one, as the records say; those of a call are taken around it.

Then: wall time of a grid of 12 jobs (the cnn on whole words, 20 epochs, 12 splits) by launcher=joblib, one thread a job
and as many jobs as cores, and by launcher=basic with the same thread. All sides take turns.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from ratchet.config import compose, register
from ratchet.machine import available_cores
from ratchet.models import all_settings
from ratchet.runs import find_runs
from ratchet.training import train

TRAIN = Path(__file__).resolve().parents[1] / "train.py"
JOBS = 20
GRID = ("model=cnn", "model.tokens=word", "model.max_epochs=20", "model.patience=20", "split.seed=range(12)")


def sweep(directory: str, *arguments: str) -> float:
    """Seconds of a whole sweep."""
    began = time.perf_counter()
    command = [sys.executable, TRAIN, "-m", *arguments]
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def a_job(directory: str) -> float:
    """Median seconds from one job of a sweep to the next."""
    sweep(directory, "model=rule", f"seed=range({JOBS})", "threads=1")
    began = [datetime.fromisoformat(run.record.started_at) for run in find_runs(Path(directory, "runs"))]
    return statistics.median((later - earlier).total_seconds() for earlier, later in pairwise(began[1:]))


def a_call(directory: str) -> float:
    """Median seconds of a call of `train`."""
    taken = []
    for seed in range(JOBS):
        config = compose(["model=rule", f"seed={seed}", "threads=1", f"runs_dir={directory}/runs"])
        began = time.perf_counter()
        train(config)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def in_turns(times: int, sides: dict[str, Callable[[str], float]]) -> dict[str, float]:
    """Medians of the sides, each in a new directory each time."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(times):
        for name, side in sides.items():
            with tempfile.TemporaryDirectory() as directory:
                taken[name].append(side(directory))
        print("  ".join(f"{name} {values[-1]:.2f} s" for name, values in taken.items()), _load())
    return {name: statistics.median(values) for name, values in taken.items()}


def _load() -> str:
    return f" load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""


def main(times: str = "3") -> None:
    register(all_settings())
    print(f"{JOBS} jobs of the rules, seconds a job")
    job = in_turns(int(times), {"sweep": a_job, "train()": a_call})
    print(f"overhead a job: {job['sweep'] - job['train()']:.2f} s (median of {times})\n")
    print(f"12 jobs of the cnn, one thread each, on {available_cores()} cores")
    grid = in_turns(
        int(times),
        {
            "in sequence": lambda directory: sweep(directory, *GRID, "threads=1"),
            "joblib": lambda directory: sweep(directory, *GRID, "launcher=joblib"),
        },
    )
    print(f"ratio: {grid['in sequence'] / grid['joblib']:.2f} (of medians)")


if __name__ == "__main__":
    main(*sys.argv[1:])
