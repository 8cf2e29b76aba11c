"""Tests for error rates on simulated data: a short version of benchmarks/comparison_error.py."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WORLDS, RESAMPLES = 120, 200
ERROR = (0.05 * 0.95 / WORLDS) ** 0.5  # standard error of a rate of .05 or .95

Rates = dict[str, dict[str, float]]
Try = Callable[..., Rates]


@pytest.fixture(scope="module")
def try_worlds(project: Path) -> Iterator[Try]:
    """Yield a function: `try_worlds(repeats=3)` returns the rates of a design, always on the same simulated data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(project / "benchmarks"))
        worlds = importlib.import_module("worlds")
        benchmark = importlib.import_module("comparison_error")

        def run(second_model: tuple[float, float] | None = None, number: int = WORLDS, **design: float | bool) -> Rates:
            models = (worlds.Model(), worlds.Model(*(second_model or ())))
            rates: Rates = benchmark.try_design(worlds.Design(models, **design), number, RESAMPLES)
            return rates

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
def test_false_positive_rate_is_at_most_five_percent(
    try_worlds: Try, repeats: int, same_test_set: bool, training: float
) -> None:
    for metric, rates in try_worlds(repeats=repeats, same_test_set=same_test_set, training=training).items():
        assert rates["called"] <= 0.05 + 3 * ERROR, metric
        assert rates["coverage"] >= 0.95 - 3 * ERROR, metric


def test_single_run_interval_covers_the_pair_only(try_worlds: Try) -> None:
    """One run does not show the variance of training, so its interval is too narrow for the models."""
    rates = try_worlds(repeats=1, same_test_set=True, training=0.12)["f1_weighted"]
    assert rates["pair"] >= 0.95 - 3 * ERROR
    assert rates["coverage"] < 0.9


def test_much_better_model_is_detected(try_worlds: Try) -> None:
    rates = try_worlds(second_model=(0.9, 0.006), number=40, repeats=5)["f1_weighted"]
    assert rates["difference"] > 0.1
    assert rates["called"] > 0.95
    assert rates["coverage"] >= 0.95 - 3 * (0.05 * 0.95 / 40) ** 0.5


def test_bootstrap_over_records_and_repeats_is_too_wide(try_worlds: Try) -> None:
    """This is why the interval is not a percentile bootstrap over records and repeats together."""
    rates = try_worlds(repeats=5, same_test_set=False, training=0.0)["f1_weighted"]
    assert rates["percentile"] >= 0.97
