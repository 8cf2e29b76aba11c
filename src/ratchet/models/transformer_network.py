"""An encoder (pretrained, or small and random), pooled over the text, with one linear layer on top."""

import json
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

_LAYER = re.compile(r"\blayers?\.(\d+)\.")


class Network(nn.Module):
    """Ids and mask of shape (batch, length) to logits of shape (batch, num_labels)."""

    def __init__(self, encoder: PreTrainedModel, *, pooling: str, dropout: float, num_labels: int) -> None:
        super().__init__()
        self.encoder = encoder
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # type: ignore[assignment]  # a layer on the first token that is not used here
        self._pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(encoder.config.hidden_size, num_labels)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return logits; `mask` is true where `ids` is not padding. Pool the mean of the text or its first token."""
        hidden = self.encoder(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        if self._pooling == "mean":
            weights = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        else:
            pooled = hidden[:, 0]
        logits: Tensor = self.output(self.dropout(pooled))
        return logits


def describe(encoder: PreTrainedModel, *, pooling: str, dropout: float) -> dict[str, Any]:
    """Return what `build` needs to rebuild the network."""
    return {"encoder": json.loads(encoder.config.to_json_string()), "pooling": pooling, "dropout": dropout}


def build(architecture: Mapping[str, Any], num_labels: int) -> Network:
    """Return the network of a saved `architecture`, before its weights are loaded."""
    described = dict(architecture["encoder"])
    config = AutoConfig.for_model(described.pop("model_type"), **described)
    encoder = AutoModel.from_config(config)  # type: ignore[no-untyped-call]
    return Network(encoder, pooling=architecture["pooling"], dropout=architecture["dropout"], num_labels=num_labels)


def token_embeddings(network: nn.Module) -> nn.Module:
    """Return the layer that embeds token ids."""
    assert isinstance(network, Network)
    embeddings: nn.Module = network.encoder.get_input_embeddings()
    return embeddings


def depth_of(name: str, num_layers: int) -> int:
    """Return a parameter's depth: 0 in the new layer, 1 in the encoder's last, num_layers + 1 in the embeddings."""
    if name.startswith("output."):
        return 0
    layer = _LAYER.search(name)
    if layer:
        return num_layers - int(layer[1])
    return num_layers + 1 if "embed" in name else 1  # a norm above the layers counts as part of the last one


def learning_rates(
    network: Network, *, learning_rate: float, head_learning_rate: float, layer_decay: float
) -> dict[str, float]:
    """Return the rate of each parameter by name: lower for deeper layers (ULMFiT, Howard & Ruder 2018)."""
    num_layers = int(network.encoder.config.num_hidden_layers)
    rates = {}
    for name, _ in network.named_parameters():
        depth = depth_of(name, num_layers)
        rates[name] = learning_rate * layer_decay ** (depth - 1) if depth else head_learning_rate
    return rates


def freeze(network: Network, layers: int, *, embeddings: bool) -> None:
    """Freeze the lowest `layers` of the encoder; also the embeddings, if asked or if a layer is frozen."""
    num_layers = int(network.encoder.config.num_hidden_layers)
    for name, parameter in network.named_parameters():
        depth = depth_of(name, num_layers)
        if depth > num_layers:
            parameter.requires_grad = not (embeddings or layers)
        elif depth and depth > num_layers - layers:
            parameter.requires_grad = False


def initial(encoder: PreTrainedModel, *, pooling: str, dropout: float, bias: Tensor, seed: int) -> Network:
    """Return the network before training: a random new layer from `seed`, with the given bias."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(encoder, pooling=pooling, dropout=dropout, num_labels=len(bias))
    network.output.bias.data = bias
    return network
