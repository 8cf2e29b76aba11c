"""Convolutions of several widths over token embeddings, each pooled to its maximum (Kim 2014)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Network(nn.Module):
    """Ids and mask of shape (batch, length) to logits of shape (batch, num_labels).

    Padding changes nothing: it is embedded as zeros, as is what lies beyond the ends of a text, and is not pooled.
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
        self.embedding = nn.Embedding(vocabulary_size, embedding_size, padding_idx=padding)
        self.convolutions = nn.ModuleList(nn.Conv1d(embedding_size, filters, width) for width in widths)
        self.dropout = nn.Dropout(dropout)
        self._widths = widths
        self.output = nn.Linear(filters * len(widths), num_labels)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits; `mask` is true where `ids` is no padding."""
        embedded = self.dropout(self.embedding(ids)).transpose(1, 2)
        pooled = []
        for width, convolution in zip(self._widths, self.convolutions, strict=True):
            features = convolution(functional.pad(embedded, ((width - 1) // 2, width // 2)))
            pooled.append(functional.relu(features.masked_fill(~mask[:, None], -torch.inf)).amax(dim=2))
        logits: Tensor = self.output(self.dropout(torch.cat(pooled, dim=1)))
        return logits


def build(architecture: dict[str, Any], num_labels: int) -> Network:
    """The network of a saved `architecture`, with weights that are still to be loaded or learnt."""
    return Network(**architecture, num_labels=num_labels)
