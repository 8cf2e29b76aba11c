import io
import sys

import pytest

from ratchet.cli.selecting import show_row_bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("rows", "expected"), [(2000, "1,024 of 2,000 rows"), (None, "1,024 rows")])
def test_progress_is_shown_on_terminal(rows: int | None, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with show_row_bars() as begin:
        begin("reading", 5)
        begin("predicting", rows)(1024)
    output = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "predicting" in output
    assert expected in output


def test_progress_is_hidden_without_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with show_row_bars() as begin:
        begin("predicting", None)(7)
    assert capsys.readouterr() == ("", "")
