"""What a process of a fit does together with the others: add up gradients and losses, gather scores, agree.

Gradients are summed once a step, after the backward pass, so weights that a step does not use need no special care.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

Validated = tuple[Tensor, Tensor, Tensor]  # of a batch: the sum of its losses, its logits, its targets
_FOREVER = timedelta(days=1)  # a process that is gone is noticed at once, one that takes its time is waited for


class PeerLost(Exception):
    """Another process of the fit is gone: the reason is its own."""


class Alone:
    """One process: nobody to talk to, nothing to add up."""

    rank, size = 0, 1

    def sum_gradients(self, network: nn.Module) -> None:
        """They are those of the whole batch already."""

    def summed(self, values: Tensor) -> Tensor:
        """`values` as they are."""
        return values

    def gathered(self, mine: list[Validated]) -> list[Validated]:
        """`mine`: there is no more."""
        return mine

    def told_by_first(self, tell: Callable[[], float]) -> float:
        """What `tell` says."""
        return tell()


ALONE = Alone()


class Group:
    """Process `rank` of `size`; `join` makes one. Each method is called by all of them, or none comes back.

    Raises (every method):
        PeerLost: another process is gone.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def sum_gradients(self, network: nn.Module) -> None:
        """Give every process the sum of the gradients of all, in place."""
        gradients = [each.grad for each in network.parameters() if each.grad is not None]
        flat = self.summed(torch.cat([each.flatten() for each in gradients]))
        for gradient, total in zip(gradients, torch.split(flat, [each.numel() for each in gradients]), strict=True):
            gradient.copy_(total.view_as(gradient))

    def summed(self, values: Tensor) -> Tensor:
        """The sum over all processes, which is put into `values`; bit for bit the same in all of them."""
        with _peers_there():
            distributed.all_reduce(values)
        return values

    def gathered(self, mine: list[Validated]) -> list[Validated]:
        """In the first process those of all, on the CPU: of each batch the shares one after the other; else nothing."""
        on_cpu = [(losses.cpu(), logits.cpu(), targets.cpu()) for losses, logits, targets in mine]
        found: list[list[Validated]] | None = [[] for _ in range(self.size)] if self.rank == 0 else None
        with _peers_there():
            distributed.gather_object(on_cpu, found, dst=0)
        return [share for batch in zip(*found, strict=True) for share in batch] if found else []

    def told_by_first(self, tell: Callable[[], float]) -> float:
        """What `tell` says in the first process, in all of them."""
        value = torch.tensor([tell() if self.rank == 0 else 0.0], dtype=torch.float64)
        with _peers_there():
            distributed.broadcast(value, src=0)
        return float(value)


@contextmanager
def join(rank: int, size: int, meeting: Path, *, gpu: bool) -> Iterator[Group]:
    """Be process `rank` of `size` until the block ends; `meeting` is the path of a file by which they find each other.

    Numbers on the CPU go by gloo, those on GPUs by nccl.
    """
    with _peers_there():
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if gpu else "gloo",
            store=distributed.FileStore(str(meeting), size),  # type: ignore[attr-defined]
            rank=rank,
            world_size=size,
            timeout=_FOREVER,
        )
    yield Group(rank, size)
    distributed.destroy_process_group()  # not after an error: where others are gone it may wait for them


@contextmanager
def _peers_there() -> Iterator[None]:
    """What torch.distributed says where another process is gone, told apart from errors of this one."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLost(str(error)) from error
