"""Tests for the processes of a fit: start, end and errors. test_two_processes.py tests training in them."""

import importlib
import os
import pickle
import signal
import threading
import time
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from tests.datasets import fit_context
from torch import distributed

from ratchet.errors import UserError
from ratchet.neural import processes
from ratchet.neural.processes import ProcessDied, fit_in_processes


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the module of functions that the processes run; they import it by name and cannot import a test."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("work_in_processes")


def assert_no_process_is_left() -> None:
    assert not distributed.is_initialized()
    assert active_children() == []


def test_fits_in_processes_can_run_in_sequence(work: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    for _ in range(2):
        gathered: list[Any] = []
        fit_in_processes(partial(work.exchange, gathered), replace(fit_context(tmp_path), threads=4), 2)
        batches, states = gathered
        assert [(int(losses), len(logits), len(targets)) for losses, logits, targets in batches] == [
            (1, 2, 2),
            (2, 2, 2),
            (3, 1, 1),
            (4, 0, 0),
        ], "the shares of each batch are in rank order"
        assert [threads for threads, _, _ in states] == [2, 2]
        assert states[1][1:] == ("2", True)
        assert torch.get_num_threads() == before
        assert_no_process_is_left()
    assert capfd.readouterr() == ("", "")


def test_signal_while_processes_start_leaves_no_process_and_no_trace(
    work: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Another thread receives the signal, as one of a numerical library may."""
    start = processes.start_processes
    started: list[Any] = []

    def start_interrupted(*arguments: Any, **options: Any) -> Any:
        signal.pthread_kill(other.ident or 0, signal.SIGINT)
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:  # Python calls handlers between two instructions
            pass
        started.append(start(*arguments, **options))
        return started[0]

    monkeypatch.setattr(processes, "start_processes", start_interrupted)
    ended = threading.Event()
    other = threading.Thread(target=ended.wait)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            fit_in_processes(partial(work.exchange, []), fit_context(tmp_path), 2)
    finally:
        ended.set()
        other.join()
    assert len(started) == 1, "the signal waits until the process has started"
    assert_no_process_is_left()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stop", [ValueError("wrong"), KeyboardInterrupt()], ids=repr)
def test_error_of_rank_0_ends_other_processes(work: Any, tmp_path: Path, stop: BaseException) -> None:
    with pytest.raises(type(stop)) as raised:
        fit_in_processes(partial(work.act_in, 0, partial(work.fail, stop)), fit_context(tmp_path), 2)
    assert raised.value is stop
    assert_no_process_is_left()


def test_runtime_error_of_rank_0_is_not_attributed_to_others(
    work: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_GRACE", 0.1)
    with pytest.raises(RuntimeError, match="out of memory"):
        fit_in_processes(
            partial(work.act_in, 0, partial(work.fail, RuntimeError("out of memory"))), fit_context(tmp_path), 2
        )
    assert_no_process_is_left()


def test_error_of_peer_process_keeps_type_and_stack_trace(work: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="diverged") as raised:
        fit_in_processes(partial(work.act_in, 1, partial(work.fail, UserError("diverged"))), fit_context(tmp_path), 2)
    assert "in fail" in raised.value.__notes__[0]
    assert_no_process_is_left()


def test_error_names_killed_process_not_its_peers(work: Any, tmp_path: Path) -> None:
    message = r"^process 3 of the 3 of this fit was killed by SIGKILL; if memory ran out, fewer trainer\.devices"
    with pytest.raises(ProcessDied, match=message):
        fit_in_processes(partial(work.act_in, 2, work.kill), fit_context(tmp_path), 3)
    assert_no_process_is_left()


def test_error_names_process_killed_before_fit(work: Any, tmp_path: Path) -> None:
    with pytest.raises(ProcessDied, match=r"^process 2 of the 2 of this fit was killed by SIGKILL"):
        fit_in_processes(partial(work.exchange, work.Deadly()), fit_context(tmp_path), 2)
    assert_no_process_is_left()


@dataclass
class EndedProcess:
    """A process that has ended."""

    exitcode: int
    sentinel: int

    def join(self, timeout: float) -> None:
        pass


@pytest.mark.parametrize(
    ("codes", "reports", "message"),
    [
        ([1, -signal.SIGSEGV], [1], "process 3 of the 3 of this fit was killed by SIGSEGV"),
        ([1, 1], [2, 1], "rank 2"),
        ([0, 3], [], "process 2 of the 3 of this fit ended with exit code 0 before the fit did"),
    ],
    ids=["killed", "the first report", "exit code"],
)
def test_peer_error_names_process_at_fault(tmp_path: Path, codes: list[int], reports: list[int], message: str) -> None:
    for second, rank in enumerate(reports):
        path = tmp_path / f"error-{rank}"
        path.write_bytes(pickle.dumps(RuntimeError(f"rank {rank}")))
        os.utime(path, (second, second))
    pipes = [os.pipe() for _ in codes]
    for _, end in pipes:
        os.close(end)
    ended = [EndedProcess(code, sentinel) for code, (sentinel, _) in zip(codes, pipes, strict=True)]
    error = processes._peer_error(cast(Any, ended), tmp_path)
    for process in ended:
        os.close(process.sentinel)
    assert str(error) == message


class Picky(Exception):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


@pytest.mark.parametrize(
    ("error", "expected"),
    [(UserError("wrong"), UserError("wrong")), (Picky("a", "b"), RuntimeError("Picky: a and b"))],
    ids=["pickles", "does not"],
)
def test_error_is_transferred_with_stack_trace(error: Exception, expected: Exception) -> None:
    try:
        raise error
    except Exception as caught:
        transferred = pickle.loads(pickle.dumps(processes._portable(caught)))
    assert (type(transferred), str(transferred)) == (type(expected), str(expected))
    [note] = transferred.__notes__
    assert "Traceback" in note
    assert "raise error" in note
