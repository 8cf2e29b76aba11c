import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.tracking.listeners import Listener, make_description

from ratchet.config import TrackerConfig, TrackerKind
from ratchet.errors import Pruned
from ratchet.tracking import NullTracker, Report, open_tracker, wandb_tracker
from ratchet.tracking.tracker import Description

WANDB = TrackerConfig(kind=TrackerKind.wandb)


def never() -> Description:
    raise AssertionError("nobody wants to know")


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> Callable[[Listener], Listener]:
    """`opens(listener)` takes W&B's place."""

    def replace(listener: Listener) -> Listener:
        monkeypatch.setattr(wandb_tracker, "open_wandb", lambda *_: listener)
        return listener

    return replace


def test_none_is_the_null_tracker_which_asks_for_nothing(tmp_path: Path) -> None:
    def make() -> Report:
        raise AssertionError("nobody listens")

    with open_tracker(TrackerConfig(), tmp_path, never) as tracker:
        assert isinstance(tracker, NullTracker)
        tracker.configure({"a": 1})
        tracker.log(1, {"loss": 1.0})
        tracker.report(make)
        tracker.finish()
    assert list(tmp_path.iterdir()) == []


def test_settings_of_a_tracker_that_is_none_are_said_to_do_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with open_tracker(TrackerConfig(project="mine"), tmp_path, never):
        pass
    assert "tracker=none" in caplog.text


def test_a_good_end_is_told(tmp_path: Path, opens: Callable[[Listener], Listener]) -> None:
    listener = opens(Listener())
    with open_tracker(WANDB, tmp_path, make_description) as tracker:
        tracker.log(1, {"loss": 1.0})
    assert listener.told == [("log", (1, {"loss": 1.0})), ("finish", None)]


def test_a_trial_that_was_given_up_has_not_failed(tmp_path: Path, opens: Callable[[Listener], Listener]) -> None:
    listener = opens(Listener())
    with pytest.raises(Pruned), open_tracker(WANDB, tmp_path, make_description):
        raise Pruned("worse than the others")
    assert listener.told == [("configure", {"pruned": True}), ("finish", None)]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(143)])
def test_a_bad_end_is_told_and_goes_on(
    error: BaseException, tmp_path: Path, opens: Callable[[Listener], Listener]
) -> None:
    listener = opens(Listener())
    with pytest.raises(type(error)), open_tracker(WANDB, tmp_path, make_description):
        raise error
    [(what, told)] = listener.told
    assert what == "finish"
    assert told.startswith(type(error).__name__)


def test_what_cannot_be_opened_is_said_once_and_done_without(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> Listener:
        raise RuntimeError("broken installation")

    monkeypatch.setattr(wandb_tracker, "open_wandb", fail)
    with open_tracker(WANDB, tmp_path, make_description) as tracker:
        assert isinstance(tracker, NullTracker)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "broken installation" in captured.err
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
