"""Tests for temperature scaling and calibration metrics, against scikit-learn and simulated truth."""

import json
import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import brier_score_loss, log_loss

from ratchet.config import CalibrationConfig, CalibrationMethod
from ratchet.data.dataset import Task
from ratchet.evaluation import calibration, metrics
from ratchet.evaluation.calibration import (
    Calibration,
    compute_calibration_metrics,
    compute_reliability,
    fit_calibration,
)
from ratchet.evaluation.metrics import Binary

Scores = npt.NDArray[np.float32]

TEMPERATURE = CalibrationConfig(method=CalibrationMethod.temperature)
NONE = CalibrationConfig(method=CalibrationMethod.none)


def sample_multilabel(
    seed: int = 0, *, items: int = 2000, labels: int = 5, temperature: float = 1.0
) -> tuple[Binary, Scores]:
    """Sample targets from probabilities; return them with scores that `temperature` turns into these probabilities."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 2, (items, labels))
    targets = (generator.random((items, labels)) < expit(logits)).astype(np.uint8)
    return targets, expit(logits * temperature).astype(np.float32)


def sample_multiclass(
    seed: int = 0, *, items: int = 3000, classes: int = 4, temperature: float = 1.0
) -> tuple[Binary, Scores]:
    """Sample targets and scores like `sample_multilabel`, with one label per record."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (items, classes))
    columns = (softmax(logits, axis=1).cumsum(axis=1) < generator.random((items, 1))).sum(axis=1)
    targets = np.eye(classes, dtype=np.uint8)[np.minimum(columns, classes - 1)]
    return targets, softmax(logits * temperature, axis=1).astype(np.float32)


SAMPLERS = {Task.multilabel: sample_multilabel, Task.multiclass: sample_multiclass}
TASKS = list(Task)


def compute_log_loss(targets: Binary, scores: npt.NDArray[Any], task: Task) -> float:
    """Return scikit-learn's log loss, over pairs or over records."""
    if task is Task.multilabel:
        return float(log_loss(targets.ravel(), scores.ravel().astype(np.float64), labels=[0, 1]))
    rows = scores.astype(np.float64)
    return float(log_loss(targets.argmax(axis=1), rows / rows.sum(axis=1, keepdims=True)))


class Given(ClassifierMixin, BaseEstimator):
    """A classifier that returns its input."""

    def fit(self, rows: npt.NDArray[Any], labels: npt.NDArray[Any]) -> "Given":
        self.classes_ = np.unique(labels)
        return self

    def predict(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        raise AssertionError("calibration goes by scores")


class GivenLogit(Given):
    def decision_function(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return rows[:, 0]


class GivenShares(Given):
    def predict_proba(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return rows


# --- fitting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_multilabel_scaling_matches_scikit_learn(temperature: float) -> None:
    targets, scores = sample_multilabel(1, temperature=temperature)
    rows, labels = logit(scores.astype(np.float64)).reshape(-1, 1), targets.ravel()
    reference = CalibratedClassifierCV(FrozenEstimator(GivenLogit().fit(rows, labels)), method="temperature").fit(
        rows, labels
    )
    calibrated = fit_calibration(targets, scores, TEMPERATURE, Task.multilabel).apply(scores)
    np.testing.assert_allclose(calibrated.ravel(), reference.predict_proba(rows)[:, 1], atol=1e-5)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_multiclass_scaling_matches_scikit_learn(temperature: float) -> None:
    targets, scores = sample_multiclass(1, temperature=temperature)
    rows, labels = scores.astype(np.float64), targets.argmax(axis=1)
    reference = CalibratedClassifierCV(FrozenEstimator(GivenShares().fit(rows, labels)), method="temperature").fit(
        rows, labels
    )
    calibrated = fit_calibration(targets, scores, TEMPERATURE, Task.multiclass).apply(scores)
    np.testing.assert_allclose(calibrated, reference.predict_proba(rows), atol=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_no_grid_temperature_has_lower_log_loss(task: Task) -> None:
    targets, scores = SAMPLERS[task](2, temperature=1.7)
    best = compute_log_loss(targets, fit_calibration(targets, scores, TEMPERATURE, task).apply(scores), task)
    grid = [Calibration("temperature", value, task) for value in np.geomspace(1 / 20, 20, 301).tolist()]
    assert best <= min(compute_log_loss(targets, calibration.apply(scores), task) for calibration in grid) + 1e-7


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_fit_recovers_distorting_temperature(task: Task, temperature: float) -> None:
    targets, scores = SAMPLERS[task](3, items=20_000, temperature=temperature)
    calibration = fit_calibration(targets, scores, TEMPERATURE, task)
    assert calibration.method == "temperature"
    assert calibration.temperature == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("task", TASKS)
def test_scaling_improves_overconfident_scores_on_unseen_records(task: Task) -> None:
    val, unseen = SAMPLERS[task](4, temperature=3), SAMPLERS[task](5, temperature=3)
    calibration = fit_calibration(*val, TEMPERATURE, task)
    assert calibration.temperature is not None
    assert calibration.temperature > 1
    targets, scores = unseen
    calibrated = calibration.apply(scores)
    before, after = (
        compute_calibration_metrics(targets, scores, task),
        compute_calibration_metrics(targets, calibrated, task),
    )
    assert after["expected_calibration_error"] < before["expected_calibration_error"] / 2
    assert after["brier"] < before["brier"]
    assert compute_log_loss(targets, calibrated, task) < compute_log_loss(targets, scores, task)


@pytest.mark.parametrize("task", TASKS)
def test_underconfident_scores_get_temperature_below_1(task: Task) -> None:
    targets, scores = SAMPLERS[task](6, temperature=0.3)
    temperature = fit_calibration(targets, scores, TEMPERATURE, task).temperature
    assert temperature is not None
    assert temperature < 1


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("right", [True, False])
def test_temperature_stays_within_bounds(task: Task, right: bool) -> None:
    targets = np.eye(3, dtype=np.uint8)
    scores = np.where(targets == right, 0.8, 0.1).astype(np.float32)
    temperature = fit_calibration(targets, scores, TEMPERATURE, task).temperature
    assert temperature is not None
    low, high = (1 / 20, 1 / 18) if right else (18, 20)
    assert low <= temperature <= high


@pytest.mark.parametrize("task", TASKS)
def test_fit_is_deterministic(task: Task) -> None:
    targets, scores = SAMPLERS[task](7, temperature=2)
    first = fit_calibration(targets, scores, TEMPERATURE, task)
    assert fit_calibration(targets.copy(), scores.copy(), TEMPERATURE, task) == first


def test_multilabel_scores_of_0_and_1_do_not_contribute() -> None:
    targets, scores = sample_multilabel(8, temperature=2)
    expected = fit_calibration(targets, scores, TEMPERATURE, Task.multilabel)
    more_targets, certain = np.tile(np.array([[0, 1, 0, 1, 1]], dtype=np.uint8), (50, 1)), np.ones((50, 5), np.float32)
    certain[:, :3] = 0
    calibration = fit_calibration(
        np.vstack([targets, more_targets]), np.vstack([scores, certain]), TEMPERATURE, Task.multilabel
    )
    assert calibration.temperature == pytest.approx(expected.temperature, rel=1e-5)


def test_multiclass_records_with_zero_true_score_do_not_contribute() -> None:
    targets, scores = sample_multiclass(8, temperature=2)
    expected = fit_calibration(targets, scores, TEMPERATURE, Task.multiclass)
    impossible_target, impossible_scores = (
        np.array([[0, 0, 1, 0]], dtype=np.uint8),
        np.array([[0.5, 0.3, 0, 0.2]], dtype=np.float32),
    )
    calibration = fit_calibration(
        np.vstack([targets, impossible_target]), np.vstack([scores, impossible_scores]), TEMPERATURE, Task.multiclass
    )
    assert calibration.temperature == pytest.approx(expected.temperature, rel=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_binary_scores_are_unchanged_with_warning(task: Task, caplog: pytest.LogCaptureFixture) -> None:
    targets = np.eye(3, dtype=np.uint8)
    scores = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 1]], dtype=np.float32)
    with caplog.at_level(logging.WARNING):
        calibration = fit_calibration(targets, scores, TEMPERATURE, task)
    assert calibration == Calibration("none", None, task)
    assert calibration.apply(scores) is scores
    assert "only 0 and 1" in caplog.text
    assert "calibration.method" in caplog.text


@pytest.mark.parametrize("task", TASKS)
def test_method_none_keeps_scores_and_logs_nothing(task: Task, caplog: pytest.LogCaptureFixture) -> None:
    targets, scores = SAMPLERS[task](9, temperature=3)
    calibration = fit_calibration(targets, scores, NONE, task)
    assert calibration == Calibration("none", None, task)
    assert calibration.apply(scores) is scores
    assert caplog.text == ""


# --- application ------------------------------------------------------------------------------------------------------

TEMPERATURES = [1 / 20, 0.3, 1.0, 3.0, 20.0]
CALIBRATIONS = [Calibration("temperature", value, task) for task in TASKS for value in TEMPERATURES]


def format_id(value: object) -> str | None:
    return f"{value.task.value}, {value.temperature:g}" if isinstance(value, Calibration) else None


@pytest.mark.parametrize("calibration", CALIBRATIONS, ids=format_id)
def test_json_round_trip_is_exact(calibration: Calibration) -> None:
    _, scores = SAMPLERS[calibration.task](10, items=100)
    read = Calibration.from_json(json.loads(json.dumps(calibration.to_json(), allow_nan=False)))
    assert read == calibration
    np.testing.assert_array_equal(read.apply(scores), calibration.apply(scores))


@pytest.mark.parametrize("task", TASKS)
def test_json_round_trip_keeps_method_none(task: Task) -> None:
    none = Calibration("none", None, task)
    assert Calibration.from_json(json.loads(json.dumps(none.to_json()))) == none


@pytest.mark.parametrize("task", TASKS)
def test_temperature_of_1_keeps_scores(task: Task) -> None:
    _, scores = SAMPLERS[task](11)
    calibrated = Calibration("temperature", 1.0, task).apply(scores)
    assert calibrated.dtype == np.float32
    np.testing.assert_allclose(calibrated, scores, atol=2e-7)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_multilabel_scaling_keeps_0_1_and_one_half(temperature: float) -> None:
    scores = np.array([[0, 1, 0.5]], dtype=np.float32)
    np.testing.assert_array_equal(Calibration("temperature", temperature, Task.multilabel).apply(scores), scores)


def test_multiclass_scaling_keeps_certainty_and_makes_zero_rows_uniform() -> None:
    scores = np.array([[0, 1, 0, 0], [0, 0, 0, 0]], dtype=np.float32)
    calibrated = Calibration("temperature", 3.0, Task.multiclass).apply(scores)
    assert calibrated.tolist() == [[0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25]]


def test_multiclass_scaling_keeps_argmax_of_near_tie() -> None:
    scores = np.array([[np.nextafter(np.float32(0.5), np.float32(0)), 0.5]], dtype=np.float32)
    assert Calibration("temperature", 20.0, Task.multiclass).apply(scores).argmax() == 1


@pytest.mark.parametrize("calibration", CALIBRATIONS, ids=format_id)
def test_apply_does_not_modify_its_input(calibration: Calibration) -> None:
    scores = np.array([[0, 0, 0], [0.2, 0.5, 0.3]], dtype=np.float32)
    before = scores.copy()
    calibration.apply(scores)
    np.testing.assert_array_equal(scores, before)


ANY_SCORES = st.tuples(st.integers(1, 6), st.integers(1, 5)).flatmap(
    lambda shape: arrays(
        np.float32,
        shape,
        elements=st.floats(0, 1, width=32) | st.sampled_from([0.0, 1.0, 0.5, 2.0**-24, 1 - 2.0**-24, 2.0**-149]),
    )
)


@settings(max_examples=150, deadline=None)
@given(scores=ANY_SCORES, temperature=st.floats(1 / 20, 20))
def test_multilabel_scaling_preserves_range_and_order(scores: Scores, temperature: float) -> None:
    calibrated = Calibration("temperature", temperature, Task.multilabel).apply(scores)
    assert calibrated.dtype == np.float32
    assert calibrated.shape == scores.shape
    assert ((calibrated >= 0) & (calibrated <= 1)).all()
    assert (calibrated[scores == 0] == 0).all()
    assert (calibrated[scores == 1] == 1).all()
    assert (np.diff(calibrated.ravel()[np.argsort(scores, axis=None)]) >= 0).all()


@settings(max_examples=150, deadline=None)
@given(scores=ANY_SCORES, temperature=st.floats(1 / 20, 20))
def test_multiclass_scaling_gives_probabilities_with_same_argmax(scores: Scores, temperature: float) -> None:
    calibrated = Calibration("temperature", temperature, Task.multiclass).apply(scores)
    assert calibrated.dtype == np.float32
    assert calibrated.shape == scores.shape
    assert ((calibrated >= 0) & (calibrated <= 1)).all()
    np.testing.assert_allclose(calibrated.sum(axis=1, dtype=np.float64), 1, atol=1e-6)
    np.testing.assert_array_equal(calibrated.argmax(axis=1), scores.argmax(axis=1))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), scores=ANY_SCORES, task=st.sampled_from(TASKS))
def test_any_data_can_be_fitted_and_measured(data: st.DataObject, scores: Scores, task: Task) -> None:
    if task is Task.multilabel:
        targets = data.draw(arrays(np.uint8, scores.shape, elements=st.integers(0, 1)))
    else:
        columns = data.draw(arrays(np.intp, len(scores), elements=st.integers(0, scores.shape[1] - 1)))
        targets = np.eye(scores.shape[1], dtype=np.uint8)[columns]
    calibration = fit_calibration(targets, scores, TEMPERATURE, task)
    if calibration.temperature is not None:
        assert 1 / 20 <= calibration.temperature <= 20
    assert not np.isnan(calibration.apply(scores)).any()
    metrics, table = compute_calibration_metrics(targets, scores, task), compute_reliability(targets, scores, task)
    if np.isin(scores, (0, 1)).all():
        assert np.isnan(list(metrics.values())).all()
        assert table == []
    else:
        assert 0 <= metrics["brier"] <= (1 if task is Task.multilabel else scores.shape[1])
        assert 0 <= metrics["expected_calibration_error"] <= 1
        assert sum(row["count"] or 0 for row in table) == (scores.size if task is Task.multilabel else len(scores))


# --- metrics ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_brier_scores_match_scikit_learn(temperature: float) -> None:
    targets, scores = sample_multilabel(12, temperature=temperature)
    brier = compute_calibration_metrics(targets, scores, Task.multilabel)["brier"]
    assert brier == pytest.approx(brier_score_loss(targets.ravel(), scores.ravel()), abs=1e-6)
    targets, scores = sample_multiclass(12, temperature=temperature)
    brier = compute_calibration_metrics(targets, scores, Task.multiclass)["brier"]
    expected = brier_score_loss(targets.argmax(axis=1), scores, scale_by_half=False, labels=range(4))
    assert brier == pytest.approx(expected, abs=1e-6)


def test_multiclass_brier_score_sums_over_classes() -> None:
    targets, scores = np.array([[1, 0]], dtype=np.uint8), np.array([[0.1, 0.9]], dtype=np.float32)
    assert compute_calibration_metrics(targets, scores, Task.multiclass)["brier"] == pytest.approx(0.81 * 2)


@pytest.mark.parametrize("task", TASKS)
def test_true_probabilities_have_near_zero_calibration_error(task: Task) -> None:
    metrics = compute_calibration_metrics(*SAMPLERS[task](13, items=20_000), task)
    assert 0 < metrics["expected_calibration_error"] < 0.01


def test_calibration_error_matches_manual_calculation() -> None:
    targets = np.array([[1, 0], [1, 0]], dtype=np.uint8)
    scores = np.array([[0.75, 0.77], [0.25, 0.05]], dtype=np.float32)
    # (.7, .8]: two, mean .76, half are positive; (.2, .3]: one, positive; (0, .1]: one, negative
    expected = 0.5 * 0.26 + 0.25 * 0.75 + 0.25 * 0.05
    error = compute_calibration_metrics(targets, scores, Task.multilabel)["expected_calibration_error"]
    assert error == pytest.approx(expected, abs=1e-6)


def test_multiclass_calibration_error_uses_top_score() -> None:
    targets = np.array([[1, 0, 0], [0, 0, 1]], dtype=np.uint8)
    scores = np.array([[0.65, 0.25, 0.1], [0.62, 0.3, 0.08]], dtype=np.float32)
    error = compute_calibration_metrics(targets, scores, Task.multiclass)["expected_calibration_error"]
    assert error == pytest.approx(abs(0.5 - 0.635), abs=1e-6)
    assert [row["count"] for row in compute_reliability(targets, scores, Task.multiclass)] == [0] * 6 + [2] + [0] * 3


def test_reliability_table_matches_scikit_learn() -> None:
    targets, scores = sample_multilabel(14, temperature=2)
    table = compute_reliability(targets, scores, Task.multilabel)
    share, mean = calibration_curve(targets.ravel(), scores.ravel().astype(np.float64), n_bins=10)
    np.testing.assert_allclose([row["share_positive"] for row in table], share)
    np.testing.assert_allclose([row["mean_score"] for row in table], mean)


def test_reliability_table_has_ten_json_rows() -> None:
    targets = np.array([[1, 0, 1, 0]], dtype=np.uint8)
    scores = np.array([[0.0, 0.5, 1.0, 0.95]], dtype=np.float32)
    table = json.loads(json.dumps(compute_reliability(targets, scores, Task.multilabel), allow_nan=False))
    assert [(row["low"], row["high"]) for row in table] == [(k / 10, (k + 1) / 10) for k in range(10)]
    assert [row["count"] for row in table] == [1, 0, 0, 0, 1, 0, 0, 0, 0, 2]
    assert table[0] == {"low": 0.0, "high": 0.1, "count": 1, "mean_score": 0.0, "share_positive": 1.0}
    assert table[1] == {"low": 0.1, "high": 0.2, "count": 0, "mean_score": None, "share_positive": None}
    assert table[9]["mean_score"] == pytest.approx(0.975)
    assert table[9]["share_positive"] == 0.5


@pytest.mark.parametrize("task", TASKS)
def test_binary_scores_have_no_calibration_metrics(task: Task) -> None:
    targets = np.eye(3, dtype=np.uint8)
    scores = targets[::-1].astype(np.float32)
    assert np.isnan(list(compute_calibration_metrics(targets, scores, task).values())).all()
    assert set(compute_calibration_metrics(targets, scores, task)) == {"brier", "expected_calibration_error"}
    assert compute_reliability(targets, scores, task) == []


def test_blocks_of_records_give_the_same_calibration(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, scores = sample_multilabel(3)
    for task in Task:
        whole = compute_calibration_metrics(targets, scores, task), compute_reliability(targets, scores, task)
        applied = Calibration("temperature", 1.7, task).apply(scores)
        with monkeypatch.context() as patch:
            patch.setattr(metrics, "MAX_CELLS", 333)
            assert compute_calibration_metrics(targets, scores, task) == pytest.approx(whole[0], rel=1e-12)
            for row, expected in zip(compute_reliability(targets, scores, task), whole[1], strict=True):
                assert row == pytest.approx(expected, rel=1e-12)
            np.testing.assert_array_equal(Calibration("temperature", 1.7, task).apply(scores), applied)


def test_temperature_of_many_scores_is_fitted_on_part_of_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    targets, scores = sample_multilabel(4, items=9_000, temperature=2.0)
    expected = fit_calibration(targets[::3], scores[::3], TEMPERATURE, Task.multilabel).temperature
    monkeypatch.setattr(calibration, "MAX_FITTED", 15_000)
    assert fit_calibration(targets, scores, TEMPERATURE, Task.multilabel).temperature == expected
    assert expected == pytest.approx(2.0, rel=0.05)
