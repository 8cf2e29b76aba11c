"""Attention in one operator: the same scores, and nothing else is touched."""

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


def written(one: TextClassifier, directory: Path) -> ModelProto:
    directory.mkdir()
    onnx_export.export_classifier(one, directory, ExportPrecision.float32)
    return onnx.load(directory / NETWORK)


def operators(network: ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in network.graph.node)


def test_heads_are_split_by_attention_and_scores_stay_the_same_bit_for_bit(
    transformer: TextClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused = written(transformer, tmp_path / "fused")
    monkeypatch.setattr(onnx_export, "leave_heads_to_attention", lambda network: network)
    spelt_out = operators(written(transformer, tmp_path / "spelt out"))
    assert (operators(fused)["Attention"], operators(fused)["Transpose"], operators(fused)["Reshape"]) == (LAYERS, 0, 0)
    assert (spelt_out["Attention"], spelt_out["Transpose"]) == (LAYERS, 4 * LAYERS), "else there is nothing to fuse"
    attentions = [node for node in fused.graph.node if node.op_type == "Attention"]
    for node in attentions:
        numbers = {attribute.name: attribute.i for attribute in node.attribute}
        assert (numbers["q_num_heads"], numbers["kv_num_heads"]) == (HEADS, HEADS)
    one, other = (load_exported(tmp_path / name).logits(TEXTS) for name in ("fused", "spelt out"))
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(one, transformer.logits(TEXTS), atol=1e-5)


def test_heads_of_an_unknown_number_are_left_alone(
    transformer: TextClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "leave_heads_to_attention", lambda network: network)
    network = written(transformer, tmp_path / "spelt out")
    network.graph.ClearField("value_info")
    assert operators(leave_heads_to_attention(network)) == operators(network)
