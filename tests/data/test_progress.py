import io
import re
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from ratchet.config import compose
from ratchet.data.progress import report_step, show_progress, show_steps
from ratchet.training import train

STEPS = ["starting the run", "preparing the data", "fitting rule", "scoring val", "scoring test", "measuring latency"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        """What was shown in the line, one after the other; "" for a cleared line."""
        return re.split("(?:\r\x1b\\[2K)+", self.getvalue())[1:]


def test_each_step_replaces_the_one_before() -> None:
    with redirect_stderr(Terminal()) as terminal:
        with show_steps():
            report_step("loading torch")
            report_step("fitting")
        report_step("not shown")
    assert terminal.lines == ["loading torch ...", "fitting ...", ""]


def test_line_is_cleared_after_an_error() -> None:
    def fail() -> None:
        report_step("fitting")
        raise ValueError("no")

    with redirect_stderr(Terminal()) as terminal, pytest.raises(ValueError, match="no"), show_steps():
        fail()
    assert terminal.lines == ["fitting ...", ""]


def test_line_is_neither_wrapped_nor_obeyed_by_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    with redirect_stderr(Terminal()) as terminal, show_steps():
        report_step("loading the encoder \x1b[2J" + "x" * 100)
    assert terminal.lines == ["loading the encoder \\u001b[2J" + "x" * 10, ""]


def test_bar_takes_the_place_of_the_line() -> None:
    with redirect_stderr(Terminal()) as terminal, show_steps():
        report_step("preparing the data")
        with show_progress("grouping", 3) as advance:
            advance(3)
        report_step("fitting")
    shown = terminal.getvalue()
    assert "preparing the data ...\r\x1b[2K" in shown
    assert shown.index("preparing") < shown.index("grouping") < shown.index("fitting")


@pytest.mark.parametrize(("stream", "shown"), [(io.StringIO, True), (Terminal, False)])
def test_nothing_is_shown_without_a_terminal_or_progress_bars(stream: type[io.StringIO], shown: bool) -> None:
    with redirect_stderr(stream()) as stderr, show_steps(shown=shown):
        report_step("fitting")
    assert stderr.getvalue() == ""


def test_run_shows_and_logs_its_steps(tmp_path: Path) -> None:
    with redirect_stderr(Terminal()) as terminal, show_steps():
        outcome = train(compose([f"runs_dir={tmp_path}/runs", "evaluation.resamples=100"]))
    assert terminal.lines == [*(f"{step} ..." for step in STEPS), ""]
    logged = re.findall(r"INFO ratchet\.steps: (.*)", (outcome.path / "log.txt").read_text(encoding="utf-8"))
    assert logged == STEPS[1:]  # the log begins after the first
