"""Tests for verdicts, and for the number of records that would detect a difference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.statistics.arrays import certain

from ratchet.comparison.compare import clip_interval, nan_to_none
from ratchet.comparison.differences import decide_verdict, describe_verdict
from ratchet.statistics.estimates import Estimate, estimate_difference, estimate_more_records, round_up

DETECTABLE = 2.8  # standard errors


def make_estimate(value: float, records: float, training: float = 0.0, degrees_of_freedom: float = 1e6) -> Estimate:
    """Return a difference with these standard errors."""
    return Estimate(*(np.array(part) for part in (value, records**2, training**2, degrees_of_freedom)))


def compute_error(estimate: Estimate, times: float) -> float:
    """Return the standard error with `times` as many records: only their own part shrinks."""
    return float(np.sqrt(estimate.record_variance / times + estimate.training_variance))


@pytest.mark.parametrize(
    ("value", "low", "high", "p", "expected"),
    [
        (0.03, 0.01, 0.05, 0.01, "better"),
        (-0.03, -0.05, -0.01, 0.01, "worse"),
        (0.03, 0.01, 0.05, 0.05, "not distinguishable"),
        (0.03, 0.01, 0.05, 0.0499, "better"),
        (0.03, 0.0, 0.06, 0.01, "not distinguishable"),
        (-0.03, -0.06, 0.0, 0.01, "not distinguishable"),
        (0.03, -0.01, 0.07, 0.01, "not distinguishable"),
        (0.03, -0.01, 0.07, 0.2, "not distinguishable"),
        (0.0, 0.0, 0.0, 1.0, "not distinguishable"),
    ],
)
def test_verdict_requires_small_p_and_interval_without_0(
    value: float, low: float, high: float, p: float, expected: str
) -> None:
    assert decide_verdict(value, low, high, p) == expected


@given(
    value=st.floats(0.005, 0.2), records=st.floats(0.005, 0.1), training=st.floats(0, 0.05), count=st.integers(20, 5000)
)
@settings(deadline=None)
def test_suggested_records_make_difference_detectable(
    value: float, records: float, training: float, count: int
) -> None:
    estimate = make_estimate(value, records, training)
    more = estimate_more_records(estimate, count)
    if more is None:
        too_far = value < DETECTABLE * compute_error(estimate, 100) * 1.001
        assert too_far or value >= DETECTABLE * compute_error(estimate, 1) * 0.999, (
            "no number of records, or none needed"
        )
        return
    assert value >= DETECTABLE * compute_error(estimate, 1 + more / count) * 0.999
    if more > 1:  # the next smaller number with two significant digits
        fewer = more - 10 ** max(len(str(more)) - 2, 0)
        assert value < DETECTABLE * compute_error(estimate, 1 + fewer / count) * 1.001


def test_half_the_difference_needs_four_times_the_records() -> None:
    assert estimate_more_records(make_estimate(0.0561, 0.02), 200) is None, "already detectable"
    assert estimate_more_records(make_estimate(0.028, 0.02), 200) == 600
    assert estimate_more_records(make_estimate(-0.028, 0.02), 200) == 600
    assert estimate_more_records(make_estimate(0.014, 0.02), 200) == 3000


def test_more_records_do_not_reduce_training_variance() -> None:
    # .02² / (.01² - .008²) = 11.1 times as many
    assert estimate_more_records(make_estimate(0.028, 0.02, 0.008), 200) == 2100
    assert estimate_more_records(make_estimate(0.028, 0.02, 0.011), 200) is None
    assert estimate_more_records(make_estimate(0.028, 0.0, 0.02), 200) is None


def test_suggestion_is_limited_to_hundred_times_the_records() -> None:
    assert estimate_more_records(make_estimate(0.0057, 0.02), 200) == 20_000
    assert estimate_more_records(make_estimate(0.0055, 0.02), 200) is None
    assert estimate_more_records(make_estimate(0.0, 0.02), 200) is None


def test_distance_and_alpha_can_be_set() -> None:
    estimate = make_estimate(0.5, 0.02)  # 1.645 + 0.84 standard errors at .05
    assert estimate_more_records(estimate, 100, distance=0.02, alpha=0.05) == 520
    assert estimate_more_records(estimate, 100, distance=-0.02, alpha=0.05) == 520
    assert estimate_more_records(estimate, 100, distance=0.06, alpha=0.05) is None


def test_no_records_are_suggested_with_few_repeats() -> None:
    """With two splits t requires 12.7 standard errors, none of which come from the records here."""
    estimate = estimate_difference(certain([0.65, 0.67]), certain([0.6, 0.6]))
    assert estimate.lower(0.025) < 0 < estimate.upper(0.025)
    assert estimate_more_records(estimate, 217) is None
    assert "more repeats" in describe_verdict("not distinguishable", "rule", estimate, None)


def test_large_training_variance_needs_repeats() -> None:
    estimate = make_estimate(0.028, 0.02, 0.00999)
    assert "more repeats" in describe_verdict(
        "not distinguishable", "cnn", estimate, estimate_more_records(estimate, 217)
    )


def test_nan_difference_is_not_distinguishable() -> None:
    assert decide_verdict(np.nan, np.nan, np.nan, 0.0) == "not distinguishable"
    assert estimate_difference(certain([[np.nan]]), certain([[np.nan]])).p_value()[0] == 1


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, 1), (1.2, 2), (9.5, 10), (99, 99), (99.5, 100), (101, 110), (110, 110), (994, 1000), (12_001, 13_000)],
)
def test_numbers_are_rounded_up_to_two_digits(count: float, expected: int) -> None:
    assert round_up(count) == expected


@given(st.integers(1, 10**7))
@settings(deadline=None)
def test_rounding_up_adds_less_than_a_tenth(count: int) -> None:
    rounded = round_up(count)
    assert count <= rounded
    assert rounded - count < max(count / 10, 1)
    assert len(str(rounded).rstrip("0")) <= 2


def test_verdict_in_words_names_remedy() -> None:
    assert describe_verdict("better", "rule", make_estimate(0.1, 0.01), None) == "better than rule"
    assert describe_verdict("worse", "rule", make_estimate(-0.1, 0.01), 400) == "worse than rule"
    verdict = "not distinguishable from cnn"
    assert describe_verdict("not distinguishable", "cnn", make_estimate(0.0, 0.01), None) == verdict
    for difference, more, remedy in (
        (make_estimate(0.01, 0.01), 1400, "1,400 more test records"),
        (make_estimate(-0.01, 0.01, 0.02), None, "more repeats"),
        (make_estimate(0.0001, 0.02), None, "no test set"),
    ):
        sentence = describe_verdict("not distinguishable", "cnn", difference, more)
        assert sentence.startswith(f"{verdict}; ")
        assert remedy in sentence


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
@settings(deadline=None)
def test_clipped_interval_is_between_0_and_1_and_contains_value(value: float, below: float, above: float) -> None:
    low, high = clip_interval(value, value - below, value + above)
    assert 0 <= low <= value <= high <= 1
    assert (low, high) == (max(value - below, 0.0), min(value + above, 1.0))


def test_interval_moved_by_rounding_contains_value() -> None:
    assert clip_interval(0.9, 0.9 + 1e-15, 0.9 - 1e-15) == (0.9, 0.9)


def test_nan_becomes_none() -> None:
    assert nan_to_none(float("nan")) is None
    assert nan_to_none(np.float64(0.25)) == 0.25
