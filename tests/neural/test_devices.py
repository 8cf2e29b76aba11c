import pytest
import torch

from ratchet.config import Accelerator, TrainerConfig
from ratchet.errors import UserError
from ratchet.neural.devices import check_devices, number_of_processes


@pytest.mark.parametrize(
    ("devices", "gpus", "processes"), [(1, 0, 1), (2, 0, 2), (2, 4, 2), (None, 0, 1), (None, 1, 1), (None, 4, 4)]
)
def test_one_process_for_each_gpu_unless_it_is_said(
    devices: int | None, gpus: int, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert number_of_processes(TrainerConfig(accelerator=Accelerator.gpu, devices=devices)) == processes


def test_processes_without_a_gpu_of_their_own_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"trainer\.devices=3: torch finds 2 GPUs.*set fewer, or trainer=ddp_cpu"):
        check_devices(TrainerConfig(accelerator=Accelerator.gpu, devices=3))
    for accelerator, devices in ((Accelerator.gpu, 2), (Accelerator.gpu, None), (Accelerator.cpu, 3)):
        check_devices(TrainerConfig(accelerator=accelerator, devices=devices))
