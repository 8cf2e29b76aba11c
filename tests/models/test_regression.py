import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import expit, logit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from tests.conftest import fit_context

from ratchet.config import compose
from ratchet.data.dataset import Dataset, Task
from ratchet.data.taxonomy import Taxonomy
from ratchet.errors import UserError
from ratchet.models.regression import Settings, Tagger, fit_classifiers, make_features, make_vectorizers

MakeDataset = Callable[..., Dataset]


def make_settings(**changed: Any) -> Settings:
    return Settings(name="regression", complexity=1, **changed)


def fitted(train: Dataset, directory: Path, **settings: Any) -> Tagger:
    tagger = Tagger(make_settings(**settings))
    tagger.fit(train, train, fit_context(directory))
    return tagger


def dataset(texts: list[str], targets: npt.ArrayLike, *, task: Task = Task.multilabel) -> Dataset:
    matrix = np.asarray(targets, dtype=np.uint8)
    labels = [f"label{column}" for column in range(matrix.shape[1])]
    ids = [str(number) for number in range(len(texts))]
    return Dataset(ids, texts, matrix, labels, Taxonomy.from_labels(labels), task)


@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_it_learns_what_can_be_told_apart(make_dataset: MakeDataset, tmp_path: Path, task: Task) -> None:
    train, new = make_dataset(60, task=task), make_dataset(30, task=task, seed=1)
    scores = fitted(train, tmp_path).predict_proba(new.texts)
    if task is Task.multiclass:
        np.testing.assert_array_equal(scores.argmax(axis=1), new.targets.argmax(axis=1))
    else:
        np.testing.assert_array_equal(scores >= 0.5, new.targets)


def test_the_classes_of_a_record_share_a_probability_of_one(make_dataset: MakeDataset, tmp_path: Path) -> None:
    new = make_dataset(12, task=Task.multiclass, seed=1)
    texts = [*new.texts, "", "nothing of the kind"]
    scores = fitted(make_dataset(30, task=Task.multiclass), tmp_path).predict_proba(texts)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


def test_labels_are_scored_independently_of_each_other(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train, texts = make_dataset(30), make_dataset(12, seed=1).texts
    one = replace(train, labels=train.labels[:1], targets=train.targets[:, :1])
    np.testing.assert_array_equal(
        fitted(one, tmp_path).predict_proba(texts)[:, 0], fitted(train, tmp_path).predict_proba(texts)[:, 0]
    )


def test_character_ngrams_find_a_word_in_another_form(tmp_path: Path) -> None:
    train = dataset(["segmentation of cells", "forecasting of sales"] * 5, [[1, 0], [0, 1]] * 5)
    text = ["segmenting, segmented"]
    words = fitted(train, tmp_path, char_ngrams=None).predict_proba([*text, ""])
    np.testing.assert_array_equal(words[0], words[1], "no train word is in the text")
    with_characters = fitted(train, tmp_path).predict_proba(text)[0]
    assert with_characters[0] > 0.5 > with_characters[1]


def test_word_pairs_tell_apart_what_single_words_cannot(tmp_path: Path) -> None:
    texts = ["blue dog red cat", "red dog blue cat"] * 5
    train = dataset(texts, [[1], [0]] * 5)
    single = fitted(train, tmp_path, word_ngrams=[1, 1], char_ngrams=None).predict_proba(texts[:2])
    np.testing.assert_allclose(single[0], single[1], atol=1e-6)
    pairs = fitted(train, tmp_path, word_ngrams=[1, 2], char_ngrams=None).predict_proba(texts[:2])
    assert pairs[0, 0] > 0.5 > pairs[1, 0]


def test_stop_words_are_no_evidence_unless_asked_for(tmp_path: Path) -> None:
    train = dataset(["the cat", "which cat"] * 5, [[1], [0]] * 5)
    words = {"char_ngrams": None, "word_ngrams": [1, 1]}
    without = fitted(train, tmp_path, stop_words="english", **words).predict_proba(["the", "which"])
    assert without[0, 0] == without[1, 0]
    counted = fitted(train, tmp_path, stop_words=None, **words).predict_proba(["the", "which"])
    assert counted[0, 0] > 0.5 > counted[1, 0]


def test_min_df_drops_what_fewer_train_texts_have(tmp_path: Path) -> None:
    train = dataset(["common peculiar", "common", "other", "other"], [[1], [1], [0], [0]])
    texts = ["peculiar", "", "common"]
    kept = fitted(train, tmp_path, min_df=1, char_ngrams=None).predict_proba(texts)[:, 0]
    assert kept[0] > kept[1]
    dropped = fitted(train, tmp_path, min_df=2, char_ngrams=None).predict_proba(texts)[:, 0]
    assert dropped[0] == dropped[1] < dropped[2]


@pytest.mark.parametrize("min_df", [4, 1000])
def test_a_min_df_that_leaves_nothing_names_the_remedy(tmp_path: Path, min_df: int) -> None:
    train = dataset(["one thing", "another matter", "third case"], [[1], [0], [0]])
    with pytest.raises(UserError, match=rf"model\.min_df={min_df}\b.*\b3 train texts.*model\.min_df=1"):
        fitted(train, tmp_path, min_df=min_df)


@pytest.mark.parametrize("text", ["the of and", "", "!?"], ids=["stop words", "empty", "signs"])
def test_texts_without_a_word_are_not_blamed_on_a_min_df_of_one(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError) as refused:
        fitted(dataset([text] * 3, [[1], [0], [0]]), tmp_path, min_df=1)
    assert "3 train texts" in str(refused.value)
    assert "set model.min_df=1" not in str(refused.value), "that is what it is set to"


@pytest.mark.parametrize("key", ["word_ngrams", "char_ngrams"])
@pytest.mark.parametrize("value", [[2, 1], [0, 1], [-1, 2], [1], [], [1, 2, 3]], ids=str)
def test_ngrams_that_are_no_range_are_refused_by_name(key: str, value: list[int]) -> None:
    for make in (
        lambda: make_settings(**{key: value}),
        lambda: compose(["model=regression", f"model.{key}={json.dumps(value)}"]),
    ):
        with pytest.raises(UserError, match=rf"model\.{key}=.*\[shortest, longest\]"):
            make()


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model.stop_words=german", ["model.stop_words", "german", "english", "null"]),
        ("model.min_df=0", ["model.min_df", "at least 1"]),
        ("model.C=0", ["model.C", "above 0"]),
        ("model.C=-1", ["model.C", "above 0"]),
        ("model.C=nan", ["model.C", "above 0"]),
        ("model.word_ngrams=null", ["model.word_ngrams"]),
        ("model.word_ngrams=[a,b]", ["model.word_ngrams"]),
        ("model.ngrams=[1,2]", ["ngrams", "word_ngrams"]),
    ],
)
def test_a_wrong_setting_is_named(override: str, parts: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        compose(["model=regression", override])
    for part in parts:
        assert part in str(refused.value)


def test_the_config_gives_the_defaults_of_the_class() -> None:
    assert compose(["model=regression"]).model == make_settings(module="regression")


def test_a_rare_label_is_found_because_classes_are_balanced() -> None:
    generator = np.random.default_rng(0)
    rare = np.arange(200) % 40 == 0
    texts = [
        " ".join([*generator.choice(["alpha", "beta", "gamma", "delta"], 4), *(["needle"] if is_rare else [])])
        for is_rare in rare
    ]
    vectorizers = make_vectorizers(make_settings(char_ngrams=None))
    for vectorizer in vectorizers:
        vectorizer.fit(texts)
    features = make_features(vectorizers, texts)
    targets = rare.astype(np.uint8)[:, None]
    weights, bias = fit_classifiers(features, targets, C=1.0)
    np.testing.assert_array_equal(expit(features @ weights + bias)[:, 0] >= 0.5, rare)
    unbalanced = LogisticRegression(C=1.0, solver="liblinear").fit(features, targets[:, 0])
    assert not unbalanced.predict(features)[rare].any(), "the data are such that only balance finds it"


def test_weights_are_those_of_balanced_logistic_regression_label_by_label(make_dataset: MakeDataset) -> None:
    train = make_dataset(30)
    features = TfidfVectorizer(dtype=np.float32).fit_transform(train.texts)
    weights, bias = fit_classifiers(features, train.targets, C=2.0)
    for column, target in enumerate(train.targets.T):
        # liblinear regularises the bias as one weight more: a column of ones, and no bias beside it, says the same
        with_ones = np.column_stack([features.toarray(), np.ones(features.shape[0])])
        reference = LogisticRegression(C=2.0, class_weight="balanced", fit_intercept=False, tol=1e-8, max_iter=5000)
        reference.fit(with_ones, target)
        np.testing.assert_allclose([*weights[:, column], bias[column]], reference.coef_[0], atol=0.02)


def test_more_regularisation_means_smaller_weights(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(30)
    spread = [np.ptp(fitted(train, tmp_path, C=C).predict_proba(train.texts)) for C in (0.01, 1.0, 100.0)]
    assert spread == sorted(spread)
    assert spread[0] < spread[2]


@pytest.mark.parametrize(("value", "score"), [(0, 0.0), (1, 1.0)], ids=["on none", "on all"])
def test_a_label_that_tells_nothing_apart_gets_one_score_everywhere(
    make_dataset: MakeDataset, tmp_path: Path, value: int, score: float
) -> None:
    train = make_dataset(30)
    train.targets[:, 1] = value
    tagger = fitted(train, tmp_path)
    tagger.save(tmp_path)
    for one in (tagger, Tagger.load(tmp_path)):
        np.testing.assert_array_equal(one.predict_proba([*train.texts, ""])[:, 1], np.float32(score))
    assert len(np.unique(tagger.predict_proba(train.texts)[:, 0])) > 1


def test_the_words_behind_a_label_are_named_strongest_first(tmp_path: Path) -> None:
    train = dataset(["needle hay", "needle straw", "hay straw", "straw hay"], [[1], [1], [0], [0]])
    (evidence,) = fitted(train, tmp_path, char_ngrams=None, word_ngrams=[1, 1]).explain(["needle in hay"])
    assert [(each.label, each.words) for each in evidence[:1]] == [("label0", "needle")]
    assert all(each.weight > 0 for each in evidence)


def test_a_label_that_no_threshold_would_pass_needs_no_evidence(tmp_path: Path) -> None:
    """Tuned thresholds lie well below one half, so what they pass has to be explained."""
    train = dataset(["red needle", "blue needle", "straw hay", "hay straw"], [[1], [1], [0], [0]])
    tagger = fitted(train, tmp_path)
    texts = ["red", "red straw and hay", "straw hay"]
    scores = tagger.predict_proba(texts)[:, 0]
    assert scores[0] >= 0.5 > scores[1] >= 0.1 > scores[2]
    assert [bool(evidence) for evidence in tagger.explain(texts)] == [True, True, False]


def test_evidence_is_in_log_odds(tmp_path: Path) -> None:
    train = dataset(["red needle", "blue needle", "straw hay", "hay straw"], [[1], [1], [0], [0]])
    tagger = fitted(train, tmp_path, char_ngrams=None, word_ngrams=[1, 1])
    texts = ["red needle", ""]
    (evidence, nothing) = tagger.explain(texts)
    assert {each.words for each in evidence} == {"red", "needle"}
    assert nothing == []
    with_words, without = logit(tagger.predict_proba(texts)[:, 0].astype(float))
    assert sum(each.weight for each in evidence) == pytest.approx(with_words - without, abs=1e-4)


def test_evidence_shows_a_word_once_though_words_and_characters_both_have_it(tmp_path: Path) -> None:
    train = dataset(["bert model", "bert thing", "cnn model", "cnn thing"], [[1], [1], [0], [0]])
    (evidence,) = fitted(train, tmp_path, char_ngrams=[3, 6]).explain(["bert"])
    words = [each.words for each in evidence]
    assert words[0] == "bert"
    assert len(words) == len(set(words)) <= 5


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"char_ngrams": None},
        {"word_ngrams": [1, 3], "char_ngrams": [2, 4]},
        {"stop_words": None},
        {"min_df": 3, "C": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
def test_scores_and_evidence_are_equal_after_loading(
    make_dataset: MakeDataset, tmp_path: Path, settings: dict[str, Any], task: Task
) -> None:
    train = make_dataset(30, task=task)
    train = replace(train, texts=[f"the {text} größer 機械学習 of" for text in train.texts])
    tagger = fitted(train, tmp_path, **settings)
    tagger.save(tmp_path)
    loaded = Tagger.load(tmp_path)
    texts = [*train.texts[:9], "the and of which", "größer 機械学習", ""]
    np.testing.assert_array_equal(loaded.predict_proba(texts), tagger.predict_proba(texts))
    assert loaded.explain(texts) == tagger.explain(texts)


def test_parameters_are_weights_and_biases(tmp_path: Path) -> None:
    train = dataset(["red needle", "straw hay"], [[1, 0], [0, 1]])
    tagger = fitted(train, tmp_path, char_ngrams=None, word_ngrams=[1, 1])
    assert tagger.num_parameters == (4 + 1) * 2  # four words and a bias, for two labels
    assert tagger.size_bytes == tagger.num_parameters * 4
