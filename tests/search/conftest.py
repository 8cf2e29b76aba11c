"""Studies that are made in no time: an arithmetic stands for the training."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ratchet.config import ParameterConfig, SearchConfig
from ratchet.search.space import Values
from ratchet.search.study import OpenStudy, Trial, open_study

SPACE = {
    "model.rate": ParameterConfig(low=1e-4, high=1e-1, log=True),
    "model.share": ParameterConfig(low=0.0, high=1.0),
    "model.kind": ParameterConfig(choices=["a", "b"]),
}
DEFAULT: Values = {"model.rate": 0.01, "model.share": 0.5, "model.kind": "a"}


def quality(values: Values) -> float:
    """Best at a share of .8, and of kind b."""
    return 1 - abs(values["model.share"] - 0.8) + 0.1 * (values["model.kind"] == "b")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "runs" / ".studies" / "made"


@pytest.fixture
def opened(directory: Path) -> Callable[..., Iterator[OpenStudy]]:
    """`with opened() as study`: the study in `directory`; keywords are settings."""
    return lambda **settings: open_study(directory, SearchConfig(**settings), SPACE, DEFAULT, {"model": "made"})


def run(study: OpenStudy, count: int, *, failing: Sequence[int] = ()) -> list[Trial]:
    """Ask for trials one by one and tell what they are worth; those of the given places fail."""
    found = []
    for place in range(count):
        [trial] = study.ask(1)
        study.tell(trial.number, None if place in failing else [quality(trial.values)], run=f"runs/{trial.number}")
        found.append(trial)
    return found
