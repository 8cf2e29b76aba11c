"""Run studies without training: a formula replaces it."""

from collections.abc import Sequence

from ratchet.config import ParameterConfig
from ratchet.sweeps.space import Values
from ratchet.sweeps.study import OpenStudy, Trial

SPACE = {
    "model.rate": ParameterConfig(low=1e-4, high=1e-1, log=True),
    "model.share": ParameterConfig(low=0.0, high=1.0),
    "model.kind": ParameterConfig(choices=["a", "b"]),
}
DEFAULT: Values = {"model.rate": 0.01, "model.share": 0.5, "model.kind": "a"}


def quality(values: Values) -> float:
    """Return a metric that is highest at a share of 0.8 and for kind b."""
    return 1 - abs(values["model.share"] - 0.8) + 0.1 * (values["model.kind"] == "b")


def run_trials(study: OpenStudy, count: int, *, failing: Sequence[int] = ()) -> list[Trial]:
    """Ask for trials one by one and store their results; those at the positions `failing` fail."""
    trials = []
    for position in range(count):
        [trial] = study.ask(1)
        values = None if position in failing else [quality(trial.values)]
        study.tell(trial.number, values, run=f"runs/{trial.number}")
        trials.append(trial)
    return trials
