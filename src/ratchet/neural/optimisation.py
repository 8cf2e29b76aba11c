"""What is updated, how fast, and how the rate changes over a training."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR


def parameter_groups(network: nn.Module, rates: Mapping[str, float], weight_decay: float) -> list[dict[str, Any]]:
    """Groups for an optimizer: each parameter with its rate of `rates`, by name; frozen ones are left out.

    Vectors (biases, the scales of normalisation) do not decay.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rates[name], decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def make_optimizer(groups: list[dict[str, Any]]) -> AdamW:
    """AdamW (Loshchilov & Hutter 2019), one pass over memory an update."""
    return AdamW(groups, fused=True)


def warmup_then_decay(optimizer: torch.optim.Optimizer, steps: int, warmup: float) -> LambdaLR:
    """Every rate rises linearly over the first `warmup` share of `steps`, then falls linearly to 0."""
    rising = warmup * steps

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return max(0.0, (steps - step) / max(steps - rising, 1.0))

    return LambdaLR(optimizer, factor)
