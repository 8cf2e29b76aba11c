"""Measure the overhead of a sweep per job, and the time saved by running its jobs in parallel.

    python benchmarks/launchers.py               # 20 jobs of the rules; 12 jobs of the cnn; 3 times each
    python benchmarks/launchers.py 5             # 5 times

First: seconds per job of `python train.py -m`, launcher=basic, without the first job, against the same runs as calls of
`train` in one process, without the first call. The time of a job is from the start of its run to the start of the next
run, as recorded; a call is timed directly.

Then: wall time of a grid of 12 jobs (the cnn on words, 20 epochs, 12 splits) with launcher=joblib, one thread per job
and as many jobs as cores, and with launcher=basic and also one thread. All variants take turns.
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


def run_sweep(directory: str, *arguments: str) -> float:
    """Run a sweep and return its seconds."""
    started = time.perf_counter()
    command = [sys.executable, TRAIN, "-m", *arguments]
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def time_job(directory: str) -> float:
    """Return the median seconds from one job of a sweep to the next."""
    run_sweep(directory, "model=rule", f"seed=range({JOBS})", "threads=1")
    started = [datetime.fromisoformat(run.record.started_at) for run in find_runs(Path(directory, "runs"))]
    return statistics.median((later - earlier).total_seconds() for earlier, later in pairwise(started[1:]))


def time_call(directory: str) -> float:
    """Return the median seconds of a call of `train`."""
    seconds = []
    for seed in range(JOBS):
        config = compose(["model=rule", f"seed={seed}", "threads=1", f"runs_dir={directory}/runs"])
        started = time.perf_counter()
        train(config)
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[1:])


def time_in_turns(times: int, variants: dict[str, Callable[[str], float]]) -> dict[str, float]:
    """Return the median seconds of each variant. Every measurement has a new directory."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(times):
        for name, variant in variants.items():
            with tempfile.TemporaryDirectory() as directory:
                seconds[name].append(variant(directory))
        print("  ".join(f"{name} {values[-1]:.2f} s" for name, values in seconds.items()), _format_load())
    return {name: statistics.median(values) for name, values in seconds.items()}


def _format_load() -> str:
    return f" load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""


def main(times: str = "3") -> None:
    register(all_settings())
    print(f"{JOBS} jobs of the rules, seconds a job")
    medians = time_in_turns(int(times), {"sweep": time_job, "train()": time_call})
    print(f"overhead a job: {medians['sweep'] - medians['train()']:.2f} s (median of {times})\n")
    print(f"12 jobs of the cnn, one thread each, on {available_cores()} cores")
    grid = time_in_turns(
        int(times),
        {
            "in sequence": lambda directory: run_sweep(directory, *GRID, "threads=1"),
            "joblib": lambda directory: run_sweep(directory, *GRID, "launcher=joblib"),
        },
    )
    print(f"ratio: {grid['in sequence'] / grid['joblib']:.2f} (of medians)")


if __name__ == "__main__":
    main(*sys.argv[1:])
