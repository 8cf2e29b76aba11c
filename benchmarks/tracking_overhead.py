"""What W&B costs a run: wall time of a whole `python train.py`, with tracker=wandb (offline) and with tracker=none.

    python benchmarks/tracking_overhead.py               # model=regression on the sample, 7 pairs
    python benchmarks/tracking_overhead.py 3 cnn model.max_epochs=5

The two take turns, in an order that is drawn for each pair, after a pair that does not count. A run of the rules is
there before, so that the difference to the baseline is computed too. Prints seconds of both, and of each pair the
ratio and the difference; then medians and ranges.
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


def seconds(directory: str, *arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, TRAIN, *arguments], cwd=directory, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def spread(values: list[float], unit: str = "") -> str:
    return f"{statistics.median(values):.2f}{unit} ({min(values):.2f} to {max(values):.2f})"


def main(pairs: str = "7", model: str = "regression", *more: str) -> None:
    seed = int.from_bytes(os.urandom(4))
    draw = random.Random(seed)
    trackers = ["none", "wandb"]
    taken: dict[str, list[float]] = {tracker: [] for tracker in trackers}
    with tempfile.TemporaryDirectory() as directory:
        seconds(directory)
        for number in range(int(pairs) + 1):
            for tracker in draw.sample(trackers, 2):
                taken[tracker].append(seconds(directory, f"model={model}", f"tracker={tracker}", *more))
            if number:
                none, wandb = (taken[tracker][-1] for tracker in trackers)
                load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
                print(f"none {none:6.2f} s  wandb {wandb:6.2f} s  x {wandb / none:.2f}  {wandb - none:+.2f} s  {load}")
    none, wandb = (taken[tracker][1:] for tracker in trackers)
    print(f"{model}, {pairs} pairs, seed of the order {seed}: median (range)")
    print(f"none {spread(none, ' s')}, wandb {spread(wandb, ' s')}")
    print(f"ratio {spread([b / a for a, b in zip(none, wandb, strict=True)])}")
    print(f"difference {spread([b - a for a, b in zip(none, wandb, strict=True)], ' s')}")


if __name__ == "__main__":
    main(*sys.argv[1:])
