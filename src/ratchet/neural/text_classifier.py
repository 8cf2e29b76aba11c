"""A tokenizer with a fitted network: scores texts, and is saved as a tagger."""

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

_BATCH = 32


@dataclass(frozen=True)
class TextClassifier:
    """`network` maps ids and mask, both of shape (batch, length), to logits of shape (batch, num_labels).

    `padding` is the token id that pads batches. `architecture` (JSON) rebuilds the network before its weights are read.
    """

    tokenizer: Tokenizer
    padding: int
    network: nn.Module
    labels: list[str]
    task: Task
    architecture: dict[str, Any]

    @property
    def num_parameters(self) -> int:
        """Return the number of weights, frozen ones included."""
        return sum(parameter.numel() for parameter in self.network.parameters())

    @property
    def size_bytes(self) -> int:
        """Return the bytes of the weights in memory."""
        return sum(parameter.numel() * parameter.element_size() for parameter in self.network.parameters())

    def predict_proba(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return scores in [0, 1], float32 of shape (num_texts, num_labels); texts of similar length share a batch."""
        scores = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        for rows, logits in self._scored(texts):
            scores[rows] = probabilities(
                logits, self.task
            ).numpy()  # batch by batch: all at once would round differently
        return scores

    def logits(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return the logits, float32 of shape (num_texts, num_labels)."""
        all_logits = np.zeros((len(texts), len(self.labels)), dtype=np.float32)
        for rows, logits in self._scored(texts):
            all_logits[rows] = logits.float().numpy()
        return all_logits

    def _scored(self, texts: Sequence[str]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """Yield the rows of each batch, and their logits."""
        encoded = token_ids(self.tokenizer, texts, self.padding)
        self.network.eval()
        with torch.inference_mode():
            for rows in by_length(encoded, _BATCH):
                yield rows, self.network(*pad([encoded[row] for row in rows], self.padding))

    def save(self, directory: Path) -> None:
        """Write weights.safetensors, tokenizer.json and model.json."""
        save_file(self.network.state_dict(), directory / "weights.safetensors")
        (directory / "tokenizer.json").write_text(self.tokenizer.to_str(), encoding="utf-8")
        content: dict[str, Any] = {"labels": self.labels, "task": self.task.value, "padding": self.padding}
        content["architecture"] = self.architecture
        (directory / "model.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    def trained(self) -> "TextClassifier":
        """Return this classifier; an exported one refuses."""
        return self


def probabilities(logits: torch.Tensor, task: Task) -> torch.Tensor:
    """Return scores in [0, 1]: of independent labels, or (multi-class) with a sum of 1."""
    logits = logits.float()
    return torch.softmax(logits, dim=1) if task is Task.multiclass else torch.sigmoid(logits)


def load_classifier(directory: Path, build: Callable[[dict[str, Any], int], nn.Module]) -> TextClassifier:
    """Load what `TextClassifier.save` wrote; `build(architecture, num_labels)` returns the network for its weights."""
    content = json.loads((directory / "model.json").read_text(encoding="utf-8"))
    with torch.random.fork_rng(devices=[]):  # building initialises weights that are then replaced
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
