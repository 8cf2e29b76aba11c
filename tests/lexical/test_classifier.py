"""Tests for the lexical classifier: ridge against other solvers, log-odds against a separate fit of each label."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit, logit
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from tests.datasets import build_dataset, make_toy_dataset

from ratchet.config import compose
from ratchet.data.dataset import Dataset, Task
from ratchet.data.prepared import prepare
from ratchet.data.splits import make_split
from ratchet.data.taxonomy import Taxonomy
from ratchet.errors import UserError
from ratchet.lexical import classifier
from ratchet.lexical.classifier import (
    LexicalClassifier,
    fit_lexical,
    fit_odds,
    fit_ridge,
    fit_shift,
    normalised,
    probabilities,
)
from ratchet.lexical.features import Features, LexicalSettings

Targets = npt.NDArray[np.uint8]
SIZES = pytest.mark.parametrize(("texts", "features"), [(12, 40), (40, 12), (1, 3)], ids=str)
CS = pytest.mark.parametrize("c", [0.01, 1.5, 100.0])
MakeDataset = Callable[..., Dataset]
TASKS = pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
WORDS: dict[str, Any] = {"char_ngrams": None, "word_ngrams": [1, 1]}


def sample_data(texts: int, features: int, labels: int = 3, seed: int = 0) -> tuple[csr_matrix, Targets]:
    """Sample sparse features, and targets that depend on the first of them."""
    generator = np.random.default_rng(seed)
    dense = generator.random((texts, features), dtype=np.float32) * (generator.random((texts, features)) < 0.3)
    targets = dense[:, :labels] + 0.2 * generator.random((texts, labels)) > 0.15
    return csr_matrix(dense.astype(np.float32)), targets.astype(np.uint8)


def solve_least_squares(features: csr_matrix, targets: Targets, c: float) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return weights and biases by least squares; a row of sqrt(1 / c) per weight and bias is its penalty."""
    with_ones = np.column_stack([features.toarray().astype(float), np.ones(features.shape[0])])
    rows = np.vstack([with_ones, np.sqrt(1 / c) * np.eye(with_ones.shape[1])])
    padded_targets = np.vstack([targets, np.zeros((with_ones.shape[1], targets.shape[1]))])
    solution = np.linalg.lstsq(rows, padded_targets, rcond=None)[0]
    return solution[:-1], solution[-1]


@SIZES
@CS
def test_ridge_matches_penalised_least_squares(texts: int, features: int, c: float) -> None:
    matrix, targets = sample_data(texts, features)
    weights, bias = fit_ridge(matrix, targets, c)[:2]
    assert (weights.shape, bias.shape) == ((features, 3), (3,))
    expected_weights, expected_bias = solve_least_squares(matrix, targets, c)
    np.testing.assert_allclose(weights, expected_weights, atol=1e-5)
    np.testing.assert_allclose(bias, expected_bias, atol=1e-5)


@CS
def test_ridge_matches_scikit_learn(c: float) -> None:
    features, targets = sample_data(30, 50)
    weights, bias = fit_ridge(features, targets, c)[:2]
    with_ones = np.column_stack([features.toarray().astype(float), np.ones(30)])
    reference = Ridge(alpha=1 / c, fit_intercept=False, solver="svd").fit(with_ones, targets)
    np.testing.assert_allclose(np.vstack([weights, bias]), reference.coef_.T, atol=1e-5)


@SIZES
@CS
def test_left_out_scores_match_leave_one_out_fits(texts: int, features: int, c: float) -> None:
    matrix, targets = sample_data(texts, features)
    left_out = fit_ridge(matrix, targets, c)[2]
    assert left_out.shape == targets.shape
    for row in range(texts):
        rest = np.arange(texts) != row
        weights, bias = solve_least_squares(matrix[rest], targets[rest], c)
        np.testing.assert_allclose(left_out[row], (matrix[[row]] @ weights + bias)[0], atol=1e-4)


@SIZES
def test_unseen_scores_match_leave_one_out_fits(texts: int, features: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "_BLOCK", 7)
    matrix, targets = sample_data(texts, features)
    unseen = csr_matrix(matrix.multiply(np.random.default_rng(1).random((texts, 1))), dtype=np.float32)
    fit = fit_ridge(matrix, targets, 1.5, unseen=unseen)
    np.testing.assert_array_equal(fit.left_out, fit_ridge(matrix, targets, 1.5).left_out)
    for row in range(texts):
        rest = np.arange(texts) != row
        weights, bias = solve_least_squares(matrix[rest], targets[rest], 1.5)
        np.testing.assert_allclose(fit.unseen[row], (unseen[[row]] @ weights + bias)[0], atol=1e-4)


def test_left_out_score_ignores_own_label() -> None:
    features, targets = sample_data(20, 30)
    before = fit_ridge(features, targets, 1.5)[2]
    targets[7] = 1 - targets[7]
    after = fit_ridge(features, targets, 1.5)[2]
    np.testing.assert_allclose(after[7], before[7], atol=1e-9)
    assert np.abs(after - before).max() > 0.01, "scores of other texts must change"


def test_identical_texts_get_same_fitted_score() -> None:
    """Without the penalty their products are rank-deficient; C = 1000 is the largest allowed value."""
    features = csr_matrix(np.tile(np.array([[0.6, 0.8]], dtype=np.float32), (200, 1)))
    targets = (np.arange(200) % 4 == 0).astype(np.uint8)[:, None]
    weights, bias, left_out = fit_ridge(features, targets, 1000.0)[:3]
    np.testing.assert_allclose(features @ weights + bias, 0.25, atol=1e-3)
    assert left_out[0, 0] < 0.25 < left_out[1, 0]


@pytest.mark.parametrize("labels", [1, 3])
def test_large_data_uses_iterative_solver_and_five_folds(monkeypatch: pytest.MonkeyPatch, labels: int) -> None:
    features, targets = sample_data(40, 60, labels)
    exact_weights, exact_bias = fit_ridge(features, targets, 1.5)[:2]
    fold_scores = np.zeros(targets.shape)
    for rest, fold in KFold(5, shuffle=True, random_state=0).split(targets):
        weights, bias = fit_ridge(features[rest], targets[rest], 1.5)[:2]
        fold_scores[fold] = features[fold] @ weights + bias
    monkeypatch.setattr(classifier, "_EXACT", 39)
    weights, bias, left_out = fit_ridge(features, targets, 1.5)[:3]
    assert not np.array_equal(weights, exact_weights), "the other solver must be used"
    np.testing.assert_allclose(weights, exact_weights, atol=1e-3)
    np.testing.assert_allclose(bias, exact_bias, atol=1e-3)
    np.testing.assert_allclose(left_out, fold_scores, atol=1e-3)
    unseen = fit_ridge(features, targets, 1.5, unseen=features * 0).unseen
    assert len(np.unique(unseen.round(9), axis=0)) == 5, "without features, the score is the bias of the fold's fit"


def sample_scores(texts: int = 200, seed: int = 0) -> tuple[npt.NDArray[np.float64], Targets]:
    """Sample left-out scores of four labels: predicted well, predicted badly, on two texts, unpredictable."""
    generator = np.random.default_rng(seed)
    shares = np.array([0.3, 0.3, 2 / texts, 0.5])
    targets = np.arange(texts)[:, None] % np.round(1 / shares) == 0
    signal = np.array([0.8, 0.15, 0.5, -0.1])  # left out, texts with an unpredictable label score slightly less
    noise = generator.normal(0, [0.1, 0.25, 0.1, 0.01], (texts, 4))
    return shares * (1 - signal) + signal * targets + noise, targets.astype(np.uint8)


def test_log_odds_match_separate_fit_per_label() -> None:
    scores, targets = sample_scores()
    slopes, biases = fit_odds(scores, targets)
    for column in range(4):
        centred, target = scores[:, column] - 0.5, targets[:, column]

        def loss(parameters: npt.NDArray[Any], centred: npt.NDArray[Any] = centred, target: Targets = target) -> float:
            logits = parameters[0] * centred + parameters[1]
            distance = (parameters[0] - 6) ** 2 + parameters[1] ** 2
            return float((np.logaddexp(0, logits) - target * logits).sum() + 0.05 * distance)

        best = minimize(loss, [3.0, 0.0], bounds=[(1, None), (None, None)], method="L-BFGS-B", tol=1e-12).x
        estimate = [slopes[column], biases[column] + 0.5 * slopes[column]]
        np.testing.assert_allclose(estimate, best, rtol=1e-2, atol=1e-2)


def test_well_predicted_label_gets_steeper_odds() -> None:
    scores, targets = sample_scores()
    slopes, biases = fit_odds(scores, targets)
    assert slopes[0] > slopes[1] > 1
    for column in range(2):
        probabilities = expit(slopes[column] * scores[:, column] + biases[column])
        assert probabilities.mean() == pytest.approx(targets[:, column].mean(), abs=0.01)


def test_uninformative_label_gets_minimum_slope() -> None:
    scores, targets = sample_scores()
    on, off = scores[targets[:, 3] == 1, 3], scores[targets[:, 3] == 0, 3]
    assert on.max() < off.min(), "the left-out scores must be inverted"
    slopes, biases = fit_odds(scores, targets)
    assert slopes[3] == 1.0, "the lower bound"
    assert (expit(scores[:, 3] + biases[3]) - 0.5).max() < 0.1


def test_odds_of_rare_label_shrink_to_prior() -> None:
    """Without the prior, scores that separate the texts would have an infinite slope."""
    separated = np.array([0.1] * 3 + [0.9])[:, None]
    few, _ = fit_odds(separated, np.array([[0], [0], [0], [1]], dtype=np.uint8))
    many, _ = fit_odds(np.tile(separated, (100, 1)), np.tile([[0], [0], [0], [1]], (100, 1)).astype(np.uint8))
    assert 6 < few[0] < 9 < 12 < many[0] < 100


def test_odds_of_single_text_are_finite() -> None:
    features, targets = sample_data(1, 3)
    slopes, biases = fit_odds(fit_ridge(features, targets, 1.5)[2], targets)
    assert np.isfinite(slopes).all()
    assert np.isfinite(biases).all()


@pytest.mark.parametrize("offset", [-3.0, 0.0, 2.0])
def test_shift_makes_the_mean_score_the_share_of_labels(offset: float) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 2, (2000, 4))
    targets = (generator.random(logits.shape) < expit(logits)).astype(np.uint8)
    known = generator.random(logits.shape) < 0.5
    shift = fit_shift(logits + offset, targets, known)
    assert expit(logits + offset + shift)[known].mean() == pytest.approx(targets[known].mean(), abs=1e-3)
    assert shift == pytest.approx(-offset, abs=0.1)
    assert fit_shift(logits[:0], targets[:0]) == 0


def test_mean_score_of_unseen_texts_is_the_mean_number_of_labels() -> None:
    """Vocabulary and IDF have seen the train texts: without a correction the scores of others are 6 % too high."""
    config = compose(["data=sample"])
    prepared = prepare(config.data)
    excess, labels = [], 0
    for seed in range(5):
        split = make_split(prepared, replace(config.split, seed=seed), None)
        unseen = prepared.select([*split.val, *split.test])
        scores = fit_classifier(prepared.select(split.train)).predict_proba(unseen.texts)
        excess += (scores.sum(axis=1) - unseen.targets.sum(axis=1)).tolist()
        labels += int(unseen.targets.sum())
    assert abs(np.mean(excess)) < 2 * np.std(excess) / np.sqrt(len(excess))
    assert abs(np.sum(excess)) < 0.02 * labels


def fit_classifier(train: Dataset, **settings: Any) -> LexicalClassifier:
    return fit_lexical(train, LexicalSettings(**settings))[0]


def compute_left_out_scores(train: Dataset, **settings: Any) -> npt.NDArray[np.float32]:
    return fit_lexical(train, LexicalSettings(**settings))[1]


def make_needle_data() -> Dataset:
    """Return four texts; the label is on the two with a needle."""
    return build_dataset(["red needle", "blue needle", "straw hay", "hay straw"], [[1], [1], [0], [0]])


@TASKS
def test_scores_are_calibrated_ridge_scores(make_dataset: MakeDataset, task: Task) -> None:
    train, new = make_dataset(30, task=task), make_dataset(9, task=task, seed=1)
    settings = LexicalSettings()
    features = Features.fit(train.texts, train.labels, train.taxonomy, settings)
    matrix = features.transform(train.texts)
    weights, bias, scores, unseen = fit_ridge(matrix, train.targets, settings.C, unseen=features.leave_out(matrix))
    slopes, offsets = fit_odds(scores, train.targets)
    shift = fit_shift(slopes * unseen + offsets, train.targets) if task is Task.multilabel else 0
    expected = expit(slopes * (features.transform(new.texts) @ weights + bias) + offsets + shift)
    expected_left_out = expit(slopes * scores + offsets)
    if task is Task.multiclass:
        expected /= expected.sum(axis=1, keepdims=True)
        expected_left_out /= expected_left_out.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fit_classifier(train).predict_proba(new.texts), expected, atol=1e-5)
    np.testing.assert_allclose(compute_left_out_scores(train), expected_left_out, atol=1e-5)


@TASKS
def test_left_out_scores_are_less_accurate_than_fitted_scores(make_dataset: MakeDataset, task: Task) -> None:
    train = make_dataset(60, task=task)
    left_out_scores = compute_left_out_scores(train)
    assert (left_out_scores.shape, left_out_scores.dtype) == (train.targets.shape, np.float32)
    fitted_scores, truth = fit_classifier(train).predict_proba(train.texts), train.targets.astype(float)
    assert np.abs(left_out_scores - truth).mean() > 1.1 * np.abs(fitted_scores - truth).mean()
    assert (left_out_scores[train.targets == 1].mean(), left_out_scores[train.targets == 0].mean()) == pytest.approx(
        (1, 0), abs=0.3
    )


def test_left_out_scores_do_not_memorise_random_labels() -> None:
    generator = np.random.default_rng(0)
    texts = [f"word{number} sign{number}" for number in range(100)]
    train = build_dataset(texts, generator.random((100, 1)) < 0.5)
    fitted_scores, left_out_scores = fit_classifier(train).predict_proba(texts), compute_left_out_scores(train)
    on, off = train.targets[:, 0] == 1, train.targets[:, 0] == 0
    assert fitted_scores[on].mean() > fitted_scores[off].mean() + 0.1
    assert left_out_scores[on].mean() == pytest.approx(left_out_scores[off].mean(), abs=0.02)


@TASKS
def test_logits_match_scores(make_dataset: MakeDataset, task: Task) -> None:
    train = make_dataset(30, task=task)
    classifier, texts = fit_classifier(train), [*train.texts[:5], "", "unheard of"]
    logits, scores = classifier.logits(texts), classifier.predict_proba(texts)
    assert logits.dtype == scores.dtype == np.float32
    np.testing.assert_allclose(np.exp(logits) if task is Task.multiclass else expit(logits), scores, atol=1e-6)


def test_labels_share_only_the_shift_of_their_log_odds(make_dataset: MakeDataset) -> None:
    train, texts = make_dataset(30), make_dataset(12, seed=1).texts
    # same taxonomy, so same mentions
    single_label = replace(train, labels=train.labels[:1], targets=train.targets[:, :1])
    shift = fit_classifier(single_label).logits(texts)[:, 0] - fit_classifier(train).logits(texts)[:, 0]
    np.testing.assert_allclose(shift, shift[0], atol=1e-4)
    assert abs(shift[0]) < 0.2


@pytest.mark.parametrize(
    "train",
    [[[1, 0, 0], [0, 1, 0]], [[0, 0, 1], [0, 1, 0]], [[1, 0, 0], [1, 0, 0]]],
    ids=["last class absent", "first class absent", "only first class"],
)
def test_class_probabilities_sum_to_1_with_absent_classes(train: npt.ArrayLike) -> None:
    """A class on no text must have probability 0."""
    data = build_dataset(["speech sound", "nodes edges"] * 6, np.tile(train, (6, 1)), task=Task.multiclass)
    texts = [*data.texts[:2], "", "unheard of", "speech nodes"]
    absent = ~data.targets.any(axis=0)
    for scores in (fit_classifier(data).predict_proba(texts), compute_left_out_scores(data)):
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
        assert not scores[:, absent].any()


@pytest.mark.parametrize(("value", "score"), [(0, 0.0), (1, 1.0)], ids=["on none", "on all"])
def test_constant_label_gets_constant_score(
    make_dataset: MakeDataset, tmp_path: Path, value: int, score: float
) -> None:
    train = make_dataset(30)
    train.targets[:, 1] = value
    classifier, left_out_scores = fit_lexical(train, LexicalSettings())
    classifier.save(tmp_path)
    for model in (classifier, LexicalClassifier.load(tmp_path)):
        np.testing.assert_array_equal(model.predict_proba([*train.texts, ""])[:, 1], np.float32(score))
        assert "graphs" not in {label for label, *_ in model.explain([*train.texts, ""])[0]}
    np.testing.assert_array_equal(left_out_scores[:, 1], np.float32(score))
    assert len(np.unique(classifier.predict_proba(train.texts)[:, 0])) > 1


def test_multiclass_logits_are_log_probabilities_at_extremes() -> None:
    logits = np.array([[0.0, 1.0, -2.0], [-900.0, -901.0, -np.inf], [np.inf, 40.0, -40.0], [-np.inf] * 3])
    log_probabilities = normalised(logits, Task.multiclass)
    odds = expit(logits[0])
    np.testing.assert_allclose(log_probabilities[0], np.log(odds / odds.sum()), rtol=1e-5)
    np.testing.assert_allclose(np.exp(log_probabilities[1]), [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0], rtol=1e-5)
    np.testing.assert_allclose(np.exp(log_probabilities[2]), [0.5, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(np.exp(log_probabilities[3]), 1 / 3, rtol=1e-6, err_msg="nothing known: all alike")
    np.testing.assert_allclose(probabilities(log_probabilities, Task.multiclass).sum(axis=1), 1, rtol=1e-6)


def test_multilabel_logits_are_unchanged() -> None:
    logits = np.array([[0.0, -np.inf, np.inf, 3.0]])
    np.testing.assert_array_equal(normalised(logits, Task.multilabel), logits.astype(np.float32))
    np.testing.assert_allclose(
        probabilities(normalised(logits, Task.multilabel), Task.multilabel), [[0.5, 0, 1, expit(3)]], rtol=1e-6
    )


def test_empty_input_has_no_scores_or_evidence() -> None:
    classifier = fit_classifier(make_needle_data())
    assert classifier.logits([]).shape == classifier.predict_proba([]).shape == (0, 1)
    assert classifier.explain([]) == []


def test_character_ngrams_match_inflected_words() -> None:
    train = build_dataset(["segmentation of cells", "forecasting of sales"] * 5, [[1, 0], [0, 1]] * 5)
    text = ["segmenting, segmented"]
    words = fit_classifier(train, char_ngrams=None).predict_proba([*text, ""])
    np.testing.assert_array_equal(words[0], words[1], "no train word is in the text")
    inflected, empty = fit_classifier(train).predict_proba([*text, ""])
    assert inflected[0] > empty[0] + 0.2
    assert inflected[1] < empty[1]


def test_word_pairs_distinguish_word_order() -> None:
    texts = ["blue dog red cat", "red dog blue cat"] * 5
    train = build_dataset(texts, [[1], [0]] * 5)
    single = fit_classifier(train, **WORDS).predict_proba(texts[:2])
    np.testing.assert_allclose(single[0], single[1], atol=1e-6)
    pairs = fit_classifier(train, word_ngrams=[1, 2], char_ngrams=None).predict_proba(texts[:2])
    assert pairs[0, 0] > 0.5 > pairs[1, 0]


def test_stop_words_count_only_if_kept() -> None:
    train = build_dataset(["the cat", "which cat"] * 5, [[1], [0]] * 5)
    without = fit_classifier(train, stop_words="english", **WORDS).predict_proba(["the", "which"])
    assert without[0, 0] == without[1, 0]
    counted = fit_classifier(train, stop_words=None, **WORDS).predict_proba(["the", "which"])
    assert counted[0, 0] > 0.5 > counted[1, 0]


def test_alias_missing_from_train_texts_raises_score() -> None:
    taxonomy = Taxonomy({"label0": ("cv", "computer vision"), "label1": ()}, {"label0": (), "label1": ()})
    texts = ["cv for cells", "forecasts of sales", "cv on a phone", "prices of houses"] * 3
    train = build_dataset(texts, [[1, 0], [0, 1], [1, 0], [0, 1]] * 3, taxonomy=taxonomy)
    text = ["Computer vision", "unheard of"]
    known = fit_classifier(train).predict_proba(text)[:, 0]
    assert known[0] > known[1] + 0.1
    without = fit_classifier(train, mention_weight=0.0, char_ngrams=None).predict_proba(text)[:, 0]
    assert without[0] == without[1]


def test_smaller_c_gives_smaller_weights(make_dataset: MakeDataset) -> None:
    train = make_dataset(30)
    features = Features.fit(train.texts, train.labels, train.taxonomy, LexicalSettings())
    sizes = [
        float(np.linalg.norm(fit_ridge(features.transform(train.texts), train.targets, C)[0])) for C in (0.01, 1, 100)
    ]
    assert sizes == sorted(sizes)
    assert sizes[2] > 10 * sizes[0]


@pytest.mark.parametrize("within", ["", "lexical."])
@pytest.mark.parametrize("min_df", [4, 1000])
def test_too_large_min_df_error_names_remedy(min_df: int, within: str) -> None:
    train = build_dataset(["one thing", "another matter", "third case"], [[1], [0], [0]])
    message = rf"^model\.{within}min_df={min_df}\b.*\b3 train texts.*model\.{within}min_df=1$"
    with pytest.raises(UserError, match=message):
        fit_lexical(train, LexicalSettings(min_df=min_df), within)


@pytest.mark.parametrize("text", ["the of and", "", "!?"], ids=["stop words", "empty", "signs"])
def test_texts_without_words_error_does_not_mention_min_df(text: str) -> None:
    with pytest.raises(UserError) as error:
        fit_classifier(build_dataset([text] * 3, [[1], [0], [0]]), min_df=1)
    assert "3 train texts" in str(error.value)
    assert "min_df" not in str(error.value), "it is already 1"


def test_evidence_lists_strongest_word_first() -> None:
    train = build_dataset(["needle hay", "needle straw", "hay straw", "straw hay"], [[1], [1], [0], [0]])
    (evidence,) = fit_classifier(train, **WORDS).explain(["needle in hay"])
    assert [(label, words) for label, words, _ in evidence[:1]] == [("label0", "needle")]
    assert all(share > 0 for *_, share in evidence)


def test_label_with_low_score_has_no_evidence() -> None:
    """Tuned thresholds can be well below .5, so scores from .1 need evidence."""
    texts = ["red needle", "blue needle", "straw hay", "hay straw"] * 10
    classifier = fit_classifier(build_dataset(texts, [[1], [1], [0], [0]] * 10))
    queries = ["red", "blue straw and hay", "straw hay"]
    scores = classifier.predict_proba(queries)[:, 0]
    assert scores[0] >= 0.5 > scores[1] >= 0.1 > scores[2]
    assert [bool(evidence) for evidence in classifier.explain(queries)] == [True, True, False]


def test_evidence_sums_to_log_odds_difference() -> None:
    classifier, texts = fit_classifier(make_needle_data(), **WORDS), ["red needle", ""]
    (evidence, no_evidence) = classifier.explain(texts)
    assert {words for _, words, _ in evidence} == {"red", "needle"}
    assert no_evidence == []
    with_words, without = logit(classifier.predict_proba(texts)[:, 0].astype(float))
    assert sum(share for *_, share in evidence) == pytest.approx(with_words - without, abs=1e-4)


def test_evidence_lists_each_word_once() -> None:
    taxonomy = Taxonomy({"label0": (), "bert": ()}, {"label0": (), "bert": ()})
    texts = ["bert model", "bert thing", "cnn model", "cnn thing"]
    train = build_dataset(texts, [[1], [1], [0], [0]], taxonomy=taxonomy)
    (evidence,) = fit_classifier(train, char_ngrams=[3, 6]).explain(["bert"])
    listed = [words for _, words, _ in evidence]
    assert listed[0] == "bert"
    assert len(listed) == len(set(listed)) <= 5


def test_num_parameters_counts_weights_and_biases() -> None:
    train = build_dataset(["red needle", "straw hay"], [[1, 0], [0, 1]])
    for weight, features in ((0.0, 4), (0.3, 6)):  # four words; with mentions, two label names
        classifier = fit_classifier(train, mention_weight=weight, **WORDS)
        assert classifier.num_parameters == (features + 1) * 2
        assert classifier.size_bytes == classifier.num_parameters * 4


def test_fit_is_deterministic_and_prediction_keeps_no_state(make_dataset: MakeDataset) -> None:
    train = make_dataset(30)
    classifier, texts = fit_classifier(train), make_dataset(9, seed=1).texts
    before = classifier.predict_proba(texts)
    classifier.predict_proba(["speech unheard of"] * 50)
    np.testing.assert_array_equal(classifier.predict_proba(texts), before)
    np.testing.assert_array_equal(fit_classifier(train).predict_proba(texts), before, "no chance in it")


@TASKS
def test_saved_files_contain_no_pickle(make_dataset: MakeDataset, tmp_path: Path, task: Task) -> None:
    fit_classifier(make_dataset(30, task=task)).save(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"features.json", "idf.npz", "model.json", "weights.npz"}
    for name in ("idf.npz", "weights.npz"):
        arrays = np.load(io.BytesIO((tmp_path / name).read_bytes()), allow_pickle=False)
        assert {array.dtype for array in arrays.values()} == {np.dtype("float32")}


@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5),
    labels=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=2, max_size=3, unique=True),
    task=st.sampled_from(list(Task)),
)
@hypothesis_settings(max_examples=50, deadline=None)
def test_any_texts_and_labels_can_be_fitted_and_saved(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], labels: list[str], task: Task
) -> None:
    known = [label for label in labels if label.strip()]  # records drop blank labels
    texts = [*texts, "one word"]
    targets = np.eye(len(labels), dtype=np.uint8)[np.arange(len(texts)) % len(labels)]
    ids = [str(number) for number in range(len(texts))]
    train = Dataset(ids, texts, targets, labels, Taxonomy.from_labels(known), task)
    classifier, left_out_scores = fit_lexical(train, LexicalSettings())
    scores = classifier.predict_proba(texts)
    for array in (scores, left_out_scores):
        assert array.shape == (len(texts), len(labels))
        assert ((array >= 0) & (array <= 1)).all()
    directory = tmp_path_factory.mktemp("classifier")
    classifier.save(directory)
    loaded = LexicalClassifier.load(directory)
    np.testing.assert_array_equal(loaded.predict_proba(texts), scores)
    assert loaded.explain(texts) == classifier.explain(texts)
    assert (loaded.labels, loaded.task) == (labels, task)


def make_partly_known(size: int = 40) -> Dataset:
    """Return texts of three labels, two of which are known for the same texts."""
    train = make_toy_dataset(size)
    known = np.ones(train.targets.shape, dtype=bool)
    known[::3, 0] = known[1::4, 1] = known[1::4, 2] = False
    return replace(train, known=known)


@pytest.mark.parametrize("exact", [5000, 10], ids=["exact", "iterative"])
def test_label_is_fitted_on_its_known_texts(exact: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "_EXACT", exact)
    train = make_partly_known()
    assert train.known is not None
    features = Features.fit(train.texts, train.labels, train.taxonomy, LexicalSettings()).transform(train.texts)
    weights, bias, left_out = fit_ridge(features, train.targets, 1.5, train.known)[:3]
    for column, rows in enumerate(train.known.T):
        alone = fit_ridge(features[rows], train.targets[rows][:, [column]], 1.5)
        np.testing.assert_allclose(weights[:, [column]], alone[0], atol=1e-4)
        np.testing.assert_allclose(bias[column], alone[1][0], atol=1e-4)
        np.testing.assert_allclose(left_out[rows, column], alone[2][:, 0], atol=1e-4)
        others = features[~rows] @ alone[0] + alone[1]
        np.testing.assert_allclose(left_out[~rows, column], others[:, 0], atol=1e-4)
    slopes, offsets = fit_odds(left_out, train.targets, train.known)
    for column, rows in enumerate(train.known.T):
        slope, offset = fit_odds(left_out[rows][:, [column]], train.targets[rows][:, [column]])
        np.testing.assert_allclose((slopes[column], offsets[column]), (slope[0], offset[0]), rtol=1e-2)


def test_labels_of_the_same_known_texts_are_fitted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    train, shapes, fit = make_partly_known(), [], classifier._fit_known
    monkeypatch.setattr(
        classifier, "_fit_known", lambda *arguments: [shapes.append(arguments[1].shape), fit(*arguments)][1]
    )
    fit_classifier(train)
    assert sorted(shapes) == [(26, 1), (30, 2)]


def test_unknown_targets_do_not_change_the_classifier() -> None:
    train = make_partly_known()
    assert train.known is not None
    other = replace(train, targets=np.where(train.known, train.targets, 1 - train.targets))
    one, two = fit_classifier(train), fit_classifier(other)
    np.testing.assert_array_equal(one.weights, two.weights)
    np.testing.assert_array_equal(one.bias, two.bias)
    assert not np.array_equal(one.weights, fit_classifier(replace(train, known=None)).weights)


def test_label_that_is_never_known_scores_0() -> None:
    train = make_partly_known()
    assert train.known is not None
    train.known[:, 1] = False
    assert not fit_classifier(train).predict_proba(train.texts)[:, 1].any()
