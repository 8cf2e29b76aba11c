"""Early stopping and the checkpoints of a fit: whole files, from which it resumes as if it had not been interrupted.

The names of the classes `StopsEarly` and `Checkpoints` are keys in the checkpoints of interrupted runs.
"""

import os
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from ratchet.errors import UserError


class StopsEarly(EarlyStopping):
    """Early stopping that knows, once resumed, that it had stopped: Lightning saves the wait, not the decision."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop before an epoch that an undisturbed fit would not have run."""
        trainer.should_stop = self.wait_count >= self.patience


class Checkpoints(Checkpoint):
    """Save at the end of each epoch: its weights to `best` if it is the best so far, then its whole state to `last`.

    The callback's own state is the best value alone, so that a run directory may be moved before its run is resumed.
    """

    def __init__(self, metric: str, best: Path, last: Path) -> None:
        self._metric, self._best, self._last = metric, best, last
        self._best_value: float | None = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the checkpoints; of equal epochs the first stays the best.

        Every process of a fit gets here, with the same metric: `save_checkpoint` writes in rank 0, the others wait.
        """
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        value = float(trainer.callback_metrics[self._metric])
        if self._best_value is None or value > self._best_value:
            self._best_value = value
            trainer.save_checkpoint(self._best, weights_only=True)
        trainer.save_checkpoint(self._last)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed fit has to know."""
        return {"best_value": self._best_value}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._best_value = state_dict["best_value"]


class WholeFiles(TorchCheckpointIO):
    """Write checkpoints that are complete or absent: Lightning's may be cut short if /tmp is another file system."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write to a temporary file next to `path`, then rename it."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:  # unlike torch, it reports why it cannot be written
                torch.save(checkpoint, file)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Return the checkpoint that was saved.

        Raises:
            UserError: the file is damaged or missing; the message explains how to resume without it.
        """
        try:
            content = torch.load(path, map_location=map_location, weights_only=True)
            if not isinstance(content, dict) or "state_dict" not in content:
                raise ValueError("no network in it")
        except Exception as error:  # any type: the reader gets arbitrary bytes
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].partition(". ")[0]
            raise UserError(
                f"{path}: the checkpoint cannot be read: {reason}. Delete {Path(path).parent}: resumed without "
                "checkpoints, the run starts again at its first epoch, with the same result"
            ) from error
        return content


def load_network_weights(path: Path) -> dict[str, Tensor]:
    """Return the weights of the network in a checkpoint of `Fit`."""
    weights = WholeFiles().load_checkpoint(path, map_location="cpu")["state_dict"]
    return {name.removeprefix("network."): value for name, value in weights.items()}
