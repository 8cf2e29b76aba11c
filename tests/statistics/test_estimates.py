"""Tests for estimates, against Student's and Welch's t-tests, and for the variance that the records explain."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from scipy.linalg import hadamard
from tests.statistics.arrays import certain

from ratchet.statistics.estimates import (
    Estimate,
    ResampledMetric,
    estimate,
    estimate_all_differences,
    estimate_difference,
    estimate_training_spread,
    mean_without_nan,
    variance_without_nan,
)

VALUES = {2: [0.61, 0.64], 3: [0.6, -0.7, 0.65], 5: [0.02, -0.01, 0.03, 0.01, 0.005]}
ERROR = 0.02
SAMPLES = 32


def make_metric(values: list[float], columns: list[int]) -> ResampledMetric:
    """Return a metric with one split per value; samples deviate by +-ERROR, independently where `columns` differ."""
    signs = hadamard(SAMPLES)[:, columns].astype(np.float64)
    return ResampledMetric(
        np.array(values), np.array(values) + ERROR * signs, tuple(str(row) for row in range(len(values)))
    )


def assert_matches_test(result: Estimate, test: Any) -> None:
    low, high = test.confidence_interval(0.95)
    assert result.degrees_of_freedom == pytest.approx(test.df)
    assert result.p_value() == pytest.approx(test.pvalue)
    assert result.lower(0.025) == pytest.approx(low)
    assert result.upper(0.025) == pytest.approx(high)


def test_error_of_single_run_comes_from_its_records() -> None:
    samples = np.random.default_rng(0).normal(0.6, 0.03, (500, 1))
    result = estimate(ResampledMetric(np.array([0.6]), samples, ("a",)))
    error = samples.std(ddof=1)
    assert result.value == 0.6
    assert result.standard_error == pytest.approx(error)
    assert result.training_variance == 0
    assert result.lower(0.025) == pytest.approx(0.6 - stats.norm.ppf(0.975) * error, rel=1e-5)
    assert result.upper(0.025) == pytest.approx(0.6 + stats.norm.ppf(0.975) * error, rel=1e-5)
    assert result.upper(0.05) < result.upper(0.025)


def test_difference_of_two_runs_uses_paired_bootstrap_samples() -> None:
    generator = np.random.default_rng(1)
    shared = generator.normal(0, 0.05, (400, 1))
    left = ResampledMetric(np.array([0.7]), 0.7 + shared + generator.normal(0, 0.01, (400, 1)), ("a",))
    right = ResampledMetric(np.array([0.68]), 0.68 + shared + generator.normal(0, 0.01, (400, 1)), ("a",))
    difference = estimate_difference(left, right)
    error = (left.resampled - right.resampled).std(ddof=1)
    assert error < 0.02
    assert difference.standard_error == pytest.approx(error)
    assert difference.p_value() == pytest.approx(2 * stats.norm.sf(0.02 / error), rel=1e-4)


@pytest.mark.parametrize("splits", VALUES)
def test_without_sampling_error_estimate_matches_student(splits: int) -> None:
    values = VALUES[splits]
    result = estimate(certain(values))
    assert result.value == pytest.approx(np.mean(values))
    assert result.standard_error == pytest.approx(np.std(values, ddof=1) / np.sqrt(splits))
    assert result.degrees_of_freedom == pytest.approx(splits - 1)
    assert_matches_test(result, stats.ttest_1samp(values, 0.0))


@pytest.mark.parametrize("splits", VALUES)
def test_difference_on_several_splits_matches_paired_t_test(splits: int) -> None:
    left = VALUES[splits]
    right = np.random.default_rng(splits).normal(0.3, 0.1, splits)
    assert_matches_test(estimate_difference(certain(left), certain(right)), stats.ttest_rel(left, right))


@pytest.mark.parametrize("seeds", [(2, 2), (3, 5), (5, 3), (8, 4)])
def test_difference_of_seeds_on_one_split_matches_welch(seeds: tuple[int, int]) -> None:
    generator = np.random.default_rng(seeds)
    left, right = generator.normal(0.72, 0.01, seeds[0]), generator.normal(0.7, 0.04, seeds[1])
    difference = estimate_difference(certain(left, ["a"] * seeds[0]), certain(right, ["a"] * seeds[1]))
    assert_matches_test(difference, stats.ttest_ind(left, right, equal_var=False))


def test_seeds_against_single_run_use_known_training_variance() -> None:
    values = [0.7, 0.73, 0.76]
    difference = estimate_difference(certain(values, ["a"] * 3), certain([0.7], ["a"]))
    assert difference.value == pytest.approx(0.03)
    assert_matches_test(difference, stats.ttest_1samp(np.array(values) - 0.7, 0.0))


def test_seeds_are_averaged_before_splits() -> None:
    metric = certain([0.9, 0.5, 0.7, 0.8], ["b", "a", "b", "b"])
    split = metric.by_split()
    assert split.splits == ("b", "a")
    np.testing.assert_allclose(split.values, [0.8, 0.5])
    np.testing.assert_allclose(split.resampled, np.tile([0.8, 0.5], (8, 1)))
    assert estimate(metric).value == pytest.approx(0.65)  # the mean of the runs is 0.725
    assert_matches_test(estimate(metric), stats.ttest_1samp([0.8, 0.5], 0.0))
    other = certain([0.6, 0.4, 0.5], ["b", "a", "a"])
    assert_matches_test(estimate_difference(metric, other), stats.ttest_rel([0.8, 0.5], [0.6, 0.45]))


def test_order_of_runs_does_not_matter() -> None:
    left = ResampledMetric(*_generate_noise(4, seed=3), ("a", "b", "a", "b"))
    order = [2, 0, 1, 3]
    shuffled = ResampledMetric(left.values[order], left.resampled[:, order], ("a", "a", "b", "b"))
    assert estimate(shuffled).p_value() == pytest.approx(estimate(left).p_value())
    assert estimate(shuffled).lower(0.025) == pytest.approx(estimate(left).lower(0.025))


def test_spread_explained_by_records_is_not_training_variance() -> None:
    values = [0.59, 0.61, 0.6, 0.595]  # a variance below ERROR ** 2
    result = estimate(make_metric(values, [1, 2, 3, 4]))
    assert result.training_variance == 0
    assert result.record_variance == pytest.approx(ERROR**2 / 4 * SAMPLES / (SAMPLES - 1))
    assert estimate_training_spread(make_metric(values, [1, 2, 3, 4]))[0] == 0


def test_unexplained_spread_is_training_variance() -> None:
    values = [0.5, 0.6, 0.55, 0.7]
    spread, metric = np.var(values, ddof=1), make_metric(values, [1, 2, 3, 4])
    result = estimate(metric)
    assert result.training_variance == pytest.approx((spread - ERROR**2) / 4)
    assert result.standard_error == pytest.approx(np.sqrt(spread / 4), rel=1e-2)
    assert estimate_training_spread(metric)[0] == pytest.approx(np.sqrt(spread - ERROR**2))
    total = result.record_variance + result.training_variance
    assert result.degrees_of_freedom == pytest.approx(
        total**2 / ((spread / 4) ** 2 / 3)
    )  # Satterthwaite: 3 for the spread


def test_repeats_on_same_records_do_not_reduce_record_variance() -> None:
    values = [0.5, 0.6, 0.55, 0.7]
    result = estimate(make_metric(values, [1, 1, 1, 1]))
    assert result.record_variance == pytest.approx(ERROR**2 * SAMPLES / (SAMPLES - 1))
    assert result.training_variance == pytest.approx(np.var(values, ddof=1) / 4)


def test_shared_sampling_error_cancels_in_difference() -> None:
    difference = estimate_difference(make_metric([0.5, 0.6], [1, 2]), make_metric([0.4, 0.45], [1, 2]))
    assert difference.record_variance == pytest.approx(0, abs=1e-30)
    assert (
        estimate_difference(make_metric([0.5, 0.6], [1, 2]), make_metric([0.4, 0.45], [3, 4])).record_variance
        > ERROR**2 / 2
    )


def test_training_spread_is_between_splits_and_between_seeds() -> None:
    between, within = estimate_training_spread(certain([0.5, 0.7, 0.7, 0.6, 0.9, 0.8], ["a", "b", "b", "a", "b", "c"]))
    seeds = [np.var([0.5, 0.6], ddof=1), np.var([0.7, 0.7, 0.9], ddof=1)]
    assert between == pytest.approx(np.std([0.55, 2.3 / 3, 0.8], ddof=1))
    assert within == pytest.approx(np.sqrt(np.mean(seeds)))


def test_unknown_spread_is_nan() -> None:
    assert np.isnan(estimate_training_spread(certain([0.6]))).all()
    assert [np.isnan(spread) for spread in estimate_training_spread(certain([0.6, 0.7]))] == [False, True]
    assert [np.isnan(spread) for spread in estimate_training_spread(certain([0.6, 0.7], ["a", "a"]))] == [True, False]


def test_run_with_nan_is_left_out() -> None:
    values, samples = _generate_noise(4, 2, seed=5)
    values[1, 0] = np.nan
    samples[:, 1, 0] = np.nan
    result = estimate(ResampledMetric(values, samples, ("a", "b", "c", "d")))
    for column, rows in enumerate(([0, 2, 3], [0, 1, 2, 3])):
        separate = ResampledMetric(values[rows, column], samples[:, rows, column], tuple(str(row) for row in rows))
        for name in ("value", "record_variance", "training_variance", "degrees_of_freedom"):
            assert getattr(result, name)[column] == pytest.approx(getattr(estimate(separate), name)), name


def test_bootstrap_samples_with_nan_are_left_out() -> None:
    values, samples = _generate_noise(1, seed=6)
    without = samples.copy()
    without[3:] = np.nan
    assert estimate(ResampledMetric(values, without, ("a",))).standard_error == pytest.approx(samples[:3].std(ddof=1))


def test_estimate_without_known_values_is_nan() -> None:
    result = estimate(certain([[np.nan, 0.5], [np.nan, 0.6]]))
    np.testing.assert_allclose(result.value, [np.nan, 0.55])
    assert np.isnan(result.lower(0.025)[0])


def test_p_value_without_error_is_0_or_1() -> None:
    difference = estimate_difference(certain([[0.6, 0.75, 0.25]]), certain([[0.6, 0.5, 0.5]]))
    assert difference.standard_error.tolist() == [0, 0, 0]
    assert difference.p_value().tolist() == [1, 0, 0]
    assert difference.lower(0.025).tolist() == difference.upper(0.025).tolist() == [0, 0.25, -0.25]


def test_minimum_detectable_effect_has_80_percent_power() -> None:
    result = estimate(make_metric([0.5], [1]))
    shift = result.minimum_detectable_effect / result.standard_error
    power = stats.norm.sf(stats.norm.ppf(0.975) - shift) + stats.norm.cdf(-stats.norm.ppf(0.975) - shift)
    assert power == pytest.approx(0.8, abs=0.001)


def _generate_noise(*shape: int, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    values = generator.uniform(0.3, 0.9, shape)
    return values, values + generator.normal(0, 0.05, (9, *shape))


@st.composite
def generate_metrics(draw: st.DrawFn, count: int = 1) -> list[ResampledMetric]:
    """Generate candidates on the same splits with three metrics each; some runs and samples are NaN."""
    splits = tuple(draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=5)))
    shares = st.integers(0, 16).map(lambda number: number / 16) | st.just(np.nan)
    metrics = []
    for _ in range(count):
        values = draw(arrays(np.float64, (len(splits), 3), elements=shares))
        samples = draw(arrays(np.float64, (5, len(splits), 3), elements=shares))
        metrics.append(ResampledMetric(values, np.where(np.isnan(values), np.nan, samples), splits))
    return metrics


@given(generate_metrics(2))
@settings(max_examples=60, deadline=None)
def test_several_metrics_are_estimated_independently(pair: list[ResampledMetric]) -> None:
    together = estimate_difference(*pair)
    for column in range(3):
        separate = estimate_difference(
            *(
                ResampledMetric(metric.values[:, column], metric.resampled[..., column], metric.splits)
                for metric in pair
            )
        )
        assert together.value[column] == pytest.approx(separate.value, nan_ok=True)
        assert together.standard_error[column] == pytest.approx(separate.standard_error, abs=1e-7)
        if separate.standard_error > 1e-3:  # below, it is rounding error, and p and df mean nothing
            assert together.degrees_of_freedom[column] == pytest.approx(separate.degrees_of_freedom)
            assert together.p_value()[column] == pytest.approx(separate.p_value(), nan_ok=True)


@given(generate_metrics(2))
@settings(max_examples=60, deadline=None)
def test_reversed_difference_only_changes_sign(pair: list[ResampledMetric]) -> None:
    left, right = pair
    forward, backward = estimate_difference(left, right), estimate_difference(right, left)
    np.testing.assert_allclose(forward.value, -backward.value)
    np.testing.assert_allclose(forward.standard_error, backward.standard_error)
    np.testing.assert_allclose(forward.lower(0.025), -backward.upper(0.025), atol=1e-12)
    np.testing.assert_allclose(forward.p_value(), backward.p_value())


@given(generate_metrics())
@settings(max_examples=60, deadline=None)
def test_intervals_are_symmetric_and_training_adds_variance(metrics: list[ResampledMetric]) -> None:
    result = estimate(metrics[0])
    known = ~np.isnan(result.value)
    low, high = result.lower(0.025), result.upper(0.025)
    np.testing.assert_allclose((high - result.value)[known], (result.value - low)[known], atol=1e-9)
    assert (low[known] <= result.value[known] + 1e-12).all()
    assert (result.degrees_of_freedom >= 1).all()
    assert (result.training_variance >= 0).all()
    assert (result.standard_error >= np.sqrt(result.record_variance)).all()
    assert (result.upper(0.05) <= high + 1e-12)[known].all()
    assert ((result.p_value() >= 0) & (result.p_value() <= 1)).all()


@given(arrays(np.float64, (4, 3, 2), elements=st.floats(-1, 1, width=16) | st.just(np.nan)), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_means_and_variances_ignore_nan(values: npt.NDArray[np.float64], axis: int) -> None:
    mean, variance = mean_without_nan(values, axis), variance_without_nan(values, axis)
    for index in np.ndindex(mean.shape):
        entries = np.moveaxis(values, axis, 0)[(slice(None), *index)]
        known = entries[~np.isnan(entries)]
        assert mean[index] == pytest.approx(known.mean() if len(known) else np.nan, abs=1e-12, nan_ok=True)
        assert variance[index] == pytest.approx(known.var(ddof=1) if len(known) > 1 else 0, abs=1e-12)


@pytest.mark.parametrize("splits", ["abc", "aab", "aaa", "a"])
def test_all_differences_are_those_of_each_pair(splits: str) -> None:
    generator = np.random.default_rng(0)
    metrics = []
    for _ in range(5):
        values = generator.random(len(splits))
        samples = values + 0.1 * generator.standard_normal((300, len(splits)))
        metrics.append(ResampledMetric(values, samples, tuple(splits)))
    table = estimate_all_differences(metrics)
    for row, left in enumerate(metrics):
        for column, right in enumerate(metrics):
            if row != column:
                expected = estimate_difference(left, right)
                for name, value in vars(expected).items():
                    assert vars(table)[name][row, column] == pytest.approx(float(value), rel=1e-9), name
