"""Tests for adjusted p-values, against worked examples (R's p.adjust) and their definitions."""

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.statistics.permutation import benjamini_hochberg, holm

Correction = Callable[[list[float]], list[float]]
p_values = st.lists(st.floats(0, 1), max_size=6)
both = pytest.mark.parametrize("correct", [holm, benjamini_hochberg])


@pytest.mark.parametrize(
    ("given_p", "expected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        ([0.6, 0.6, 0.01], [1.0, 1.0, 0.03]),
    ],
)
def test_holm_matches_worked_examples(given_p: list[float], expected: list[float]) -> None:
    assert holm(given_p) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given_p", "expected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.02, 0.04, 0.04, 0.02]),
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.05, 0.05, 0.05, 0.05]),
        ([0.6, 0.6, 0.01], [0.6, 0.6, 0.03]),
    ],
)
def test_benjamini_hochberg_matches_worked_examples(given_p: list[float], expected: list[float]) -> None:
    assert benjamini_hochberg(given_p) == pytest.approx(expected)


@both
def test_empty_list_and_single_value_are_unchanged(correct: Correction) -> None:
    assert correct([]) == []
    assert correct([0.037]) == [0.037]


@both
@given(p_values)
@settings(deadline=None)
def test_adjustment_keeps_order_and_never_decreases_values(correct: Correction, values: list[float]) -> None:
    adjusted = correct(values)
    assert len(adjusted) == len(values)
    assert all(type(value) is float for value in adjusted)
    for p, after in zip(values, adjusted, strict=True):
        assert p <= after <= 1 or after == pytest.approx(p)
    for (p, after), (other_p, other_after) in itertools.combinations(zip(values, adjusted, strict=True), 2):
        if p <= other_p:
            assert after <= other_after
        if p >= other_p:
            assert after >= other_after


@both
@given(p_values, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_order_of_comparisons_does_not_matter(correct: Correction, values: list[float], chance: object) -> None:
    order = list(range(len(values)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    adjusted = correct(values)
    assert correct([values[index] for index in order]) == [adjusted[index] for index in order]


@given(p_values)
@settings(deadline=None)
def test_holm_is_closed_test_of_bonferroni(values: list[float]) -> None:
    """Holm's procedure is the closed test of Bonferroni's, which is why it controls the family-wise error rate."""
    for index, adjusted in enumerate(holm(values)):
        sets = [
            [values[member] for member in members]
            for size in range(1, len(values) + 1)
            for members in itertools.combinations(range(len(values)), size)
            if index in members
        ]
        assert adjusted == pytest.approx(max(min(1.0, len(subset) * min(subset)) for subset in sets))


@given(st.lists(st.integers(0, 200).map(lambda number: number / 200), max_size=6))
@settings(deadline=None)
def test_benjamini_hochberg_matches_step_up_definition(values: list[float]) -> None:
    """The rejected hypotheses are the k smallest p-values, k the largest with p_(k) <= level * k / count."""
    adjusted = benjamini_hochberg(values)
    for level in (0.0507, 0.2003, 0.5001):  # no ratio below equals these levels, so rounding has no effect
        ordered = sorted(values)
        ranks = [number for number, p in enumerate(ordered, 1) if p * len(values) / number <= level]
        assert sum(value <= level for value in adjusted) == max(ranks, default=0)


@given(p_values)
@settings(deadline=None)
def test_benjamini_hochberg_is_never_stricter_than_holm(values: list[float]) -> None:
    for milder, stricter in zip(benjamini_hochberg(values), holm(values), strict=True):
        assert milder <= stricter + 1e-12
