"""Tests for text on a terminal and in a pipe."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from ratchet.reporting.blocks import Column, Table, text
from ratchet.reporting.terminal import print_blocks, print_facts, print_text, terminal_width, wrapped

Terminal = Callable[[int], None]
SENTENCE = "not distinguishable from regression; about 8,400 more test records would tell a difference of this size"


def test_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert terminal_width() is None


def test_columns_variable_sets_terminal_width(terminal: Terminal) -> None:
    terminal(97)
    assert terminal_width() == 97


@pytest.mark.parametrize("columns", ["20", "80"])
def test_piped_line_is_not_wrapped(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    print_text(SENTENCE, indent=2)
    print_facts([("a", SENTENCE), ("", SENTENCE), ("longer", "b")])
    print_facts([("cost", SENTENCE)], at=12)
    assert capsys.readouterr().out.splitlines() == [
        f"  {SENTENCE}",
        f"a       {SENTENCE}",
        f"        {SENTENCE}",
        "longer  b",
        f"cost        {SENTENCE}",
    ]


def test_wrapped_sentence_is_indented(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal(80)
    print_text(SENTENCE, indent=2)
    assert capsys.readouterr().out.splitlines() == [
        "  not distinguishable from regression; about 8,400 more test records would tell",
        "    a difference of this size",
    ]


def test_sentence_can_be_kept_on_one_line(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal(80)
    print_text(SENTENCE, whole=True)
    assert capsys.readouterr().out == f"{SENTENCE}\n"


def test_fact_wraps_below_its_own_text(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal(60)
    print_facts([("日本語", SENTENCE), ("", "better than rule"), ("regression", "the baseline")])
    assert capsys.readouterr().out.splitlines() == [
        "日本語      not distinguishable from regression; about 8,400",
        "            more test records would tell a difference of",
        "            this size",
        "            better than rule",
        "regression  the baseline",
    ]


def test_fact_moves_below_long_name(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal(80)
    name = "regression_words_only_without_stemming_at_all"
    print_facts([(name, SENTENCE), ("", "better than rule")])
    assert capsys.readouterr().out.splitlines() == [
        name,
        "  not distinguishable from regression; about 8,400 more test records would tell",
        "    a difference of this size",
        "  better than rule",
    ]


def test_path_is_not_cut(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal(60)
    path = f"runs/sample/{'long-' * 20}name/20260101T000000Z-abcdef"
    print_facts([("run", path)], at=12)
    print_text(f"written to {path}: commit it")
    assert capsys.readouterr().out.splitlines() == [f"run         {path}", "written to", f"  {path}:", "  commit it"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("the F1 is 0.561 [0.512, 0.604] here", ["the F1", "is 0.561 [0.512, 0.604]", "here"]),
        ("better on node-classification +0.87, audio -0.5", ["better on", "node-classification +0.87,", "audio -0.5"]),
        ("counts 1: 10, 2: 20, 3: 30, 4: 40, 5: 50, 6: 60", ["counts 1: 10, 2: 20,", "3: 30, 4: 40, 5: 50, 6: 60"]),
        ("[a list of words that has no room in a line]", ["[a list of words that has", "no room in a line]"]),
    ],
)
def test_number_stays_with_its_name_and_interval(text: str, lines: list[str]) -> None:
    assert wrapped(text, 26) == lines


def test_name_breaks_between_words() -> None:
    assert wrapped("regression_words_only", 12, hard=True) == ["regression_", "words_only"]
    assert wrapped("x" * 25, 10, hard=True) == ["x" * 10, "x" * 10, "x" * 5]
    assert wrapped("", 10, hard=True) == [""]


@settings(max_examples=200, deadline=None)
@given(
    text=st.text("ab_-.[], +1日é", max_size=120),
    width=st.integers(6, 40),
    hanging=st.integers(0, 2),
)
def test_wrapping_loses_nothing_and_fits(text: str, width: int, hanging: int) -> None:
    lines = wrapped(text, width, hanging=hanging, hard=True)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(cell_len(line.rstrip()) <= width for line in lines)


def test_command_in_facts_is_not_wrapped(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal(60)
    print_facts([("command", SENTENCE), ("name", SENTENCE)], whole=["command"])
    first, *rest = capsys.readouterr().out.splitlines()
    assert first == f"command  {SENTENCE}"
    assert len(rest) == 3


def test_only_terminal_shows_good_and_bad_in_colour(
    terminal: Terminal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    cells = [text("pass", "good"), text("fail", "bad"), text("other")]
    table = Table("", [Column("a"), Column("b"), Column("c")], [cells])
    print_blocks([table])
    assert capsys.readouterr().out == "a     b     c\npass  fail  other\n"
    terminal(80)
    monkeypatch.setenv("TERM", "xterm")
    print_blocks([table])
    row = capsys.readouterr().out.splitlines()[1]
    assert re.findall(r"\x1b\[(\d+)m(\w+)", row) == [("32", "pass"), ("31", "fail")]
