"""Losses for few positives. Label counts are those of train.

Where targets are unknown (ratchet.data.known), only known cells count.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from ratchet.data.dataset import Task
from ratchet.data.known import Known, prepare_fit
from ratchet.neural.settings import Imbalance, NeuralSettings


class Loss(Protocol):
    """Computes the loss of a batch."""

    def __call__(self, logits: Tensor, targets: Tensor, cells: Tensor | None = None, /) -> Tensor:
        """Return the mean over texts; all arguments have the shape (batch, num_labels), `cells` are weights."""


def prior_logits(targets: npt.NDArray[np.uint8], task: Task, known: Known | None = None) -> Tensor:
    """Return the bias for which an untrained network scores each label by its rate in train, shape (num_labels,).

    Training then starts at the base rates instead of learning them first (Lin et al. 2017, section 4.1).
    """
    targets, known = prepare_fit(targets, known)
    positives = targets.sum(axis=0, dtype=np.float64) + 0.5
    shares = positives / (_count_known(targets, known) + 1)
    logits = np.log(shares) if task is Task.multiclass else np.log(shares / np.maximum(1 - shares, 1e-3))
    return torch.tensor(logits, dtype=torch.float32)


def _count_known(targets: npt.NDArray[np.uint8], known: Known | None) -> int | npt.NDArray[np.intp]:
    """Return the number of known targets of each label; one number if all are known."""
    return len(targets) if known is None else known.sum(axis=0)


def positive_weights(targets: npt.NDArray[np.uint8], power: float, known: Known | None = None) -> Tensor:
    """Return (negatives / positives) ** power of each label, at least 1, shape (num_labels,); 1 without positives."""
    targets, known = prepare_fit(targets, known)
    positives = targets.sum(axis=0, dtype=np.float64)
    negatives = _count_known(targets, known) - positives
    ratio = np.divide(negatives, positives, out=np.ones_like(positives), where=positives > 0)
    return torch.tensor(np.maximum(ratio, 1.0) ** power, dtype=torch.float32)


def make_loss(settings: NeuralSettings, targets: npt.NDArray[np.uint8], task: Task, known: Known | None = None) -> Loss:
    """Return the loss of logits and targets, both of shape (batch, num_labels), as a mean over the batch.

    Multi-label: binary cross-entropy, summed over labels, each cell with its weight if there are weights; multi-class:
    cross-entropy over labels. `targets` and `known` are those of train.
    """
    weights = None
    if settings.imbalance is Imbalance.pos_weight:
        weights = positive_weights(targets, settings.pos_weight_power, known)
    gamma = settings.focal_gamma if settings.imbalance is Imbalance.focal else 0.0
    if task is Task.multiclass:
        return lambda logits, target, cells=None: _cross_entropy(logits, target, weights, gamma)
    return lambda logits, target, cells=None: _binary_cross_entropy(logits, target, weights, gamma, cells)


def _binary_cross_entropy(
    logits: Tensor, targets: Tensor, weights: Tensor | None, gamma: float, cells: Tensor | None
) -> Tensor:
    losses = functional.binary_cross_entropy_with_logits(
        logits, targets, pos_weight=None if weights is None else weights.to(logits.device), reduction="none"
    )
    if gamma:
        # |targets - probabilities|, for targets of 0 and 1: 1 - the probability of the true value. In this form it does
        # not round to 0 when a logit is above 17.
        missed = targets * torch.sigmoid(-logits) - (1 - targets) * torch.sigmoid(logits)
        losses = losses * _focus(missed.abs(), gamma)
    if cells is not None:
        losses = losses * cells
    return losses.sum(dim=1).mean()


def _cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None, gamma: float) -> Tensor:
    log_probabilities = functional.log_softmax(logits, dim=1)
    losses = -(log_probabilities * targets).sum(dim=1)
    if weights is not None:
        losses = losses * (targets @ weights.to(logits.device))
    if gamma:
        losses = losses * _focus(-torch.expm1(-losses), gamma)
    return losses.mean()


def _focus(missed: Tensor, gamma: float) -> Tensor:
    """Return `missed` ** `gamma` with a finite slope at 0, also for a `gamma` below 1."""
    return missed.clamp_min(torch.finfo(missed.dtype).tiny) ** gamma
