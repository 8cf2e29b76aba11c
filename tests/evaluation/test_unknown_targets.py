"""Tests that unknown targets count in nothing: each measure against a loop over known cells, for any value there."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ratchet.config import Average, CalibrationConfig, CalibrationMethod, ThresholdConfig, ThresholdMethod
from ratchet.data.dataset import Task
from ratchet.data.known import Known, hide_unknown, list_measured_rows
from ratchet.errors import UserError
from ratchet.evaluation.calibration import compute_calibration_metrics, compute_reliability, fit_calibration
from ratchet.evaluation.measures import Metrics, compute_metrics
from ratchet.evaluation.metrics import (
    Binary,
    average_precision,
    compute_averages,
    generate_bootstrap_weights,
    precision_recall_at_k,
)
from ratchet.evaluation.thresholds import (
    Thresholds,
    choose_thresholds,
    compute_f1_by_threshold,
    compute_tuned_f1,
    find_best_threshold,
)

LABELS = ["audio", "graphs", "vision", "text"]
Scores = npt.NDArray[np.float32]
SEEDS = st.integers(0, 2**32 - 1)
WITHOUT_KNOWN = np.zeros((3, 4), dtype=bool)


def make_cells(seed: int, items: int = 30) -> tuple[Binary, Scores, Known]:
    """Return targets, scores with ties, and known cells. One item has no known cell, and one label has none, either."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((items, 4)) < 0.4).astype(np.uint8)
    scores = np.clip((targets * 0.3 + generator.random((items, 4)) * 0.7).round(1), 0.05, 0.95).astype(np.float32)
    known = generator.random((items, 4)) < 0.6
    known[2], known[3], known[:, 3] = False, [True, True, False, False], False
    return targets, scores, known


def change_unknown(targets: Binary, known: Known) -> Binary:
    return np.where(known, targets, 1 - targets).astype(np.uint8)


def measure(targets: Binary, scores: Scores, known: Known | None, at: float = 0.5) -> Metrics:
    decisions = Thresholds("fixed", np.full(4, at)).decide(scores)
    slices = [["even"] if row % 2 == 0 else ["odd", "all/odd"] for row in range(len(targets))]
    return compute_metrics(
        "val", targets, scores, decisions, LABELS, slices,
        task=Task.multilabel, cutoffs=[1, 3], resamples=20, known=known,
    )  # fmt: skip


def divide(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0


def compute_f1(pairs: list[tuple[int, int]]) -> float:
    """Return the F1 of (target, decision) pairs."""
    hits = sum(true and decided for true, decided in pairs)
    return divide(2 * hits, sum(true + decided for true, decided in pairs))


@given(seed=SEEDS)
@hypothesis_settings(max_examples=25, deadline=None)
def test_f1_counts_known_cells_only(seed: int) -> None:
    targets, scores, known = make_cells(seed)
    metrics, decided = measure(targets, scores, known), scores >= 0.5
    rows, columns = range(len(targets)), range(4)
    by_label = [[(int(targets[i, j]), int(decided[i, j])) for i in rows if known[i, j]] for j in columns]
    by_item = [[(int(targets[i, j]), int(decided[i, j])) for j in columns if known[i, j]] for i in rows]
    measured = [pairs for pairs in by_item if pairs]
    supports = [sum(true for true, _ in pairs) for pairs in by_label]
    values = [compute_f1(pairs) for pairs in by_label]
    assert metrics["val/records"] == len(measured) < len(targets)
    assert metrics["val/f1_micro"] == pytest.approx(compute_f1([pair for pairs in by_label for pair in pairs]))
    assert metrics["val/f1_samples"] == pytest.approx(np.mean([compute_f1(pairs) for pairs in measured]))
    weighted = divide(sum(v * s for v, s in zip(values, supports, strict=True)), sum(supports))
    assert metrics["val/f1_weighted"] == pytest.approx(weighted)
    for label, value, support in zip(LABELS, values, supports, strict=True):
        assert metrics[f"val/labels/{label}/f1"] == pytest.approx(value)
        assert metrics[f"val/labels/{label}/support"] == support
    odd = [pair for row in rows if row % 2 for pair in by_item[row]]
    assert metrics["val/slices/odd/records"] == sum(bool(by_item[row]) for row in rows if row % 2)
    assert metrics["val/labels_per_record_true"] == pytest.approx(
        sum(true for pairs in by_item for true, _ in pairs) / len(measured)
    )
    assert len(odd) == known[1::2].sum()


@given(seed=SEEDS)
@hypothesis_settings(max_examples=25, deadline=None)
def test_average_precision_ranks_the_known_items_of_a_label(seed: int) -> None:
    targets, scores, known = make_cells(seed)
    values = average_precision(targets, scores, known=known)
    for column in range(3):
        rows = known[:, column]
        expected = average_precision(targets[rows][:, [column]], scores[rows][:, [column]])
        np.testing.assert_allclose(values[column], expected[0])
    assert np.isnan(values[3])
    weights = next(generate_bootstrap_weights(len(targets), 5))
    resampled = average_precision(targets, scores, weights, known)
    rows = known[:, 0]
    alone = average_precision(targets[rows][:, :1], scores[rows][:, :1], weights[:, rows])
    np.testing.assert_allclose(resampled[:, 0], alone[:, 0])


@pytest.mark.parametrize("k", [1, 2, 3, 9])
@pytest.mark.parametrize("seed", range(5))
def test_precision_at_k_is_that_of_the_known_labels_of_an_item(seed: int, k: int) -> None:
    targets, scores, known = make_cells(seed)
    rows = list_measured_rows(known, len(targets))
    precisions, recalls = [], []
    for row in rows:
        cells = sorted(np.flatnonzero(known[row]), key=lambda j: (-scores[row, j], j))
        hits = sum(int(targets[row, j]) for j in cells[:k])
        precisions.append(hits / min(k, len(cells)))
        actual = sum(int(targets[row, j]) for j in cells)
        recalls += [hits / actual] if actual else []
    expected = np.mean(precisions), np.mean(recalls)
    assert precision_recall_at_k(targets[rows], scores[rows], k, known[rows]) == pytest.approx(expected)


@pytest.mark.parametrize("average", list(Average))
@pytest.mark.parametrize("seed", range(4))
def test_threshold_is_the_best_on_known_cells(seed: int, average: Average) -> None:
    targets, scores, known = make_cells(seed)
    rows = list_measured_rows(known, len(targets))
    hidden = hide_unknown(targets, known)[rows]
    candidates, values = compute_f1_by_threshold(targets, scores, average, known)
    assert candidates.tolist() == sorted({float(score) for score in scores[known]}, reverse=True)
    for candidate, value in zip(candidates, values, strict=True):
        decisions = hide_unknown((scores >= candidate).astype(np.uint8), known)[rows]
        assert value == pytest.approx(float(compute_averages(hidden, decisions)[f"f1_{average.name}"]))
    config = ThresholdConfig(average=average)
    assert compute_tuned_f1(targets, scores, config, Task.multilabel, known) == pytest.approx(values.max())


def test_threshold_of_a_label_is_chosen_on_its_known_items() -> None:
    targets, scores, known = make_cells(3)
    config = ThresholdConfig(method=ThresholdMethod.per_label)
    values = choose_thresholds(targets, scores, config, Task.multilabel, known).values
    assert values is not None
    for column in range(3):
        rows = known[:, column]
        alone = find_best_threshold(targets[rows][:, [column]], scores[rows][:, [column]], Average.micro)
        assert values[column] == alone
    assert values[3] == find_best_threshold(targets, scores, config.average, known), "the threshold of all labels"


def test_threshold_without_a_known_cell_is_the_highest_score() -> None:
    scores = np.linspace(0.1, 0.9, 12, dtype=np.float32).reshape(3, 4)
    chosen = choose_thresholds(np.ones((3, 4), np.uint8), scores, ThresholdConfig(), Task.multilabel, WITHOUT_KNOWN)
    assert chosen.values is not None
    assert set(chosen.values) == {float(scores.max())}
    tuned = compute_tuned_f1(np.ones((3, 4), np.uint8), scores, ThresholdConfig(), Task.multilabel, WITHOUT_KNOWN)
    assert tuned == 0


@pytest.mark.parametrize("seed", range(4))
def test_calibration_is_fitted_and_measured_on_known_cells(seed: int) -> None:
    targets, scores, known = make_cells(seed)
    config = CalibrationConfig(method=CalibrationMethod.temperature)
    cells, truth = scores[known][:, None], targets[known][:, None]
    fitted = fit_calibration(targets, scores, config, Task.multilabel, known)
    assert fitted.temperature == fit_calibration(truth, cells, config, Task.multilabel).temperature
    assert fitted.temperature != fit_calibration(targets, scores, config, Task.multilabel).temperature
    measured = compute_calibration_metrics(targets, scores, Task.multilabel, known)
    squares = [(float(scores[i, j]) - int(targets[i, j])) ** 2 for i, j in np.argwhere(known)]
    assert measured["brier"] == pytest.approx(np.mean(squares))
    bins = compute_reliability(targets, scores, Task.multilabel, known)
    assert sum(int(row["count"] or 0) for row in bins) == known.sum()
    assert bins == compute_reliability(truth, cells, Task.multilabel)


def test_part_without_a_known_cell_has_no_calibration() -> None:
    scores = np.full((3, 4), 0.5, dtype=np.float32)
    measured = compute_calibration_metrics(np.ones((3, 4), np.uint8), scores, Task.multilabel, WITHOUT_KNOWN)
    assert np.isnan(list(measured.values())).all()
    assert compute_reliability(np.ones((3, 4), np.uint8), scores, Task.multilabel, WITHOUT_KNOWN) == []


@given(seed=SEEDS)
@hypothesis_settings(max_examples=25, deadline=None)
def test_values_at_unknown_cells_change_nothing(seed: int) -> None:
    targets, scores, known = make_cells(seed)
    other = change_unknown(targets, known)
    assert (targets != other).any()
    assert measure(targets, scores, known) == measure(other, scores, known)
    methods = [ThresholdConfig(method=method, average=average) for method in ThresholdMethod for average in Average]
    for config in methods:
        one, two = (choose_thresholds(truth, scores, config, Task.multilabel, known) for truth in (targets, other))
        np.testing.assert_array_equal(one.values, two.values)


@given(seed=SEEDS)
@hypothesis_settings(max_examples=25, deadline=None)
def test_scores_at_unknown_cells_change_no_metric(seed: int) -> None:
    targets, scores, known = make_cells(seed)
    other = np.where(known, scores, 1 - scores)
    assert measure(targets, scores, known) == measure(targets, other, known)


@pytest.mark.parametrize("seed", range(3))
def test_mask_without_an_unknown_cell_changes_no_metric(seed: int) -> None:
    targets, scores, known = make_cells(seed)
    with_mask, without = measure(targets, scores, np.ones_like(known)), measure(targets, scores, None)
    assert with_mask.keys() == without.keys()
    for key, value in without.items():
        assert with_mask[key] == value, key


def test_part_without_a_known_target_cannot_be_measured() -> None:
    scores = np.full((3, 4), 0.5, dtype=np.float32)
    with pytest.raises(UserError, match=r"val: no target is known.*data\.labels\.unknown"):
        measure(np.zeros((3, 4), np.uint8), scores, WITHOUT_KNOWN)
