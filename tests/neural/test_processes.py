"""Processes of a fit: started, ended and blamed; what a network gets from them is tested in test_two_processes.py."""

import importlib
import os
import pickle
import signal
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
    """The module of what processes do here: they import it by its name, and cannot import that of a test."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("work_in_processes")


def assert_nothing_is_left() -> None:
    assert not distributed.is_initialized()
    assert active_children() == []


def test_fits_in_processes_may_follow_each_other(work: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    for _ in range(2):
        gathered: list[Any] = []
        fit_in_processes(partial(work.exchange, gathered), replace(fit_context(tmp_path), threads=4), 2)
        batches, found = gathered
        assert [(int(losses), len(logits), len(targets)) for losses, logits, targets in batches] == [
            (1, 2, 2),
            (2, 2, 2),
            (3, 1, 1),
            (4, 0, 0),
        ], "of each batch the shares follow each other"
        assert [threads for threads, _, _ in found] == [2, 2]
        assert found[1][1:] == ("2", True)
        assert torch.get_num_threads() == before
        assert_nothing_is_left()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stop", [ValueError("wrong"), KeyboardInterrupt()], ids=repr)
def test_an_error_of_rank_0_ends_the_others(work: Any, tmp_path: Path, stop: BaseException) -> None:
    with pytest.raises(type(stop)) as raised:
        fit_in_processes(partial(work.act_in, 0, partial(work.fail, stop)), fit_context(tmp_path), 2)
    assert raised.value is stop
    assert_nothing_is_left()


def test_a_runtime_error_of_rank_0_is_not_blamed_on_others(
    work: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_GRACE", 0.1)
    with pytest.raises(RuntimeError, match="out of memory"):
        fit_in_processes(
            partial(work.act_in, 0, partial(work.fail, RuntimeError("out of memory"))), fit_context(tmp_path), 2
        )
    assert_nothing_is_left()


def test_an_error_of_another_process_keeps_its_type_and_stack_trace(work: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="diverged") as raised:
        fit_in_processes(partial(work.act_in, 1, partial(work.fail, UserError("diverged"))), fit_context(tmp_path), 2)
    assert "in fail" in raised.value.__notes__[0]
    assert_nothing_is_left()


def test_the_killed_process_is_named_and_not_one_that_lost_it(work: Any, tmp_path: Path) -> None:
    message = r"^process 3 of the 3 of this fit was killed by SIGKILL; if memory ran out, fewer trainer\.devices"
    with pytest.raises(ProcessDied, match=message):
        fit_in_processes(partial(work.act_in, 2, work.kill), fit_context(tmp_path), 3)
    assert_nothing_is_left()


def test_a_process_that_is_killed_before_the_fit_begins_is_named(work: Any, tmp_path: Path) -> None:
    with pytest.raises(ProcessDied, match=r"^process 2 of the 2 of this fit was killed by SIGKILL"):
        fit_in_processes(partial(work.exchange, work.Deadly()), fit_context(tmp_path), 2)
    assert_nothing_is_left()


@dataclass
class Ended:
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
def test_who_is_to_blame(tmp_path: Path, codes: list[int], reports: list[int], message: str) -> None:
    for time, rank in enumerate(reports):
        path = tmp_path / f"error-{rank}"
        path.write_bytes(pickle.dumps(RuntimeError(f"rank {rank}")))
        os.utime(path, (time, time))
    pipes = [os.pipe() for _ in codes]
    for _, end in pipes:
        os.close(end)
    ended = [Ended(code, sentinel) for code, (sentinel, _) in zip(codes, pipes, strict=True)]
    error = processes._peer_error(cast(Any, ended), tmp_path)
    for process in ended:
        os.close(process.sentinel)
    assert str(error) == message


class Picky(Exception):
    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


@pytest.mark.parametrize(
    ("error", "shown"),
    [(UserError("wrong"), UserError("wrong")), (Picky("a", "b"), RuntimeError("Picky: a and b"))],
    ids=["pickles", "does not"],
)
def test_an_error_is_transferred_with_its_stack_trace(error: Exception, shown: Exception) -> None:
    try:
        raise error
    except Exception as caught:
        transferred = pickle.loads(pickle.dumps(processes._portable(caught)))
    assert (type(transferred), str(transferred)) == (type(shown), str(shown))
    [note] = transferred.__notes__
    assert "Traceback" in note
    assert "raise error" in note
