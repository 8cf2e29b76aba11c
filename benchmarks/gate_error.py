"""How often the gate lets an inferior model through, in simulated worlds whose truth is known (benchmarks/worlds.py).

    python benchmarks/gate_error.py [worlds=1000] [resamples=500]     about half an hour on one core; a row a design

Four candidates: three simple ones that are worse than the fourth by exactly the margin. `ships` is how often any of
the three is found not worse than every other, at an alpha of .05 for all of them together; the peer in the same worlds
is the gate without the correction, each candidate at .05. `equal` is the use of it: how often the simplest of four
equally good models ships at margins of .01, .02, .03 and .05.
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


def pairs_of(design: Design, worlds: int, resamples: int, seed: int) -> list[Pairs]:
    """Every candidate against every other, world by world."""
    found = []
    for number in range(worlds):
        world = make_world(np.random.default_rng([seed, number]), design)
        drawn = [each[METRIC] for each in bootstrap_metrics(world.runs, world.num_ids, resamples, seed=number)]
        count = range(len(drawn))
        found.append({(i, j): estimate_difference(drawn[i], drawn[j]) for i in count for j in count if i != j})
    return found


def passes(pairs: Pairs, candidate: int, margin: float, alpha: float) -> bool:
    """Not worse than every other."""
    return all(
        check_margin("", each, margin, alpha, 1).state == "pass" for (own, _), each in pairs.items() if own == candidate
    )


def main() -> None:
    given = dict(argument.split("=") for argument in sys.argv[1:])
    worlds, resamples = int(given.get("worlds", 1000)), int(given.get("resamples", 500))
    worse, best = Model(), Model(hit=0.42)
    print(__doc__.split("\n\n")[0])
    print(f"{worlds} worlds a row: a rate of .05 has a standard error of {(0.0475 / worlds) ** 0.5:.4f}")
    head = f"{'training':>8} {'repeats':>7} {'tests':>5} {'margin':>6} {'ships':>6} | {'uncorrected':>11}"
    print(f"{head} | equal at {MARGINS}")
    for training, repeats, same in DESIGNS:
        started = time.perf_counter()
        at_margin = pairs_of(Design((worse, worse, worse, best), repeats, same, training), worlds, resamples, seed=1)
        margin = -float(np.mean([pairs[i, 3].value for pairs in at_margin for i in range(3)]))
        rates = [
            np.mean([any(passes(pairs, i, margin, alpha) for i in range(3)) for pairs in at_margin])
            for alpha in (correct_alpha(ALPHA, 4), ALPHA)
        ]
        equal = pairs_of(Design((worse,) * 4, repeats, same, training), worlds, resamples, seed=2)
        power = [np.mean([passes(pairs, 0, each, correct_alpha(ALPHA, 4)) for pairs in equal]) for each in MARGINS]
        design = f"{training:8.2f} {repeats:7d} {'one' if same else 'each':>5} {margin:6.3f}"
        shares = " ".join(f"{each:.2f}" for each in power)
        print(
            f"{design} {rates[0]:6.3f} | {rates[1]:11.3f} | {shares}   ({time.perf_counter() - started:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
