"""Tests for thresholds, against a search that evaluates every observed score."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score

from ratchet.config import Average, ThresholdConfig, ThresholdMethod
from ratchet.data.dataset import Task
from ratchet.evaluation import metrics
from ratchet.evaluation import thresholds as thresholds_module
from ratchet.evaluation.metrics import Binary, compute_averages
from ratchet.evaluation.thresholds import (
    Thresholds,
    choose_thresholds,
    compute_f1_by_threshold,
    compute_tuned_f1,
    find_best_threshold,
)

AVERAGES = list(Average)
TUNED = ThresholdConfig(method=ThresholdMethod.tuned)


def compute_f1_by_brute_force(targets: Binary, scores: npt.NDArray[Any], average: Average) -> dict[float, float]:
    """Return F1 by threshold, highest threshold first."""
    return {
        float(threshold): float(compute_averages(targets, (scores >= threshold).astype(np.uint8))[f"f1_{average.name}"])
        for threshold in sorted(set(scores.ravel().tolist()), reverse=True)
    }


def assert_matches_brute_force(targets: Binary, scores: npt.NDArray[Any], average: Average) -> None:
    expected = compute_f1_by_brute_force(targets, scores, average)
    candidates, values = compute_f1_by_threshold(targets, scores, average)
    assert candidates.tolist() == list(expected)
    np.testing.assert_allclose(values, list(expected.values()), atol=1e-9)
    expected = {threshold: value for threshold, value in expected.items() if threshold > 0}
    highest = max(expected.values(), default=0.0)
    first = next((threshold for threshold, value in expected.items() if value >= highest - 1e-9), 1.0)
    assert find_best_threshold(targets, scores, average) == first


def make_data(seed: int, items: int = 60, labels: int = 5) -> tuple[Binary, npt.NDArray[np.float32]]:
    generator = np.random.default_rng(seed)
    targets = (generator.random((items, labels)) < 0.3).astype(np.uint8)
    scores = np.clip(0.35 * targets + generator.normal(0.35, 0.2, targets.shape), 0, 1).astype(np.float32)
    return targets, scores


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("seed", range(3))
def test_f1_curve_matches_exhaustive_search(average: Average, seed: int) -> None:
    assert_matches_brute_force(*make_data(seed), average)


@pytest.mark.parametrize("average", [Average.weighted, Average.micro, Average.samples])
def test_f1_curve_matches_scikit_learn(average: Average) -> None:
    targets, scores = make_data(4, items=25, labels=3)
    for threshold, value in zip(*compute_f1_by_threshold(targets, scores, average), strict=True):
        expected = f1_score(targets, scores >= threshold, average=average.name, zero_division=0)
        assert value == pytest.approx(expected, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    items=st.integers(1, 7),
    labels=st.integers(1, 4),
    average=st.sampled_from(AVERAGES),
    levels=st.sampled_from([[0.5], [0.0, 1.0], [0.0, 0.1, 0.3, 0.7, 1.0]]),
)
def test_search_handles_small_and_degenerate_data(
    data: st.DataObject, items: int, labels: int, average: Average, levels: list[float]
) -> None:
    """Use few score levels: ties within and between labels, constant scores, labels and items without positives."""
    targets = data.draw(arrays(np.uint8, (items, labels), elements=st.integers(0, 1)))
    scores = data.draw(arrays(np.float64, (items, labels), elements=st.sampled_from(levels))).astype(np.float32)
    assert_matches_brute_force(targets, scores, average)


@pytest.mark.parametrize("average", AVERAGES)
def test_highest_of_equally_good_thresholds_is_chosen(average: Average) -> None:
    targets = np.array([[1], [0], [0], [1]], dtype=np.uint8)
    scores = np.array([[0.9], [0.8], [0.7], [0.6]], dtype=np.float32)
    # at .9 one of two positives: F1 = 2 / 3; at .6 both, with two false positives: F1 = 4 / 6
    expected = 0.9 if average is not Average.samples else 0.6
    assert find_best_threshold(targets, scores, average) == pytest.approx(expected)


@pytest.mark.parametrize("average", AVERAGES)
def test_highest_score_is_chosen_without_positives(average: Average) -> None:
    _, scores = make_data(0)
    assert find_best_threshold(np.zeros(scores.shape, dtype=np.uint8), scores, average) == scores.max()


@pytest.mark.parametrize("average", AVERAGES)
def test_binary_scores_are_their_own_decisions(average: Average) -> None:
    targets, _ = make_data(1)
    scores = targets.astype(np.float32)
    scores[:6] = 1 - scores[:6]
    thresholds = choose_thresholds(targets, scores, ThresholdConfig(average=average), Task.multilabel)
    np.testing.assert_array_equal(thresholds.decide(scores), scores.astype(np.uint8))


def test_constant_score_becomes_the_threshold() -> None:
    targets, scores = make_data(2)
    constant = np.full_like(scores, 0.3)
    assert find_best_threshold(targets, constant, Average.weighted) == pytest.approx(0.3)


def test_tuned_method_maximises_configured_average() -> None:
    generator = np.random.default_rng(0)
    targets, scores = make_data(3)
    scores[:, 0] = np.where(targets[:, 0], 0.3, generator.uniform(0, 0.2, len(targets)))  # the averages disagree
    chosen = {
        average: choose_thresholds(targets, scores, ThresholdConfig(average=average), Task.multilabel)
        for average in AVERAGES
    }
    for average, thresholds in chosen.items():
        assert thresholds.method == "tuned"
        assert thresholds.values is not None
        assert set(thresholds.values) == {find_best_threshold(targets, scores, average)}
        expected = max(compute_f1_by_brute_force(targets, scores, average).values())
        f1 = compute_averages(targets, thresholds.decide(scores))[f"f1_{average.name}"]
        assert f1 == pytest.approx(expected, abs=1e-9)


def test_per_label_method_falls_back_to_global_threshold() -> None:
    targets, scores = make_data(5)
    targets[:, 2] = 0
    config = ThresholdConfig(method=ThresholdMethod.per_label)
    values = choose_thresholds(targets, scores, config, Task.multilabel).values
    assert values is not None
    assert values[2] == find_best_threshold(targets, scores, Average.weighted)
    for label in (0, 1, 3, 4):
        f1_by_threshold = compute_f1_by_brute_force(targets[:, [label]], scores[:, [label]], Average.micro)
        assert values[label] == max(
            f1_by_threshold, key=lambda threshold: (round(f1_by_threshold[threshold], 9), threshold)
        )
    assert len(set(values)) > 2


def test_fixed_method_uses_configured_value() -> None:
    targets, scores = make_data(6)
    config = ThresholdConfig(method=ThresholdMethod.fixed, value=0.25)
    thresholds = choose_thresholds(targets, scores, config, Task.multilabel)
    assert thresholds.method == "fixed"
    np.testing.assert_array_equal(thresholds.decide(scores), scores >= 0.25)


def test_score_equal_to_threshold_is_positive() -> None:
    thresholds = Thresholds("tuned", np.array([0.5, float(np.float32(0.1))]))
    scores = np.array([[0.5, 0.1], [0.49, 0.09]], dtype=np.float32)
    assert thresholds.decide(scores).tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize("method", list(ThresholdMethod))
def test_multiclass_decides_by_largest_score(method: ThresholdMethod) -> None:
    targets = np.eye(3, dtype=np.uint8)
    scores = np.array([[0.2, 0.1, 0.1], [0.3, 0.6, 0.1], [0.4, 0.2, 0.4]], dtype=np.float32)
    thresholds = choose_thresholds(targets, scores, ThresholdConfig(method=method), Task.multiclass)
    assert thresholds.method == "argmax"
    assert thresholds.decide(scores).tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0]]  # a tie: the first label


@pytest.mark.parametrize(
    ("method", "task"),
    [(method, Task.multilabel) for method in ThresholdMethod] + [(ThresholdMethod.tuned, Task.multiclass)],
)
def test_json_round_trip_preserves_decisions(method: ThresholdMethod, task: Task) -> None:
    targets, scores = make_data(7)
    labels = ["a", "b/c", "ö", "d e", "f"]
    thresholds = choose_thresholds(targets, scores, ThresholdConfig(method=method), task)
    read = Thresholds.from_json(json.loads(json.dumps(thresholds.to_json(labels))), labels)
    assert read.method == thresholds.method
    np.testing.assert_array_equal(read.decide(scores), thresholds.decide(scores))
    if thresholds.values is not None:
        assert read.values is not None
        assert read.values.tolist() == thresholds.values.tolist()


def test_loaded_thresholds_follow_label_order() -> None:
    content = Thresholds("per_label", np.array([0.1, 0.9])).to_json(["x", "y"])
    assert content == {"method": "per_label", "values": {"x": 0.1, "y": 0.9}}
    read = Thresholds.from_json(content, ["y", "x"])
    assert read.values is not None
    assert read.values.tolist() == [0.9, 0.1]


@pytest.mark.parametrize("method", [ThresholdMethod.tuned, ThresholdMethod.per_label, ThresholdMethod.fixed])
@pytest.mark.parametrize("average", AVERAGES)
def test_tuned_f1_is_f1_at_chosen_thresholds(method: ThresholdMethod, average: Average) -> None:
    generator = np.random.default_rng(3)
    targets = (generator.random((30, 4)) < 0.3).astype(np.uint8)
    scores = generator.random((30, 4)).astype(np.float32)
    config = ThresholdConfig(method=method, average=average, value=0.7)
    decisions = choose_thresholds(targets, scores, config, Task.multilabel).decide(scores)
    expected = f1_score(targets, decisions, average=average.name, zero_division=0)
    assert compute_tuned_f1(targets, scores, config, Task.multilabel) == pytest.approx(expected)


def test_tuned_f1_of_multiclass_is_argmax_f1() -> None:
    targets = np.eye(3, dtype=np.uint8)[[0, 1, 2, 2]]
    scores = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0, 0, 1], [0.1, 0.2, 0.7]], dtype=np.float32)
    expected = f1_score([0, 1, 2, 2], [0, 0, 2, 2], average="weighted")
    assert compute_tuned_f1(targets, scores, ThresholdConfig(), Task.multiclass) == pytest.approx(expected)


# --- more scores than are sorted at once ------------------------------------------------------------------------------


@pytest.mark.parametrize("average", AVERAGES)
@settings(max_examples=60, deadline=None)
@given(
    targets=arrays(np.uint8, (9, 4), elements=st.integers(0, 1)),
    scores=arrays(np.float32, (9, 4), elements=st.floats(0, 1, width=16)),
    known=arrays(np.bool_, (9, 4)),
    edges=st.integers(2, 6),
)
def test_threshold_of_many_scores_is_that_of_the_complete_curve(
    average: Average, targets: Binary, scores: npt.NDArray[np.float32], known: npt.NDArray[np.bool_], edges: int
) -> None:
    for of_known in (None, known):
        expected = find_best_threshold(targets, scores, average, of_known)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(thresholds_module, "MAX_SORTED", 12)
            patch.setattr(thresholds_module, "_EDGES", edges)
            patch.setattr(metrics, "MAX_CELLS", 10)
            assert find_best_threshold(targets, scores, average, of_known) == expected


def test_few_ranges_of_many_scores_are_sorted(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, scores = make_data(0, items=2_000, labels=20)
    expected = find_best_threshold(targets, scores, Average.weighted)
    sorted_cells = []
    trace = thresholds_module._trace_f1
    monkeypatch.setattr(thresholds_module, "MAX_SORTED", 5_000)
    monkeypatch.setattr(
        thresholds_module, "_trace_f1", lambda *cells: sorted_cells.append(len(cells[0])) or trace(*cells)
    )
    assert find_best_threshold(targets, scores, Average.weighted) == expected
    assert 0 < sum(sorted_cells) < 0.2 * scores.size


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.uint8, (12, 3), elements=st.integers(0, 1)),
    arrays(np.float32, (12, 3), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75])),
)
def test_threshold_of_each_label_is_that_of_its_column(targets: Binary, scores: npt.NDArray[np.float32]) -> None:
    chosen = choose_thresholds(targets, scores, ThresholdConfig(ThresholdMethod.per_label), Task.multilabel)
    assert chosen.values is not None
    for label in np.flatnonzero(targets.any(axis=0)):
        column = (targets[:, [label]], scores[:, [label]])
        assert chosen.values[label] == find_best_threshold(*column, Average.micro)
