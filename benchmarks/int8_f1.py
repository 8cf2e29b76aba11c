"""Measure what int8 costs in F1 on val: with its own thresholds, with those of the run, and with held-out ones.

    python benchmarks/int8_f1.py RUN [RUN ...]     # finished runs of networks, one data set

`ratchet export RUN precision=int8` evaluates thresholds on the texts on which they are tuned, for both sides alike.
To measure this bias, thresholds are also chosen on one half of val and evaluated on the other, over 40 divisions.
Prints int8 - float32 of each run, in the F1 that its thresholds are tuned for, and the means. No test record is read.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from ratchet.config import ThresholdConfig, load, register
from ratchet.data.prepared import prepare
from ratchet.evaluation.metrics import compute_averages
from ratchet.evaluation.thresholds import Thresholds, choose_thresholds, compute_tuned_f1
from ratchet.inference.export_checks import Trial, try_export
from ratchet.machine import available_cores, limited_threads
from ratchet.models import all_settings
from ratchet.runs.stored import read_run
from ratchet.taggers import ExportPrecision

DIVISIONS = 40


def compute_f1(trial: Trial, scores, thresholds: Thresholds, rows, metric: str) -> float:
    return float(compute_averages(trial.val.targets[rows], thresholds.decide(scores[rows]))[metric])


def compute_held_out_difference(trial: Trial, config: ThresholdConfig, metric: str) -> float:
    """Return int8 - float32 with thresholds from the other half of val, mean over divisions and halves."""
    generator, gaps = np.random.default_rng(0), []
    for _ in range(DIVISIONS):
        order = generator.permutation(len(trial.val))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        for chosen, evaluated in (halves, halves[::-1]):
            targets = trial.val.targets[chosen]
            values = [
                compute_f1(
                    trial, scores, choose_thresholds(targets, scores[chosen], config, trial.val.task), evaluated, metric
                )
                for scores in (trial.export_scores, trial.run_scores)
            ]
            gaps.append(values[0] - values[1])
    return float(np.mean(gaps))


def compute_differences(path: str) -> tuple[float, float, float]:
    """Return int8 - float32 with its own thresholds, with those of the run, and with held-out thresholds."""
    run = read_run(Path(path))
    config = load(run.path / "config.yaml", all_settings())
    with tempfile.TemporaryDirectory() as directory:
        data = prepare(config.data)
        trial = try_export(run, data, config.threshold, Path(directory), ExportPrecision.int8, lambda steps: None)
    metric, all_rows = f"f1_{config.threshold.average.name}", np.arange(len(trial.val))
    own = [
        compute_tuned_f1(trial.val.targets, scores, config.threshold, trial.val.task)
        for scores in (trial.export_scores, trial.run_scores)
    ]
    same = [
        compute_f1(trial, scores, trial.run_thresholds, all_rows, metric)
        for scores in (trial.export_scores, trial.run_scores)
    ]
    return own[0] - own[1], same[0] - same[1], compute_held_out_difference(trial, config.threshold, metric)


def main(*paths: str) -> None:
    register(all_settings())
    print(f"int8 - float32                own thresholds  the run's  chosen elsewhere ({DIVISIONS} divisions)")
    with limited_threads(available_cores()):
        rows = [compute_differences(path) for path in paths]
    for name, row in zip([*(Path(path).name for path in paths), "mean"], [*rows, np.mean(rows, axis=0)], strict=True):
        print("{:28}  {:+14.4f}  {:+9.4f}  {:+16.4f}".format(name, *row))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
