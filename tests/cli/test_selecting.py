import io
import sys

import pytest

from ratchet.cli.selecting import show_row_bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("rows", "shown"), [(2000, "1,024 of 2,000 rows"), (None, "1,024 rows")])
def test_a_terminal_sees_how_far_it_is(rows: int | None, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with show_row_bars() as begin:
        begin("reading", 5)
        begin("predicting", rows)(1024)
    said = sys.stderr.getvalue()  # type: ignore[attr-defined]
    assert "predicting" in said
    assert shown in said


def test_nobody_else_sees_anything(capsys: pytest.CaptureFixture[str]) -> None:
    with show_row_bars() as begin:
        begin("predicting", None)(7)
    assert capsys.readouterr() == ("", "")
