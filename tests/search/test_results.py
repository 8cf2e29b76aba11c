from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.search.conftest import DEFAULT, SPACE, run

from ratchet.config import Cost, SearchConfig
from ratchet.search.results import SearchResult, results_of
from ratchet.search.study import OpenStudy, open_study, read_study

Opened = Callable[..., AbstractContextManager[OpenStudy]]


def results(directory: Path, settings: SearchConfig | None = None) -> SearchResult:
    settings = settings or SearchConfig()
    return results_of(read_study(directory, settings), settings)


def test_every_trial_is_there_with_its_state_and_its_run(opened: Opened, directory: Path) -> None:
    with opened() as study:
        run(study, 3, failing=[1])
        [pruned] = study.ask(1)
        study.tell(pruned.number, None, pruned=True, run="runs/pruned")
        study.ask(1)
        found = results(directory)
    assert [(trial.number, trial.state, trial.run) for trial in found.trials] == [
        (0, "finished", "runs/0"),
        (1, "failed", "runs/1"),
        (2, "finished", "runs/2"),
        (3, "pruned", "runs/pruned"),
        (4, "running", None),
    ]
    assert found.default is found.trials[0]
    assert found.trials[0].values == DEFAULT
    assert found.trials[1].metric is None
    assert found.importance == {}, "two trials tell nothing of what matters"


def test_of_equal_trials_the_first_is_best(opened: Opened, directory: Path) -> None:
    with opened() as study:
        for value in (0.5, 0.7, 0.7, 0.6):
            study.tell(study.ask(1)[0].number, [value])
    best = results(directory).best
    assert best is not None
    assert best.number == 1


def test_nothing_is_best_of_nothing(opened: Opened, directory: Path) -> None:
    with opened() as study:
        run(study, 1, failing=[0])
    found = results(directory)
    assert (found.best, found.default, found.front) == (None, None, [])


@pytest.mark.parametrize(("margin", "best"), [(0.0, 1), (0.02, 3), (0.5, 2)])
def test_with_a_cost_the_cheapest_within_the_margin_is_best(directory: Path, margin: float, best: int) -> None:
    settings = SearchConfig(cost=Cost.size_mb, margin=margin)
    told = [(0.70, 9.0), (0.80, 5.0), (0.60, 1.0), (0.79, 3.0), (0.79, 3.5)]
    with open_study(directory, settings, SPACE, DEFAULT, {}) as study:
        for value in told:
            study.tell(study.ask(1)[0].number, value)
    found = results(directory, settings)
    assert [trial.number for trial in found.front] == [2, 3, 1], "the cheapest first; 0 and 4 are beaten"
    assert found.best is not None
    assert (found.best.number, found.best.cost) == (best, told[best][1])
