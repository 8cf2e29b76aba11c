"""How the process of a run attends to those of its fit, by the other ends of their connections alone."""

import logging
import pickle
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, cast

import pytest

from ratchet.errors import UserError
from ratchet.neural import processes
from ratchet.neural.group import PeerLost
from ratchet.neural.processes import Main, ProcessDied, Worker


@dataclass
class Ended:
    """A process that is over."""

    exitcode: int

    def join(self) -> None:
        pass


@dataclass
class Stage:
    """Two processes of a fit, and the ends of the connections that they would have."""

    workers: list[Worker]
    ends: list[Connection]

    def attend(self, **answers: Any) -> None:
        processes._attend(self.workers, answers)


@pytest.fixture
def stage() -> Iterator[Stage]:
    pipes = [Pipe() for _ in range(2)]
    workers = [Worker(rank, cast(Any, Ended(-9)), ours) for rank, (ours, _) in enumerate(pipes)]
    yield Stage(workers, [theirs for _, theirs in pipes])
    for pipe in pipes:
        for end in pipe:
            end.close()


def test_questions_are_answered_until_all_are_done(stage: Stage) -> None:
    for end, number in zip(stage.ends, (3, 4), strict=True):
        end.send(("double", (number,)))
        Main(end).tell("done")
    stage.attend(double=lambda number: 2 * number)
    assert [end.recv() for end in stage.ends] == [6, 8]
    assert [worker.done for worker in stage.workers] == [True, True]


def test_an_error_of_ours_while_we_answer_is_an_error_of_the_fit(stage: Stage) -> None:
    stage.ends[0].send(("log", (1, {})))
    with pytest.raises(TypeError):
        stage.attend(log=lambda: None)


def test_the_first_to_fail_is_believed_and_who_only_misses_it_is_not(stage: Stage) -> None:
    Main(stage.ends[0]).tell("failed", PeerLost("connection closed"))
    Main(stage.ends[1]).tell("failed", UserError("no such thing"))
    with pytest.raises(UserError, match="no such thing"):
        stage.attend()


def test_a_process_that_was_killed_is_named_though_another_one_misses_it_first(stage: Stage) -> None:
    Main(stage.ends[0]).tell("failed", PeerLost("connection closed"))
    stage.ends[1].close()
    with pytest.raises(ProcessDied, match=r"process 2 of the 2 .* SIGKILL; if memory ran out, fewer trainer.devices"):
        stage.attend()


def test_where_nobody_says_why_the_loss_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_GRACE", 0.01)
    Main(stage.ends[0]).tell("failed", PeerLost("connection closed"))
    with pytest.raises(PeerLost, match="connection closed"):
        stage.attend()


@pytest.mark.parametrize(
    ("code", "message"), [(1, "ended with exit code 1 before the fit did"), (-signal.SIGSEGV, "was killed by SIGSEGV")]
)
def test_how_a_process_ended_is_told(stage: Stage, code: int, message: str) -> None:
    stage.workers[0].process = cast(Any, Ended(code))
    stage.ends[0].close()
    with pytest.raises(ProcessDied, match=f"process 1 of the 2 of this fit {message}$"):
        stage.attend()


class Picky(Exception):
    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


@pytest.mark.parametrize(
    ("error", "shown"),
    [(UserError("wrong"), UserError("wrong")), (Picky("a", "b"), RuntimeError("Picky: a and b"))],
    ids=["pickles", "does not"],
)
def test_an_error_gets_here_with_its_stack_trace(error: Exception, shown: Exception) -> None:
    try:
        raise error
    except Exception as caught:
        found = pickle.loads(pickle.dumps(processes._portable(caught)))
    assert (type(found), str(found)) == (type(shown), str(shown))
    [note] = found.__notes__
    assert note.startswith("in a process of the fit:\nTraceback")
    assert "raise error" in note


def test_what_is_logged_there_is_logged_here(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    ours, theirs = stage.workers[0].connection, stage.ends[0]
    ours.send(None)  # the answer
    relay = processes._Relay(Main(theirs))
    relay.emit(logging.LogRecord("ratchet.far", logging.INFO, "", 1, "epoch %d", (3,), None))
    name, [record] = ours.recv()
    assert name == "record"
    for level, told in ((logging.WARNING, []), (logging.INFO, ["epoch 3"])):
        with caplog.at_level(level, "ratchet.far"):
            processes._handle(record)
        assert caplog.messages == told
