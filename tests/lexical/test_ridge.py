"""Ridge against what solves the same equations otherwise, and log-odds against a fit of each label by itself."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from ratchet.lexical import ridge
from ratchet.lexical.ridge import fit_odds, fit_ridge

Targets = npt.NDArray[np.uint8]
SIZES = pytest.mark.parametrize(("texts", "features"), [(12, 40), (40, 12), (1, 3)], ids=str)
CS = pytest.mark.parametrize("c", [0.01, 1.5, 100.0])


def drawn(texts: int, features: int, labels: int = 3, seed: int = 0) -> tuple[csr_matrix, Targets]:
    """Features, most of them 0, and targets that hang together with the first of them."""
    generator = np.random.default_rng(seed)
    dense = generator.random((texts, features), dtype=np.float32) * (generator.random((texts, features)) < 0.3)
    targets = dense[:, :labels] + 0.2 * generator.random((texts, labels)) > 0.15
    return csr_matrix(dense.astype(np.float32)), targets.astype(np.uint8)


def solved(features: csr_matrix, targets: Targets, c: float) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Weights and biases by least squares: a row of sqrt(1 / c) for each weight is its penalty, the bias's too."""
    with_ones = np.column_stack([features.toarray().astype(float), np.ones(features.shape[0])])
    rows = np.vstack([with_ones, np.sqrt(1 / c) * np.eye(with_ones.shape[1])])
    wanted = np.vstack([targets, np.zeros((with_ones.shape[1], targets.shape[1]))])
    found = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    return found[:-1], found[-1]


@SIZES
@CS
def test_weights_and_biases_are_those_of_penalised_least_squares(texts: int, features: int, c: float) -> None:
    drawn_features, targets = drawn(texts, features)
    weights, bias, _ = fit_ridge(drawn_features, targets, c)
    assert (weights.shape, bias.shape) == ((features, 3), (3,))
    expected_weights, expected_bias = solved(drawn_features, targets, c)
    np.testing.assert_allclose(weights, expected_weights, atol=1e-5)
    np.testing.assert_allclose(bias, expected_bias, atol=1e-5)


@CS
def test_weights_and_biases_are_those_of_scikit_learn(c: float) -> None:
    features, targets = drawn(30, 50)
    weights, bias, _ = fit_ridge(features, targets, c)
    with_ones = np.column_stack([features.toarray().astype(float), np.ones(30)])
    reference = Ridge(alpha=1 / c, fit_intercept=False, solver="svd").fit(with_ones, targets)
    np.testing.assert_allclose(np.vstack([weights, bias]), reference.coef_.T, atol=1e-5)


@SIZES
@CS
def test_left_out_scores_are_those_of_fits_without_each_text(texts: int, features: int, c: float) -> None:
    drawn_features, targets = drawn(texts, features)
    left_out = fit_ridge(drawn_features, targets, c)[2]
    assert left_out.shape == targets.shape
    for row in range(texts):
        rest = np.arange(texts) != row
        weights, bias = solved(drawn_features[rest], targets[rest], c)
        np.testing.assert_allclose(left_out[row], (drawn_features[[row]] @ weights + bias)[0], atol=1e-4)


def test_the_left_out_score_of_a_text_knows_nothing_of_its_own_label() -> None:
    features, targets = drawn(20, 30)
    before = fit_ridge(features, targets, 1.5)[2]
    targets[7] = 1 - targets[7]
    after = fit_ridge(features, targets, 1.5)[2]
    np.testing.assert_allclose(after[7], before[7], atol=1e-9)
    assert np.abs(after - before).max() > 0.01, "those of the other texts do"


def test_texts_that_are_alike_are_told_apart_by_nothing() -> None:
    """Their products have no full rank without the penalty, up to the largest C that is let in."""
    features = csr_matrix(np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (200, 1)))
    targets = (np.arange(200) % 4 == 0).astype(np.uint8)[:, None]
    weights, bias, left_out = fit_ridge(features, targets, 1000.0)
    np.testing.assert_allclose(features @ weights + bias, 0.25, atol=1e-3)
    assert left_out[0, 0] < 0.25 < left_out[1, 0]


@pytest.mark.parametrize("labels", [1, 3])
def test_beyond_what_is_held_at_once_weights_are_the_same_and_left_out_scores_come_from_five_folds(
    monkeypatch: pytest.MonkeyPatch, labels: int
) -> None:
    features, targets = drawn(40, 60, labels)
    exact_weights, exact_bias, _ = fit_ridge(features, targets, 1.5)
    folds = np.zeros(targets.shape)
    for rest, fold in KFold(5, shuffle=True, random_state=0).split(targets):
        weights, bias, _ = fit_ridge(features[rest], targets[rest], 1.5)
        folds[fold] = features[fold] @ weights + bias
    monkeypatch.setattr(ridge, "_EXACT", 39)
    weights, bias, left_out = fit_ridge(features, targets, 1.5)
    assert not np.array_equal(weights, exact_weights), "it went the other way"
    np.testing.assert_allclose(weights, exact_weights, atol=1e-3)
    np.testing.assert_allclose(bias, exact_bias, atol=1e-3)
    np.testing.assert_allclose(left_out, folds, atol=1e-3)


def scored(texts: int = 200, seed: int = 0) -> tuple[npt.NDArray[np.float64], Targets]:
    """Left-out scores of four labels: told well, told badly, on two texts, not told at all."""
    generator = np.random.default_rng(seed)
    shares = np.array([0.3, 0.3, 2 / texts, 0.5])
    targets = np.arange(texts)[:, None] % np.round(1 / shares) == 0
    tells = np.array([0.8, 0.15, 0.5, -0.1])  # left out, a text that has a label that is not told scores a little less
    noise = generator.normal(0, [0.1, 0.25, 0.1, 0.01], (texts, 4))
    return shares * (1 - tells) + tells * targets + noise, targets.astype(np.uint8)


def test_log_odds_are_those_of_a_fit_of_each_label_by_itself() -> None:
    scores, targets = scored()
    slopes, biases = fit_odds(scores, targets)
    for column in range(4):
        centred, target = scores[:, column] - 0.5, targets[:, column]

        def loss(parameters: npt.NDArray[Any], centred: npt.NDArray[Any] = centred, target: Targets = target) -> float:
            logits = parameters[0] * centred + parameters[1]
            away = (parameters[0] - 6) ** 2 + parameters[1] ** 2
            return float((np.logaddexp(0, logits) - target * logits).sum() + 0.05 * away)

        best = minimize(loss, [3.0, 0.0], bounds=[(1, None), (None, None)], method="L-BFGS-B", tol=1e-12).x
        found = [slopes[column], biases[column] + 0.5 * slopes[column]]
        np.testing.assert_allclose(found, best, rtol=1e-2, atol=1e-2)


def test_a_label_that_is_told_well_gets_steeper_odds_than_one_told_badly() -> None:
    scores, targets = scored()
    slopes, biases = fit_odds(scores, targets)
    assert slopes[0] > slopes[1] > 1
    for column in range(2):
        probabilities = expit(slopes[column] * scores[:, column] + biases[column])
        assert probabilities.mean() == pytest.approx(targets[:, column].mean(), abs=0.01)


def test_a_label_whose_features_tell_nothing_is_not_turned_round() -> None:
    scores, targets = scored()
    on, off = scores[targets[:, 3] == 1, 3], scores[targets[:, 3] == 0, 3]
    assert on.max() < off.min(), "the scores are the wrong way round altogether"
    slopes, biases = fit_odds(scores, targets)
    assert slopes[3] == 1.0, "the least there is"
    assert (expit(scores[:, 3] + biases[3]) - 0.5).max() < 0.1


def test_odds_of_a_label_on_few_texts_are_drawn_to_the_prior() -> None:
    """Scores that part the texts would have an endless slope by themselves."""
    separated = np.array([0.1] * 3 + [0.9])[:, None]
    few, _ = fit_odds(separated, np.array([[0], [0], [0], [1]], dtype=np.uint8))
    many, _ = fit_odds(np.tile(separated, (100, 1)), np.tile([[0], [0], [0], [1]], (100, 1)).astype(np.uint8))
    assert 6 < few[0] < 9 < 12 < many[0] < 100


def test_one_text_has_odds() -> None:
    features, targets = drawn(1, 3)
    slopes, biases = fit_odds(fit_ridge(features, targets, 1.5)[2], targets)
    assert np.isfinite(slopes).all()
    assert np.isfinite(biases).all()
