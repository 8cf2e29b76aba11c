"""Train in several processes of this machine that share every batch.

The process of the run is rank 0, so that curves, tracker and pruning work as in a single process. torch starts the
other ranks for the fit alone; Lightning's DDPStrategy connects them and sums their gradients.
"""

import logging
import pickle
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import current_thread, main_thread
from time import monotonic
from typing import TYPE_CHECKING, Any

import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import start_processes
from torch.nn.parallel import DistributedDataParallel

from ratchet.config import Accelerator
from ratchet.machine import end_with_process, limited_threads

if TYPE_CHECKING:
    from ratchet.taggers import FitContext

Work = Callable[["FitContext", int, int], None]  # of context, rank and number of processes
ValidatedBatch = tuple[Tensor, Tensor, Tensor]  # the sum of its losses, its logits, its targets (NaN: unknown)

_GRACE = 10.0  # seconds for the process that failed to end, after another one has lost the connection to it


class ProcessDied(Exception):
    """A process of a fit ended without reporting why."""


class ExternalProcesses(LightningEnvironment):
    """Tell Lightning that all processes run already, whatever the variables of a scheduler say."""

    creates_processes_externally = True

    def __init__(self, rank: int) -> None:
        super().__init__()
        self._rank = rank

    def local_rank(self) -> int:
        """Return the rank of this process."""
        return self._rank

    def node_rank(self) -> int:
        """Return 0: there is one machine."""
        return 0


class ExternalDDP(DDPStrategy):
    """DDPStrategy in processes that are started and stopped here."""

    def __init__(self, rank: int) -> None:
        super().__init__(cluster_environment=ExternalProcesses(rank))

    def _configure_launcher(self) -> None:
        """Use no launcher: Lightning's would start nothing, but refuses to be used in a notebook."""

    def _setup_model(self, model: nn.Module) -> DistributedDataParallel:
        """Add gradients up, where DDP would average them: the loss of a share is its term in the loss of the batch."""
        wrapped = super()._setup_model(model)
        wrapped.register_comm_hook(None, _sum_gradients)
        return wrapped


def _sum_gradients(
    state: None,
    bucket: distributed.GradBucket,  # type: ignore[name-defined]
) -> torch.futures.Future[Tensor]:
    """Sum the gradients of a bucket over the processes, one parameter after the other.

    Where a number lies in what is summed decides the order of its additions, if there are more than two processes. DDP
    rearranges its buckets after the first step. By parameter, a resumed fit gets the same bits as an undisturbed one.
    """
    for gradient in bucket.gradients():  # views into the buffer
        distributed.all_reduce(gradient)
    buffer = bucket.buffer()
    summed: torch.futures.Future[Tensor] = torch.futures.Future(devices=[buffer.device] if buffer.is_cuda else None)
    summed.set_result(buffer)
    return summed


def gather(batches: Sequence[ValidatedBatch], size: int) -> list[ValidatedBatch]:
    """Return, in rank 0, the batches of all `size` processes, on the CPU: of each batch the shares in order of rank.

    Other ranks return nothing.
    """
    on_cpu = [(losses.cpu(), logits.cpu(), targets.cpu()) for losses, logits, targets in batches]
    first = distributed.get_rank() == 0
    gathered: list[list[ValidatedBatch]] | None = [[] for _ in range(size)] if first else None
    distributed.gather_object(on_cpu, gathered, dst=0)
    return [share for batch in zip(*gathered, strict=True) for share in batch] if gathered else []


def fit_in_processes(work: Work, context: "FitContext", size: int) -> None:
    """Call `work(context, rank, size)` in this process as rank 0 and in `size` - 1 others; divide the threads.

    Raises:
        ProcessDied: another process was killed, or ended without an error.
        Exception: what this process or another one raised.
    """
    threads = max(1, context.threads // size)
    gpu = context.trainer.accelerator is Accelerator.gpu
    context = replace(context, threads=threads)
    processes: Sequence[BaseProcess] = ()
    previous = torch.get_num_threads()
    with tempfile.TemporaryDirectory(prefix="ratchet-") as name:  # local: file locks must work in it
        directory = Path(name)
        # Pickled here: torch would share the memory of weights that it sends itself, and every rank would update them.
        (directory / "work").write_bytes(pickle.dumps((work, _without_callbacks(context))))
        try:
            with limited_threads(threads), _signals_deferred():
                started = start_processes(  # type: ignore[no-untyped-call]
                    _run_rank, (directory, size, gpu), nprocs=size - 1, join=False, daemon=True
                )
                processes = started.processes
            torch.set_num_threads(threads)
            _wait_until_ready(directory, processes)
            _join_group(0, size, directory, gpu=gpu)
            work(context, 0, size)
            for process in processes:
                process.join(_GRACE)
        except RuntimeError as error:  # the only type that torch raises if the connection to another process is lost
            raise _peer_error(processes, directory) or error from None
        finally:
            torch.set_num_threads(previous)
            if distributed.is_initialized():
                distributed.destroy_process_group()  # Lightning would take it for that of the next fit
            for process in processes:
                process.kill()
                process.join()
                process.close()


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Start processes that never receive Ctrl-C or SIGTERM: this process does, afterwards, and then kills them.

    The mask, which the processes inherit, is that of this thread. Any other thread may receive a signal, and Python
    then calls its handler here: a process that is half started would be lost, and print a stack trace. So the handlers
    wait, too.
    """
    resource_tracker.ensure_running()  # it unblocks the signals while it starts
    stopping = {signal.SIGINT, signal.SIGTERM}
    received: list[int] = []
    handlers = {}
    if current_thread() is main_thread():  # elsewhere Python calls no handler, and lets none be set
        handlers = {item: signal.signal(item, lambda number, frame: received.append(number)) for item in stopping}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # first: what was blocked is received now
        for item, handler in handlers.items():
            signal.signal(item, handler)
        for number in received:
            signal.raise_signal(number)


def _store(directory: Path) -> Any:
    return distributed.FileStore(str(directory / "rendezvous"), -1)  # type: ignore[attr-defined]


def _wait_until_ready(directory: Path, processes: Sequence[BaseProcess]) -> None:
    """Wait for the processes to load their libraries: torch's own rendezvous would notice neither signal nor death."""
    store = _store(directory)
    ready = [f"ready/{rank}" for rank in range(1, len(processes) + 1)]
    while not store.check(ready):
        if wait([process.sentinel for process in processes], timeout=0.05):
            raise RuntimeError("a process of this fit ended before the fit began")


def _join_group(rank: int, size: int, directory: Path, *, gpu: bool) -> None:
    """Join the process group of the fit.

    Lightning uses the group that it finds, and so opens no port. A dead process closes its connection by gloo at once,
    so the timeout need not be short: rank 0 may take long over the metric of an epoch. nccl notices by timeout alone.
    """
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if gpu else "gloo",
        store=_store(directory),
        rank=rank,
        world_size=size,
        timeout=timedelta(minutes=30) if gpu else timedelta(days=1),
    )


def _peer_error(processes: Sequence[BaseProcess], directory: Path) -> Exception | None:
    """Return why another process ended: a kill before an error, as the rest only lost the connection; else None."""
    if not wait([process.sentinel for process in processes], timeout=_GRACE):
        return None
    deadline = monotonic() + _GRACE
    for process in processes:
        process.join(max(0.0, deadline - monotonic()))
    codes = {rank: process.exitcode for rank, process in enumerate(processes, start=1)}
    killed = [rank for rank, code in codes.items() if code is not None and code < 0]
    if killed:
        return ProcessDied(_describe_exit(killed[0], codes))
    reports = sorted(directory.glob("error-*"), key=lambda path: path.stat().st_mtime_ns)
    if reports:  # the first one: it made the others lose the connection
        error: Exception = pickle.loads(reports[0].read_bytes())
        return error
    ended = [rank for rank, code in codes.items() if code is not None]
    return ProcessDied(_describe_exit(ended[0], codes))


def _describe_exit(rank: int, codes: Mapping[int, int | None]) -> str:
    code = codes[rank] or 0
    name = f"process {rank + 1} of the {len(codes) + 1} of this fit"
    if code >= 0:
        return f"{name} ended with exit code {code} before the fit did"
    reason = f"{name} was killed by {signal.Signals(-code).name}"
    if -code != signal.SIGKILL:
        return reason
    return f"{reason}; if memory ran out, fewer trainer.devices or a smaller model.batch_size need less"


def _without_callbacks(context: "FitContext") -> "FitContext":
    """Return the context for the other ranks: rank 0 alone logs and measures, and its callbacks cannot be pickled."""
    return replace(context, log=_unused, validation_metric=replace(context.validation_metric, of=_unused))


def _unused(*arguments: Any) -> Any:
    raise AssertionError("rank 0 alone logs and measures")


# What follows runs in the other processes.


def _run_rank(index: int, directory: Path, size: int, gpu: bool) -> None:
    """Read the work and do it as rank `index` + 1; write an error to a file for rank 0."""
    rank = index + 1
    parent = parent_process()
    assert parent is not None
    assert parent.pid is not None
    end_with_process(parent.pid)
    logging.getLogger().addHandler(logging.NullHandler())  # rank 0 logs and warns the same
    logging.captureWarnings(True)
    try:
        work, context = pickle.loads((directory / "work").read_bytes())
        torch.set_num_threads(context.threads)
        _store(directory).set(f"ready/{rank}", "")
        _join_group(rank, size, directory, gpu=gpu)
        work(context, rank, size)
        distributed.destroy_process_group()
    except BaseException as error:  # the group is left after the report: the first report is the cause
        report = directory / f".error-{rank}"
        report.write_bytes(pickle.dumps(_portable(error)))
        report.rename(directory / f"error-{rank}")
        sys.exit(1)


def _portable(error: BaseException) -> BaseException:
    """Return the error with its stack trace as a note; a RuntimeError with the same message if it cannot be pickled."""
    error.add_note("in another process of the fit:\n" + "".join(traceback.format_exception(error)).rstrip())
    try:
        restored = pickle.loads(pickle.dumps(error))
    except Exception:
        restored = None
    if type(restored) is type(error):
        return error
    substitute = RuntimeError(f"{type(error).__name__}: {error}")
    substitute.__notes__ = error.__notes__
    return substitute
