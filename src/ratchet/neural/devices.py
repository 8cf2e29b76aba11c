"""How many processes a fit has, and whether there are devices for them. Light until there is a GPU to look for."""

from ratchet.config import Accelerator, TrainerConfig
from ratchet.errors import UserError
from ratchet.process import available_gpus


def number_of_processes(trainer: TrainerConfig) -> int:
    """What the settings say; where they leave it open one for each GPU that is there, and at least one."""
    return max(1, available_gpus()) if trainer.devices is None else trainer.devices


def check_devices(trainer: TrainerConfig) -> None:
    """Stop where processes would have to share a GPU.

    Raises:
        UserError: several are wanted, and there are fewer GPUs.
    """
    wanted = number_of_processes(trainer)
    if trainer.accelerator is Accelerator.gpu and wanted > 1 and wanted > available_gpus():
        raise UserError(
            f"trainer.devices={wanted}: torch finds {available_gpus()} GPUs on this machine, and each process needs "
            "one of its own: set fewer, or trainer=ddp_cpu"
        )
