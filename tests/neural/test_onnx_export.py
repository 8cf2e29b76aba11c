"""Tests that attention is exported as one operator with the same scores, and nothing else changes."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto

from ratchet.data.dataset import Task
from ratchet.models.transformer_network import describe, initial
from ratchet.neural import onnx_export
from ratchet.neural.encoders import random_encoder
from ratchet.neural.exported import NETWORK, load_exported
from ratchet.neural.onnx_export import leave_heads_to_attention
from ratchet.neural.text_classifier import TextClassifier
from ratchet.taggers import ExportPrecision

TEXTS = ["speech sound waves microphone", "nodes edges network", "pictures", ""]
LAYERS, HEADS = 3, 4


@pytest.fixture(scope="module")
def transformer() -> TextClassifier:
    encoder, tokenizer, padding = random_encoder(
        TEXTS, layers=LAYERS, hidden_size=16, heads=HEADS, vocabulary_size=80, max_length=16, seed=0
    )
    network = initial(encoder, pooling="mean", dropout=0.1, bias=torch.zeros(3), seed=0)
    architecture = describe(encoder, pooling="mean", dropout=0.1)
    return TextClassifier(tokenizer, padding, network, ["a", "b", "c"], Task.multilabel, architecture)


def export_and_read(classifier: TextClassifier, directory: Path) -> ModelProto:
    directory.mkdir()
    onnx_export.export_classifier(classifier, directory, ExportPrecision.float32)
    return onnx.load(directory / NETWORK)


def count_operators(network: ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in network.graph.node)


def test_fused_attention_splits_heads_and_keeps_scores_identical(
    transformer: TextClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused = export_and_read(transformer, tmp_path / "fused")
    monkeypatch.setattr(onnx_export, "leave_heads_to_attention", lambda network: network)
    unfused = count_operators(export_and_read(transformer, tmp_path / "spelt out"))
    assert (
        count_operators(fused)["Attention"],
        count_operators(fused)["Transpose"],
        count_operators(fused)["Reshape"],
    ) == (LAYERS, 0, 0)
    assert (unfused["Attention"], unfused["Transpose"]) == (LAYERS, 4 * LAYERS), (
        "the unfused export must split heads by Transpose"
    )
    attentions = [node for node in fused.graph.node if node.op_type == "Attention"]
    for node in attentions:
        numbers = {attribute.name: attribute.i for attribute in node.attribute}
        assert (numbers["q_num_heads"], numbers["kv_num_heads"]) == (HEADS, HEADS)
    fused_logits, unfused_logits = (load_exported(tmp_path / name).logits(TEXTS) for name in ("fused", "spelt out"))
    np.testing.assert_array_equal(fused_logits, unfused_logits)
    np.testing.assert_allclose(fused_logits, transformer.logits(TEXTS), atol=1e-5)


def test_unknown_number_of_heads_leaves_network_unchanged(
    transformer: TextClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "leave_heads_to_attention", lambda network: network)
    network = export_and_read(transformer, tmp_path / "spelt out")
    network.graph.ClearField("value_info")
    assert count_operators(leave_heads_to_attention(network)) == count_operators(network)
