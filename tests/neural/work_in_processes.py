"""Functions for the processes of tests/neural/test_processes.py, which import this module by name."""

import logging
import os
import signal
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import distributed

from ratchet.neural.processes import ValidatedBatch, gather


def batch(number: float, rows: int) -> ValidatedBatch:
    return torch.tensor(number), torch.full((rows, 2), number), torch.zeros(rows, 2)


def exchange(gathered: list[Any], context: Any, rank: int, size: int) -> None:
    """Gather two batches (rank 1 has no row of the second) and the state of each process."""
    gathered.append(gather([batch(rank + 1, 2), batch(rank + 3, 1 - rank)], size))
    blocked = {signal.SIGINT, signal.SIGTERM} <= signal.pthread_sigmask(signal.SIG_BLOCK, set())
    states: list[Any] = [None] * size
    distributed.all_gather_object(states, (torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS"), blocked))
    gathered.append(states)
    if rank:
        logging.getLogger("ratchet.test").warning("once is enough")
        warnings.warn("once is enough", stacklevel=1)


def act_in(active_rank: int, act: Callable[[], None], context: Any, rank: int, size: int) -> None:
    """Run `act` in rank `active_rank` while the others wait for it."""
    distributed.barrier()
    if rank == active_rank:
        act()
    distributed.all_reduce(torch.ones(1))


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(error: BaseException) -> None:
    raise error


class Deadly:
    """Kills the process that unpickles it."""

    def __reduce__(self) -> tuple[Callable[[], None], tuple[()]]:
        return kill, ()
