"""Tests that an export scores as its network does, for every task and text length, in any batch."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ratchet.data.dataset import Task
from ratchet.errors import UserError
from ratchet.extras import install_command
from ratchet.models.cnn_network import build
from ratchet.neural.ensemble import AveragedClassifier, load_saved_or_exported
from ratchet.neural.exported import ExportedClassifier, is_exported, load_exported
from ratchet.neural.onnx_export import export_classifier
from ratchet.neural.settings import Tokens
from ratchet.neural.text_classifier import TextClassifier
from ratchet.neural.tokens import PADDING, learn_tokenizer, limit_length
from ratchet.taggers import ExportPrecision

WORDS = "speech sound nodes edges pictures camera lens waves"
LABELS = ["audio", "graphs", "vision"]
TEXTS = ["speech and sound", "", "nodes", WORDS * 20, "日本語", "lens [PAD] camera \ud800"]


def make_classifier(task: Task = Task.multilabel, *, max_length: int = 32) -> TextClassifier:
    tokenizer = learn_tokenizer([WORDS], Tokens.word, vocabulary_size=100, min_count=1)
    limit_length(tokenizer, max_length)
    architecture = {
        "vocabulary_size": tokenizer.get_vocab_size(),
        "embedding_size": 64,
        "widths": [1, 2, 3],
        "filters": 64,
        "dropout": 0.5,
        "padding": PADDING,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build(architecture, len(LABELS))
        nn.init.normal_(network.output.weight)
    return TextClassifier(tokenizer, PADDING, network, LABELS, task, architecture)


def export_and_load(
    classifier: TextClassifier, directory: Path, precision: ExportPrecision = ExportPrecision.float32
) -> ExportedClassifier:
    directory.mkdir(exist_ok=True)
    export_classifier(classifier, directory, precision)
    return load_exported(directory)


@pytest.fixture(scope="module")
def classifier() -> TextClassifier:
    return make_classifier()


@pytest.fixture(scope="module")
def export(classifier: TextClassifier, tmp_path_factory: pytest.TempPathFactory) -> ExportedClassifier:
    return export_and_load(classifier, tmp_path_factory.mktemp("exported"))


def test_export_matches_logits_and_scores_of_network(classifier: TextClassifier, export: ExportedClassifier) -> None:
    np.testing.assert_allclose(export.logits(TEXTS), classifier.logits(TEXTS), rtol=0, atol=1e-5)
    np.testing.assert_allclose(export.predict_proba(TEXTS), classifier.predict_proba(TEXTS), rtol=0, atol=1e-6)
    assert export.predict_proba(TEXTS).dtype == export.logits(TEXTS).dtype == np.float32
    assert (export.labels, export.num_parameters) == (LABELS, classifier.num_parameters)
    assert export.size_bytes > classifier.size_bytes


def test_scores_are_sigmoid_of_logits(classifier: TextClassifier) -> None:
    np.testing.assert_allclose(1 / (1 + np.exp(-classifier.logits(TEXTS))), classifier.predict_proba(TEXTS), rtol=1e-5)


def test_multiclass_scores_of_export_sum_to_one(tmp_path: Path) -> None:
    classifier = make_classifier(Task.multiclass)
    scores = export_and_load(classifier, tmp_path).predict_proba(TEXTS)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(scores, classifier.predict_proba(TEXTS), rtol=0, atol=1e-6)


@pytest.mark.parametrize("max_length", [1, 2])
def test_export_matches_network_on_heavily_truncated_texts(max_length: int, tmp_path: Path) -> None:
    classifier = make_classifier(max_length=max_length)
    np.testing.assert_allclose(
        export_and_load(classifier, tmp_path).logits(TEXTS), classifier.logits(TEXTS), rtol=0, atol=1e-5
    )


def test_empty_input_returns_no_scores(export: ExportedClassifier) -> None:
    assert export.predict_proba([]).shape == (0, 3)


@given(texts=st.lists(st.text(), max_size=5))
@settings(max_examples=30, deadline=None)
def test_export_matches_network_on_arbitrary_texts(
    classifier: TextClassifier, export: ExportedClassifier, texts: list[str]
) -> None:
    np.testing.assert_allclose(export.predict_proba(texts), classifier.predict_proba(texts), rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", list(ExportPrecision))
def test_batching_and_thread_count_do_not_change_logits(
    classifier: TextClassifier, precision: ExportPrecision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one_thread = export_and_load(classifier, tmp_path, precision)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    four_threads = load_exported(tmp_path)
    assert (one_thread.threads, four_threads.threads) == (1, 4)
    together = four_threads.logits(TEXTS)
    np.testing.assert_array_equal(one_thread.logits(TEXTS), together)
    np.testing.assert_array_equal(np.concatenate([four_threads.logits([text]) for text in TEXTS]), together)


def test_int8_scores_are_close_but_not_identical(classifier: TextClassifier, tmp_path: Path) -> None:
    float32_export = export_and_load(classifier, tmp_path / "float32")
    int8_export = export_and_load(classifier, tmp_path / "int8", ExportPrecision.int8)
    difference = np.abs(int8_export.predict_proba(TEXTS) - float32_export.predict_proba(TEXTS)).max()
    assert 1e-7 < difference < 0.05
    assert int8_export.size_bytes != float32_export.size_bytes


def test_export_keeps_network_weights_and_random_state(classifier: TextClassifier, tmp_path: Path) -> None:
    weights = {name: weight.clone() for name, weight in classifier.network.state_dict().items()}
    state = torch.get_rng_state()
    export_and_load(classifier, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(weight, weights[name]) for name, weight in classifier.network.state_dict().items())


def test_export_writes_three_files(classifier: TextClassifier, tmp_path: Path) -> None:
    export_and_load(classifier, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"network.onnx", "tokenizer.json", "model.json"}
    assert json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))["task"] == "multilabel"


def test_loader_distinguishes_saved_and_exports(classifier: TextClassifier, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    classifier.save(tmp_path / "saved")
    export_and_load(classifier, tmp_path / "exported")
    assert not is_exported(tmp_path / "saved")
    assert isinstance(load_saved_or_exported(tmp_path / "saved", "ratchet.models.cnn_network"), TextClassifier)
    assert isinstance(load_saved_or_exported(tmp_path / "exported", "never.imported"), ExportedClassifier)


@pytest.mark.parametrize(
    "action",
    [
        lambda export: export.trained(),
        lambda export: export.save(Path("nowhere")),
        lambda export: AveragedClassifier(export).export(Path("nowhere"), ExportPrecision.float32),
    ],
    ids=["explain", "save", "export"],
)
def test_unsupported_actions_on_export_raise_error(export: ExportedClassifier, action: Callable[..., None]) -> None:
    with pytest.raises(UserError, match="export"):
        action(export)


def test_missing_library_error_names_extra(
    classifier: TextClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_and_load(classifier, tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    for action in (
        lambda: load_exported(tmp_path),
        lambda: export_classifier(classifier, tmp_path, ExportPrecision.float32),
    ):
        with pytest.raises(UserError, match="onnxruntime") as caught:
            action()
        assert str(caught.value).endswith(install_command("export"))
