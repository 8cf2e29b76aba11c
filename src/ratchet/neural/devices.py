"""Check the devices that a run asks for. A check only refuses: it is no part of the code that makes predictions."""

from ratchet.config import Accelerator, TrainerConfig
from ratchet.errors import UserError
from ratchet.machine import available_gpus
from ratchet.neural.settings import number_of_processes


def check_devices(trainer: TrainerConfig) -> None:
    """Refuse a fit without a GPU that it asks for, or whose processes would have to share one.

    Raises:
        UserError: there is no GPU, or there are fewer than processes.
    """
    if trainer.accelerator is not Accelerator.gpu:
        return
    wanted, found = number_of_processes(trainer), available_gpus()
    if found == 0:
        raise UserError("trainer=gpu: this machine has none that torch can use; trainer=cpu does")
    if wanted > found:
        raise UserError(
            f"trainer.devices={wanted}: torch finds {found} GPUs on this machine, and each process needs one of its "
            "own: set fewer, or trainer=ddp_cpu"
        )
