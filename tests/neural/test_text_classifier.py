import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ratchet.data.dataset import Task
from ratchet.neural.settings import Tokens
from ratchet.neural.text_classifier import TextClassifier, load_classifier, probabilities
from ratchet.neural.tokens import PADDING, learn_tokenizer

TASKS = pytest.mark.parametrize("task", list(Task), ids=lambda task: task.value)
WORDS = "speech pictures nodes edges waves camera"
LABELS = ["audio", "c++ / 機械学習"]


class Counting(nn.Module):
    """A network that sums weights of words. Weights are multiples of 1/8, so sums are exact in any order."""

    def __init__(self, vocabulary_size: int, num_labels: int) -> None:
        super().__init__()
        self.weights = nn.Embedding(vocabulary_size, num_labels, padding_idx=PADDING)
        self.dropout = nn.Dropout(0.5)
        self.frozen = nn.Parameter(torch.zeros(3), requires_grad=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        assert self.dropout.training is False, "texts are scored without dropout"
        assert ids.shape == mask.shape
        summed: Tensor = (self.weights(ids) * mask.unsqueeze(-1)).sum(dim=1)
        return self.dropout(summed)


def build(architecture: dict[str, Any], num_labels: int) -> Counting:
    return Counting(architecture["vocabulary_size"], num_labels)


def make_classifier(task: Task = Task.multilabel) -> TextClassifier:
    tokenizer = learn_tokenizer([WORDS], Tokens.word, vocabulary_size=100, min_count=1)
    network = Counting(tokenizer.get_vocab_size(), len(LABELS))
    with torch.no_grad():
        integers = torch.randint(-8, 9, network.weights.weight.shape, generator=torch.Generator().manual_seed(0))
        network.weights.weight.copy_(integers / 8)
    network.train()
    architecture = {"vocabulary_size": tokenizer.get_vocab_size()}
    return TextClassifier(tokenizer, PADDING, network, LABELS, task, architecture)


def make_texts_of_all_lengths(size: int = 100) -> list[str]:
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(WORDS.split(), generator.integers(0, 20))) for _ in range(size)]


@TASKS
def test_scores_do_not_depend_on_order_or_batching(task: Task) -> None:
    classifier, texts = make_classifier(task), make_texts_of_all_lengths()
    scores = classifier.predict_proba(texts)
    assert len(np.unique(scores, axis=0)) > 50
    order = np.random.default_rng(1).permutation(len(texts))
    np.testing.assert_allclose(classifier.predict_proba([texts[row] for row in order]), scores[order], rtol=1e-6)
    np.testing.assert_allclose(np.concatenate([classifier.predict_proba([text]) for text in texts]), scores, rtol=1e-6)


def test_scores_are_probabilities_of_summed_words() -> None:
    classifier = make_classifier()
    weights = classifier.network.get_parameter("weights.weight").detach()
    rows = [classifier.tokenizer.token_to_id(word) for word in ("speech", "nodes", "nodes")]
    expected = torch.sigmoid(weights[rows].sum(dim=0))
    np.testing.assert_allclose(classifier.predict_proba(["Speech, nodes nodes"])[0], expected.numpy(), rtol=1e-6)


def test_probabilities_are_sigmoid_for_labels_and_softmax_for_classes() -> None:
    logits = torch.tensor([[0.0, 0.0, 3.0], [-90.0, 0.0, 90.0]])
    torch.testing.assert_close(probabilities(logits, Task.multilabel), torch.sigmoid(logits))
    classes = probabilities(logits, Task.multiclass)
    torch.testing.assert_close(classes.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(classes, torch.softmax(logits, dim=1))


@TASKS
def test_probabilities_of_half_precision_logits_are_float32(task: Task) -> None:
    logits = torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16)
    scores = probabilities(logits, task)
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, probabilities(logits.float(), task))


@TASKS
def test_loaded_classifier_equals_saved_classifier(task: Task, tmp_path: Path) -> None:
    classifier, texts = make_classifier(task), make_texts_of_all_lengths()
    with torch.no_grad():
        # Weights that are not exact in few bits.
        classifier.network.get_parameter("weights.weight").add_(torch.rand(1))
    classifier.save(tmp_path)
    loaded = load_classifier(tmp_path, build)
    np.testing.assert_array_equal(loaded.predict_proba(texts), classifier.predict_proba(texts))
    weights = loaded.network.state_dict()
    for name, weight in classifier.network.state_dict().items():
        assert torch.equal(weights[name], weight), name
    assert (loaded.labels, loaded.task, loaded.padding) == (classifier.labels, task, classifier.padding)
    assert loaded.architecture == classifier.architecture
    assert loaded.tokenizer.to_str() == classifier.tokenizer.to_str()


def test_save_writes_three_files_and_architecture(tmp_path: Path) -> None:
    classifier = make_classifier(Task.multiclass)
    classifier.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"weights.safetensors", "tokenizer.json", "model.json"}
    assert json.loads((tmp_path / "model.json").read_text(encoding="utf-8")) == {
        "labels": LABELS,
        "task": "multiclass",
        "padding": PADDING,
        "architecture": {"vocabulary_size": 8},
    }


def test_loading_never_unpickles_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = make_classifier()
    classifier.save(tmp_path)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was unpickled")

    for name in ("pickle.load", "pickle.loads", "pickle.Unpickler", "torch.load"):
        monkeypatch.setattr(name, refuse)
    load_classifier(tmp_path, build)


def test_weights_of_another_shape_are_rejected(tmp_path: Path) -> None:
    make_classifier().save(tmp_path)
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_classifier(tmp_path, lambda architecture, num_labels: Counting(5, num_labels))


def test_loading_and_predicting_keep_random_state(tmp_path: Path) -> None:
    classifier = make_classifier()
    classifier.save(tmp_path)
    before = torch.get_rng_state()
    load_classifier(tmp_path, build).predict_proba(["speech"])
    assert torch.equal(torch.get_rng_state(), before)


def test_frozen_weights_are_counted_as_parameters() -> None:
    classifier = make_classifier()
    assert classifier.num_parameters == 8 * 2 + 3
    assert classifier.size_bytes == (8 * 2 + 3) * 4
