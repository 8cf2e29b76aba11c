"""A made-up search result."""

from ratchet.sweeps.trials import SearchResult, State, TrialResult


def make_trial(
    number: int, state: State, metric: float | None, *, reported: float | None = None, cost: float | None = None
) -> TrialResult:
    return TrialResult(number, state, {"model.C": 1.5 + number}, metric, cost, None, None, reported, 1.0)


TRIALS = [
    make_trial(0, "finished", 0.5, cost=4.0),
    make_trial(1, "failed", None),
    make_trial(2, "finished", 0.7, cost=8.0),
    make_trial(3, "pruned", None, reported=0.3),
    make_trial(4, "finished", 0.6, cost=2.0),
    make_trial(5, "running", None, reported=0.9),
]
FOUND = SearchResult(TRIALS, TRIALS[2], [], {"model.C": 0.75, "threshold.value": 0.25}, TRIALS[0])
