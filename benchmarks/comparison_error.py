"""How often the comparison is wrong, in simulated worlds whose truth is known (benchmarks/worlds.py).

    python benchmarks/comparison_error.py [worlds=1000] [resamples=500]     half an hour on one core; a row a design

Columns: how often two equally good models are called different (nominal .05), and how often the 95 % interval holds
the truth. Beside it, in the same worlds, two peers: the percentile bootstrap that draws records and repeats together,
and Student's t over the repeats. With one repeat nothing can be known of the training: `pair` is the coverage of what
these two trained models differ by, which is what a comparison of one run with one run can speak of.
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
TRAINING = (0.0, 0.05, 0.12)  # nothing, about .6 of the noise of one test set, twice that noise


def percentile(left: ResampledMetric, right: ResampledMetric, generator: np.random.Generator) -> tuple[float, float]:
    """The peer's interval: each draw takes records, and repeats with replacement."""
    draws = left.resampled - right.resampled
    picked = generator.integers(draws.shape[1], size=draws.shape)
    low, high = np.quantile(np.take_along_axis(draws, picked, 1).mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def over_repeats(left: ResampledMetric, right: ResampledMetric) -> tuple[float, float]:
    """Student's interval over the repeats' differences."""
    values = left.values - right.values
    if len(values) < 2:
        return -np.inf, np.inf
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def try_design(design: Design, worlds: int, resamples: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Rates of one design by metric; `called` is the share of worlds in which the verdict is better or worse."""
    seen: dict[str, list[tuple[float, ...]]] = {}
    for number in range(worlds):
        generator = np.random.default_rng([seed, number])
        world = make_world(generator, design)
        drawn = bootstrap_metrics(world.runs, world.num_ids, resamples, seed=number)
        for metric in ("f1_weighted", "f1_macro"):
            right, left = (each[metric] for each in drawn[:2])
            found = estimate_difference(left, right)
            swap = permutation_p_values(world.runs[1], world.runs[0], metric, world.num_ids, resamples, seed=number)[
                metric
            ]
            low, high = float(found.lower(0.025)), float(found.upper(0.025))
            called = max(float(swap), float(found.p_value())) < 0.05 and not low <= 0 <= high
            pair = float((world.expected[1] - world.expected[0]).mean())
            peers = (*percentile(left, right, generator), *over_repeats(left, right))
            seen.setdefault(metric, []).append(
                (float(found.value), low, high, called, float(swap) < 0.05, pair, *peers)
            )
    return {metric: rates(np.array(rows, dtype=float), design) for metric, rows in seen.items()}


def rates(rows: np.ndarray, design: Design) -> dict[str, float]:
    """Of one metric. The truth of mirrored models is 0; else it is the mean over the worlds."""
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
    given = dict(argument.split("=") for argument in sys.argv[1:])
    worlds, resamples = int(given.get("worlds", 1000)), int(given.get("resamples", 500))
    print(__doc__.split("\n\n")[0])
    print(f"{worlds} worlds a row: rates of .05 and .95 have a standard error of {(0.0475 / worlds) ** 0.5:.4f}")
    print(
        f"{'models':9} {'training':>8} {'repeats':>7} {'tests':>5} {'metric':>8} {'called':>6} {'covers':>6} "
        f"{'pair':>5} {'width':>5} | {'percentile':>10} {'student':>7} {'swap alone':>10}   difference, sd"
    )
    kinds = given.get("models", "mirrored,balanced,better").split(",")
    for kind in kinds:
        for training in TRAINING:
            other = {
                "mirrored": lambda training: Model(),
                "balanced": lambda training: equally_good(Model(), 0.003, training),
                "better": lambda training: Model(0.9, 0.006),
            }[kind](training)
            for repeats, same in REPEATS:
                design = Design((Model(), other), repeats, same, training)
                started = time.perf_counter()
                for metric, found in try_design(design, worlds, resamples).items():
                    null = kind == "mirrored" or (kind == "balanced" and metric == "f1_weighted")
                    print(
                        f"{kind:9} {training:8.2f} {repeats:7d} {'one' if same else 'each':>5} "
                        f"{metric.removeprefix('f1_'):>8} {found['called']:6.3f}{'' if null else '*'} "
                        f"{found['coverage']:6.3f} "
                        + (f"{found['pair']:5.3f}" if metric == "f1_weighted" else "    -")
                        + f" {found['width']:5.2f} | {found['percentile']:10.3f} "
                        + (f"{found['student']:7.3f}" if repeats > 1 else "      -")
                        + f" {found['swap']:10.3f}   {found['difference']:+.4f}, {found['sd']:.4f}"
                        + f"   ({time.perf_counter() - started:.0f} s)",
                        flush=True,
                    )
    print("* not a false finding: the models differ")


if __name__ == "__main__":
    main()
