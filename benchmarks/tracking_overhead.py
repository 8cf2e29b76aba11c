"""Measure the overhead of W&B: wall time of `python train.py`, with tracker=wandb (offline) and with tracker=none.

    python benchmarks/tracking_overhead.py               # model=regression on the sample, 7 pairs
    python benchmarks/tracking_overhead.py 3 cnn model.max_epochs=5

The two take turns, in random order within each pair, after a warm-up pair. A run of the rules exists beforehand, so
that the difference to the baseline is computed too. Prints the seconds of both with the ratio and the difference of
each pair, then medians and ranges.
"""

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRAIN = Path(__file__).resolve().parents[1] / "train.py"


def time_training(directory: str, *arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, TRAIN, *arguments], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def format_spread(values: list[float], unit: str = "") -> str:
    return f"{statistics.median(values):.2f}{unit} ({min(values):.2f} to {max(values):.2f})"


def main(pairs: str = "7", model: str = "regression", *overrides: str) -> None:
    seed = int.from_bytes(os.urandom(4))
    generator = random.Random(seed)
    trackers = ["none", "wandb"]
    seconds: dict[str, list[float]] = {tracker: [] for tracker in trackers}
    with tempfile.TemporaryDirectory() as directory:
        time_training(directory)
        for number in range(int(pairs) + 1):
            for tracker in generator.sample(trackers, 2):
                seconds[tracker].append(time_training(directory, f"model={model}", f"tracker={tracker}", *overrides))
            if number:
                none, wandb = (seconds[tracker][-1] for tracker in trackers)
                load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
                print(f"none {none:6.2f} s  wandb {wandb:6.2f} s  x {wandb / none:.2f}  {wandb - none:+.2f} s  {load}")
    none, wandb = (seconds[tracker][1:] for tracker in trackers)
    print(f"{model}, {pairs} pairs, seed of the order {seed}: median (range)")
    print(f"none {format_spread(none, ' s')}, wandb {format_spread(wandb, ' s')}")
    print(f"ratio {format_spread([b / a for a, b in zip(none, wandb, strict=True)])}")
    print(f"difference {format_spread([b - a for a, b in zip(none, wandb, strict=True)], ' s')}")


if __name__ == "__main__":
    main(*sys.argv[1:])
