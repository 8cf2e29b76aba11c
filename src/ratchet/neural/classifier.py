"""A tokenizer and a network that was fitted: scores texts, and is what is saved."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import nn

from ratchet.data.dataset import Task
from ratchet.neural.batches import by_length, pad
from ratchet.neural.tokens import token_ids
from ratchet.taggers import ExportPrecision

_BATCH = 32


@dataclass(frozen=True)
class TextClassifier:
    """`network` maps ids and mask, both of shape (batch, length), to logits of shape (batch, num_labels).

    `padding` is the token id that batches are filled up with; `architecture` is what is needed, as JSON, to build the
    network again before its weights are read.
    """

    tokenizer: Tokenizer
    padding: int
    network: nn.Module
    labels: list[str]
    task: Task
    architecture: dict[str, Any]

    @property
    def num_parameters(self) -> int:
        """All weights, frozen ones included."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def size_bytes(self) -> int:
        """Bytes of the weights in memory."""
        return sum(parameter.numel() * parameter.element_size() for parameter in self.network.parameters())

    def predict_proba(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Scores float32 of shape (num_texts, num_labels), in [0, 1]; texts of like length are scored together."""
        scores = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        for rows, logits in self._scored(texts):
            scores[rows] = probabilities(logits, self.task).numpy()  # batch by batch: all at once rounds otherwise
        return scores

    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """What the scores are made of, float32 of shape (num_texts, num_labels)."""
        found = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        for rows, logits in self._scored(texts):
            found[rows] = logits.float().numpy()
        return found

    def _scored(self, texts: Sequence[str]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """The rows of each batch, and their logits."""
        encoded = token_ids(self.tokenizer, texts, self.padding)
        self.network.eval()
        with torch.inference_mode():
            for rows in by_length(encoded, _BATCH):
                yield rows, self.network(*pad([encoded[row] for row in rows], self.padding))

    def save(self, directory: Path) -> None:
        """weights.safetensors, tokenizer.json and model.json."""
        save_file(self.network.state_dict(), directory / "weights.safetensors")
        (directory / "tokenizer.json").write_text(self.tokenizer.to_str(), encoding="utf-8")
        content: dict[str, Any] = {"labels": self.labels, "task": self.task.value, "padding": self.padding}
        content["architecture"] = self.architecture
        (directory / "model.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    def trained(self) -> "TextClassifier":
        """This classifier; an exported one has none to give."""
        return self

    def export(self, directory: Path, precision: ExportPrecision) -> None:
        """network.onnx, tokenizer.json and model.json, which score without torch (`ratchet.neural.exported`)."""
        from ratchet.neural.export import export_classifier

        export_classifier(self, directory, precision)


def probabilities(logits: torch.Tensor, task: Task) -> torch.Tensor:
    """Scores in [0, 1]: labels apart from each other, or (multi-class) sharing 1 among them."""
    logits = logits.float()
    return torch.softmax(logits, dim=1) if task is Task.multiclass else torch.sigmoid(logits)


def load_classifier(directory: Path, build: Callable[[dict[str, Any], int], nn.Module]) -> TextClassifier:
    """What `TextClassifier.save` wrote; `build(architecture, num_labels)` makes the network whose weights follow."""
    content = json.loads((directory / "model.json").read_text(encoding="utf-8"))
    with torch.random.fork_rng(devices=[]):  # building draws weights that are replaced at once
        network = build(content["architecture"], len(content["labels"]))
    network.load_state_dict(load_file(directory / "weights.safetensors"))
    return TextClassifier(
        tokenizer=Tokenizer.from_file(str(directory / "tokenizer.json")),
        padding=content["padding"],
        network=network,
        labels=content["labels"],
        task=Task(content["task"]),
        architecture=content["architecture"],
    )
