"""Tests for metrics, against scikit-learn, and for their deliberate differences from it."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score

from ratchet.evaluation import metrics
from ratchet.evaluation.metrics import (
    Binary,
    Counts,
    Positives,
    average_precision,
    compute_averages,
    compute_influence,
    compute_intervals,
    f1,
    generate_bootstrap_weights,
    precision,
    precision_recall_at_k,
    recall,
)

SCIKIT_LEARN: dict[str, Callable[..., Any]] = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
AVERAGES = ["weighted", "micro", "macro", "samples"]
TARGETS = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]], dtype=np.uint8)
SCORES = np.array([[0.9, 0.8, 0.1], [0.5, 0.5, 0.2], [0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])


def sample_binary(generator: np.random.Generator, shape: tuple[int, int], share: float) -> npt.NDArray[np.uint8]:
    return (generator.random(shape) < share).astype(np.uint8)


def make_decisions(seed: int, items: int = 80, labels: int = 6) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return targets and decisions that partly agree; some items have no label or decision, every label has support."""
    generator = np.random.default_rng(seed)
    targets = sample_binary(generator, (items, labels), 0.25)
    targets[:labels] |= np.eye(labels, dtype=np.uint8)
    flipped = sample_binary(generator, (items, labels), 0.2)
    return targets, targets ^ flipped


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("metric", SCIKIT_LEARN)
@pytest.mark.parametrize("seed", range(5))
def test_averages_match_scikit_learn(metric: str, average: str, seed: int) -> None:
    targets, decisions = make_decisions(seed)
    expected = SCIKIT_LEARN[metric](targets, decisions, average=average, zero_division=0)
    assert compute_averages(targets, decisions)[f"{metric}_{average}"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("metric", SCIKIT_LEARN)
def test_averages_with_sample_weights_match_scikit_learn(metric: str, average: str) -> None:
    targets, decisions = make_decisions(7)
    weights = np.random.default_rng(8).uniform(0.1, 3, len(targets))
    expected = SCIKIT_LEARN[metric](targets, decisions, average=average, zero_division=0, sample_weight=weights)
    assert compute_averages(targets, decisions, weights)[f"{metric}_{average}"] == pytest.approx(expected, abs=1e-12)


def test_metrics_per_label_match_scikit_learn() -> None:
    targets, decisions = make_decisions(3)
    decisions[:, 1] = 0  # never predicted: precision is 0 / 0
    counts = Counts.of(targets, decisions)
    for metric, expected in ((precision, precision_score), (recall, recall_score), (f1, f1_score)):
        np.testing.assert_allclose(metric(counts), expected(targets, decisions, average=None, zero_division=0))


def test_weighted_and_macro_averages_skip_labels_without_support() -> None:
    targets, decisions = make_decisions(1)
    targets[:, [0, 3]] = 0
    decisions[:, 3] = 0
    assert decisions[:, 0].any()
    supported = [1, 2, 4, 5]
    averages = compute_averages(targets, decisions)
    for metric, expected in SCIKIT_LEARN.items():
        for average in ("weighted", "macro"):
            supported_average = expected(
                targets[:, supported], decisions[:, supported], average=average, zero_division=0
            )
            assert averages[f"{metric}_{average}"] == pytest.approx(supported_average, abs=1e-12)
    # micro averages count predictions of a label without support as false positives
    assert (
        averages["precision_micro"]
        < compute_averages(targets[:, supported], decisions[:, supported])["precision_micro"]
    )


def test_averages_without_labels_or_predictions_are_zero() -> None:
    zeros = np.zeros((4, 3), dtype=np.uint8)
    assert set(compute_averages(zeros, zeros)) == {
        f"{metric}_{average}" for metric in SCIKIT_LEARN for average in AVERAGES
    }
    assert all(value == 0 for value in compute_averages(zeros, zeros).values())


def test_batched_weights_match_separate_calls() -> None:
    targets, decisions = make_decisions(2)
    scores = np.random.default_rng(3).random(targets.shape)
    weights = np.random.default_rng(4).integers(0, 4, (2, 5, len(targets)))
    averages, precisions = compute_averages(targets, decisions, weights), average_precision(targets, scores, weights)
    assert precisions.shape == (2, 5, 6)
    for index in np.ndindex(2, 5):
        for name, value in compute_averages(targets, decisions, weights[index]).items():
            assert averages[name][index] == pytest.approx(value, abs=1e-12)
        np.testing.assert_allclose(precisions[index], average_precision(targets, scores, weights[index]))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), items=st.integers(1, 8), labels=st.integers(1, 4))
def test_integer_weights_equal_repeated_records(data: st.DataObject, items: int, labels: int) -> None:
    shape = (items, labels)
    targets = data.draw(arrays(np.uint8, shape, elements=st.integers(0, 1)))
    decisions = data.draw(arrays(np.uint8, shape, elements=st.integers(0, 1)))
    scores = data.draw(arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
    times = data.draw(arrays(np.int64, items, elements=st.integers(0, 3)).filter(lambda counts: counts.any()))
    repeated = np.repeat(np.arange(items), times)
    expected = compute_averages(targets[repeated], decisions[repeated])
    for name, value in compute_averages(targets, decisions, times).items():
        assert value == pytest.approx(expected[name], abs=1e-12)
    np.testing.assert_allclose(
        average_precision(targets, scores, times), average_precision(targets[repeated], scores[repeated]), atol=1e-12
    )


@settings(max_examples=40, deadline=None)
@given(data=st.data(), items=st.integers(1, 10), labels=st.integers(1, 4))
def test_averages_are_between_0_and_1_and_1_if_perfect(data: st.DataObject, items: int, labels: int) -> None:
    targets = data.draw(arrays(np.uint8, (items, labels), elements=st.integers(0, 1)))
    decisions = data.draw(arrays(np.uint8, (items, labels), elements=st.integers(0, 1)))
    assert all(0 <= value <= 1 for value in compute_averages(targets, decisions).values())
    perfect = compute_averages(targets, targets)
    if targets.any():
        assert all(value == 1 for name, value in perfect.items() if not name.endswith("samples"))
    assert perfect["f1_samples"] == pytest.approx(targets.any(axis=1).mean())


@pytest.mark.parametrize("levels", [1, 2, 3, 10, None])
def test_average_precision_matches_scikit_learn_with_and_without_ties(levels: int | None) -> None:
    generator = np.random.default_rng(5)
    targets, _ = make_decisions(6)
    scores = generator.random(targets.shape) if levels is None else generator.integers(0, levels, targets.shape) / 10
    expected = average_precision_score(targets, scores, average=None)
    np.testing.assert_allclose(average_precision(targets, scores), expected)


@pytest.mark.parametrize("levels", [3, None])
def test_average_precision_with_sample_weights_matches_scikit_learn(levels: int | None) -> None:
    generator = np.random.default_rng(9)
    targets, _ = make_decisions(9)
    scores = generator.random(targets.shape) if levels is None else generator.integers(0, levels, targets.shape) / 10
    weights = generator.integers(0, 3, len(targets)).astype(float)
    expected = average_precision_score(targets, scores, average=None, sample_weight=weights)
    np.testing.assert_allclose(average_precision(targets, scores, weights), expected)


def test_average_precision_without_support_is_nan() -> None:
    targets = np.array([[1, 0], [0, 0], [1, 0]], dtype=np.uint8)
    scores = np.array([[0.9, 0.1], [0.5, 0.2], [0.1, 0.3]])
    # hits at rank 1 (1/1) and rank 3 (2/3), each half of the recall
    np.testing.assert_allclose(average_precision(targets, scores), [(1 + 2 / 3) / 2, np.nan])


def test_average_precision_with_zero_weight_positives_is_nan() -> None:
    targets = np.array([[1], [0]], dtype=np.uint8)
    weights = np.array([[0, 1], [1, 1]])
    np.testing.assert_allclose(average_precision(targets, np.array([[0.2], [0.8]]), weights), [[np.nan], [0.5]])


@pytest.mark.parametrize(
    ("k", "precision_at_k", "recall_at_k"),
    [
        # top 1: label 0 (hit), label 0 by the tie (miss), label 2 (miss), label 0 (hit)
        (1, 2 / 4, (1 / 2 + 0 + 1 / 3) / 3),
        # top 2: hits 1 of 2, 1 of 2, 0 of 2, 2 of 2
        (2, (1 / 2 + 1 / 2 + 0 + 1) / 4, (1 / 2 + 1 + 2 / 3) / 3),
        # all labels: recall is 1, precision is the share of true labels
        (3, (2 / 3 + 1 / 3 + 0 + 1) / 4, 1.0),
        # more than the number of labels: same as all labels
        (5, (2 / 3 + 1 / 3 + 0 + 1) / 4, 1.0),
    ],
)
def test_precision_and_recall_at_k_match_manual_calculation(k: int, precision_at_k: float, recall_at_k: float) -> None:
    assert precision_recall_at_k(TARGETS, SCORES, k) == (pytest.approx(precision_at_k), pytest.approx(recall_at_k))


def test_recall_at_k_without_positives_is_nan() -> None:
    precision_at_1, recall_at_1 = precision_recall_at_k(np.zeros((2, 3), dtype=np.uint8), SCORES[:2], 1)
    assert precision_at_1 == 0
    assert np.isnan(recall_at_1)


def sample_predictions(size: int, seed: int = 0, labels: int = 4) -> tuple[Binary, Binary, npt.NDArray[np.float32]]:
    """Sample targets, decisions and scores: P(label) = .4, P(decided | label) = .7, P(false alarm) = .2."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((size, labels)) < 0.4).astype(np.uint8)
    decisions = (generator.random(targets.shape) < np.where(targets, 0.7, 0.2)).astype(np.uint8)
    scores = np.clip(0.3 * decisions + generator.random(targets.shape) * 0.7, 0, 1).astype(np.float32)
    return targets, decisions, scores


def test_bootstrap_samples_have_original_size() -> None:
    weights = np.concatenate(list(generate_bootstrap_weights(30, 500)))
    assert weights.shape == (500, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert (weights == weights.round()).all()
    # each item is sampled once on average, with a variance of 1 - 1/n
    assert weights.mean(axis=0) == pytest.approx(np.ones(30), abs=0.2)
    assert weights.var() == pytest.approx(1 - 1 / 30, abs=0.05)


def test_intervals_contain_point_estimate() -> None:
    targets, decisions, scores = sample_predictions(300)
    point = {name: float(value) for name, value in compute_averages(targets, decisions).items()}
    point["average_precision_macro"] = float(average_precision(targets, scores).mean())
    intervals = compute_intervals(targets, decisions, scores, 500)
    assert set(intervals) == set(point)
    for name, (low, high) in intervals.items():
        assert low < point[name] < high, name
        assert low >= 0
        assert high <= 1


def test_average_precision_interval_requires_scores() -> None:
    targets, decisions, _ = sample_predictions(50)
    assert set(compute_intervals(targets, decisions, None, 100)) == set(compute_averages(targets, decisions))


def test_perfect_predictions_have_zero_width_intervals() -> None:
    targets, _, _ = sample_predictions(100)
    intervals = compute_intervals(targets, targets, None, 100)
    assert intervals["f1_weighted"] == intervals["f1_micro"] == (1.0, 1.0)


def test_interval_width_shrinks_with_square_root_of_size() -> None:
    widths = {}
    for size in (200, 3200):
        low_high = compute_intervals(*sample_predictions(size, seed=3), 1000)
        widths[size] = {name: high - low for name, (low, high) in low_high.items()}
    for name in ("f1_weighted", "f1_micro", "recall_macro", "f1_samples", "average_precision_macro"):
        assert 3 < widths[200][name] / widths[3200][name] < 5.3, name  # sqrt(3200 / 200) = 4


def test_intervals_are_deterministic() -> None:
    assert compute_intervals(*sample_predictions(80), 200) == compute_intervals(*sample_predictions(80), 200)


@pytest.mark.parametrize("cells", [1, 80, 1000, 16_001])
def test_block_size_does_not_change_intervals(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = compute_intervals(*sample_predictions(80), 200)
    assert len(list(generate_bootstrap_weights(80, 200))) == 1
    monkeypatch.setattr(metrics, "MAX_CELLS", cells)
    blocks = list(generate_bootstrap_weights(80, 200))
    assert max(len(block) for block in blocks) == max(1, min(200, cells // 80))
    assert sum(len(block) for block in blocks) == 200
    for name, low_high in compute_intervals(*sample_predictions(80), 200).items():
        assert low_high == pytest.approx(expected[name], abs=1e-12), name


def test_bootstrap_macro_average_skips_labels_without_support() -> None:
    """Test a label on one record: the third of the bootstrap samples without it must not count as 0."""
    targets, decisions, scores = sample_predictions(60, labels=2)
    targets[:, 1] = 0
    targets[0, 1] = 1
    decisions[:, 1] = targets[:, 1]
    decisions[:, 0] = targets[:, 0]
    scores = np.where(targets, 0.9, 0.1).astype(np.float32)
    intervals = compute_intervals(targets, decisions, scores, 300)
    assert intervals["f1_macro"] == (1.0, 1.0)
    assert intervals["average_precision_macro"] == (1.0, 1.0)


@pytest.mark.parametrize("metric", ["recall_micro", "f1_micro"])
def test_intervals_cover_true_value_in_95_percent_of_samples(metric: str) -> None:
    true_positives, predicted, actual = 0.4 * 0.7, 0.4 * 0.7 + 0.6 * 0.2, 0.4
    truth = {"recall_micro": 0.7, "f1_micro": 2 * true_positives / (predicted + actual)}[metric]
    covered = 0
    for seed in range(200):
        targets, decisions, _ = sample_predictions(150, seed=seed, labels=2)
        low, high = compute_intervals(targets, decisions, None, 200)[metric]
        covered += low <= truth <= high
    assert 0.88 <= covered / 200 <= 0.99


def test_bootstrap_ranking_skips_samples_without_positives() -> None:
    targets = np.zeros((20, 1), dtype=np.uint8)
    targets[3] = 1
    scores = np.linspace(0.9, 0.1, 20, dtype=np.float32)[:, None]
    scores[3] = 1.0
    intervals = compute_intervals(targets, (scores >= 1).astype(np.uint8), scores, 200)
    assert intervals["average_precision_macro"] == (1.0, 1.0)


# --- many records and labels ------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, (7, 4), elements=st.integers(0, 1)), arrays(np.uint8, (7, 4), elements=st.integers(0, 1)))
def test_sparse_counts_equal_products_of_dense_arrays(targets: Binary, decisions: Binary) -> None:
    weights = np.random.default_rng(0).integers(0, 4, (5, 7)).astype(np.float64)
    counts = Positives.of(targets, decisions).count(weights)
    np.testing.assert_array_equal(counts.true_positives, weights @ (targets & decisions))
    np.testing.assert_array_equal(counts.predicted, weights @ decisions)
    np.testing.assert_array_equal(counts.actual, weights @ targets)
    assert counts.actual.flags["C_CONTIGUOUS"], "averages add up in this order"


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint8, (6, 5), elements=st.integers(0, 1)),
    arrays(np.float32, (6, 5), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    st.integers(1, 7),
)
def test_precision_and_recall_at_k_equal_those_of_a_complete_ranking(
    targets: Binary, scores: npt.NDArray[np.float32], k: int
) -> None:
    top = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    hits = np.take_along_axis(targets, top, axis=1).sum(axis=1)
    labelled = targets.any(axis=1)
    precision_at_k, recall_at_k = precision_recall_at_k(targets, scores, k)
    assert precision_at_k == pytest.approx((hits / min(k, 5)).mean())
    if labelled.any():
        assert recall_at_k == pytest.approx((hits[labelled] / targets.sum(axis=1)[labelled]).mean())


@pytest.mark.parametrize("decimals", [1, 8])
def test_influence_is_the_derivative_of_macro_average_precision(decimals: int) -> None:
    targets, _, scores = sample_predictions(40)
    scores, step = scores.round(decimals), 1e-6
    targets[:, 2] = 0  # a label without support is left out of the average

    def measure(weights: npt.NDArray[np.float64]) -> float:
        return float(np.nanmean(average_precision(targets, scores, weights)))

    influence = compute_influence(targets, scores)
    for item in range(len(targets)):
        change = step * np.eye(len(targets))[item]
        derivative = (measure(1 + change) - measure(1 - change)) / (2 * step)
        assert influence[item] == pytest.approx(derivative, abs=1e-6)
    assert influence.sum() == pytest.approx(0, abs=1e-12)


def test_interval_of_large_ranking_is_like_that_of_the_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    targets = sample_binary(generator, (1_500, 6), 0.1)
    scores = 0.3 * targets + generator.normal(0.4, 0.2, targets.shape)
    decisions = (scores > 0.6).astype(np.uint8)
    expected = compute_intervals(targets, decisions, scores, 1_000)
    monkeypatch.setattr(metrics, "MAX_RANKED", 0)
    intervals = compute_intervals(targets, decisions, scores, 1_000)
    low, high = intervals.pop("average_precision_macro")
    expected_low, expected_high = expected.pop("average_precision_macro")
    assert intervals == expected
    width = expected_high - expected_low
    assert high - low == pytest.approx(width, rel=0.1)
    assert abs(low - expected_low) < 0.15 * width
    assert abs(high - expected_high) < 0.15 * width


def test_memory_is_bounded_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MAX_CELLS", 100_000)
    monkeypatch.setattr(metrics, "MAX_RANKED", 0)
    generator = np.random.default_rng(0)
    targets = sample_binary(generator, (2_500, 1_000), 0.003)
    scores = generator.random(targets.shape, dtype=np.float32)
    decisions = (scores > 0.997).astype(np.uint8)
    tracemalloc.start()
    compute_intervals(targets, decisions, scores, 100)
    average_precision(targets, scores)
    precision_recall_at_k(targets, scores, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15e6, "a copy of all scores as float64 has 20 MB"
