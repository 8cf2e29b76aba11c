"""An export scores as its network does, for every task and length, and whatever texts are scored with it."""

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
from ratchet.models.cnn_network import build
from ratchet.neural.ensemble import AveragedClassifier, load_saved_or_exported
from ratchet.neural.exported import ExportedClassifier, export_extra, is_exported, load_exported
from ratchet.neural.onnx_export import export_classifier
from ratchet.neural.settings import Tokens
from ratchet.neural.text_classifier import TextClassifier
from ratchet.neural.tokens import PADDING, learn_tokenizer, limit_length
from ratchet.taggers import ExportPrecision

WORDS = "speech sound nodes edges pictures camera lens waves"
LABELS = ["audio", "graphs", "vision"]
TEXTS = ["speech and sound", "", "nodes", WORDS * 20, "日本語", "lens [PAD] camera \ud800"]


def classifier(task: Task = Task.multilabel, *, max_length: int = 32) -> TextClassifier:
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


def exported(
    one: TextClassifier, directory: Path, precision: ExportPrecision = ExportPrecision.float32
) -> ExportedClassifier:
    directory.mkdir(exist_ok=True)
    export_classifier(one, directory, precision)
    return load_exported(directory)


@pytest.fixture(scope="module")
def fitted() -> TextClassifier:
    return classifier()


@pytest.fixture(scope="module")
def loaded(fitted: TextClassifier, tmp_path_factory: pytest.TempPathFactory) -> ExportedClassifier:
    return exported(fitted, tmp_path_factory.mktemp("exported"))


def test_it_has_the_networks_logits_and_scores(fitted: TextClassifier, loaded: ExportedClassifier) -> None:
    np.testing.assert_allclose(loaded.logits(TEXTS), fitted.logits(TEXTS), rtol=0, atol=1e-5)
    np.testing.assert_allclose(loaded.predict_proba(TEXTS), fitted.predict_proba(TEXTS), rtol=0, atol=1e-6)
    assert loaded.predict_proba(TEXTS).dtype == loaded.logits(TEXTS).dtype == np.float32
    assert (loaded.labels, loaded.num_parameters) == (LABELS, fitted.num_parameters)
    assert loaded.size_bytes > fitted.size_bytes


def test_logits_are_what_scores_are_made_of(fitted: TextClassifier) -> None:
    np.testing.assert_allclose(1 / (1 + np.exp(-fitted.logits(TEXTS))), fitted.predict_proba(TEXTS), rtol=1e-5)


def test_classes_share_1(tmp_path: Path) -> None:
    one = classifier(Task.multiclass)
    scores = exported(one, tmp_path).predict_proba(TEXTS)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(scores, one.predict_proba(TEXTS), rtol=0, atol=1e-6)


@pytest.mark.parametrize("max_length", [1, 2])
def test_texts_that_are_cut_to_next_to_nothing(max_length: int, tmp_path: Path) -> None:
    one = classifier(max_length=max_length)
    np.testing.assert_allclose(exported(one, tmp_path).logits(TEXTS), one.logits(TEXTS), rtol=0, atol=1e-5)


def test_no_texts_have_no_scores(loaded: ExportedClassifier) -> None:
    assert loaded.predict_proba([]).shape == (0, 3)


@given(texts=st.lists(st.text(), max_size=5))
@settings(max_examples=30, deadline=None)
def test_any_texts_score_alike(fitted: TextClassifier, loaded: ExportedClassifier, texts: list[str]) -> None:
    np.testing.assert_allclose(loaded.predict_proba(texts), fitted.predict_proba(texts), rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", list(ExportPrecision))
def test_neither_neighbours_nor_threads_change_a_bit(
    fitted: TextClassifier, precision: ExportPrecision, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    one = exported(fitted, tmp_path, precision)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    four = load_exported(tmp_path)
    assert (one.threads, four.threads) == (1, 4)
    together = four.logits(TEXTS)
    np.testing.assert_array_equal(one.logits(TEXTS), together)
    np.testing.assert_array_equal(np.concatenate([four.logits([text]) for text in TEXTS]), together)


def test_int8_is_smaller_and_close_but_not_the_same(fitted: TextClassifier, tmp_path: Path) -> None:
    whole = exported(fitted, tmp_path / "float32")
    small = exported(fitted, tmp_path / "int8", ExportPrecision.int8)
    difference = np.abs(small.predict_proba(TEXTS) - whole.predict_proba(TEXTS)).max()
    assert 1e-7 < difference < 0.05
    assert small.size_bytes != whole.size_bytes


def test_exporting_leaves_the_network_and_the_generators_as_they_were(fitted: TextClassifier, tmp_path: Path) -> None:
    weights = {name: weight.clone() for name, weight in fitted.network.state_dict().items()}
    state = torch.get_rng_state()
    exported(fitted, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(weight, weights[name]) for name, weight in fitted.network.state_dict().items())


def test_three_files_are_written(fitted: TextClassifier, tmp_path: Path) -> None:
    exported(fitted, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"network.onnx", "tokenizer.json", "model.json"}
    assert json.loads((tmp_path / "model.json").read_text(encoding="utf-8"))["task"] == "multilabel"


def test_a_directory_is_loaded_as_what_it_holds(fitted: TextClassifier, tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    fitted.save(tmp_path / "saved")
    exported(fitted, tmp_path / "exported")
    assert not is_exported(tmp_path / "saved")
    assert isinstance(load_saved_or_exported(tmp_path / "saved", "ratchet.models.cnn_network"), TextClassifier)
    assert isinstance(load_saved_or_exported(tmp_path / "exported", "never.imported"), ExportedClassifier)


@pytest.mark.parametrize(
    "action",
    [
        lambda loaded: loaded.trained(),
        lambda loaded: loaded.save(Path("nowhere")),
        lambda loaded: AveragedClassifier(loaded).export(Path("nowhere"), ExportPrecision.float32),
    ],
    ids=["explain", "save", "export"],
)
def test_what_an_export_cannot_do_is_said(loaded: ExportedClassifier, action: Callable[..., None]) -> None:
    with pytest.raises(UserError, match="export"):
        action(loaded)


def test_a_missing_library_names_the_extra(
    fitted: TextClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(fitted, tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"onnxruntime.*ratchet\[export\].*\[export\]'"):
        load_exported(tmp_path)
    with pytest.raises(UserError, match=r"onnx\b.*onnxscript.*onnxruntime.*ratchet\[export\]"):
        export_classifier(fitted, tmp_path, ExportPrecision.float32)


def test_other_errors_are_not_taken_for_a_missing_library() -> None:
    with pytest.raises(ValueError, match="other"), export_extra("nothing"):
        raise ValueError("other")
