import logging
import threading

import pytest
from tests.commands import HANG_SECONDS
from tests.tracking.listeners import Listener

from ratchet.tracking.tracker import GuardedTracker, Report, run_with_timeout


def test_everything_is_handed_on() -> None:
    listener = Listener()
    tracker = GuardedTracker(listener)
    tracker.configure({"a": 1})
    tracker.log(3, {"loss": 0.5})
    tracker.report(lambda: Report({"f1": 1.0}))
    tracker.finish("broken")
    assert listener.told == [
        ("configure", {"a": 1}),
        ("log", (3, {"loss": 0.5})),
        ("report", Report({"f1": 1.0})),
        ("finish", "broken"),
    ]


@pytest.mark.parametrize("method", ["configure", "log", "report"])
def test_after_a_failure_nothing_is_told_but_the_end(method: str, caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener(method)
    tracker = GuardedTracker(listener)
    tracker.configure({})
    tracker.log(1, {})
    tracker.report(lambda: Report({}))
    tracker.log(2, {})
    tracker.finish()
    whole = ["configure", "log", "report"]
    assert [what for what, _ in listener.told] == [*whole[: whole.index(method) + 1], "finish"]
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert f"OSError: no {method} today" in record.getMessage()


def test_a_report_that_cannot_be_made_is_a_failure_too(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener()

    def make() -> Report:
        raise ValueError("no figures")

    GuardedTracker(listener).report(make)
    assert listener.told == []
    assert "ValueError: no figures" in caplog.text


def test_an_end_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    GuardedTracker(Listener("finish")).finish()
    assert "no finish today" in caplog.text


def test_a_result_comes_back_and_so_does_an_error() -> None:
    assert run_with_timeout(HANG_SECONDS, lambda: 3) == 3
    with pytest.raises(KeyError, match="gone"):
        run_with_timeout(HANG_SECONDS, lambda: {}["gone"])


def test_what_would_end_the_thread_does_not_end_the_process() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(RuntimeError, match="SystemExit"):
        run_with_timeout(HANG_SECONDS, leave)


def test_what_hangs_is_left_behind() -> None:
    released, ended = threading.Event(), threading.Event()

    def hang() -> None:
        released.wait()
        ended.set()

    with pytest.raises(TimeoutError, match=r"0\.1 s"):
        run_with_timeout(0.1, hang)
    assert not ended.is_set(), "it still hangs"
    released.set()
