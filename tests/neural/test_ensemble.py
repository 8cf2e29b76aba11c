"""A network taught by n-grams and averaged with them: targets, scores, the words behind a label, files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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


def make_settings(**changed: Any) -> NeuralSettings:
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
        **changed,
    )


@dataclass(frozen=True)
class Told:
    """A network whose log-odds are told beforehand."""

    found: npt.NDArray[np.float32]
    task: Task
    labels: list[str] = field(default_factory=lambda: ["a", "b", "c"])
    num_parameters: int = 5
    size_bytes: int = 20

    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return self.found[: len(texts)]

    def predict_proba(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return probabilities(torch.from_numpy(self.found[: len(texts)]), self.task).numpy()


def told(train: Dataset) -> Told:
    drawn = np.random.default_rng(0).normal(size=train.targets.shape)
    return Told(drawn.astype(np.float32), train.task, list(train.labels))


def averaged(network: Told, lexical: LexicalClassifier | None = None, share: float = 0.0) -> AveragedClassifier:
    return AveragedClassifier(network, lexical, share)  # type: ignore[arg-type]


def small_network(train: Dataset) -> TextClassifier:
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


def test_without_a_share_there_is_no_lexical_classifier_and_targets_are_those_of_train(
    make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratchet.neural.ensemble.fit_lexical", None)  # nor is one fitted
    train = make_dataset(12)
    lexical, targets = learn_lexical(train, make_settings())
    assert lexical is None
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, train.targets)


@TASKS
@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_a_taught_target_lies_between_the_label_and_the_score_of_a_fit_without_the_text(
    make_dataset: MakeDataset, task: Task, share: float
) -> None:
    train = make_dataset(30, task=task)
    lexical, targets = learn_lexical(train, make_settings(teacher_share=share))
    assert lexical is None, "it teaches, and has no say in the end"
    _, left_out = fit_lexical(train, LexicalSettings())
    assert targets.dtype == np.float32
    np.testing.assert_allclose(targets, (1 - share) * train.targets + share * left_out, atol=1e-6)
    if task is Task.multiclass:
        np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-5)


def test_what_has_a_say_in_the_end_need_not_teach(make_dataset: MakeDataset) -> None:
    train = make_dataset(30)
    lexical, targets = learn_lexical(train, make_settings(lexical_share=0.5))
    assert lexical is not None
    np.testing.assert_array_equal(targets, train.targets)
    expected = fit_lexical(train, LexicalSettings())[0].predict_proba(train.texts)
    np.testing.assert_array_equal(lexical.predict_proba(train.texts), expected)


def test_the_lexical_settings_are_those_that_it_is_fitted_with(make_dataset: MakeDataset) -> None:
    words = LexicalSettings(char_ngrams=None, word_ngrams=[1, 1], mention_weight=0.0)
    lexical, _ = learn_lexical(make_dataset(30), make_settings(lexical_share=0.5, lexical=words))
    assert lexical is not None
    assert "speech" in lexical.features.names()
    assert not any(" " in name for name in lexical.features.names())


def test_a_min_df_that_leaves_nothing_names_its_own_key(make_dataset: MakeDataset) -> None:
    settings = make_settings(teacher_share=0.5, lexical=LexicalSettings(min_df=500))
    with pytest.raises(UserError, match=r"model\.lexical\.min_df=500 .*model\.lexical\.min_df=1\b"):
        learn_lexical(make_dataset(12), settings)


def test_without_a_lexical_classifier_scores_are_those_of_the_network(make_dataset: MakeDataset) -> None:
    train = make_dataset(12)
    network = told(train)
    np.testing.assert_array_equal(
        averaged(network).predict_proba(train.texts), network.predict_proba(train.texts), strict=True
    )


@TASKS
@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_log_odds_are_averaged_and_multi_class_scores_geometrically(
    make_dataset: MakeDataset, task: Task, share: float
) -> None:
    train = make_dataset(12, task=task)
    network, lexical = told(train), fit_lexical(train, LexicalSettings())[0]
    one, other = network.predict_proba(train.texts), lexical.predict_proba(train.texts)
    if task is Task.multiclass:
        expected = one ** (1 - share) * other**share
        expected /= expected.sum(axis=1, keepdims=True)
    else:
        expected = expit((1 - share) * logit(one) + share * logit(other))
    scores = averaged(network, lexical, share).predict_proba(train.texts)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@TASKS
def test_a_label_on_no_text_of_train_is_on_none(make_dataset: MakeDataset, task: Task) -> None:
    train = make_dataset(12, task=task)
    train.targets[:, 0] = 0
    scores = averaged(told(train), fit_lexical(train, LexicalSettings())[0], 0.5).predict_proba(train.texts)
    assert not scores[:, 0].any()
    assert np.isfinite(scores).all()
    if task is Task.multiclass:
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


def test_multi_class_scores_do_not_hang_on_a_constant_in_the_networks_logits(make_dataset: MakeDataset) -> None:
    train = make_dataset(12, task=Task.multiclass)
    network, lexical = told(train), fit_lexical(train, LexicalSettings())[0]
    moved = Told(network.found + 7, network.task, network.labels)
    one, two = (averaged(each, lexical, 0.5).predict_proba(train.texts) for each in (network, moved))
    np.testing.assert_allclose(one, two, atol=1e-6)
    np.testing.assert_allclose(one, softmax(0.5 * network.found + 0.5 * lexical.logits(train.texts), axis=1), atol=1e-6)


def test_no_texts_have_no_scores(make_dataset: MakeDataset) -> None:
    train = make_dataset(12)
    both = AveragedClassifier(small_network(train), fit_lexical(train, LexicalSettings())[0], 0.5)
    assert both.predict_proba([]).shape == (0, 3)


def test_parameters_and_bytes_are_those_of_both(make_dataset: MakeDataset) -> None:
    train = make_dataset(12)
    lexical = fit_lexical(train, LexicalSettings())[0]
    alone, both = averaged(told(train)), averaged(told(train), lexical, 0.5)
    assert (alone.num_parameters, alone.size_bytes) == (5, 20)
    assert both.num_parameters == 5 + lexical.num_parameters
    assert both.size_bytes == 20 + lexical.size_bytes


def test_the_networks_words_stay_as_they_are_without_a_lexical_classifier(make_dataset: MakeDataset) -> None:
    shares: list[Shares] = [[("a", "word", 0.5)]]
    assert averaged(told(make_dataset(12))).explain(["word"], shares) == shares


def explained(of_network: Shares, of_lexical: Shares, logits: list[float], share: float = 0.25) -> Shares:
    """What speaks for labels that both score with `logits`."""

    class Lexical:
        def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
            return np.array([logits], dtype=np.float32)

        def explain(self, texts: Sequence[str]) -> list[Shares]:
            return [of_lexical]

    network = Told(np.array([logits], dtype=np.float32), Task.multilabel)
    return AveragedClassifier(network, Lexical(), share).explain(["text"], [of_network])[0]  # type: ignore[arg-type]


def test_a_word_that_both_know_counts_once_with_the_weights_of_the_scores() -> None:
    found = explained([("a", "Speech", 2.0), ("a", "of", 0.4)], [("a", "speech", 4.0), ("b", "wave", 1.0)], [1, 1, 1])
    assert found == [
        ("a", "speech", pytest.approx(0.75 * 2 + 0.25 * 4)),
        ("a", "of", pytest.approx(0.3)),
        ("b", "wave", pytest.approx(0.25)),
    ]


def test_labels_that_score_low_are_not_explained() -> None:
    assert explained([("a", "one", 1.0), ("b", "two", 1.0)], [], [1, -3, 1]) == [("a", "one", 0.75)]


def test_the_five_strongest_words_of_a_label_are_told() -> None:
    words = [("a", f"word{number}", number + 1.0) for number in range(8)]
    found = explained(words, [], [1, 1, 1])
    assert [word for _, word, _ in found] == ["word7", "word6", "word5", "word4", "word3"]


@TASKS
def test_what_was_saved_scores_the_same_bit_for_bit(make_dataset: MakeDataset, tmp_path: Path, task: Task) -> None:
    train = make_dataset(12, task=task)
    both = AveragedClassifier(small_network(train), fit_lexical(train, LexicalSettings())[0], 0.25)
    for _ in range(2):  # the second time over the files of one that was stopped while it saved
        both.save(tmp_path)
    loaded = load_averaged(tmp_path, "ratchet.models.cnn_network")
    assert loaded.lexical_share == 0.25
    np.testing.assert_array_equal(loaded.predict_proba(train.texts), both.predict_proba(train.texts))


def test_a_network_alone_has_files_of_a_network_alone(make_dataset: MakeDataset, tmp_path: Path) -> None:
    train = make_dataset(12)
    AveragedClassifier(small_network(train)).save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"model.json", "tokenizer.json", "weights.safetensors"}
    loaded = load_averaged(tmp_path, "ratchet.models.cnn_network")
    assert loaded.lexical is None
    np.testing.assert_array_equal(
        loaded.predict_proba(train.texts), small_network(train).predict_proba(train.texts), strict=True
    )
