import logging
import threading

import pytest
from tests.commands import HANG_SECONDS
from tests.tracking.listeners import Listener

from ratchet.tracking.tracker import GuardedTracker, Report, run_with_timeout


def test_guarded_tracker_forwards_all_calls() -> None:
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
def test_only_finish_is_forwarded_after_a_failure(method: str, caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener(method)
    tracker = GuardedTracker(listener)
    tracker.configure({})
    tracker.log(1, {})
    tracker.report(lambda: Report({}))
    tracker.log(2, {})
    tracker.finish()
    methods = ["configure", "log", "report"]
    assert [name for name, _ in listener.told] == [*methods[: methods.index(method) + 1], "finish"]
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert f"OSError: no {method} today" in record.getMessage()


def test_failure_to_make_report_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener()

    def make() -> Report:
        raise ValueError("no figures")

    GuardedTracker(listener).report(make)
    assert listener.told == []
    assert "ValueError: no figures" in caplog.text


def test_failure_of_finish_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    GuardedTracker(Listener("finish")).finish()
    assert "no finish today" in caplog.text


def test_run_with_timeout_returns_result_or_raises_error() -> None:
    assert run_with_timeout(HANG_SECONDS, lambda: 3) == 3
    with pytest.raises(KeyError, match="gone"):
        run_with_timeout(HANG_SECONDS, lambda: {}["gone"])


def test_system_exit_in_thread_raises_runtime_error() -> None:
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(RuntimeError, match="SystemExit"):
        run_with_timeout(HANG_SECONDS, leave)


def test_hanging_call_raises_timeout_error() -> None:
    released, ended = threading.Event(), threading.Event()

    def hang() -> None:
        released.wait()
        ended.set()

    with pytest.raises(TimeoutError, match=r"0\.1 s"):
        run_with_timeout(0.1, hang)
    assert not ended.is_set(), "the thread is still blocked"
    released.set()
