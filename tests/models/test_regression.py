"""What is the regression's own: its settings, and that it is the lexical classifier whole. See tests/lexical, too."""

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


def make_settings(**changed: Any) -> Settings:
    return Settings(name="regression", complexity=1, **changed)


def fitted(train: Dataset, directory: Path, **settings: Any) -> Tagger:
    tagger = Tagger(make_settings(**settings))
    tagger.fit(train, train, fit_context(directory))
    return tagger


@TASKS
def test_it_learns_what_can_be_told_apart(make_dataset: MakeDataset, tmp_path: Path, task: Task) -> None:
    train, new = make_dataset(60, task=task), make_dataset(30, task=task, seed=1)
    scores = fitted(train, tmp_path).predict_proba(new.texts)
    if task is Task.multiclass:
        np.testing.assert_array_equal(scores.argmax(axis=1), new.targets.argmax(axis=1))
    else:
        np.testing.assert_array_equal(scores >= 0.5, new.targets)


def test_a_label_on_few_texts_is_found(make_dataset: MakeDataset, tmp_path: Path) -> None:
    """Among texts that have nothing else in common, in train and in new ones."""

    def haystack(seed: int) -> tuple[list[str], "np.ndarray[Any, Any]"]:
        generator = np.random.default_rng(seed)
        rare = np.arange(200) % 40 == 0
        texts = [
            " ".join([*generator.choice(["alpha", "beta", "gamma", "delta"], 4), *(["needle"] if is_rare else [])])
            for is_rare in rare
        ]
        return texts, rare

    train = make_dataset(200)
    train.texts[:], rare = haystack(0)
    train.targets[:, 0] = rare
    texts, expected = haystack(1)
    scores = fitted(train, tmp_path).predict_proba(texts)[:, 0]
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
def test_it_is_the_lexical_classifier_of_its_settings_before_and_after_loading(
    make_dataset: MakeDataset, tmp_path: Path, settings: dict[str, Any], task: Task
) -> None:
    train = make_dataset(30, task=task)
    train.texts[:] = [f"the {text} größer 機械学習 of" for text in train.texts]
    classifier, _ = fit_lexical(train, make_settings(**settings))
    tagger = fitted(train, tmp_path, **settings)
    tagger.save(tmp_path)
    texts = [*train.texts[:9], "the and of which", "größer 機械学習", ""]
    for one in (tagger, Tagger.load(tmp_path)):
        np.testing.assert_array_equal(one.predict_proba(texts), classifier.predict_proba(texts))
        assert one.explain(texts) == [[Evidence(*each) for each in shares] for shares in classifier.explain(texts)]
        assert (one.num_parameters, one.size_bytes) == (classifier.num_parameters, classifier.size_bytes)


def test_the_words_of_a_topic_speak_for_its_label(make_dataset: MakeDataset, tmp_path: Path) -> None:
    (evidence,) = fitted(make_dataset(60), tmp_path).explain(["Camera pictures, somehow"])
    assert evidence[0].label == "vision"
    assert evidence[0].words in {"camera", "pictures"}


@pytest.mark.parametrize("key", ["word_ngrams", "char_ngrams"])
@pytest.mark.parametrize("value", [[2, 1], [0, 1], [1]], ids=str)
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
        ("model.C=1e18", ["model.C", "1000"]),
        ("model.mention_weight=-0.1", ["model.mention_weight", "0"]),
        ("model.mention_weight=inf", ["model.mention_weight", "10"]),
        ("model.word_ngrams=null", ["model.word_ngrams"]),
        ("model.word_ngrams=[a,b]", ["model.word_ngrams"]),
        ("model.ngrams=[1,2]", ["ngrams", "word_ngrams"]),
        ("model.mention_weigth=1", ["mention_weigth", "mention_weight"]),
    ],
)
def test_a_wrong_setting_is_named(override: str, parts: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        compose(["model=regression", override])
    for part in parts:
        assert part in str(refused.value)


def test_the_largest_settings_that_are_let_in_can_be_fitted(make_dataset: MakeDataset, tmp_path: Path) -> None:
    """With texts that differ by a blank only, so that their products have no full rank."""
    train = make_dataset(200)
    train.texts[:] = [f"{train.texts[row % 20]}{' ' * row}" for row in range(200)]
    scores = fitted(train, tmp_path, C=1000, mention_weight=10).predict_proba(train.texts)
    assert np.isfinite(scores).all()


def test_a_min_df_that_leaves_nothing_names_its_own_key(make_dataset: MakeDataset, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^model\.min_df=1000 .*: .*model\.min_df=1$"):
        fitted(make_dataset(30), tmp_path, min_df=1000)


def test_the_config_gives_the_defaults_of_the_class() -> None:
    assert compose(["model=regression"]).model == make_settings(module="regression")
