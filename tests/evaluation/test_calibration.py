"""Compare temperature scaling and calibration metrics with scikit-learn and simulated truth; check edge cases."""

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


def multilabel(seed: int = 0, *, items: int = 2000, labels: int = 5, temperature: float = 1.0) -> tuple[Binary, Scores]:
    """Sample targets from probabilities; return them with scores that `temperature` turns into these probabilities."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(-1, 2, (items, labels))
    targets = (generator.random((items, labels)) < expit(logits)).astype(np.uint8)
    return targets, expit(logits * temperature).astype(np.float32)


def multiclass(
    seed: int = 0, *, items: int = 3000, classes: int = 4, temperature: float = 1.0
) -> tuple[Binary, Scores]:
    """Sample targets and scores in the same way, with one label per record."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.5, (items, classes))
    drawn = (softmax(logits, axis=1).cumsum(axis=1) < generator.random((items, 1))).sum(axis=1)
    targets = np.eye(classes, dtype=np.uint8)[np.minimum(drawn, classes - 1)]
    return targets, softmax(logits * temperature, axis=1).astype(np.float32)


WORLDS = {Task.multilabel: multilabel, Task.multiclass: multiclass}
TASKS = list(Task)


def loss(targets: Binary, scores: npt.NDArray[Any], task: Task) -> float:
    """Return scikit-learn's log loss, over pairs or over records."""
    if task is Task.multilabel:
        return float(log_loss(targets.ravel(), scores.ravel().astype(np.float64), labels=[0, 1]))
    rows = scores.astype(np.float64)
    return float(log_loss(targets.argmax(axis=1), rows / rows.sum(axis=1, keepdims=True)))


class Given(ClassifierMixin, BaseEstimator):
    """A classifier that returns its input."""

    def fit(self, rows: npt.NDArray[Any], true: npt.NDArray[Any]) -> "Given":
        self.classes_ = np.unique(true)
        return self

    def predict(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        raise AssertionError("calibration goes by scores")


class GivenLogit(Given):
    def decision_function(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return rows[:, 0]


class GivenShares(Given):
    def predict_proba(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return rows


# --- the fit ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_multi_label_is_as_scikit_learns_temperature_scaling(temperature: float) -> None:
    targets, scores = multilabel(1, temperature=temperature)
    rows, true = logit(scores.astype(np.float64)).reshape(-1, 1), targets.ravel()
    peer = CalibratedClassifierCV(FrozenEstimator(GivenLogit().fit(rows, true)), method="temperature").fit(rows, true)
    found = fit_calibration(targets, scores, TEMPERATURE, Task.multilabel).apply(scores)
    np.testing.assert_allclose(found.ravel(), peer.predict_proba(rows)[:, 1], atol=1e-5)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_multi_class_is_as_scikit_learns_temperature_scaling(temperature: float) -> None:
    targets, scores = multiclass(1, temperature=temperature)
    rows, true = scores.astype(np.float64), targets.argmax(axis=1)
    peer = CalibratedClassifierCV(FrozenEstimator(GivenShares().fit(rows, true)), method="temperature").fit(rows, true)
    found = fit_calibration(targets, scores, TEMPERATURE, Task.multiclass).apply(scores)
    np.testing.assert_allclose(found, peer.predict_proba(rows), atol=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_no_temperature_of_a_fine_grid_has_a_lower_log_loss(task: Task) -> None:
    targets, scores = WORLDS[task](2, temperature=1.7)
    best = loss(targets, fit_calibration(targets, scores, TEMPERATURE, task).apply(scores), task)
    grid = [Calibration("temperature", each, task) for each in np.geomspace(1 / 20, 20, 301).tolist()]
    assert best <= min(loss(targets, each.apply(scores), task) for each in grid) + 1e-7


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_the_temperature_that_distorted_the_scores_is_found(task: Task, temperature: float) -> None:
    targets, scores = WORLDS[task](3, items=20_000, temperature=temperature)
    calibration = fit_calibration(targets, scores, TEMPERATURE, task)
    assert calibration.method == "temperature"
    assert calibration.temperature == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("task", TASKS)
def test_over_confident_scores_get_better_on_records_that_the_fit_did_not_see(task: Task) -> None:
    val, unseen = WORLDS[task](4, temperature=3), WORLDS[task](5, temperature=3)
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
    assert loss(targets, calibrated, task) < loss(targets, scores, task)


@pytest.mark.parametrize("task", TASKS)
def test_underconfident_scores_are_moved_apart(task: Task) -> None:
    targets, scores = WORLDS[task](6, temperature=0.3)
    temperature = fit_calibration(targets, scores, TEMPERATURE, task).temperature
    assert temperature is not None
    assert temperature < 1


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("right", [True, False])
def test_where_no_temperature_is_extreme_enough_it_stays_within_its_bounds(task: Task, right: bool) -> None:
    targets = np.eye(3, dtype=np.uint8)
    scores = np.where(targets == right, 0.8, 0.1).astype(np.float32)
    temperature = fit_calibration(targets, scores, TEMPERATURE, task).temperature
    assert temperature is not None
    low, high = (1 / 20, 1 / 18) if right else (18, 20)
    assert low <= temperature <= high


@pytest.mark.parametrize("task", TASKS)
def test_the_same_scores_give_the_same_temperature_to_the_last_bit(task: Task) -> None:
    targets, scores = WORLDS[task](7, temperature=2)
    first = fit_calibration(targets, scores, TEMPERATURE, task)
    assert fit_calibration(targets.copy(), scores.copy(), TEMPERATURE, task) == first


def test_multi_label_scores_of_0_and_1_do_not_contribute() -> None:
    targets, scores = multilabel(8, temperature=2)
    expected = fit_calibration(targets, scores, TEMPERATURE, Task.multilabel)
    more_targets, certain = np.tile(np.array([[0, 1, 0, 1, 1]], dtype=np.uint8), (50, 1)), np.ones((50, 5), np.float32)
    certain[:, :3] = 0
    found = fit_calibration(
        np.vstack([targets, more_targets]), np.vstack([scores, certain]), TEMPERATURE, Task.multilabel
    )
    assert found.temperature == pytest.approx(expected.temperature, rel=1e-5)


def test_multi_class_records_whose_class_has_score_0_do_not_contribute() -> None:
    targets, scores = multiclass(8, temperature=2)
    expected = fit_calibration(targets, scores, TEMPERATURE, Task.multiclass)
    hopeless, lost = np.array([[0, 0, 1, 0]], dtype=np.uint8), np.array([[0.5, 0.3, 0, 0.2]], dtype=np.float32)
    found = fit_calibration(np.vstack([targets, hopeless]), np.vstack([scores, lost]), TEMPERATURE, Task.multiclass)
    assert found.temperature == pytest.approx(expected.temperature, rel=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_scores_of_only_0_and_1_are_left_alone_with_a_warning(task: Task, caplog: pytest.LogCaptureFixture) -> None:
    targets = np.eye(3, dtype=np.uint8)
    scores = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 1]], dtype=np.float32)
    with caplog.at_level(logging.WARNING):
        calibration = fit_calibration(targets, scores, TEMPERATURE, task)
    assert calibration == Calibration("none", None, task)
    assert calibration.apply(scores) is scores
    assert "only 0 and 1" in caplog.text
    assert "calibration.method" in caplog.text


@pytest.mark.parametrize("task", TASKS)
def test_none_leaves_scores_alone_and_logs_nothing(task: Task, caplog: pytest.LogCaptureFixture) -> None:
    targets, scores = WORLDS[task](9, temperature=3)
    calibration = fit_calibration(targets, scores, NONE, task)
    assert calibration == Calibration("none", None, task)
    assert calibration.apply(scores) is scores
    assert caplog.text == ""


# --- its use ----------------------------------------------------------------------------------------------------------

TEMPERATURES = [1 / 20, 0.3, 1.0, 3.0, 20.0]
CALIBRATIONS = [Calibration("temperature", each, task) for task in TASKS for each in TEMPERATURES]


def names(value: object) -> str | None:
    return f"{value.task.value}, {value.temperature:g}" if isinstance(value, Calibration) else None


@pytest.mark.parametrize("calibration", CALIBRATIONS, ids=names)
def test_what_is_written_is_read_back_to_the_same_bits(calibration: Calibration) -> None:
    _, scores = WORLDS[calibration.task](10, items=100)
    read = Calibration.from_json(json.loads(json.dumps(calibration.to_json(), allow_nan=False)))
    assert read == calibration
    np.testing.assert_array_equal(read.apply(scores), calibration.apply(scores))


@pytest.mark.parametrize("task", TASKS)
def test_no_calibration_is_read_back_too(task: Task) -> None:
    none = Calibration("none", None, task)
    assert Calibration.from_json(json.loads(json.dumps(none.to_json()))) == none


@pytest.mark.parametrize("task", TASKS)
def test_a_temperature_of_1_changes_no_probability(task: Task) -> None:
    _, scores = WORLDS[task](11)
    found = Calibration("temperature", 1.0, task).apply(scores)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, scores, atol=2e-7)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_multi_label_keeps_0_and_1_and_one_half(temperature: float) -> None:
    scores = np.array([[0, 1, 0.5]], dtype=np.float32)
    np.testing.assert_array_equal(Calibration("temperature", temperature, Task.multilabel).apply(scores), scores)


def test_multi_class_keeps_certainty_and_divides_a_row_of_zeros_evenly() -> None:
    scores = np.array([[0, 1, 0, 0], [0, 0, 0, 0]], dtype=np.float32)
    found = Calibration("temperature", 3.0, Task.multiclass).apply(scores)
    assert found.tolist() == [[0, 1, 0, 0], [0.25, 0.25, 0.25, 0.25]]


def test_a_multi_class_tie_by_rounding_keeps_its_argmax() -> None:
    scores = np.array([[np.nextafter(np.float32(0.5), np.float32(0)), 0.5]], dtype=np.float32)
    assert Calibration("temperature", 20.0, Task.multiclass).apply(scores).argmax() == 1


@pytest.mark.parametrize("calibration", CALIBRATIONS, ids=names)
def test_the_scores_that_are_applied_to_stay_as_they_are(calibration: Calibration) -> None:
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
def test_any_multi_label_scores_stay_scores_in_their_order(scores: Scores, temperature: float) -> None:
    found = Calibration("temperature", temperature, Task.multilabel).apply(scores)
    assert found.dtype == np.float32
    assert found.shape == scores.shape
    assert ((found >= 0) & (found <= 1)).all()
    assert (found[scores == 0] == 0).all()
    assert (found[scores == 1] == 1).all()
    assert (np.diff(found.ravel()[np.argsort(scores, axis=None)]) >= 0).all()


@settings(max_examples=150, deadline=None)
@given(scores=ANY_SCORES, temperature=st.floats(1 / 20, 20))
def test_any_multi_class_scores_become_shares_with_the_same_argmax(scores: Scores, temperature: float) -> None:
    found = Calibration("temperature", temperature, Task.multiclass).apply(scores)
    assert found.dtype == np.float32
    assert found.shape == scores.shape
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(found.sum(axis=1, dtype=np.float64), 1, atol=1e-6)
    np.testing.assert_array_equal(found.argmax(axis=1), scores.argmax(axis=1))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), scores=ANY_SCORES, task=st.sampled_from(TASKS))
def test_any_data_can_be_fitted_measured_and_tabled(data: st.DataObject, scores: Scores, task: Task) -> None:
    if task is Task.multilabel:
        targets = data.draw(arrays(np.uint8, scores.shape, elements=st.integers(0, 1)))
    else:
        columns = data.draw(arrays(np.intp, len(scores), elements=st.integers(0, scores.shape[1] - 1)))
        targets = np.eye(scores.shape[1], dtype=np.uint8)[columns]
    calibration = fit_calibration(targets, scores, TEMPERATURE, task)
    if calibration.temperature is not None:
        assert 1 / 20 <= calibration.temperature <= 20
    assert not np.isnan(calibration.apply(scores)).any()
    figures, table = compute_calibration_metrics(targets, scores, task), compute_reliability(targets, scores, task)
    if np.isin(scores, (0, 1)).all():
        assert np.isnan(list(figures.values())).all()
        assert table == []
    else:
        assert 0 <= figures["brier"] <= (1 if task is Task.multilabel else scores.shape[1])
        assert 0 <= figures["expected_calibration_error"] <= 1
        assert sum(row["count"] or 0 for row in table) == (scores.size if task is Task.multilabel else len(scores))


# --- the figures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_brier_scores_are_those_of_scikit_learn(temperature: float) -> None:
    targets, scores = multilabel(12, temperature=temperature)
    found = compute_calibration_metrics(targets, scores, Task.multilabel)["brier"]
    assert found == pytest.approx(brier_score_loss(targets.ravel(), scores.ravel()), abs=1e-6)
    targets, scores = multiclass(12, temperature=temperature)
    found = compute_calibration_metrics(targets, scores, Task.multiclass)["brier"]
    expected = brier_score_loss(targets.argmax(axis=1), scores, scale_by_half=False, labels=range(4))
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_multi_class_brier_score_is_a_sum_over_classes() -> None:
    targets, scores = np.array([[1, 0]], dtype=np.uint8), np.array([[0.1, 0.9]], dtype=np.float32)
    assert compute_calibration_metrics(targets, scores, Task.multiclass)["brier"] == pytest.approx(0.81 * 2)


@pytest.mark.parametrize("task", TASKS)
def test_scores_that_are_probabilities_have_next_to_no_calibration_error(task: Task) -> None:
    figures = compute_calibration_metrics(*WORLDS[task](13, items=20_000), task)
    assert 0 < figures["expected_calibration_error"] < 0.01


def test_the_calibration_error_of_a_small_table_is_that_of_a_count_by_hand() -> None:
    targets = np.array([[1, 0], [1, 0]], dtype=np.uint8)
    scores = np.array([[0.75, 0.77], [0.25, 0.05]], dtype=np.float32)
    # (.7, .8]: two, mean .76, half are positive; (.2, .3]: one, positive; (0, .1]: one, negative
    expected = 0.5 * 0.26 + 0.25 * 0.75 + 0.25 * 0.05
    found = compute_calibration_metrics(targets, scores, Task.multilabel)["expected_calibration_error"]
    assert found == pytest.approx(expected, abs=1e-6)


def test_multi_class_calibration_is_that_of_the_top_score() -> None:
    targets = np.array([[1, 0, 0], [0, 0, 1]], dtype=np.uint8)
    scores = np.array([[0.65, 0.25, 0.1], [0.62, 0.3, 0.08]], dtype=np.float32)
    found = compute_calibration_metrics(targets, scores, Task.multiclass)["expected_calibration_error"]
    assert found == pytest.approx(abs(0.5 - 0.635), abs=1e-6)
    assert [row["count"] for row in compute_reliability(targets, scores, Task.multiclass)] == [0] * 6 + [2] + [0] * 3


def test_the_reliability_table_is_scikit_learns_calibration_curve() -> None:
    targets, scores = multilabel(14, temperature=2)
    table = compute_reliability(targets, scores, Task.multilabel)
    share, mean = calibration_curve(targets.ravel(), scores.ravel().astype(np.float64), n_bins=10)
    np.testing.assert_allclose([row["share_positive"] for row in table], share)
    np.testing.assert_allclose([row["mean_score"] for row in table], mean)


def test_the_reliability_table_has_ten_rows_and_is_json() -> None:
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
def test_scores_of_only_0_and_1_have_no_calibration(task: Task) -> None:
    targets = np.eye(3, dtype=np.uint8)
    scores = targets[::-1].astype(np.float32)
    assert np.isnan(list(compute_calibration_metrics(targets, scores, task).values())).all()
    assert set(compute_calibration_metrics(targets, scores, task)) == {"brier", "expected_calibration_error"}
    assert compute_reliability(targets, scores, task) == []
