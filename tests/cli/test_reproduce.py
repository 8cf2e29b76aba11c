"""Tests for the status shown while a run is reproduced; tests/e2e covers the rest."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.cli.reproduce import _show_status
from ratchet.runs import StoredRun
from ratchet.runs.stored import read_run

Make = Callable[..., Path]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stored(make_run: Make) -> StoredRun:
    return read_run(make_run("model=rule"))


def test_terminal_shows_reproduced_run_and_commit(stored: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    stored.record.git = {"commit": "09f10a5be8ecbc7e28bc405dab22a6267f3d435f"}
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with _show_status(stored):
        pass
    assert "training rule again at 09f10a5 ..." in terminal.getvalue()


def test_status_is_hidden_without_terminal(stored: StoredRun, capsys: pytest.CaptureFixture[str]) -> None:
    with _show_status(stored):
        pass
    assert capsys.readouterr().err == ""
