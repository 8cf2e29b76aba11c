"""Tests for reading the results of a search: its trials, the best one, and the front."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.sweeps.studies import DEFAULT, SPACE, run_trials

from ratchet.config import Cost, SearchConfig
from ratchet.files import write_json
from ratchet.sweeps.study import OpenStudy, open_study, read_about
from ratchet.sweeps.trials import SearchResult, read_results

Opened = Callable[..., AbstractContextManager[OpenStudy]]


def read_search(directory: Path, settings: SearchConfig | None = None) -> SearchResult:
    settings = settings or SearchConfig()
    return read_results(directory, settings)


def test_all_trials_have_a_state_and_run(opened: Opened, directory: Path) -> None:
    with opened() as study:
        run_trials(study, 3, failing=[1])
        [pruned] = study.ask(1)
        study.tell(pruned.number, None, pruned=True, run="runs/pruned")
        study.ask(1)
        result = read_search(directory)
    assert [(trial.number, trial.state, trial.run) for trial in result.trials] == [
        (0, "finished", "runs/0"),
        (1, "failed", "runs/1"),
        (2, "finished", "runs/2"),
        (3, "pruned", "runs/pruned"),
        (4, "running", None),
    ]
    assert result.default is result.trials[0]
    assert result.trials[0].values == DEFAULT
    assert result.trials[1].metric is None
    assert result.importance == {}, "two trials are too few for importance"


def test_first_trial_is_no_reference_if_the_default_is_outside_the_space(directory: Path) -> None:
    about = {"outside": ["model.share=2.0"]}
    with open_study(directory, SearchConfig(), SPACE, None, about) as study:
        run_trials(study, 3)
    result = read_search(directory)
    assert (result.default, result.gain, result.outside) == (None, None, ["model.share=2.0"])


def test_failed_default_is_no_reference(opened: Opened, directory: Path) -> None:
    with opened() as study:
        run_trials(study, 3, failing=[0])
    assert read_search(directory).gain is None


def test_study_of_an_earlier_version_has_no_reference(opened: Opened, directory: Path) -> None:
    """It did not record the default, and its first trial may be another one."""
    with opened() as study:
        run_trials(study, 2)
    about = read_about(directory)
    del about["default"]
    write_json(directory / "study.json", about)
    assert read_search(directory).default is None


def test_first_of_equal_trials_is_best(opened: Opened, directory: Path) -> None:
    with opened() as study:
        for value in (0.5, 0.7, 0.7, 0.6):
            study.tell(study.ask(1)[0].number, [value])
    best = read_search(directory).best
    assert best is not None
    assert best.number == 1


def test_no_best_trial_without_a_finished_one(opened: Opened, directory: Path) -> None:
    with opened() as study:
        run_trials(study, 1, failing=[0])
    result = read_search(directory)
    assert (result.best, result.default, result.front) == (None, None, [])


@pytest.mark.parametrize(("margin", "best"), [(0.0, 1), (0.02, 3), (0.5, 2)])
def test_cheapest_trial_within_margin_is_best(directory: Path, margin: float, best: int) -> None:
    settings = SearchConfig(cost=Cost.size_mb, margin=margin)
    values = [(0.70, 9.0), (0.80, 5.0), (0.60, 1.0), (0.79, 3.0), (0.79, 3.5)]
    with open_study(directory, settings, SPACE, DEFAULT, {}) as study:
        for value in values:
            study.tell(study.ask(1)[0].number, value)
    result = read_search(directory, settings)
    assert [trial.number for trial in result.front] == [2, 3, 1], "the cheapest first; 0 and 4 are beaten"
    assert result.best is not None
    assert (result.best.number, result.best.cost) == (best, values[best][1])
