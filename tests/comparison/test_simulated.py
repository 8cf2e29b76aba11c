"""Measure error rates where the truth is known: a short version of benchmarks/comparison_error.py."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WORLDS, RESAMPLES = 120, 200
ERROR = (0.05 * 0.95 / WORLDS) ** 0.5  # of a rate of .05 or .95

Rates = dict[str, dict[str, float]]
Try = Callable[..., Rates]


@pytest.fixture(scope="module")
def try_worlds(project: Path) -> Iterator[Try]:
    """Measure rates: `try_worlds(repeats=3)` returns those of a design, in the same worlds every time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(project / "benchmarks"))
        worlds = importlib.import_module("worlds")
        benchmark = importlib.import_module("comparison_error")

        def run(other: tuple[float, float] | None = None, number: int = WORLDS, **design: float | bool) -> Rates:
            models = (worlds.Model(), worlds.Model(*(other or ())))
            found: Rates = benchmark.try_design(worlds.Design(models, **design), number, RESAMPLES)
            return found

        yield run


@pytest.mark.parametrize(
    ("repeats", "same_test_set", "training"),
    [
        (1, True, 0.0),
        (3, True, 0.05),
        (5, False, 0.05),
        pytest.param(5, False, 0.12, marks=pytest.mark.thorough),
    ],
)
def test_equally_good_models_are_called_different_in_one_of_twenty_worlds_at_most(
    try_worlds: Try, repeats: int, same_test_set: bool, training: float
) -> None:
    for metric, found in try_worlds(repeats=repeats, same_test_set=same_test_set, training=training).items():
        assert found["called"] <= 0.05 + 3 * ERROR, metric
        assert found["coverage"] >= 0.95 - 3 * ERROR, metric


def test_one_run_and_another_are_compared_as_the_two_that_they_are(try_worlds: Try) -> None:
    """One run cannot show the variance of training: there the interval is too narrow, and this test detects it."""
    found = try_worlds(repeats=1, same_test_set=True, training=0.12)["f1_weighted"]
    assert found["pair"] >= 0.95 - 3 * ERROR
    assert found["coverage"] < 0.9


def test_a_model_that_is_better_by_far_is_called_better(try_worlds: Try) -> None:
    found = try_worlds(other=(0.9, 0.006), number=40, repeats=5)["f1_weighted"]
    assert found["difference"] > 0.1
    assert found["called"] > 0.95
    assert found["coverage"] >= 0.95 - 3 * (0.05 * 0.95 / 40) ** 0.5


def test_drawing_repeats_along_with_records_counts_the_doubt_about_records_twice(try_worlds: Try) -> None:
    """This is why the interval is not a percentile bootstrap over records and repeats together."""
    found = try_worlds(repeats=5, same_test_set=False, training=0.0)["f1_weighted"]
    assert found["percentile"] >= 0.97
