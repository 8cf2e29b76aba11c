import logging
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.tracking.listeners import Listener, make_description

from ratchet.config import TrackerConfig, TrackerKind, TrackerMode
from ratchet.errors import Pruned
from ratchet.tracking import NullTracker, Report, open_tracker, print_upload, wandb_tracker
from ratchet.tracking.tracker import Description

WANDB = TrackerConfig(kind=TrackerKind.wandb)


ONLINE = TrackerConfig(kind=TrackerKind.wandb, mode=TrackerMode.online)


@pytest.fixture(autouse=True)
def _ignore_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_DISABLED"):
        monkeypatch.delenv(name, raising=False)


def refuse_description() -> Description:
    raise AssertionError("nobody wants to know")


@pytest.fixture
def use_listener(monkeypatch: pytest.MonkeyPatch) -> Callable[[Listener], Listener]:
    """Return a function that replaces W&B with a listener."""

    def replace(listener: Listener) -> Listener:
        monkeypatch.setattr(wandb_tracker, "open_wandb", lambda *_: listener)
        return listener

    return replace


def test_tracker_none_opens_null_tracker(tmp_path: Path) -> None:
    def make() -> Report:
        raise AssertionError("nobody listens")

    with open_tracker(TrackerConfig(), tmp_path, refuse_description) as tracker:
        assert isinstance(tracker, NullTracker)
        tracker.configure({"a": 1})
        tracker.log(1, {"loss": 1.0})
        tracker.report(make)
        tracker.finish()
    assert list(tmp_path.iterdir()) == []


def test_unused_tracker_settings_log_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_tracker(TrackerConfig(project="mine"), tmp_path, refuse_description):
        pass
    assert "tracker=none" in caplog.text


def test_finished_run_is_logged(tmp_path: Path, use_listener: Callable[[Listener], Listener]) -> None:
    listener = use_listener(Listener())
    with open_tracker(WANDB, tmp_path, make_description) as tracker:
        tracker.log(1, {"loss": 1.0})
    assert listener.told == [("log", (1, {"loss": 1.0})), ("finish", None)]


def test_pruned_trial_is_not_logged_as_failed(tmp_path: Path, use_listener: Callable[[Listener], Listener]) -> None:
    listener = use_listener(Listener())
    with pytest.raises(Pruned), open_tracker(WANDB, tmp_path, make_description):
        raise Pruned("worse than the others")
    assert listener.told == [("configure", {"pruned": True}), ("finish", None)]


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(143)])
def test_error_is_logged_and_propagates(
    error: BaseException, tmp_path: Path, use_listener: Callable[[Listener], Listener]
) -> None:
    listener = use_listener(Listener())
    with pytest.raises(type(error)), open_tracker(WANDB, tmp_path, make_description):
        raise error
    [(method, message)] = listener.told
    assert method == "finish"
    assert message.startswith(type(error).__name__)


def test_failure_to_open_tracker_logs_one_warning(
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


@pytest.fixture
def opened_modes(monkeypatch: pytest.MonkeyPatch) -> list[TrackerMode]:
    """Return the modes in which W&B was opened; nothing is imported or started."""
    modes: list[TrackerMode] = []

    def open_listener(settings: TrackerConfig, *_: object) -> Listener:
        modes.append(settings.mode)
        return Listener()

    monkeypatch.setattr(wandb_tracker, "open_wandb", open_listener)
    return modes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WANDB_MODE", "disabled"),
        ("WANDB_MODE", " Disabled"),
        ("WANDB_DISABLED", "true"),
        ("WANDB_DISABLED", "1"),
        ("WANDB_DISABLED", "yes"),
    ],
)
@pytest.mark.parametrize("settings", [WANDB, ONLINE], ids=["offline", "online"])
def test_environment_switches_the_tracker_off(
    name: str,
    value: str,
    settings: TrackerConfig,
    tmp_path: Path,
    opened_modes: list[TrackerMode],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    with open_tracker(settings, tmp_path, refuse_description) as tracker:
        assert isinstance(tracker, NullTracker)
    assert (opened_modes, list(tmp_path.iterdir())) == ([], [])
    [line] = capsys.readouterr().err.splitlines()
    assert f"{name}={value}" in line


@pytest.mark.parametrize("mode", ["offline", "dryrun", "OFFLINE", "ofline", "never"])
def test_environment_keeps_an_online_tracker_offline(
    mode: str,
    tmp_path: Path,
    opened_modes: list[TrackerMode],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    with open_tracker(ONLINE, tmp_path, make_description):
        pass
    assert opened_modes == [TrackerMode.offline]
    [line] = capsys.readouterr().err.splitlines()
    assert f"WANDB_MODE={mode}" in line


@pytest.mark.parametrize(
    ("mode", "settings", "opened"),
    [
        ("online", WANDB, TrackerMode.offline),
        ("run", WANDB, TrackerMode.offline),
        ("shared", WANDB, TrackerMode.offline),
        ("online", ONLINE, TrackerMode.online),
        ("", ONLINE, TrackerMode.online),
        ("offline", WANDB, TrackerMode.offline),
    ],
)
def test_environment_never_makes_a_tracker_louder(
    mode: str,
    settings: TrackerConfig,
    opened: TrackerMode,
    tmp_path: Path,
    opened_modes: list[TrackerMode],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_DISABLED", "false")
    with open_tracker(settings, tmp_path, make_description):
        pass
    assert opened_modes == [opened]
    assert capsys.readouterr().err == ""


def test_environment_is_ignored_without_a_tracker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with open_tracker(TrackerConfig(), tmp_path, refuse_description):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("runs", "pattern"),
    [
        ([], None),
        (["rule/20260101T10-aa"], "rule/20260101T10-aa/wandb/offline-run-1-a"),
        (["rule/20260101T10-aa", "rule/20260102T10-bb"], "rule/2026010*/wandb/offline-run-1-*"),
        (["rule/20260101T10-aa", "cnn/20260101T10-ab"], "*/20260101T10-a*/wandb/offline-run-1-*"),
        (["my rule/20260101T10-aa", "my rules/20260101T10-aa"], "'my rule'*/20260101T10-aa/wandb/offline-run-1-a"),
    ],
)
def test_upload_command_is_one_line(
    runs: list[str], pattern: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [*runs, "rule/without"]:
        (tmp_path / name).mkdir(parents=True)
    for name in runs:
        (tmp_path / name / f"wandb/offline-run-1-{name[-1]}").mkdir(parents=True)
    print_upload([tmp_path / name for name in [*runs, "rule/without"]])
    captured = capsys.readouterr()
    assert captured.out == ""
    line = f"wandb: offline; upload with: wandb sync {tmp_path}/{pattern}\n"
    assert captured.err == ("" if pattern is None else line)
    if pattern is not None:  # the shell expands it to what was written
        listed = subprocess.run(["sh", "-c", f"ls -d {tmp_path}/{pattern}"], capture_output=True, text=True, check=True)
        assert len(listed.stdout.splitlines()) == len(runs)


def test_uploaded_run_is_not_mentioned_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written = tmp_path / "wandb/offline-run-1-a"
    written.mkdir(parents=True)
    (written / "run-a.wandb.synced").touch()
    print_upload([tmp_path])
    assert capsys.readouterr().err == ""
