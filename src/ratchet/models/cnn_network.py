"""Convolutions of several widths over token embeddings, each pooled to its maximum (Kim 2014)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ratchet.neural.tokens import TokenIds


class TunedEmbedding(nn.Module):
    """The fixed embeddings of an encoder, and a trained difference for each token of train.

    Of 30,000 sub-words a few thousand occur in train; the optimizer updates only those.
    """

    known: Tensor
    rows: Tensor

    def __init__(self, weights: Tensor, seen: Tensor, padding: int) -> None:
        super().__init__()
        known = weights.clone()
        known[padding] = 0
        rows = torch.zeros(len(weights), dtype=torch.long)
        rows[seen] = torch.arange(1, len(seen) + 1)
        rows[padding] = 0
        self.register_buffer("known", known, persistent=False)  # the same in every checkpoint, and 50 MB
        self.register_buffer("rows", rows, persistent=False)
        self.added = nn.Embedding(len(seen) + 1, weights.shape[1], padding_idx=0)
        nn.init.zeros_(self.added.weight)

    def forward(self, ids: Tensor) -> Tensor:
        """Return embeddings of shape (batch, length, embedding_size)."""
        embedded: Tensor = functional.embedding(ids, self.known) + self.added(self.rows[ids])
        return embedded

    def merged(self, padding: int) -> nn.Embedding:
        """Return the sum of both as one table."""
        with torch.no_grad():
            both = self.known + self.added(self.rows)
        return nn.Embedding(len(both), both.shape[1], padding_idx=padding, _weight=both)


class Network(nn.Module):
    """Ids and mask of shape (batch, length) to logits of shape (batch, num_labels).

    Padding has no effect: it is embedded as zeros, as are positions beyond the ends of a text, and is not pooled.
    """

    def __init__(
        self,
        *,
        vocabulary_size: int,
        embedding_size: int,
        widths: list[int],
        filters: int,
        dropout: float,
        num_labels: int,
        padding: int,
    ) -> None:
        super().__init__()
        self.embedding: nn.Module = nn.Embedding(vocabulary_size, embedding_size, padding_idx=padding)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding_size, filters, width) for width in widths)
        self.dropout = nn.Dropout(dropout)
        self._widths, self._padding = widths, padding
        self.output = nn.Linear(filters * len(widths), num_labels)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return logits; `mask` is true where `ids` is not padding."""
        embedded = self.dropout(self.embedding(ids)).transpose(1, 2)
        pooled = []
        for width, convolution in zip(self._widths, self.convolutions, strict=True):
            features = convolution(functional.pad(embedded, ((width - 1) // 2, width // 2)))
            pooled.append(functional.relu(features.masked_fill(~mask[:, None], -torch.inf)).amax(dim=2))
        logits: Tensor = self.output(self.dropout(torch.cat(pooled, dim=1)))
        return logits

    def tune(self, embeddings: Tensor, texts: Sequence[TokenIds]) -> None:
        """Start with `embeddings`, (vocabulary_size, embedding_size); those of the tokens of `texts` are trained."""
        seen = torch.from_numpy(np.unique(np.concatenate(texts)))
        self.embedding = TunedEmbedding(embeddings, seen[seen != self._padding], self._padding)

    def merge(self) -> None:
        """Replace the embeddings that `tune` set by one table, which is saved and loaded like any other."""
        if isinstance(self.embedding, TunedEmbedding):
            self.embedding = self.embedding.merged(self._padding)


def initial(architecture: dict[str, Any], *, bias: Tensor, seed: int) -> Network:
    """Return the network before training: random weights from `seed`, and the given last bias."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(architecture, len(bias))
    network.output.bias.data = bias
    return network


def build(architecture: dict[str, Any], num_labels: int) -> Network:
    """Return the network of a saved `architecture`, before its weights are loaded or trained."""
    return Network(**architecture, num_labels=num_labels)
