"""Tests for printing tables, numbers and JSON."""

import io
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.reporting.blocks import format_amount, format_metric, format_number
from ratchet.reporting.terminal import print_json, print_table

Terminal = Callable[[int], None]
ROWS = [
    {"model": "rule", "F1": "0.5", "MB": "1"},
    {"model": "regression", "F1": "0.75 [0.7, 0.8]", "MB": "12"},
]


def read_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line.rstrip() for line in capsys.readouterr().out.splitlines()]


def test_names_align_left_and_numbers_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS)
    head, first, second = read_lines(capsys)
    assert head.startswith("model")
    assert first.startswith("rule ")
    assert second.startswith("regression ")
    assert len(head) == len(first) == len(second), "the last column is aligned"
    for column in ("F1", "MB"):
        ends = {line.index(row[column]) + len(row[column]) for line, row in zip((first, second), ROWS, strict=True)}
        assert ends == {head.index(column) + len(column)}


def test_more_columns_can_align_left(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS, left=2)
    head, first, second = read_lines(capsys)
    assert head.index("F1") == first.index("0.5") == second.index("0.75")


def test_empty_table_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([])
    print_table([], markdown=True)
    assert capsys.readouterr().out == ""


def test_piped_output_keeps_long_cells(capsys: pytest.CaptureFixture[str]) -> None:
    text = "word " * 200 + "end"
    print_table([{"a": text, "b": "1"}])
    assert text in capsys.readouterr().out


def test_piped_output_has_no_escape_codes(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS)
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["[bold]x[/bold]", "[/]", "[red]", ":smile:", "[link=https://example.org]y[/link]", "a\\", "\\[b]", "[[x]]"]
)
def test_markup_in_cell_is_not_interpreted(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"name": text, "n": "1"}])
    assert read_lines(capsys)[1].split("  ")[0] == text


@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text("ab[]/\\:|= ", min_size=1, max_size=20), min_size=1, max_size=3))
def test_any_cell_is_shown_verbatim(texts: list[str]) -> None:
    with redirect_stdout(io.StringIO()) as out:
        print_table([{"n": "1", "text": text} for text in texts], left=2)
    lines = out.getvalue().splitlines()[1:]
    assert [line[3:].rstrip() for line in lines] == [text.rstrip() for text in texts]


def test_table_prints_as_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS, markdown=True)
    assert capsys.readouterr().out == (
        "| model | F1 | MB |\n| --- | ---: | ---: |\n| rule | 0.5 | 1 |\n| regression | 0.75 [0.7, 0.8] | 12 |\n"
    )


def test_markdown_can_align_more_columns_left(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(ROWS, markdown=True, left=2)
    assert capsys.readouterr().out.splitlines()[1] == "| --- | --- | ---: |"


def test_bar_in_markdown_cell_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"a": "x|y", "b": "[bold]"}], markdown=True)
    assert capsys.readouterr().out.splitlines()[2] == "| x\\|y | [bold] |"


def test_json_is_valid_and_readable(capsys: pytest.CaptureFixture[str]) -> None:
    content = {"name": "Müller", "values": [1, None, 0.5]}
    print_json(content)
    out = capsys.readouterr().out
    assert json.loads(out) == content
    assert "Müller" in out


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        *((None, ".3f", "-"), (0.12345, ".3f", "0.123"), (0.9996, ".3f", "1.000"), (1, ".3f", "1.000")),
        *((0.5, ".1f", "0.5"), (0.0, ".3f", "0.000"), (1234, ",d", "1,234")),
    ],
)
def test_number_has_three_decimals_by_default(value: float | None, form: str, text: str) -> None:
    assert format_number(value, form) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "<0.01"),
        (0.123, "0.12"),
        (9.87, "9.87"),
        (12.34, "12.3"),
        (99.94, "99.9"),
        (123.4, "123"),
        (27745.3, "27,745"),
    ],
)
def test_amount_has_about_three_digits(value: float | None, text: str) -> None:
    assert format_amount(value) == text


def test_metric_is_shown_with_its_interval() -> None:
    metrics = {"test/f1": 0.5612, "test/f1_ci_low": 0.5123, "test/f1_ci_high": 0.604, "test/bare": 0.25}
    assert format_metric(metrics, "test/f1") == "0.561 [0.512, 0.604]"
    assert format_metric(metrics, "test/bare") == "0.250"
    assert format_metric(metrics, "test/nothing") == "-"
    assert format_metric({"x": 0.5, "x_ci_low": None, "x_ci_high": None}, "x") == "0.500"
    assert format_metric({"x": None, "x_ci_low": None, "x_ci_high": None}, "x") == "-"


def test_readme_ladder_fits_80_columns(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    """The ladder is wider: gaps shrink, titles fold, and no number is cut."""
    metrics = {"runs": "1", "F1": "0.853 [0.818, 0.883]", "prec.": "0.858", "recall": "0.853", "AP": "0.912"}
    row = {"model": "transformer", **metrics, "fit (s)": "74.5", "p95 (ms)": "15.2", "size (MB)": "90.8"}
    print_table([row])
    assert len(read_lines(capsys)[1]) > 80
    terminal(80)
    print_table([row])
    *head, line = read_lines(capsys)
    assert sorted(" ".join(head).split()) == sorted(" ".join(row).split())
    assert line.split() == " ".join(row.values()).split()
    assert len(line) <= 80


def test_id_is_not_cut_where_names_fold(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    run = "20260101T000000Z-abcdef"
    row = {"run": run, "name": "regression_words_only_without_stemming", "status": "finished", "F1": "test 0.846"}
    terminal(64)
    print_table([row], left=3, whole=["run", "status"])
    _, *lines = read_lines(capsys)
    assert lines[0].split() == [run, "regression_words_", "finished", "test", "0.846"]
    assert "".join(line[25:42].strip() for line in lines) == row["name"]


def test_columns_without_room_become_table_below(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal(40)
    print_table([{"model": "rule", "a": "0.644 [0.615, 0.673]", "b": "0.743 [0.716, 0.770]"}])
    assert [line.split() for line in read_lines(capsys)] == [
        ["model", "a"],
        ["rule", "0.644", "[0.615,", "0.673]"],
        [],
        ["model", "b"],
        ["rule", "0.743", "[0.716,", "0.770]"],
    ]


def test_only_terminal_gets_bold_titles(
    terminal: Terminal, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_table(ROWS)
    assert "\x1b" not in capsys.readouterr().out, "a pipe gets plain text, even if rich is forced to use colour"
    terminal(80)
    print_table(ROWS)
    assert "\x1b" not in capsys.readouterr().out, "a dumb terminal gets plain text"
    monkeypatch.setenv("TERM", "xterm")
    print_table(ROWS)
    head, first, _ = read_lines(capsys)
    assert head.startswith("\x1b[1m")
    assert "\x1b" not in first


def test_lines_have_no_trailing_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"a": "1", "b": "long enough"}, {"a": "2", "b": "short"}], left=2)
    assert all(line == line.rstrip() for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize("blank", ["\n", "\r", "\t", "\x0b", "\x1c", "\x85", "\u2028"])
def test_cell_stays_on_its_line(blank: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"a": f"one{blank}two", "b": "1"}])
    assert capsys.readouterr().out == "a        b\none two  1\n"


@pytest.mark.parametrize(("character", "shown"), [("\x1b", "\\u001b"), ("\x9b", "\\u009b"), ("\u202e", "\\u202e")])
def test_control_character_is_shown_as_its_escape(
    character: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table([{"a": f"one{character}two", "b": "1"}])
    assert capsys.readouterr().out == f"a             b\none{shown}two  1\n"


def test_json_is_readable_in_any_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, expected in (("utf-8", "modèle 🚀"), ("ascii", "mod\\u00e8le \\ud83d\\ude80")):
        output = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, "stdout", output)
        print_json(["modèle 🚀"])
        output.flush()
        written = output.buffer.getvalue().decode()  # type: ignore[attr-defined]
        assert expected in written
        assert json.loads(written) == ["modèle 🚀"]
