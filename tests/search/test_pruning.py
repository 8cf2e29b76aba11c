"""A trial that does worse than those before it is given up, by whichever process trains it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from ratchet.config import Cost, SearchConfig
from ratchet.errors import Pruned
from ratchet.search.pruning import watch_of
from ratchet.search.results import results_of
from ratchet.search.study import OpenStudy, read_study

Opened = Callable[..., AbstractContextManager[OpenStudy]]


def settings_of(trial: int, **others: object) -> SearchConfig:
    return SearchConfig(study="made", trial=trial, **others)  # type: ignore[arg-type]


def epochs_until_pruned(settings: SearchConfig, runs_dir: Path, value: float, epochs: int = 8) -> int:
    """How many epochs of that value a trial is let."""
    watch = watch_of(settings, runs_dir)
    assert watch is not None
    watch(0, {"learning_rate": 0.1})
    for epoch in range(epochs):
        try:
            watch(epoch, {"epoch": epoch, "val/loss": 1.0, "val/f1_weighted": value})
        except Pruned:
            return epoch + 1
    return epochs


def test_it_is_given_up_once_it_is_below_the_median(opened: Opened, directory: Path, tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    with opened() as study:
        for value in (0.1, 0.5, 0.6, 0.7, 0.8):
            [trial] = study.ask(1)
            assert epochs_until_pruned(settings_of(trial.number), runs_dir, value) == 8, "too few came before"
            study.tell(trial.number, [value])
        [good] = study.ask(1)
        assert epochs_until_pruned(settings_of(good.number), runs_dir, 0.65) == 8
        study.tell(good.number, [0.65])
        [poor] = study.ask(1)
        assert epochs_until_pruned(settings_of(poor.number), runs_dir, 0.55) == 4, "the first three epochs are free"
        study.tell(poor.number, None, pruned=True)
    found = results_of(read_study(directory, SearchConfig()), SearchConfig())
    assert [(trial.state, trial.epochs, trial.reported) for trial in found.trials[-2:]] == [
        ("finished", 8, 0.65),
        ("pruned", 4, 0.55),
    ]


def test_nothing_is_watched_where_nothing_could_be_pruned(tmp_path: Path) -> None:
    for settings in (
        SearchConfig(),
        settings_of(0, prune=False),
        settings_of(0, cost=Cost.size_mb),
    ):
        assert watch_of(settings, tmp_path) is None
