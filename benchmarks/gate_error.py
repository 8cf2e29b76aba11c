"""Measure how often the gate ships an inferior model, in simulated worlds whose truth is known (benchmarks/worlds.py).

    python benchmarks/gate_error.py [worlds=1000] [resamples=500]   half an hour on one core; one row per design

Four candidates: three simple ones that are worse than the fourth by exactly the margin. `ships` is how often any of
the three is judged not worse than every other, at an alpha of .05 for all of them together; the alternative in the
same worlds is the gate without the correction, each candidate at .05. `equal` is the power: how often the simplest of
four equally good models ships at margins of .01, .02, .03 and .05.
"""

import sys
import time

import numpy as np
from worlds import Design, Model, make_world

from ratchet.objective.criteria import check_margin, correct_alpha
from ratchet.statistics.bootstrap import bootstrap_metrics
from ratchet.statistics.estimates import Estimate, estimate_difference

ALPHA, METRIC = 0.05, "f1_weighted"
MARGINS = (0.01, 0.02, 0.03, 0.05)
DESIGNS = [
    (training, repeats, same)
    for training in (0.0, 0.05, 0.12)
    for repeats, same in ((1, True), (3, True), (5, True), (3, False), (5, False))
]

Pairs = dict[tuple[int, int], Estimate]


def compare_pairs(design: Design, worlds: int, resamples: int, seed: int) -> list[Pairs]:
    """Return the differences of every candidate to every other, world by world."""
    differences = []
    for number in range(worlds):
        world = make_world(np.random.default_rng([seed, number]), design)
        resampled = bootstrap_metrics(world.runs, world.num_ids, resamples, seed=number)
        metrics = [of_model[METRIC] for of_model in resampled]
        count = range(len(metrics))
        differences.append(
            {(i, j): estimate_difference(metrics[i], metrics[j]) for i in count for j in count if i != j}
        )
    return differences


def passes(pairs: Pairs, candidate: int, margin: float, alpha: float) -> bool:
    """Return whether a candidate is not worse than every other."""
    return all(
        check_margin("", difference, margin, alpha, 1).state == "pass"
        for (own, _), difference in pairs.items()
        if own == candidate
    )


def main() -> None:
    options = dict(argument.split("=") for argument in sys.argv[1:])
    worlds, resamples = int(options.get("worlds", 1000)), int(options.get("resamples", 500))
    worse, best = Model(), Model(hit=0.42)
    print(__doc__.split("\n\n")[0])
    print(f"{worlds} worlds per row: a rate of .05 has a standard error of {(0.0475 / worlds) ** 0.5:.4f}")
    head = f"{'training':>8} {'repeats':>7} {'tests':>5} {'margin':>6} {'ships':>6} | {'uncorrected':>11}"
    print(f"{head} | equal at {MARGINS}")
    for training, repeats, same in DESIGNS:
        started = time.perf_counter()
        at_margin = compare_pairs(
            Design((worse, worse, worse, best), repeats, same, training), worlds, resamples, seed=1
        )
        margin = -float(np.mean([pairs[i, 3].value for pairs in at_margin for i in range(3)]))
        rates = [
            np.mean([any(passes(pairs, i, margin, alpha) for i in range(3)) for pairs in at_margin])
            for alpha in (correct_alpha(ALPHA, 4), ALPHA)
        ]
        equal = compare_pairs(Design((worse,) * 4, repeats, same, training), worlds, resamples, seed=2)
        alpha = correct_alpha(ALPHA, 4)
        power = [np.mean([passes(pairs, 0, tolerated, alpha) for pairs in equal]) for tolerated in MARGINS]
        design = f"{training:8.2f} {repeats:7d} {'one' if same else 'each':>5} {margin:6.3f}"
        shares = " ".join(f"{rate:.2f}" for rate in power)
        print(
            f"{design} {rates[0]:6.3f} | {rates[1]:11.3f} | {shares}   ({time.perf_counter() - started:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
