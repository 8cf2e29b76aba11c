"""Define what Lightning trains: the batches of a run, and the network with its loss, metric and optimizer."""

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from ratchet.data.dataset import Dataset
from ratchet.errors import UserError
from ratchet.neural.batches import Batch, Batches
from ratchet.neural.classifier import TextClassifier, probabilities
from ratchet.neural.group import ALONE, Alone, Group, Validated
from ratchet.neural.losses import make_loss
from ratchet.neural.settings import NeuralSettings
from ratchet.neural.tokens import token_ids

if TYPE_CHECKING:
    from ratchet.taggers import FitContext

log = logging.getLogger(__name__)
_LOOK_EVERY = 32  # steps; a look at the losses makes a GPU wait


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


class Data(LightningDataModule):
    """The batches of train and val; every text is tokenised once.

    `targets` are those to learn from, shares of 1 where a teacher has a say. `overfit_batches` asks whether labels can
    be learnt by heart: it learns and validates on those of train.
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
        few = context.trainer.overfit_batches > 0
        learnt = train.targets if few else targets
        self.train = self._batches(classifier, train, learnt, settings, None if few else context.seed)
        self.val = self._batches(classifier, train if few else val, (train if few else val).targets, settings, None)

    def _batches(
        self,
        classifier: TextClassifier,
        part: Dataset,
        targets: npt.NDArray[Any],
        settings: NeuralSettings,
        seed: int | None,
    ) -> Batches:
        texts = token_ids(classifier.tokenizer, part.texts, classifier.padding)
        return Batches(texts, targets, batch_size=settings.batch_size, padding=classifier.padding, seed=seed)

    def take_share(self, rank: int, size: int) -> None:
        """From now on only what process `rank` of `size` has of each batch."""
        self.train.share = self.val.share = (rank, size)

    def train_dataloader(self) -> Batches:
        """The batches to learn from, in another order in each epoch."""
        return self.train

    def val_dataloader(self) -> Batches:
        """The batches that early stopping goes by."""
        return self.val


class Fit(LightningModule):
    """One training: the loss of a batch, the metric of an epoch, and what Lightning has to know besides.

    In a `group` of processes each sees its share of a batch, and all of them take the step that one would have taken.
    """

    def __init__(
        self,
        classifier: TextClassifier,
        rates: Mapping[str, float],
        data: Data,
        train_targets: npt.NDArray[np.uint8],
        settings: NeuralSettings,
        context: "FitContext",
        group: Alone | Group = ALONE,
    ) -> None:
        super().__init__()
        self._group = group
        self.network = classifier.network
        self._task, self._data, self._rates = classifier.task, data, rates
        self._settings, self._context = settings, context
        self._loss = make_loss(settings, train_targets, classifier.task)
        self._train_losses: list[Tensor] = []
        self._validated: list[Validated] = []

    def on_train_epoch_start(self) -> None:
        """Draw everything that is random in this epoch from (seed, epoch), and dropout from the rank besides.

        For rank 0 that is as if there were no rank: numpy fills up with zeros.
        """
        self._data.train.epoch = self.current_epoch
        drawn = np.random.SeedSequence((self._context.seed, self.current_epoch, self._group.rank))
        torch.manual_seed(int(drawn.generate_state(1, np.uint64)[0] >> 1))
        self._train_losses = []

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """The mean loss of a batch, or what this process has to add to it."""
        loss = self._loss(self.network(batch.ids, batch.mask), batch.targets)
        if batch.weight != 1:
            loss = loss * batch.weight
        self._train_losses.append(loss.detach())
        if len(self._train_losses) % _LOOK_EVERY == 0:
            self._stop_if_it_diverged(self._train_losses[-_LOOK_EVERY:])
        return loss

    def on_after_backward(self) -> None:
        """The gradient of the whole batch, in every process."""
        self._group.sum_gradients(self.network)

    def on_validation_epoch_start(self) -> None:
        """Nothing is measured of a network that is lost."""
        self._stop_if_it_diverged(self._train_losses)

    def _stop_if_it_diverged(self, losses: list[Tensor]) -> None:
        """Look at the last train losses of this epoch.

        Raises:
            UserError: one of them is not finite.
        """
        found = torch.stack(losses).tolist() if losses else []
        for step, loss in enumerate(found, start=len(self._train_losses) - len(losses)):
            if not math.isfinite(loss):
                raise _diverged(f"epoch {self.current_epoch}, step {step}: the loss", loss, self._settings)

    def validation_step(self, batch: Batch, _: int) -> None:
        """Keep what the epoch's metric is made of."""
        logits = self.network(batch.ids, batch.mask)
        rows = len(logits) if batch.weight else 0
        self._validated.append((self._loss(logits, batch.targets) * rows, logits[:rows], batch.targets[:rows]))

    def on_validation_epoch_end(self) -> None:
        """The metric that decides, the same in every process, and a line of the history."""
        train_loss = float(self._group.summed(torch.stack(self._train_losses)).mean())
        validated = self._group.gathered(self._validated)
        self._validated = []
        value = self._group.told_by_first(lambda: self._tell(train_loss, validated))
        self.log(self._context.validation_metric.name, value, prog_bar=True)

    def _tell(self, train_loss: float, validated: list[Validated]) -> float:
        """Write the epoch's line of the history; the metric that decides."""
        losses, logits, targets = zip(*validated, strict=True)
        scores = probabilities(torch.cat(logits), self._task).cpu().numpy()
        metric = self._context.validation_metric
        value = metric.of(torch.cat(targets).cpu().numpy().astype(np.uint8), scores)
        found = {
            "train/loss": train_loss,
            "val/loss": float(torch.stack(losses).sum()) / len(scores),
            metric.name: value,
            "learning_rate": max(group["lr"] for group in self.trainer.optimizers[0].param_groups),
        }
        if not math.isfinite(found["val/loss"]):  # the last step of the epoch went too far
            raise _diverged(f"after epoch {self.current_epoch}: the loss on val", found["val/loss"], self._settings)
        self._context.log(self.global_step, {"epoch": self.current_epoch, **found})
        log.info("epoch %d: %s", self.current_epoch, ", ".join(f"{key} {value:.4g}" for key, value in found.items()))
        return value

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of the whole gradient; the Trainer's own way to refuses a fused AdamW in bfloat16."""
        torch.nn.utils.clip_grad_norm_(self.parameters(), self._settings.gradient_clip)

    def configure_optimizers(self) -> Any:
        """AdamW, its rates changed after every step."""
        groups = parameter_groups(self.network, self._rates, self._settings.weight_decay)
        optimizer = make_optimizer(groups)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = warmup_then_decay(optimizer, steps, self._settings.warmup)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def _diverged(what: str, loss: float, settings: NeuralSettings) -> UserError:
    rate, clip = f"{settings.learning_rate:g}", f"{settings.gradient_clip:g}"
    return UserError(
        f"{what} is {loss}: training diverged, and is stopped. Begin a new run with a lower model.learning_rate "
        f"({rate} here) or model.gradient_clip ({clip} here); if that does not help, look at the texts and labels"
    )
