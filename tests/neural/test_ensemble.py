"""Tests for a network distilled from a lexical model and averaged with it: targets, scores, explanations, files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.special import expit, logit, softmax

from ratchet.data.dataset import Dataset, Task
from ratchet.errors import UserError
from ratchet.lexical.classifier import LexicalClassifier, fit_lexical
from ratchet.lexical.features import LexicalSettings
from ratchet.models.cnn_network import initial
from ratchet.neural.ensemble import AveragedClassifier, Shares, learn_lexical, load_averaged
from ratchet.neural.losses import prior_logits
from ratchet.neural.settings import NeuralSettings, Tokens
from ratchet.neural.text_classifier import TextClassifier, probabilities
from ratchet.neural.tokens import PADDING, learn_tokenizer

MakeDataset = Callable[..., Dataset]
TASKS = pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)


def make_settings(**overrides: Any) -> NeuralSettings:
    return NeuralSettings(
        name="network",
        complexity=2,
        max_length=16,
        batch_size=8,
        max_epochs=1,
        patience=1,
        learning_rate=0.01,
        weight_decay=0.0,
        warmup=0.1,
        **overrides,
    )


@dataclass(frozen=True)
class FixedNetwork:
    """A network with fixed log-odds."""

    found: npt.NDArray[np.float32]
    task: Task
    labels: list[str] = field(default_factory=lambda: ["a", "b", "c"])
    num_parameters: int = 5
    size_bytes: int = 20

    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.found[: len(texts)]

    def predict_proba(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return probabilities(torch.from_numpy(self.found[: len(texts)]), self.task).numpy()


def make_network(train: Dataset) -> FixedNetwork:
    logits = np.random.default_rng(0).normal(size=train.targets.shape)
    return FixedNetwork(logits.astype(np.float32), train.task, list(train.labels))


def make_averaged(
    network: FixedNetwork, lexical: LexicalClassifier | None = None, share: float = 0.0
) -> AveragedClassifier:
    return AveragedClassifier(network, lexical, share)  # type: ignore[arg-type]


def make_small_network(train: Dataset) -> TextClassifier:
    tokenizer = learn_tokenizer(train.texts, Tokens.word, vocabulary_size=100, min_count=1)
    architecture = {
        "vocabulary_size": tokenizer.get_vocab_size(),
        "embedding_size": 4,
        "widths": [1],
        "filters": 4,
        "dropout": 0.0,
        "padding": PADDING,
    }
    network = initial(architecture, bias=prior_logits(train.targets, train.task), seed=0)
    return TextClassifier(tokenizer, PADDING, network, list(train.labels), train.task, architecture)


def test_without_shares_no_lexical_classifier_is_fitted(
    make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratchet.neural.ensemble.fit_lexical", None)  # a call would fail: none is fitted
    train = make_dataset(12)
    lexical, targets = learn_lexical(train, make_settings())
    assert lexical is None
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, train.targets)


@TASKS
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_teacher_share_mixes_labels_with_held_out_scores(make_dataset: MakeDataset, task: Task, share: float) -> None:
    train = make_dataset(30, task=task)
    lexical, targets = learn_lexical(train, make_settings(teacher_share=share))
    assert lexical is None, "it only teaches and does not contribute to the scores"
    _, left_out = fit_lexical(train, LexicalSettings())
    assert targets.dtype == np.float32
    np.testing.assert_allclose(targets, (1 - share) * train.targets + share * left_out, atol=1e-6)
    if task is Task.multiclass:
        np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)


def test_lexical_share_alone_keeps_targets_of_train(make_dataset: MakeDataset) -> None:
    train = make_dataset(30)
    lexical, targets = learn_lexical(train, make_settings(lexical_share=0.5))
    assert lexical is not None
    np.testing.assert_array_equal(targets, train.targets)
    expected = fit_lexical(train, LexicalSettings())[0].predict_proba(train.texts)
    np.testing.assert_array_equal(lexical.predict_proba(train.texts), expected)


def test_lexical_classifier_is_fitted_with_lexical_settings(make_dataset: MakeDataset) -> None:
    words = LexicalSettings(char_ngrams=None, word_ngrams=[1, 1], mention_weight=0.0)
    lexical, _ = learn_lexical(make_dataset(30), make_settings(lexical_share=0.5, lexical=words))
    assert lexical is not None
    assert "speech" in lexical.features.names()
    assert not any(" " in name for name in lexical.features.names())


def test_too_large_min_df_error_names_setting(make_dataset: MakeDataset) -> None:
    settings = make_settings(teacher_share=0.5, lexical=LexicalSettings(min_df=500))
    with pytest.raises(UserError, match=r"model\.lexical\.min_df=500 .*model\.lexical\.min_df=1\b"):
        learn_lexical(make_dataset(12), settings)


def test_without_lexical_classifier_scores_equal_network_scores(make_dataset: MakeDataset) -> None:
    train = make_dataset(12)
    network = make_network(train)
    np.testing.assert_array_equal(
        make_averaged(network).predict_proba(train.texts), network.predict_proba(train.texts), strict=True
    )


@TASKS
@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_scores_are_averaged_as_log_odds_or_geometrically(make_dataset: MakeDataset, task: Task, share: float) -> None:
    train = make_dataset(12, task=task)
    network, lexical = make_network(train), fit_lexical(train, LexicalSettings())[0]
    network_scores, lexical_scores = network.predict_proba(train.texts), lexical.predict_proba(train.texts)
    if task is Task.multiclass:
        expected = network_scores ** (1 - share) * lexical_scores**share
        expected /= expected.sum(axis=1, keepdims=True)
    else:
        expected = expit((1 - share) * logit(network_scores) + share * logit(lexical_scores))
    scores = make_averaged(network, lexical, share).predict_proba(train.texts)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@TASKS
def test_label_missing_from_train_scores_zero(make_dataset: MakeDataset, task: Task) -> None:
    train = make_dataset(12, task=task)
    train.targets[:, 0] = 0
    scores = make_averaged(make_network(train), fit_lexical(train, LexicalSettings())[0], 0.5).predict_proba(
        train.texts
    )
    assert not scores[:, 0].any()
    assert np.isfinite(scores).all()
    if task is Task.multiclass:
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


def test_multiclass_scores_ignore_constant_shift_of_logits(make_dataset: MakeDataset) -> None:
    train = make_dataset(12, task=Task.multiclass)
    network, lexical = make_network(train), fit_lexical(train, LexicalSettings())[0]
    shifted = FixedNetwork(network.found + 7, network.task, network.labels)
    scores, shifted_scores = (
        make_averaged(model, lexical, 0.5).predict_proba(train.texts) for model in (network, shifted)
    )
    np.testing.assert_allclose(scores, shifted_scores, atol=1e-6)
    np.testing.assert_allclose(
        scores, softmax(0.5 * network.found + 0.5 * lexical.logits(train.texts), axis=1), atol=1e-6
    )


def test_empty_input_returns_no_scores(make_dataset: MakeDataset) -> None:
    train = make_dataset(12)
    ensemble = AveragedClassifier(make_small_network(train), fit_lexical(train, LexicalSettings())[0], 0.5)
    assert ensemble.predict_proba([]).shape == (0, 3)


def test_num_parameters_and_size_sum_both_models(make_dataset: MakeDataset) -> None:
    train = make_dataset(12)
    lexical = fit_lexical(train, LexicalSettings())[0]
    alone, ensemble = make_averaged(make_network(train)), make_averaged(make_network(train), lexical, 0.5)
    assert (alone.num_parameters, alone.size_bytes) == (5, 20)
    assert ensemble.num_parameters == 5 + lexical.num_parameters
    assert ensemble.size_bytes == 20 + lexical.size_bytes


def test_explanations_are_unchanged_without_lexical_classifier(make_dataset: MakeDataset) -> None:
    shares: list[Shares] = [[("a", "word", 0.5)]]
    assert make_averaged(make_network(make_dataset(12))).explain(["word"], shares) == shares


def explain_average(of_network: Shares, of_lexical: Shares, logits: list[float], share: float = 0.25) -> Shares:
    """Return the words that explain labels which both models score with `logits`."""

    class Lexical:
        def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return np.array([logits], dtype=np.float32)

        def explain(self, texts: Sequence[str]) -> list[Shares]:
            return [of_lexical]

    network = FixedNetwork(np.array([logits], dtype=np.float32), Task.multilabel)
    return AveragedClassifier(network, Lexical(), share).explain(["text"], [of_network])[0]  # type: ignore[arg-type]


def test_word_of_both_models_gets_one_weighted_entry() -> None:
    explanation = explain_average(
        [("a", "Speech", 2.0), ("a", "of", 0.4)], [("a", "speech", 4.0), ("b", "wave", 1.0)], [1, 1, 1]
    )
    assert explanation == [
        ("a", "speech", pytest.approx(0.75 * 2 + 0.25 * 4)),
        ("a", "of", pytest.approx(0.3)),
        ("b", "wave", pytest.approx(0.25)),
    ]


def test_low_scoring_labels_are_not_explained() -> None:
    assert explain_average([("a", "one", 1.0), ("b", "two", 1.0)], [], [1, -3, 1]) == [("a", "one", 0.75)]


def test_explanation_keeps_five_strongest_words_per_label() -> None:
    words = [("a", f"word{number}", number + 1.0) for number in range(8)]
    explanation = explain_average(words, [], [1, 1, 1])
    assert [word for _, word, _ in explanation] == ["word7", "word6", "word5", "word4", "word3"]


@TASKS
def test_loaded_ensemble_gives_identical_scores(make_dataset: MakeDataset, tmp_path: Path, task: Task) -> None:
    train = make_dataset(12, task=task)
    ensemble = AveragedClassifier(make_small_network(train), fit_lexical(train, LexicalSettings())[0], 0.25)
    for _ in range(2):  # the second save overwrites files, as after a run that was stopped while saving
        ensemble.save(tmp_path)
    loaded = load_averaged(tmp_path, "ratchet.models.cnn_network")
    assert loaded.lexical_share == 0.25
    np.testing.assert_array_equal(loaded.predict_proba(train.texts), ensemble.predict_proba(train.texts))


def test_network_without_lexical_classifier_saves_no_extra_files(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(12)
    AveragedClassifier(make_small_network(train)).save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "tokenizer.json", "weights.safetensors"}
    loaded = load_averaged(tmp_path, "ratchet.models.cnn_network")
    assert loaded.lexical is None
    np.testing.assert_array_equal(
        loaded.predict_proba(train.texts), make_small_network(train).predict_proba(train.texts), strict=True
    )


def make_partly_known(make_dataset: MakeDataset) -> Dataset:
    train = make_dataset(30)
    known = np.random.default_rng(0).random(train.targets.shape) < 0.7
    return replace(train, known=known)


def test_unknown_cells_have_no_target_without_a_teacher(make_dataset: MakeDataset) -> None:
    train = make_partly_known(make_dataset)
    assert train.known is not None
    for settings in (make_settings(), make_settings(lexical_share=0.5)):
        _, targets = learn_lexical(train, settings)
        assert np.array_equal(np.isnan(targets), ~train.known)
        np.testing.assert_array_equal(targets[train.known], train.targets[train.known])


def test_teacher_alone_is_the_target_of_unknown_cells(make_dataset: MakeDataset) -> None:
    train = make_partly_known(make_dataset)
    assert train.known is not None
    _, targets = learn_lexical(train, make_settings(teacher_share=0.25))
    _, left_out = fit_lexical(train, LexicalSettings())
    mixed = 0.75 * train.targets + 0.25 * left_out
    np.testing.assert_allclose(targets, np.where(train.known, mixed, left_out), atol=1e-6)
    other = replace(train, targets=np.where(train.known, train.targets, 1 - train.targets))
    np.testing.assert_array_equal(learn_lexical(other, make_settings(teacher_share=0.25))[1], targets)
