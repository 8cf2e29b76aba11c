"""Train a network with Lightning: resumable, with early stopping and the best epoch by the run's validation metric.

All randomness of an epoch (order of the texts, dropout) is drawn from (seed, epoch), and a checkpoint is written at the
end of an epoch. So a training that is killed and resumed computes the same numbers as an undisturbed one.
"""

import logging
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Callback, RichProgressBar

from ratchet.config import Precision
from ratchet.data.dataset import Dataset
from ratchet.data.known import Known, mark_unknown, prepare_fit
from ratchet.data.progress import end_steps, report_step
from ratchet.errors import UserError
from ratchet.neural.checkpoints import Checkpoints, StopsEarly, WholeFiles, load_network_weights
from ratchet.neural.devices import check_devices
from ratchet.neural.modules import Data, Fit
from ratchet.neural.processes import ExternalDDP, fit_in_processes
from ratchet.neural.settings import NeuralSettings, number_of_processes
from ratchet.neural.text_classifier import TextClassifier
from ratchet.printable import unfiltered

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

    It learns from `targets`, in [0, 1] or NaN (none) and of the shape of those of train, or else from train's own.

    Raises:
        UserError: this machine has no such accelerator, or fewer of them than processes; training diverges; a
            checkpoint cannot be read.
    """
    check_devices(context.trainer)
    training_targets = mark_unknown(*prepare_fit(train.targets, train.known)) if targets is None else targets
    report_step("preparing the batches")
    data = Data(classifier, train, val, settings, context, training_targets)
    best, last = context.directory / "best.ckpt", context.directory / "last.ckpt"
    resumed = last if context.resume and last.is_file() else None
    if resumed:
        load_network_weights(best)  # a damaged file is reported now, not after the last epoch
    if context.resume:
        log.info("resumed from %s", resumed or "the beginning: no epoch had ended")
    torch.set_num_threads(context.threads)
    classifier.network.train()  # encoders are loaded in evaluation mode, without dropout
    report_step("training")
    work = partial(_fit, classifier, rates, data, train.targets, train.known, settings, best, last, resumed)
    processes = number_of_processes(context.trainer)
    if processes > 1:
        fit_in_processes(work, context, processes)
    else:
        work(context, 0, 1)
    classifier.network.to("cpu")
    if best.is_file():  # fast_dev_run writes none
        classifier.network.load_state_dict(load_network_weights(best))


def _fit(
    classifier: TextClassifier,
    rates: Mapping[str, float],
    data: Data,
    train_targets: npt.NDArray[np.uint8],
    train_known: Known | None,
    settings: NeuralSettings,
    best: Path,
    last: Path,
    resumed: Path | None,
    context: "FitContext",
    rank: int,
    size: int,
) -> None:
    """Train in this process, rank `rank` of `size`, on its share of every batch."""
    data.take_share(rank, size)
    fit = Fit(classifier, rates, data, train_targets, settings, context, train_known)
    with deterministic(), quiet(), interruptible():
        trainer = make_trainer(settings, context, best, last, rank, size)
        trainer.fit(fit, datamodule=data, ckpt_path=resumed, weights_only=True)


def make_trainer(
    settings: NeuralSettings, context: "FitContext", best: Path, last: Path, rank: int = 0, size: int = 1
) -> Trainer:
    """Return Lightning's Trainer for the settings; it writes its checkpoints to `best` and `last`.

    Raises:
        UserError: this machine has no such accelerator.
    """
    configured = context.trainer
    bar = configured.progress_bar and sys.stdout.isatty() and rank == 0
    metric = context.validation_metric.name
    # Lightning is given its environment, so that it does not ask the scheduler that started this process for one.
    environment = [LightningEnvironment()] if size == 1 else []
    try:
        return Trainer(
            default_root_dir=context.directory,
            accelerator=configured.accelerator.value,
            devices=size,
            strategy="auto" if size == 1 else ExternalDDP(rank),
            use_distributed_sampler=False,
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
                Checkpoints(metric, best, last),
                *([PassingBar(console_kwargs={"file": unfiltered(sys.stdout)})] if bar else []),
                *([KeepSigterm()] if size > 1 else []),
            ],
            plugins=[WholeFiles(), *environment],
        )
    except MisconfigurationException as error:
        accelerator = configured.accelerator.value
        raise UserError(f"trainer={accelerator}: this machine has none that torch can use; trainer=cpu does") from error


class PassingBar(RichProgressBar):
    """Lightning's progress bar, removed from the terminal after training."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin, in place of the line of steps."""
        end_steps()
        super().on_train_start(trainer, pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let the bar disappear; Lightning calls this at the end."""
        if self.progress is not None:
            self.progress.live.transient = True
        super().teardown(trainer, pl_module, stage)


class KeepSigterm(Callback):
    """Keep the handler of SIGTERM that was set before the fit.

    With several processes Lightning's own broadcasts to the others, which may wait in another collective: a deadlock.
    """

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set it again: Lightning has just replaced it."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler or signal.SIG_DFL)


@contextmanager
def deterministic() -> Iterator[None]:
    """Restore, when the block ends, torch's random state and its settings of determinism: other jobs may follow."""
    before, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    debug = cast(Any, torch.utils.deterministic)
    filled = debug.fill_uninitialized_memory
    debug.fill_uninitialized_memory = False  # it helps to find defects in kernels, and is slow
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        debug.fill_uninitialized_memory = filled


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's advertisements out of the log, and warnings that need no action."""
    lightning = logging.getLogger("pytorch_lightning")
    level = lightning.level
    lightning.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # Lightning calls a deprecated class of torch.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning)
            warnings.filterwarnings("ignore", message="The `srun` command is available")  # we do not need it
            # Lightning cannot know that the metric is the same in all processes.
            warnings.filterwarnings("ignore", message=r"It is recommended to use `self\.log\(.*sync_dist=True")
            yield
    finally:
        lightning.setLevel(level)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt after Ctrl-C, and the SystemExit of a SIGTERM handler.

    Lightning cleans up and exits with code 1, and torch, if it is writing a file, raises an error of its own instead.
    """
    try:
        yield
    except BaseException as error:
        stop = _stop_behind(error)
        if stop is None or stop is error:
            raise
        raise stop from None


def _stop_behind(error: BaseException) -> BaseException | None:
    """Return the KeyboardInterrupt that led to `error`, or else the SystemExit."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    stops = [earlier for kind in (KeyboardInterrupt, SystemExit) for earlier in chain if isinstance(earlier, kind)]
    return stops[0] if stops else None
