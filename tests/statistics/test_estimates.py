"""Compare estimates with Student's and Welch's tests; check the part of the spread that the records explain."""

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
    estimate_difference,
    estimate_training_spread,
    mean_without_nan,
    variance_without_nan,
)

BY_T = {2: [0.61, 0.64], 3: [0.6, -0.7, 0.65], 5: [0.02, -0.01, 0.03, 0.01, 0.005]}
ERROR = 0.02
DRAWS = 32


def moved(values: list[float], columns: list[int]) -> ResampledMetric:
    """Return one split per value; samples deviate by exactly +-ERROR, independently where `columns` differ."""
    signs = hadamard(DRAWS)[:, columns].astype(np.float64)
    return ResampledMetric(
        np.array(values), np.array(values) + ERROR * signs, tuple(str(row) for row in range(len(values)))
    )


def assert_is_test(found: Estimate, test: Any) -> None:
    low, high = test.confidence_interval(0.95)
    assert found.degrees_of_freedom == pytest.approx(test.df)
    assert found.p_value() == pytest.approx(test.pvalue)
    assert found.lower(0.025) == pytest.approx(low)
    assert found.upper(0.025) == pytest.approx(high)


def test_one_run_is_as_uncertain_as_its_records_are() -> None:
    draws = np.random.default_rng(0).normal(0.6, 0.03, (500, 1))
    found = estimate(ResampledMetric(np.array([0.6]), draws, ("a",)))
    error = draws.std(ddof=1)
    assert found.value == 0.6
    assert found.standard_error == pytest.approx(error)
    assert found.training_variance == 0
    assert found.lower(0.025) == pytest.approx(0.6 - stats.norm.ppf(0.975) * error, rel=1e-5)
    assert found.upper(0.025) == pytest.approx(0.6 + stats.norm.ppf(0.975) * error, rel=1e-5)
    assert found.upper(0.05) < found.upper(0.025)


def test_the_difference_of_two_runs_is_that_of_their_bootstrap_samples() -> None:
    generator = np.random.default_rng(1)
    shared = generator.normal(0, 0.05, (400, 1))
    left = ResampledMetric(np.array([0.7]), 0.7 + shared + generator.normal(0, 0.01, (400, 1)), ("a",))
    right = ResampledMetric(np.array([0.68]), 0.68 + shared + generator.normal(0, 0.01, (400, 1)), ("a",))
    found = estimate_difference(left, right)
    error = (left.resampled - right.resampled).std(ddof=1)
    assert error < 0.02
    assert found.standard_error == pytest.approx(error)
    assert found.p_value() == pytest.approx(2 * stats.norm.sf(0.02 / error), rel=1e-4)


@pytest.mark.parametrize("splits", BY_T)
def test_without_doubt_about_records_an_estimate_is_students_over_splits(splits: int) -> None:
    values = BY_T[splits]
    found = estimate(certain(values))
    assert found.value == pytest.approx(np.mean(values))
    assert found.standard_error == pytest.approx(np.std(values, ddof=1) / np.sqrt(splits))
    assert found.degrees_of_freedom == pytest.approx(splits - 1)
    assert_is_test(found, stats.ttest_1samp(values, 0.0))


@pytest.mark.parametrize("splits", BY_T)
def test_a_difference_on_several_splits_is_the_paired_t_test(splits: int) -> None:
    left = BY_T[splits]
    right = np.random.default_rng(splits).normal(0.3, 0.1, splits)
    assert_is_test(estimate_difference(certain(left), certain(right)), stats.ttest_rel(left, right))


@pytest.mark.parametrize("seeds", [(2, 2), (3, 5), (5, 3), (8, 4)])
def test_a_difference_of_several_seeds_on_one_split_is_welchs_t_test(seeds: tuple[int, int]) -> None:
    generator = np.random.default_rng(seeds)
    left, right = generator.normal(0.72, 0.01, seeds[0]), generator.normal(0.7, 0.04, seeds[1])
    found = estimate_difference(certain(left, ["a"] * seeds[0]), certain(right, ["a"] * seeds[1]))
    assert_is_test(found, stats.ttest_ind(left, right, equal_var=False))


def test_seeds_against_a_single_run_count_the_training_of_the_one_that_is_known() -> None:
    several = [0.7, 0.73, 0.76]
    found = estimate_difference(certain(several, ["a"] * 3), certain([0.7], ["a"]))
    assert found.value == pytest.approx(0.03)
    assert_is_test(found, stats.ttest_1samp(np.array(several) - 0.7, 0.0))


def test_seeds_are_averaged_before_splits() -> None:
    drawn = certain([0.9, 0.5, 0.7, 0.8], ["b", "a", "b", "b"])
    split = drawn.by_split()
    assert split.splits == ("b", "a")
    np.testing.assert_allclose(split.values, [0.8, 0.5])
    np.testing.assert_allclose(split.resampled, np.tile([0.8, 0.5], (8, 1)))
    assert estimate(drawn).value == pytest.approx(0.65)  # 0.725 is the mean of the runs
    assert_is_test(estimate(drawn), stats.ttest_1samp([0.8, 0.5], 0.0))
    other = certain([0.6, 0.4, 0.5], ["b", "a", "a"])
    assert_is_test(estimate_difference(drawn, other), stats.ttest_rel([0.8, 0.5], [0.6, 0.45]))


def test_seeds_of_several_splits_may_be_in_another_order() -> None:
    left = ResampledMetric(*_noise(4, seed=3), ("a", "b", "a", "b"))
    order = [2, 0, 1, 3]
    shuffled = ResampledMetric(left.values[order], left.resampled[:, order], ("a", "a", "b", "b"))
    assert estimate(shuffled).p_value() == pytest.approx(estimate(left).p_value())
    assert estimate(shuffled).lower(0.025) == pytest.approx(estimate(left).lower(0.025))


def test_a_spread_that_the_records_explain_is_no_training() -> None:
    values = [0.59, 0.61, 0.6, 0.595]  # a variance below ERROR ** 2
    found = estimate(moved(values, [1, 2, 3, 4]))
    assert found.training_variance == 0
    assert found.record_variance == pytest.approx(ERROR**2 / 4 * DRAWS / (DRAWS - 1))
    assert estimate_training_spread(moved(values, [1, 2, 3, 4]))[0] == 0


def test_what_the_records_do_not_explain_is_training() -> None:
    values = [0.5, 0.6, 0.55, 0.7]
    spread, drawn = np.var(values, ddof=1), moved(values, [1, 2, 3, 4])
    found = estimate(drawn)
    assert found.training_variance == pytest.approx((spread - ERROR**2) / 4)
    assert found.standard_error == pytest.approx(np.sqrt(spread / 4), rel=1e-2)
    assert estimate_training_spread(drawn)[0] == pytest.approx(np.sqrt(spread - ERROR**2))
    whole = found.record_variance + found.training_variance
    assert found.degrees_of_freedom == pytest.approx(
        whole**2 / ((spread / 4) ** 2 / 3)
    )  # Satterthwaite: 3 for the spread


def test_repeats_on_the_same_records_do_not_lessen_the_doubt_about_these() -> None:
    values = [0.5, 0.6, 0.55, 0.7]
    found = estimate(moved(values, [1, 1, 1, 1]))
    assert found.record_variance == pytest.approx(ERROR**2 * DRAWS / (DRAWS - 1))
    assert found.training_variance == pytest.approx(np.var(values, ddof=1) / 4)


def test_what_moves_both_candidates_does_not_move_their_difference() -> None:
    found = estimate_difference(moved([0.5, 0.6], [1, 2]), moved([0.4, 0.45], [1, 2]))
    assert found.record_variance == pytest.approx(0, abs=1e-30)
    assert estimate_difference(moved([0.5, 0.6], [1, 2]), moved([0.4, 0.45], [3, 4])).record_variance > ERROR**2 / 2


def test_the_spread_of_a_run_is_between_splits_and_between_seeds() -> None:
    between, within = estimate_training_spread(certain([0.5, 0.7, 0.7, 0.6, 0.9, 0.8], ["a", "b", "b", "a", "b", "c"]))
    seeds = [np.var([0.5, 0.6], ddof=1), np.var([0.7, 0.7, 0.9], ddof=1)]
    assert between == pytest.approx(np.std([0.55, 2.3 / 3, 0.8], ddof=1))
    assert within == pytest.approx(np.sqrt(np.mean(seeds)))


def test_an_unknown_spread_is_nan() -> None:
    assert np.isnan(estimate_training_spread(certain([0.6]))).all()
    assert [np.isnan(each) for each in estimate_training_spread(certain([0.6, 0.7]))] == [False, True]
    assert [np.isnan(each) for each in estimate_training_spread(certain([0.6, 0.7], ["a", "a"]))] == [True, False]


def test_a_run_with_nan_is_left_out() -> None:
    values, draws = _noise(4, 2, seed=5)
    values[1, 0] = np.nan
    draws[:, 1, 0] = np.nan
    found = estimate(ResampledMetric(values, draws, ("a", "b", "c", "d")))
    for column, rows in enumerate(([0, 2, 3], [0, 1, 2, 3])):
        alone = ResampledMetric(values[rows, column], draws[:, rows, column], tuple(str(row) for row in rows))
        for name in ("value", "record_variance", "training_variance", "degrees_of_freedom"):
            assert getattr(found, name)[column] == pytest.approx(getattr(estimate(alone), name)), name


def test_bootstrap_samples_with_nan_are_left_out() -> None:
    values, draws = _noise(1, seed=6)
    without = draws.copy()
    without[3:] = np.nan
    assert estimate(ResampledMetric(values, without, ("a",))).standard_error == pytest.approx(draws[:3].std(ddof=1))


def test_without_a_known_value_the_estimate_is_nan() -> None:
    found = estimate(certain([[np.nan, 0.5], [np.nan, 0.6]]))
    np.testing.assert_allclose(found.value, [np.nan, 0.55])
    assert np.isnan(found.lower(0.025)[0])


def test_a_value_without_error_is_0_or_it_is_not() -> None:
    found = estimate_difference(certain([[0.6, 0.75, 0.25]]), certain([[0.6, 0.5, 0.5]]))
    assert found.standard_error.tolist() == [0, 0, 0]
    assert found.p_value().tolist() == [1, 0, 0]
    assert found.lower(0.025).tolist() == found.upper(0.025).tolist() == [0, 0.25, -0.25]


def test_the_detectable_difference_is_found_in_four_cases_of_five() -> None:
    found = estimate(moved([0.5], [1]))
    shift = found.minimum_detectable_effect / found.standard_error
    power = stats.norm.sf(stats.norm.ppf(0.975) - shift) + stats.norm.cdf(-stats.norm.ppf(0.975) - shift)
    assert power == pytest.approx(0.8, abs=0.001)


def _noise(*shape: int, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    values = generator.uniform(0.3, 0.9, shape)
    return values, values + generator.normal(0, 0.05, (9, *shape))


@st.composite
def several(draw: st.DrawFn, count: int = 1) -> list[ResampledMetric]:
    """Generate candidates on the same splits with three metrics each; some runs and samples are NaN."""
    splits = tuple(draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=5)))
    shares = st.integers(0, 16).map(lambda number: number / 16) | st.just(np.nan)
    found = []
    for _ in range(count):
        values = draw(arrays(np.float64, (len(splits), 3), elements=shares))
        draws = draw(arrays(np.float64, (5, len(splits), 3), elements=shares))
        found.append(ResampledMetric(values, np.where(np.isnan(values), np.nan, draws), splits))
    return found


@given(several(2))
@settings(max_examples=60, deadline=None)
def test_several_metrics_are_estimated_independently(pair: list[ResampledMetric]) -> None:
    whole = estimate_difference(*pair)
    for column in range(3):
        alone = estimate_difference(
            *(ResampledMetric(each.values[:, column], each.resampled[..., column], each.splits) for each in pair)
        )
        assert whole.value[column] == pytest.approx(alone.value, nan_ok=True)
        assert whole.standard_error[column] == pytest.approx(alone.standard_error, abs=1e-7)
        if alone.standard_error > 1e-3:  # p and freedom of what is rounding alone are of no interest
            assert whole.degrees_of_freedom[column] == pytest.approx(alone.degrees_of_freedom)
            assert whole.p_value()[column] == pytest.approx(alone.p_value(), nan_ok=True)


@given(several(2))
@settings(max_examples=60, deadline=None)
def test_a_difference_the_other_way_round_has_the_other_sign_and_no_other_doubt(pair: list[ResampledMetric]) -> None:
    left, right = pair
    one, other = estimate_difference(left, right), estimate_difference(right, left)
    np.testing.assert_allclose(one.value, -other.value)
    np.testing.assert_allclose(one.standard_error, other.standard_error)
    np.testing.assert_allclose(one.lower(0.025), -other.upper(0.025), atol=1e-12)
    np.testing.assert_allclose(one.p_value(), other.p_value())


@given(several())
@settings(max_examples=60, deadline=None)
def test_intervals_are_symmetrical_and_training_never_lessens_the_doubt(drawn: list[ResampledMetric]) -> None:
    found = estimate(drawn[0])
    told = ~np.isnan(found.value)
    low, high = found.lower(0.025), found.upper(0.025)
    np.testing.assert_allclose((high - found.value)[told], (found.value - low)[told], atol=1e-9)
    assert (low[told] <= found.value[told] + 1e-12).all()
    assert (found.degrees_of_freedom >= 1).all()
    assert (found.training_variance >= 0).all()
    assert (found.standard_error >= np.sqrt(found.record_variance)).all()
    assert (found.upper(0.05) <= high + 1e-12)[told].all()
    assert ((found.p_value() >= 0) & (found.p_value() <= 1)).all()


@given(arrays(np.float64, (4, 3, 2), elements=st.floats(-1, 1, width=16) | st.just(np.nan)), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_means_and_variances_are_those_of_what_is_there(values: npt.NDArray[np.float64], axis: int) -> None:
    mean, variance = mean_without_nan(values, axis), variance_without_nan(values, axis)
    for place in np.ndindex(mean.shape):
        whole = np.moveaxis(values, axis, 0)[(slice(None), *place)]
        there = whole[~np.isnan(whole)]
        assert mean[place] == pytest.approx(there.mean() if len(there) else np.nan, abs=1e-12, nan_ok=True)
        assert variance[place] == pytest.approx(there.var(ddof=1) if len(there) > 1 else 0, abs=1e-12)
