"""Ridge against what solves the same equations otherwise, and log-odds against a fit of each label by itself."""

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
from tests.datasets import build_dataset

from ratchet.data.dataset import Dataset, Task
from ratchet.data.taxonomy import Taxonomy
from ratchet.errors import UserError
from ratchet.lexical import classifier
from ratchet.lexical.classifier import LexicalClassifier, fit_lexical, fit_odds, fit_ridge, normalised, probabilities
from ratchet.lexical.features import Features, LexicalSettings

Targets = npt.NDArray[np.uint8]
SIZES = pytest.mark.parametrize(("texts", "features"), [(12, 40), (40, 12), (1, 3)], ids=str)
CS = pytest.mark.parametrize("c", [0.01, 1.5, 100.0])
MakeDataset = Callable[..., Dataset]
TASKS = pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
WORDS: dict[str, Any] = {"char_ngrams": None, "word_ngrams": [1, 1]}


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
    monkeypatch.setattr(classifier, "_EXACT", 39)
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


def fitted(train: Dataset, **settings: Any) -> LexicalClassifier:
    return fit_lexical(train, LexicalSettings(**settings))[0]


def left_out(train: Dataset, **settings: Any) -> npt.NDArray[np.float32]:
    return fit_lexical(train, LexicalSettings(**settings))[1]


def needles() -> Dataset:
    """The first label is on texts that hold a needle, each in another place."""
    return build_dataset(["red needle", "blue needle", "straw hay", "hay straw"], [[1], [1], [0], [0]])


@TASKS
def test_scores_are_the_calibrated_ones_of_the_ridge(make_dataset: MakeDataset, task: Task) -> None:
    train, new = make_dataset(30, task=task), make_dataset(9, task=task, seed=1)
    settings = LexicalSettings()
    features = Features.fit(train.texts, train.labels, train.taxonomy, settings)
    weights, bias, scores = fit_ridge(features.transform(train.texts), train.targets, settings.C)
    slopes, offsets = fit_odds(scores, train.targets)
    expected = expit(slopes * (features.transform(new.texts) @ weights + bias) + offsets)
    expected_left_out = expit(slopes * scores + offsets)
    if task is Task.multiclass:
        expected /= expected.sum(axis=1, keepdims=True)
        expected_left_out /= expected_left_out.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(fitted(train).predict_proba(new.texts), expected, atol=1e-5)
    np.testing.assert_allclose(left_out(train), expected_left_out, atol=1e-5)


@TASKS
def test_left_out_scores_are_less_sure_than_those_of_the_fit(make_dataset: MakeDataset, task: Task) -> None:
    train = make_dataset(60, task=task)
    found = left_out(train)
    assert (found.shape, found.dtype) == (train.targets.shape, np.float32)
    own, distance = fitted(train).predict_proba(train.texts), train.targets.astype(float)
    assert np.abs(found - distance).mean() > 1.1 * np.abs(own - distance).mean()
    assert (found[train.targets == 1].mean(), found[train.targets == 0].mean()) == pytest.approx((1, 0), abs=0.3)


def test_left_out_scores_of_labels_that_chance_deals_out_repeat_no_label() -> None:
    generator = np.random.default_rng(0)
    texts = [f"word{number} sign{number}" for number in range(100)]
    train = build_dataset(texts, generator.random((100, 1)) < 0.5)
    of_fit, honest = fitted(train).predict_proba(texts), left_out(train)
    on, off = train.targets[:, 0] == 1, train.targets[:, 0] == 0
    assert of_fit[on].mean() > of_fit[off].mean() + 0.1
    assert honest[on].mean() == pytest.approx(honest[off].mean(), abs=0.02)


@TASKS
def test_log_odds_are_those_of_the_scores(make_dataset: MakeDataset, task: Task) -> None:
    train = make_dataset(30, task=task)
    classifier, texts = fitted(train), [*train.texts[:5], "", "unheard of"]
    logits, scores = classifier.logits(texts), classifier.predict_proba(texts)
    assert logits.dtype == scores.dtype == np.float32
    np.testing.assert_allclose(np.exp(logits) if task is Task.multiclass else expit(logits), scores, atol=1e-6)


def test_labels_are_scored_independently_of_each_other(make_dataset: MakeDataset) -> None:
    train, texts = make_dataset(30), make_dataset(12, seed=1).texts
    one = replace(train, labels=train.labels[:1], targets=train.targets[:, :1])  # taxonomy, and so names, are the same
    np.testing.assert_allclose(
        fitted(one).predict_proba(texts)[:, 0], fitted(train).predict_proba(texts)[:, 0], atol=1e-5
    )


@pytest.mark.parametrize(
    "train",
    [[[1, 0, 0], [0, 1, 0]], [[0, 0, 1], [0, 1, 0]], [[1, 0, 0], [1, 0, 0]]],
    ids=["none on the last", "none on the first", "all on the first"],
)
def test_shares_of_classes_sum_to_1_even_where_a_class_is_on_no_text(train: npt.ArrayLike) -> None:
    """And a class on no text, or any but the one on all, has no share at all."""
    data = build_dataset(["speech sound", "nodes edges"] * 6, np.tile(train, (6, 1)), task=Task.multiclass)
    texts = [*data.texts[:2], "", "unheard of", "speech nodes"]
    absent = ~data.targets.any(axis=0)
    for scores in (fitted(data).predict_proba(texts), left_out(data)):
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
        assert not scores[:, absent].any()


@pytest.mark.parametrize(("value", "score"), [(0, 0.0), (1, 1.0)], ids=["on none", "on all"])
def test_a_label_that_tells_nothing_apart_gets_one_score_everywhere(
    make_dataset: MakeDataset, tmp_path: Path, value: int, score: float
) -> None:
    train = make_dataset(30)
    train.targets[:, 1] = value
    classifier, found = fit_lexical(train, LexicalSettings())
    classifier.save(tmp_path)
    for one in (classifier, LexicalClassifier.load(tmp_path)):
        np.testing.assert_array_equal(one.predict_proba([*train.texts, ""])[:, 1], np.float32(score))
        assert "graphs" not in {label for label, *_ in one.explain([*train.texts, ""])[0]}
    np.testing.assert_array_equal(found[:, 1], np.float32(score))
    assert len(np.unique(classifier.predict_proba(train.texts)[:, 0])) > 1


def test_multi_class_logits_are_the_logs_of_shares_however_far_out() -> None:
    logits = np.array([[0.0, 1.0, -2.0], [-900.0, -901.0, -np.inf], [np.inf, 40.0, -40.0], [-np.inf] * 3])
    found = normalised(logits, Task.multiclass)
    odds = expit(logits[0])
    np.testing.assert_allclose(found[0], np.log(odds / odds.sum()), rtol=1e-5)
    np.testing.assert_allclose(np.exp(found[1]), [1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1)), 0], rtol=1e-5)
    np.testing.assert_allclose(np.exp(found[2]), [0.5, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(np.exp(found[3]), 1 / 3, rtol=1e-6, err_msg="nothing known: all alike")
    np.testing.assert_allclose(probabilities(found, Task.multiclass).sum(axis=1), 1, rtol=1e-6)


def test_multi_label_logits_stay_as_they_are() -> None:
    logits = np.array([[0.0, -np.inf, np.inf, 3.0]])
    np.testing.assert_array_equal(normalised(logits, Task.multilabel), logits.astype(np.float32))
    np.testing.assert_allclose(
        probabilities(normalised(logits, Task.multilabel), Task.multilabel), [[0.5, 0, 1, expit(3)]], rtol=1e-6
    )


def test_no_texts_have_no_scores_and_no_evidence() -> None:
    classifier = fitted(needles())
    assert classifier.logits([]).shape == classifier.predict_proba([]).shape == (0, 1)
    assert classifier.explain([]) == []


def test_character_ngrams_find_a_word_in_another_form() -> None:
    train = build_dataset(["segmentation of cells", "forecasting of sales"] * 5, [[1, 0], [0, 1]] * 5)
    text = ["segmenting, segmented"]
    words = fitted(train, char_ngrams=None).predict_proba([*text, ""])
    np.testing.assert_array_equal(words[0], words[1], "no train word is in the text")
    found, nothing = fitted(train).predict_proba([*text, ""])
    assert found[0] > nothing[0] + 0.2
    assert found[1] < nothing[1]


def test_word_pairs_tell_apart_what_single_words_cannot() -> None:
    texts = ["blue dog red cat", "red dog blue cat"] * 5
    train = build_dataset(texts, [[1], [0]] * 5)
    single = fitted(train, **WORDS).predict_proba(texts[:2])
    np.testing.assert_allclose(single[0], single[1], atol=1e-6)
    pairs = fitted(train, word_ngrams=[1, 2], char_ngrams=None).predict_proba(texts[:2])
    assert pairs[0, 0] > 0.5 > pairs[1, 0]


def test_stop_words_are_no_evidence_unless_asked_for() -> None:
    train = build_dataset(["the cat", "which cat"] * 5, [[1], [0]] * 5)
    without = fitted(train, stop_words="english", **WORDS).predict_proba(["the", "which"])
    assert without[0, 0] == without[1, 0]
    counted = fitted(train, stop_words=None, **WORDS).predict_proba(["the", "which"])
    assert counted[0, 0] > 0.5 > counted[1, 0]


def test_a_name_of_a_label_that_stood_in_no_train_text_tells_as_much_as_its_other_names() -> None:
    taxonomy = Taxonomy({"label0": ("cv", "computer vision"), "label1": ()}, {"label0": (), "label1": ()})
    texts = ["cv for cells", "forecasts of sales", "cv on a phone", "prices of houses"] * 3
    train = build_dataset(texts, [[1, 0], [0, 1], [1, 0], [0, 1]] * 3, taxonomy=taxonomy)
    text = ["Computer vision", "unheard of"]
    known = fitted(train).predict_proba(text)[:, 0]
    assert known[0] > known[1] + 0.1
    without = fitted(train, mention_weight=0.0, char_ngrams=None).predict_proba(text)[:, 0]
    assert without[0] == without[1]


def test_more_regularisation_means_smaller_distances(make_dataset: MakeDataset) -> None:
    train = make_dataset(30)
    features = Features.fit(train.texts, train.labels, train.taxonomy, LexicalSettings())
    sizes = [
        float(np.linalg.norm(fit_ridge(features.transform(train.texts), train.targets, C)[0])) for C in (0.01, 1, 100)
    ]
    assert sizes == sorted(sizes)
    assert sizes[2] > 10 * sizes[0]


@pytest.mark.parametrize("within", ["", "lexical."])
@pytest.mark.parametrize("min_df", [4, 1000])
def test_a_min_df_that_leaves_nothing_names_the_remedy(min_df: int, within: str) -> None:
    train = build_dataset(["one thing", "another matter", "third case"], [[1], [0], [0]])
    message = rf"^model\.{within}min_df={min_df}\b.*\b3 train texts.*model\.{within}min_df=1$"
    with pytest.raises(UserError, match=message):
        fit_lexical(train, LexicalSettings(min_df=min_df), within)


@pytest.mark.parametrize("text", ["the of and", "", "!?"], ids=["stop words", "empty", "signs"])
def test_texts_without_a_word_are_not_blamed_on_a_min_df_of_one(text: str) -> None:
    with pytest.raises(UserError) as refused:
        fitted(build_dataset([text] * 3, [[1], [0], [0]]), min_df=1)
    assert "3 train texts" in str(refused.value)
    assert "min_df" not in str(refused.value), "that is 1 already"


def test_the_words_behind_a_label_are_named_strongest_first() -> None:
    train = build_dataset(["needle hay", "needle straw", "hay straw", "straw hay"], [[1], [1], [0], [0]])
    (evidence,) = fitted(train, **WORDS).explain(["needle in hay"])
    assert [(label, words) for label, words, _ in evidence[:1]] == [("label0", "needle")]
    assert all(share > 0 for *_, share in evidence)


def test_a_label_that_no_threshold_would_pass_needs_no_evidence() -> None:
    """Tuned thresholds lie well below one half, so what they pass has to be explained."""
    texts = ["red needle", "blue needle", "straw hay", "hay straw"] * 10
    classifier = fitted(build_dataset(texts, [[1], [1], [0], [0]] * 10))
    asked = ["red", "blue straw and hay", "straw hay"]
    scores = classifier.predict_proba(asked)[:, 0]
    assert scores[0] >= 0.5 > scores[1] >= 0.1 > scores[2]
    assert [bool(evidence) for evidence in classifier.explain(asked)] == [True, True, False]


def test_evidence_is_in_log_odds() -> None:
    classifier, texts = fitted(needles(), **WORDS), ["red needle", ""]
    (evidence, nothing) = classifier.explain(texts)
    assert {words for _, words, _ in evidence} == {"red", "needle"}
    assert nothing == []
    with_words, without = logit(classifier.predict_proba(texts)[:, 0].astype(float))
    assert sum(share for *_, share in evidence) == pytest.approx(with_words - without, abs=1e-4)


def test_evidence_shows_a_word_once_though_words_characters_and_names_all_have_it() -> None:
    taxonomy = Taxonomy({"label0": (), "bert": ()}, {"label0": (), "bert": ()})
    texts = ["bert model", "bert thing", "cnn model", "cnn thing"]
    train = build_dataset(texts, [[1], [1], [0], [0]], taxonomy=taxonomy)
    (evidence,) = fitted(train, char_ngrams=[3, 6]).explain(["bert"])
    shown = [words for _, words, _ in evidence]
    assert shown[0] == "bert"
    assert len(shown) == len(set(shown)) <= 5


def test_parameters_are_weights_and_biases() -> None:
    train = build_dataset(["red needle", "straw hay"], [[1, 0], [0, 1]])
    for weight, features in ((0.0, 4), (0.3, 6)):  # four words, and two names
        classifier = fitted(train, mention_weight=weight, **WORDS)
        assert classifier.num_parameters == (features + 1) * 2
        assert classifier.size_bytes == classifier.num_parameters * 4


def test_nothing_but_the_texts_and_targets_of_train_makes_a_difference(make_dataset: MakeDataset) -> None:
    train = make_dataset(30)
    classifier, texts = fitted(train), make_dataset(9, seed=1).texts
    before = classifier.predict_proba(texts)
    classifier.predict_proba(["speech unheard of"] * 50)
    np.testing.assert_array_equal(classifier.predict_proba(texts), before)
    np.testing.assert_array_equal(fitted(train).predict_proba(texts), before, "no chance in it")


@TASKS
def test_four_files_are_written_that_hold_no_pickle(make_dataset: MakeDataset, tmp_path: Path, task: Task) -> None:
    fitted(make_dataset(30, task=task)).save(tmp_path)
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
def test_any_texts_and_labels_are_learnt_scored_and_stored(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], labels: list[str], task: Task
) -> None:
    known = [label for label in labels if label.strip()]  # records drop the others
    texts = [*texts, "one word"]
    targets = np.eye(len(labels), dtype=np.uint8)[np.arange(len(texts)) % len(labels)]
    ids = [str(number) for number in range(len(texts))]
    train = Dataset(ids, texts, targets, labels, Taxonomy.from_labels(known), task)
    classifier, honest = fit_lexical(train, LexicalSettings())
    scores = classifier.predict_proba(texts)
    for each in (scores, honest):
        assert each.shape == (len(texts), len(labels))
        assert ((each >= 0) & (each <= 1)).all()
    directory = tmp_path_factory.mktemp("classifier")
    classifier.save(directory)
    loaded = LexicalClassifier.load(directory)
    np.testing.assert_array_equal(loaded.predict_proba(texts), scores)
    assert loaded.explain(texts) == classifier.explain(texts)
    assert (loaded.labels, loaded.task) == (labels, task)
