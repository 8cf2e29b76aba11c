"""Define what Lightning trains: the batches of a run, and the network with its loss, metric and optimizer."""

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from ratchet.data.dataset import Dataset
from ratchet.data.known import Known, mark_unknown, prepare_fit
from ratchet.errors import UserError
from ratchet.neural.batches import Batch, Batches
from ratchet.neural.losses import make_loss
from ratchet.neural.processes import ValidatedBatch, gather
from ratchet.neural.settings import NeuralSettings
from ratchet.neural.text_classifier import TextClassifier, probabilities
from ratchet.neural.tokens import token_ids

if TYPE_CHECKING:
    from ratchet.taggers import FitContext

log = logging.getLogger(__name__)
_LOOK_EVERY = 32  # steps; reading the losses makes a GPU wait


def parameter_groups(network: nn.Module, rates: Mapping[str, float], weight_decay: float) -> list[dict[str, Any]]:
    """Return parameter groups for an optimizer; `rates` is by parameter name. Frozen parameters are left out.

    Vectors (biases, the scales of normalisation) have no weight decay.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            decay = weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((rates[name], decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]


def make_optimizer(groups: list[dict[str, Any]]) -> AdamW:
    """Return AdamW (Loshchilov & Hutter 2019), fused: one pass over memory per update."""
    return AdamW(groups, fused=True)


def warmup_then_decay(optimizer: torch.optim.Optimizer, steps: int, warmup: float) -> LambdaLR:
    """Return a schedule: rates rise linearly over the first `warmup` share of `steps`, then fall linearly to 0."""
    rising = warmup * steps

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return max(0.0, (steps - step) / max(steps - rising, 1.0))

    return LambdaLR(optimizer, factor)


def weigh_cells(
    targets: npt.NDArray[np.float32], known: Known | None, soft_weight: float
) -> npt.NDArray[np.float32] | None:
    """Return the weights of targets in the loss, with a mean of 1; None if all targets are known.

    A cross-entropy is linear in its target, so a mean of a known target and a teacher's score has the loss
    (1 - soft_weight) * of the known target + soft_weight * of the score. At an unknown cell only the second term is
    left, and without a teacher (a target of NaN) nothing is. The mean is over the whole part, not a batch: then each
    known target has the same weight, and processes that share a batch need not agree on a divisor.
    """
    if known is None:
        return None
    weights = np.where(known, 1.0, np.where(np.isnan(targets), 0.0, soft_weight))
    return np.asarray(weights / (weights.mean() or 1.0), dtype=np.float32)


class Data(LightningDataModule):
    """The batches of train and val; every text is tokenised once.

    `targets` are those to learn from, in [0, 1] with distillation, NaN where there is none. `overfit_batches` tests
    whether a network can memorise labels: it learns from train's labels and validates on the same batches.
    """

    def __init__(
        self,
        classifier: TextClassifier,
        train: Dataset,
        val: Dataset,
        settings: NeuralSettings,
        context: "FitContext",
        targets: npt.NDArray[np.float32],
    ) -> None:
        super().__init__()
        self.rank, self.size = 0, 1
        overfit = context.trainer.overfit_batches > 0
        validated = train if overfit else val
        hard, fitted = prepare_fit(train.targets, train.known)
        learnt = mark_unknown(hard, fitted) if overfit else targets
        cells = weigh_cells(learnt, fitted, settings.teacher_share)
        self.train = self._batches(classifier, train, learnt, settings, None if overfit else context.seed, cells)
        truth = mark_unknown(validated.targets, validated.known)
        self.val = self._batches(classifier, validated, truth, settings, None, weigh_cells(truth, validated.known, 0.0))

    def _batches(
        self,
        classifier: TextClassifier,
        part: Dataset,
        targets: npt.NDArray[Any],
        settings: NeuralSettings,
        seed: int | None,
        cells: npt.NDArray[np.float32] | None,
    ) -> Batches:
        texts = token_ids(classifier.tokenizer, part.texts, classifier.padding)
        if cells is not None:
            targets = np.where(cells > 0, targets, 0)
        return Batches(
            texts, targets, batch_size=settings.batch_size, padding=classifier.padding, seed=seed, cells=cells
        )

    def take_share(self, rank: int, size: int) -> None:
        """Yield from now on only the rows of each batch that process `rank` of `size` gets."""
        self.rank, self.size = self.train.share = self.val.share = rank, size

    def train_dataloader(self) -> Batches:
        """Return the batches to learn from, in another order in each epoch."""
        return self.train

    def val_dataloader(self) -> Batches:
        """Return the batches of the metric for early stopping."""
        return self.val


class Fit(LightningModule):
    """One training: the loss of a batch, the metric of an epoch, the optimizer.

    With several processes each has its share of a batch, and all take the step that a single one would have taken.
    """

    def __init__(
        self,
        classifier: TextClassifier,
        rates: Mapping[str, float],
        data: Data,
        train_targets: npt.NDArray[np.uint8],
        settings: NeuralSettings,
        context: "FitContext",
        train_known: Known | None = None,
    ) -> None:
        super().__init__()
        self.network = classifier.network
        self._task, self._data, self._rates = classifier.task, data, rates
        self._settings, self._context = settings, context
        self._loss = make_loss(settings, train_targets, classifier.task, train_known)
        self._train_losses: list[Tensor] = []
        self._validated: list[ValidatedBatch] = []

    def on_train_epoch_start(self) -> None:
        """Seed all randomness of this epoch with (seed, epoch), and dropout with the rank as well.

        Rank 0 draws as a single process does: numpy pads the entropy with zeros.
        """
        self._data.train.epoch = self.current_epoch
        sequence = np.random.SeedSequence((self._context.seed, self.current_epoch, self._data.rank))
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))
        self._train_losses = []

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the mean loss of a batch; of a share, its term in that mean."""
        loss = self._loss(self.network(batch.ids, batch.mask), batch.targets, batch.cells)
        if batch.weight != 1:
            loss = loss * batch.weight
        self._train_losses.append(loss.detach())
        if len(self._train_losses) % _LOOK_EVERY == 0:
            self._stop_if_it_diverged(self._train_losses[-_LOOK_EVERY:])
        return loss

    def on_validation_epoch_start(self) -> None:
        """Measure nothing of a network that diverged."""
        self._stop_if_it_diverged(self._train_losses)

    def _stop_if_it_diverged(self, losses: list[Tensor]) -> None:
        """Check the last train losses of this epoch.

        Raises:
            UserError: one of them is not finite.
        """
        values = torch.stack(losses).tolist() if losses else []
        for step, loss in enumerate(values, start=len(self._train_losses) - len(losses)):
            if not math.isfinite(loss):
                raise _diverged(f"epoch {self.current_epoch}, step {step}: the loss", loss, self._settings)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Keep what the epoch's metric is computed from."""
        logits = self.network(batch.ids, batch.mask)
        rows = len(logits) if batch.weight else 0
        loss, targets = self._loss(logits, batch.targets, batch.cells), batch.targets
        if batch.cells is not None:
            targets = targets.masked_fill(batch.cells == 0, torch.nan)
        self._validated.append((loss * rows, logits[:rows], targets[:rows]))

    def on_validation_epoch_end(self) -> None:
        """Compute the validation metric in rank 0, report it, and log it in every process."""
        strategy, size = self.trainer.strategy, self._data.size
        train_losses = cast(Tensor, strategy.reduce(torch.stack(self._train_losses), reduce_op="sum"))
        validated = self._validated if size == 1 else gather(self._validated, size)
        self._validated = []
        first = self._data.rank == 0
        value = strategy.broadcast(self._report_epoch(float(train_losses.mean()), validated) if first else 0.0)
        self.log(self._context.validation_metric.name, value, prog_bar=True)

    def _report_epoch(self, train_loss: float, validated: list[ValidatedBatch]) -> float:
        """Write the epoch's row of the history, and return the validation metric."""
        losses, logits, targets = zip(*validated, strict=True)
        scores = probabilities(torch.cat(logits), self._task).cpu().numpy()
        metric = self._context.validation_metric
        truth = torch.cat(targets).cpu().numpy()
        known = ~np.isnan(truth)
        if known.all():
            value = metric.of(truth.astype(np.uint8), scores)
        else:
            value = metric.of(np.where(known, truth, 0).astype(np.uint8), scores, known)
        metrics = {
            "train/loss": train_loss,
            "val/loss": float(torch.stack(losses).sum()) / len(scores),
            metric.name: value,
            "learning_rate": max(group["lr"] for group in self.trainer.optimizers[0].param_groups),
        }
        if not math.isfinite(metrics["val/loss"]):  # the last step of the epoch diverged
            raise _diverged(f"after epoch {self.current_epoch}: the loss on val", metrics["val/loss"], self._settings)
        self._context.log(self.global_step, {"epoch": self.current_epoch, **metrics})
        log.info("epoch %d: %s", self.current_epoch, ", ".join(f"{key} {value:.4g}" for key, value in metrics.items()))
        return value

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of the complete gradient; the Trainer's own clipping refuses a fused AdamW in bfloat16."""
        torch.nn.utils.clip_grad_norm_(self.parameters(), self._settings.gradient_clip)

    def configure_optimizers(self) -> Any:
        """Return AdamW and the schedule of its rates, which change after every step."""
        groups = parameter_groups(self.network, self._rates, self._settings.weight_decay)
        optimizer = make_optimizer(groups)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = warmup_then_decay(optimizer, steps, self._settings.warmup)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _diverged(what: str, loss: float, settings: NeuralSettings) -> UserError:
    rate, clip = f"{settings.learning_rate:g}", f"{settings.gradient_clip:g}"
    return UserError(
        f"{what} is {loss}: training diverged, and is stopped. Start a new run with a lower model.learning_rate "
        f"({rate} here) or model.gradient_clip ({clip} here); if that does not help, check the texts and labels"
    )
