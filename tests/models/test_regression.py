"""Tests for the regression's settings and its equivalence to the lexical classifier. See also tests/lexical."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.datasets import fit_context

from ratchet.config import compose
from ratchet.data.dataset import Dataset, Task
from ratchet.errors import UserError
from ratchet.lexical.classifier import fit_lexical
from ratchet.models.regression import Settings, Tagger
from ratchet.taggers import Evidence

MakeDataset = Callable[..., Dataset]
TASKS = pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)


def make_settings(**overrides: Any) -> Settings:
    return Settings(name="regression", complexity=1, **overrides)


def fit_tagger(train: Dataset, directory: Path, **settings: Any) -> Tagger:
    tagger = Tagger(make_settings(**settings))
    tagger.fit(train, train, fit_context(directory))
    return tagger


@TASKS
def test_tagger_learns_separable_topics(make_dataset: MakeDataset, tmp_path: Path, task: Task) -> None:
    train, unseen = make_dataset(60, task=task), make_dataset(30, task=task, seed=1)
    scores = fit_tagger(train, tmp_path).predict_proba(unseen.texts)
    if task is Task.multiclass:
        np.testing.assert_array_equal(scores.argmax(axis=1), unseen.targets.argmax(axis=1))
    else:
        np.testing.assert_array_equal(scores >= 0.5, unseen.targets)


def test_rare_label_scores_highest_on_its_texts(make_dataset: MakeDataset, tmp_path: Path) -> None:
    """The rare word is the only signal, in train and in unseen texts."""

    def make_haystack(seed: int) -> tuple[list[str], "np.ndarray[Any, Any]"]:
        generator = np.random.default_rng(seed)
        rare = np.arange(200) % 40 == 0
        texts = [
            " ".join([*generator.choice(["alpha", "beta", "gamma", "delta"], 4), *(["needle"] if is_rare else [])])
            for is_rare in rare
        ]
        return texts, rare

    train = make_dataset(200)
    train.texts[:], rare = make_haystack(0)
    train.targets[:, 0] = rare
    texts, expected = make_haystack(1)
    scores = fit_tagger(train, tmp_path).predict_proba(texts)[:, 0]
    assert scores[expected].min() > 10 * scores[~expected].max()


@TASKS
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"char_ngrams": None},
        {"word_ngrams": [1, 3], "char_ngrams": [2, 4]},
        {"stop_words": None, "mention_weight": 0.0},
        {"min_df": 3, "C": 0.5},
    ],
    ids=str,
)
def test_tagger_matches_lexical_classifier_before_and_after_loading(
    make_dataset: MakeDataset, tmp_path: Path, settings: dict[str, Any], task: Task
) -> None:
    train = make_dataset(30, task=task)
    train.texts[:] = [f"the {text} größer 機械学習 of" for text in train.texts]
    classifier, _ = fit_lexical(train, make_settings(**settings))
    tagger = fit_tagger(train, tmp_path, **settings)
    tagger.save(tmp_path)
    texts = [*train.texts[:9], "the and of which", "größer 機械学習", ""]
    for candidate in (tagger, Tagger.load(tmp_path)):
        np.testing.assert_array_equal(candidate.predict_proba(texts), classifier.predict_proba(texts))
        assert candidate.explain(texts) == [
            [Evidence(*share) for share in shares] for shares in classifier.explain(texts)
        ]
        assert (candidate.num_parameters, candidate.size_bytes) == (classifier.num_parameters, classifier.size_bytes)


def test_explanation_of_label_starts_with_topic_word(make_dataset: MakeDataset, tmp_path: Path) -> None:
    (evidence,) = fit_tagger(make_dataset(60), tmp_path).explain(["Camera pictures, somehow"])
    assert evidence[0].label == "vision"
    assert evidence[0].words in {"camera", "pictures"}


@pytest.mark.parametrize("key", ["word_ngrams", "char_ngrams"])
@pytest.mark.parametrize("value", [[2, 1], [0, 1], [1]], ids=str)
def test_invalid_ngram_range_error_names_setting(key: str, value: list[int]) -> None:
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
        ("model.C=1e18", ["model.C", "1000"]),
        ("model.mention_weight=-0.1", ["model.mention_weight", "0"]),
        ("model.mention_weight=inf", ["model.mention_weight", "10"]),
        ("model.word_ngrams=null", ["model.word_ngrams"]),
        ("model.word_ngrams=[a,b]", ["model.word_ngrams"]),
        ("model.ngrams=[1,2]", ["ngrams", "word_ngrams"]),
        ("model.mention_weigth=1", ["mention_weigth", "mention_weight"]),
    ],
)
def test_invalid_setting_error_names_setting(override: str, parts: list[str]) -> None:
    with pytest.raises(UserError) as error:
        compose(["model=regression", override])
    for part in parts:
        assert part in str(error.value)


def test_largest_allowed_settings_can_be_fitted(make_dataset: MakeDataset, tmp_path: Path) -> None:
    """The texts differ only in blanks, so their Gram matrix is rank-deficient."""
    train = make_dataset(200)
    train.texts[:] = [f"{train.texts[row % 20]}{' ' * row}" for row in range(200)]
    scores = fit_tagger(train, tmp_path, C=1000, mention_weight=10).predict_proba(train.texts)
    assert np.isfinite(scores).all()


def test_too_large_min_df_error_names_setting(make_dataset: MakeDataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^model\.min_df=1000 .*: .*model\.min_df=1$"):
        fit_tagger(make_dataset(30), tmp_path, min_df=1000)


def test_config_matches_defaults_of_class() -> None:
    assert compose(["model=regression"]).model == make_settings(module="regression")
