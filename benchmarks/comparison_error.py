"""Measure the error rates of the comparison in simulated worlds whose truth is known (benchmarks/worlds.py).

    python benchmarks/comparison_error.py [worlds=1000] [resamples=500]   half an hour on one core; one row per design

Columns: how often two equally good models are called different (nominal .05), and how often the 95 % interval covers
the truth. Two alternatives in the same worlds: the percentile bootstrap that resamples records and repeats together,
and Student's t over the repeats. With one repeat the variance of training is unknown: `pair` is the coverage of the
difference between the two trained models, which is all that a comparison of two runs can estimate.
"""

import sys
import time

import numpy as np
from scipy import stats
from worlds import Design, Model, equally_good, make_world

from ratchet.statistics.bootstrap import bootstrap_metrics
from ratchet.statistics.estimates import ResampledMetric, estimate_difference
from ratchet.statistics.permutation import permutation_p_values

REPEATS = ((1, True), (3, True), (5, True), (3, False), (5, False))
TRAINING = (0.0, 0.05, 0.12)  # none, about .6 times the noise of one test set, twice that noise


def percentile_interval(
    left: ResampledMetric, right: ResampledMetric, generator: np.random.Generator
) -> tuple[float, float]:
    """Return the percentile interval: each sample resamples records, and repeats with replacement."""
    resampled = left.resampled - right.resampled
    repeats = generator.integers(resampled.shape[1], size=resampled.shape)
    low, high = np.quantile(np.take_along_axis(resampled, repeats, 1).mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def student_interval(left: ResampledMetric, right: ResampledMetric) -> tuple[float, float]:
    """Return Student's interval over the differences of the repeats."""
    values = left.values - right.values
    if len(values) < 2:
        return -np.inf, np.inf
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def try_design(design: Design, worlds: int, resamples: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Return the rates of one design by metric; `called` is the share of worlds with the verdict better or worse."""
    rows_of: dict[str, list[tuple[float, ...]]] = {}
    for number in range(worlds):
        generator = np.random.default_rng([seed, number])
        world = make_world(generator, design)
        metrics = bootstrap_metrics(world.runs, world.num_ids, resamples, seed=number)
        for metric in ("f1_weighted", "f1_macro"):
            right, left = (of_model[metric] for of_model in metrics[:2])
            difference = estimate_difference(left, right)
            swap = permutation_p_values(world.runs[1], world.runs[0], metric, world.num_ids, resamples, seed=number)[
                metric
            ]
            low, high = float(difference.lower(0.025)), float(difference.upper(0.025))
            called = max(float(swap), float(difference.p_value())) < 0.05 and not low <= 0 <= high
            pair = float((world.expected[1] - world.expected[0]).mean())
            alternatives = (*percentile_interval(left, right, generator), *student_interval(left, right))
            rows_of.setdefault(metric, []).append(
                (float(difference.value), low, high, called, float(swap) < 0.05, pair, *alternatives)
            )
    return {metric: compute_rates(np.array(rows, dtype=float), design) for metric, rows in rows_of.items()}


def compute_rates(rows: np.ndarray, design: Design) -> dict[str, float]:
    """Return the rates of one metric. The truth of equal models is 0; else it is the mean over the worlds."""
    value, low, high, called, swap, pair, p_low, p_high, t_low, t_high = rows.T
    truth = 0.0 if design.models[0] == design.models[1] else value.mean()
    return {
        "called": called.mean(),
        "swap": swap.mean(),
        "coverage": ((low <= truth) & (truth <= high)).mean(),
        "pair": ((low <= pair) & (pair <= high)).mean(),
        "width": (high - low).mean() / 2 / 1.96 / value.std(),
        "percentile": ((p_low <= truth) & (truth <= p_high)).mean(),
        "student": ((t_low <= truth) & (truth <= t_high)).mean(),
        "difference": value.mean(),
        "sd": value.std(),
    }


def main() -> None:
    options = dict(argument.split("=") for argument in sys.argv[1:])
    worlds, resamples = int(options.get("worlds", 1000)), int(options.get("resamples", 500))
    print(__doc__.split("\n\n")[0])
    print(f"{worlds} worlds per row: rates of .05 and .95 have a standard error of {(0.0475 / worlds) ** 0.5:.4f}")
    print(
        f"{'models':9} {'training':>8} {'repeats':>7} {'tests':>5} {'metric':>8} {'called':>6} {'covers':>6} "
        f"{'pair':>5} {'width':>5} | {'percentile':>10} {'student':>7} {'perm alone':>10}   difference, sd"
    )
    kinds = options.get("models", "mirrored,balanced,better").split(",")
    for kind in kinds:
        for training in TRAINING:
            alternative = {
                "mirrored": lambda training: Model(),
                "balanced": lambda training: equally_good(Model(), 0.003, training),
                "better": lambda training: Model(0.9, 0.006),
            }[kind](training)
            for repeats, same in REPEATS:
                design = Design((Model(), alternative), repeats, same, training)
                started = time.perf_counter()
                for metric, rate in try_design(design, worlds, resamples).items():
                    null = kind == "mirrored" or (kind == "balanced" and metric == "f1_weighted")
                    print(
                        f"{kind:9} {training:8.2f} {repeats:7d} {'one' if same else 'each':>5} "
                        f"{metric.removeprefix('f1_'):>8} {rate['called']:6.3f}{'' if null else '*'} "
                        f"{rate['coverage']:6.3f} "
                        + (f"{rate['pair']:5.3f}" if metric == "f1_weighted" else "    -")
                        + f" {rate['width']:5.2f} | {rate['percentile']:10.3f} "
                        + (f"{rate['student']:7.3f}" if repeats > 1 else "      -")
                        + f" {rate['swap']:10.3f}   {rate['difference']:+.4f}, {rate['sd']:.4f}"
                        + f"   ({time.perf_counter() - started:.0f} s)",
                        flush=True,
                    )
    print("* not a false finding: the models differ")


if __name__ == "__main__":
    main()
