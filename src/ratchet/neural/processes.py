"""A fit in several processes of one machine: started for the fit alone, watched while it lasts, and gone with it.

The process of the run keeps everything else: directory, record, tracker, predictions. The first of the others asks it
for the metric of an epoch, and tells it the lines of history and log. Light: a new process has to read it before its
work gets there.
"""

import logging
import os
import pickle
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from ratchet.config import Accelerator
from ratchet.machine import limited_threads

if TYPE_CHECKING:
    from ratchet.taggers import FitContext

_GRACE = 30.0  # seconds that the process which is to blame has to say why, once another one misses it


class ProcessDied(Exception):
    """A process of a fit was gone before it said why."""


class Main:
    """The process of the run, as one that it started sees it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ask(self, name: str, *arguments: Any) -> Any:
        """What it answers."""
        self.tell(name, *arguments)
        return self._connection.recv()

    def tell(self, name: str, *arguments: Any) -> None:
        """Something that has no answer."""
        self._connection.send((name, arguments))


@dataclass
class Worker:
    """A process of the fit, as the process of the run sees it."""

    rank: int
    process: BaseProcess
    connection: Connection
    done: bool = False

    def end(self) -> None:
        """Nothing of it is left."""
        self.process.join(_GRACE if self.done else 0)
        self.process.kill()
        self.process.join()
        self.process.close()
        self.connection.close()


def fit_in_processes(work: Callable[..., None], context: "FitContext", size: int) -> None:
    """Let `size` processes do `work(context, group)`, which is pickled; threads are divided among them.

    Raises:
        ProcessDied: one of them was killed.
        Exception: whatever one of them raised, as it raised it.
    """
    answers: dict[str, Callable[..., Any]] = {
        "work": partial(bytes, pickle.dumps(work)),  # torch would have them share the memory of tensors sent as such
        "log": context.log,
        "of": context.validation_metric.of,
        "record": _handle,
    }
    workers: list[Worker] = []
    with tempfile.TemporaryDirectory(prefix="ratchet-") as directory:  # of this machine: locks must work in it
        try:
            threads = max(1, context.threads // size)
            with limited_threads(threads), _signals_left_to_this_process():
                for rank in range(size):
                    workers.append(_started(rank, size, Path(directory, "meeting"), replace(context, threads=threads)))
            _attend(workers, answers)
        finally:
            for worker in workers:
                worker.end()
            for half_written in context.directory.glob(".*.tmp"):
                half_written.unlink()


def _started(rank: int, size: int, meeting: Path, context: "FitContext") -> Worker:
    spawning = get_context("spawn")
    ours, theirs = spawning.Pipe()
    main = Main(theirs)
    metric = replace(context.validation_metric, of=partial(main.ask, "of"))
    told = replace(context, log=partial(main.ask, "log"), validation_metric=metric)
    process = spawning.Process(target=_run, args=(rank, size, meeting, main, told), daemon=True)
    process.start()
    theirs.close()  # so that the end of the process is the end of the connection
    return Worker(rank, process, ours)


@contextmanager
def _signals_left_to_this_process() -> Iterator[None]:
    """What is started in the block never gets Ctrl-C or SIGTERM: this process does, and then ends them."""
    resource_tracker.ensure_running()  # it would let the signals through again while it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _attend(workers: list[Worker], answers: Mapping[str, Callable[..., Any]]) -> None:
    """Answer all of them until they are done."""
    from ratchet.neural.group import PeerLost

    going = {worker.connection: worker for worker in workers}
    lost: PeerLost | None = None
    while going:
        ready = wait(list(going), _GRACE if lost else None)
        for connection in ready:
            assert isinstance(connection, Connection)
            try:
                name, arguments = connection.recv()
            except (EOFError, ConnectionResetError):
                raise ProcessDied(_how_it_died(going[connection], len(workers))) from None
            if name == "done":
                going.pop(connection).done = True
            elif name == "failed" and isinstance(arguments[0], PeerLost):
                lost = arguments[0]
                del going[connection]
            elif name == "failed":
                raise arguments[0]
            else:
                answer = answers[name](*arguments)
                with suppress(BrokenPipeError, ConnectionResetError):  # it died: read next
                    connection.send(answer)
        if not ready:
            break
    if lost:
        raise lost


def _how_it_died(worker: Worker, size: int) -> str:
    worker.process.join()
    code = worker.process.exitcode or 0
    name = f"process {worker.rank + 1} of the {size} of this fit"
    if code >= 0:
        return f"{name} ended with exit code {code} before the fit did"
    reason = f"{name} was killed by {signal.Signals(-code).name}"
    if -code != signal.SIGKILL:
        return reason
    return f"{reason}; if memory ran out, fewer trainer.devices or a smaller model.batch_size need less"


def _handle(record: logging.LogRecord) -> None:
    """Log what another process has to say."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)


# What follows runs in the processes that are started.


def _run(rank: int, size: int, meeting: Path, main: Main, context: "FitContext") -> None:
    """Get the work, and do it."""
    Thread(target=_end_with_parent, daemon=True).start()
    _log_to(main if rank == 0 else None)
    try:
        work = pickle.loads(main.ask("work"))
        _work(work, rank, size, meeting, context)
    except BaseException as error:
        main.tell("failed", _portable(error))
    else:
        main.tell("done")


def _work(work: Callable[..., None], rank: int, size: int, meeting: Path, context: "FitContext") -> None:
    import torch

    from ratchet.neural.group import join

    gpu = context.trainer.accelerator is Accelerator.gpu
    if gpu:
        torch.cuda.set_device(rank)
    torch.set_num_threads(context.threads)
    with join(rank, size, meeting, gpu=gpu) as group:
        work(context=context, group=group)


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class _Relay(logging.Handler):
    """Hands what is logged to the process of the run."""

    def __init__(self, main: Main) -> None:
        super().__init__()
        self._main = main

    def emit(self, record: logging.LogRecord) -> None:
        """The record, its message made up: what it is made of may not be fit to be pickled."""
        plain = logging.makeLogRecord({**vars(record), "msg": record.getMessage(), "args": None, "exc_info": None})
        self._main.ask("record", plain)


def _log_to(main: Main | None) -> None:
    """What is logged and warned of goes to `main`; the other processes would only say the same again."""
    root = logging.getLogger()
    root.addHandler(_Relay(main) if main else logging.NullHandler())
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)


def _portable(error: BaseException) -> BaseException:
    """The error with its stack trace in words, if it can be pickled; else one that says the same."""
    error.add_note("in a process of the fit:\n" + "".join(traceback.format_exception(error)).rstrip())
    try:
        same = pickle.loads(pickle.dumps(error))
    except Exception:
        same = None
    if type(same) is type(error):
        return error
    other = RuntimeError(f"{type(error).__name__}: {error}")
    other.__notes__ = error.__notes__
    return other
