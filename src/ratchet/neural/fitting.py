"""Train a network with Lightning: early stopping and the best epoch by the run's own validation metric, resumable.

Everything random in an epoch (order of the texts, dropout) is drawn from (seed, epoch), and a checkpoint is written
where an epoch ends. So a training that is killed and resumed goes through the same numbers as one that is not.
"""

import logging
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback, Checkpoint, EarlyStopping, RichProgressBar
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from ratchet.config import Accelerator, Precision
from ratchet.data.dataset import Dataset
from ratchet.errors import UserError
from ratchet.neural.classifier import TextClassifier
from ratchet.neural.group import ALONE, Alone, Group
from ratchet.neural.modules import Data, Fit
from ratchet.neural.process import deterministic, interruptible, quiet
from ratchet.neural.processes import fit_in_processes
from ratchet.neural.settings import NeuralSettings, check_devices, number_of_processes

if TYPE_CHECKING:
    from ratchet.taggers import FitContext

log = logging.getLogger(__name__)


def fit_classifier(
    classifier: TextClassifier,
    rates: Mapping[str, float],
    train: Dataset,
    val: Dataset,
    settings: NeuralSettings,
    context: "FitContext",
    targets: npt.NDArray[np.float32] | None = None,
) -> None:
    """Train `classifier.network` in place; it ends with the weights of the best epoch. `rates`: by parameter name.

    It learns from `targets`, in [0, 1] and of the shape of those of train, or else from train's own.

    Raises:
        UserError: there is no such accelerator on this machine, or fewer of them than processes; training diverges; a
            checkpoint cannot be read.
    """
    check_devices(context.trainer)
    learnt = train.targets.astype(np.float32) if targets is None else targets
    data = Data(classifier, train, val, settings, context, learnt)
    best, last = context.directory / "best.ckpt", context.directory / "last.ckpt"
    resumed = last if context.resume and last.is_file() else None
    if resumed:
        _network_weights(best)  # not in vain until the last epoch has ended
    if context.resume:
        log.info("resumed from %s", resumed or "the beginning: no epoch had ended")
    torch.set_num_threads(context.threads)
    classifier.network.train()  # encoders come ready to predict, without dropout
    work = partial(_fit, classifier, rates, data, train.targets, settings, best, last, resumed)
    processes = number_of_processes(context.trainer)
    if processes > 1:
        fit_in_processes(work, context, processes)
    else:
        work(context, ALONE)
    classifier.network.to("cpu")
    if best.is_file():  # fast_dev_run writes none
        classifier.network.load_state_dict(_network_weights(best))


def _fit(
    classifier: TextClassifier,
    rates: Mapping[str, float],
    data: Data,
    train_targets: npt.NDArray[np.uint8],
    settings: NeuralSettings,
    best: Path,
    last: Path,
    resumed: Path | None,
    context: "FitContext",
    group: Alone | Group,
) -> None:
    """Train, in this process, with its share of every batch. Without epochs, `best` is what others get to know."""
    data.take_share(group.rank, group.size)
    fit = Fit(classifier, rates, data, train_targets, settings, context, group)
    with deterministic(), quiet(), interruptible():
        trainer = make_trainer(settings, context, best, last, group)
        trainer.fit(fit, datamodule=data, ckpt_path=resumed, weights_only=True)
        if context.trainer.fast_dev_run and group.size > 1 and group.rank == 0:
            trainer.save_checkpoint(best, weights_only=True)


def make_trainer(
    settings: NeuralSettings, context: "FitContext", best: Path, last: Path, group: Alone | Group = ALONE
) -> Trainer:
    """Lightning's Trainer as the settings want it, writing its checkpoints to `best` and `last`.

    In a group, too, Lightning knows of one process only: its own way to start several runs the command line again.
    The processes meet in `Fit`, and the first of them writes the checkpoints.

    Raises:
        UserError: there is no such accelerator on this machine.
    """
    configured = context.trainer
    gpu = configured.accelerator is Accelerator.gpu
    bar = configured.progress_bar and sys.stdout.isatty() and group.rank == 0
    metric = context.validation_metric.name
    try:
        return Trainer(
            default_root_dir=context.directory,
            accelerator=configured.accelerator.value,
            devices=[group.rank] if gpu and group.size > 1 else 1,
            precision="bf16-mixed" if configured.precision is Precision.bfloat16 else "32-true",
            deterministic=True,
            max_epochs=settings.max_epochs,
            fast_dev_run=configured.fast_dev_run,
            overfit_batches=configured.overfit_batches,
            limit_train_batches=configured.limit_train_batches,
            limit_val_batches=configured.limit_val_batches,
            num_sanity_val_steps=0,
            logger=False,
            enable_model_summary=False,
            enable_progress_bar=bar,
            callbacks=[
                StopsEarly(monitor=metric, mode="max", patience=settings.patience, check_on_train_epoch_end=True),
                Checkpoints(metric, best, last, writes=group.rank == 0),
                *_bar(bar),
            ],
            plugins=[WholeFiles(), LightningEnvironment()],  # whatever scheduler started this process
        )
    except MisconfigurationException as error:
        accelerator = configured.accelerator.value
        raise UserError(f"trainer={accelerator}: this machine has none that torch can use; trainer=cpu does") from error


def _bar(wanted: bool) -> list[Callback]:
    return [PassingBar()] if wanted else []


class PassingBar(RichProgressBar):
    """Lightning's bar, gone from the terminal once training is over."""

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Called by Lightning at the end."""
        if self.progress is not None:
            self.progress.live.transient = True
        super().teardown(trainer, pl_module, stage)


def _network_weights(path: Path) -> dict[str, Tensor]:
    """The weights of the network in a checkpoint of `Fit`."""
    weights = WholeFiles().load_checkpoint(path, map_location="cpu")["state_dict"]
    return {name.removeprefix("network."): value for name, value in weights.items()}


class StopsEarly(EarlyStopping):
    """Early stopping that still knows, once resumed, that it stopped: Lightning keeps the wait, not the decision."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop before an epoch that an undisturbed fit would not have had."""
        trainer.should_stop = self.wait_count >= self.patience


class Checkpoints(Checkpoint):
    """At the end of an epoch its weights in `best`, if it is the best so far, and then all of its state in `last`.

    Its state is the best value alone, so that a run directory may move before its run is resumed. Of several processes
    one `writes`.
    """

    def __init__(self, metric: str, best: Path, last: Path, *, writes: bool) -> None:
        self._metric, self._best, self._last, self._writes = metric, best, last, writes
        self._best_value: float | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write them; of equal epochs the first stays the best."""
        if not self._writes or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        value = float(trainer.callback_metrics[self._metric])
        if self._best_value is None or value > self._best_value:
            self._best_value = value
            trainer.save_checkpoint(self._best, weights_only=True)
        trainer.save_checkpoint(self._last)

    def state_dict(self) -> dict[str, Any]:
        """What a resumed fit has to know."""
        return {"best_value": self._best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        self._best_value = state_dict["best_value"]


class WholeFiles(TorchCheckpointIO):
    """Checkpoints that are whole or not there: Lightning's own may be cut short where /tmp is another file system."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write beside `path`, then rename."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:  # which, unlike torch, says why it cannot be written
                torch.save(checkpoint, file)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """What was saved.

        Raises:
            UserError: the file is damaged or gone; says how the run goes on without it.
        """
        try:
            content = torch.load(path, map_location=map_location, weights_only=True)
            if not isinstance(content, dict) or "state_dict" not in content:
                raise ValueError("no network in it")
        except Exception as error:  # whatever the reader makes of bytes that are none of its own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].partition(". ")[0]
            raise UserError(
                f"{path}: the checkpoint cannot be read: {reason}. Delete {Path(path).parent}: resumed without "
                "checkpoints, the run begins again with its first epoch, and ends the same"
            ) from error
        return content
