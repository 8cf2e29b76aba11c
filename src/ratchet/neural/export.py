"""Write a fitted network in a form that scores without torch: ONNX, one file with its weights."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ratchet.neural.classifier import TextClassifier
from ratchet.neural.exported import IDS, LOGITS, MASK, NETWORK, export_extra
from ratchet.neural.fusing import leave_heads_to_attention
from ratchet.neural.quantising import quantise
from ratchet.taggers import ExportPrecision

if TYPE_CHECKING:
    from onnx import ModelProto

_OPSET = 23  # the first one with an attention operator
_LENGTH = 8  # tokens of the two texts that the network is traced with


def export_classifier(classifier: TextClassifier, directory: Path, precision: ExportPrecision) -> None:
    """Write network.onnx, tokenizer.json and model.json into `directory`; `load_exported` reads them.

    Raises:
        UserError: onnx, onnxscript or onnxruntime is not installed.
    """
    with export_extra("exporting a network needs onnx, onnxscript and onnxruntime"):
        import onnx
        import onnxruntime  # noqa: F401  # without it the export could not be used
        import onnxscript  # noqa: F401

    network = leave_heads_to_attention(_trace(classifier))
    _remove_source_locations(network)
    onnx.save(network, directory / NETWORK)
    if precision is ExportPrecision.int8:
        quantise(directory / NETWORK)
    (directory / "tokenizer.json").write_text(classifier.tokenizer.to_str(), encoding="utf-8")
    content = {
        "labels": classifier.labels,
        "task": classifier.task.value,
        "padding": classifier.padding,
        "num_parameters": classifier.num_parameters,
    }
    (directory / "model.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _trace(classifier: TextClassifier) -> "ModelProto":
    """Return the network as ONNX, for any number of texts of any length up to the tokenizer's limit."""
    longest = (classifier.tokenizer.truncation or {}).get("max_length", _LENGTH)
    length = min(_LENGTH, longest)
    ids = torch.full((2, length), classifier.padding)
    mask = torch.ones_like(ids, dtype=torch.bool)
    mask[1, 1:] = False
    axes: dict[int, Any] = {0: torch.export.Dim.DYNAMIC}
    if length > 1:
        axes[1] = torch.export.Dim.DYNAMIC
    with _quiet(), torch.random.fork_rng(devices=[]):
        program = torch.onnx.export(
            classifier.network.eval(),
            (ids, mask),
            dynamo=True,
            dynamic_shapes=(axes, axes),
            input_names=[IDS, MASK],
            output_names=[LOGITS],
            opset_version=_OPSET,
            verbose=False,
        )
        assert program is not None
        return program.model_proto


def _remove_source_locations(network: "ModelProto") -> None:
    """Remove the source file and line of each node: private, and different on each machine."""
    graph = network.graph
    for part in (network, graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter, which logs its own internals; errors are raised."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
