"""Tests for blocks as Markdown, and for what both text renderers share."""

import pytest

from ratchet.reporting.blocks import Cell, Column, Facts, Paragraph, Table, list_notes, number, table_of_rows, text
from ratchet.reporting.markdown import to_markdown
from ratchet.reporting.terminal import print_blocks

TABLE = Table(
    "Costs",
    [Column("model"), Column("fit", numeric=True, about="medians"), Column("size", numeric=True, about="medians")],
    [[text("rule"), number(1.0), number(None)], [text("a|b\nc"), number(2.5), Cell("12.0")]],
)


def test_table_separates_title_and_notes() -> None:
    assert to_markdown([TABLE]).splitlines() == [
        "**Costs**",
        "",
        "| model | fit | size |",
        "| --- | ---: | ---: |",
        "| rule | 1.000 | - |",
        "| a\\|b c | 2.500 | 12.0 |",
        "",
        "fit, size: medians",
    ]


def test_facts_become_nested_list() -> None:
    facts = Facts("Verdicts", [("cnn", "better than rule"), ("", "promoted"), ("rule", "the baseline")])
    assert to_markdown([facts]).splitlines() == [
        *("**Verdicts**", "", "- cnn: better than rule", "  - promoted", "- rule: the baseline"),
    ]
    assert to_markdown([Facts("", [("", "- a text")])]) == "- a text\n"


def test_blank_line_separates_blocks() -> None:
    assert to_markdown([Paragraph("one"), Paragraph("two")]) == "one\n\ntwo\n"
    assert to_markdown([]) == ""


def test_columns_share_the_same_note() -> None:
    assert list_notes(TABLE) == "fit, size: medians"
    assert list_notes(table_of_rows([{"a": "1"}])) == ""


def test_markdown_and_terminal_show_same_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_blocks([TABLE])
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "Costs"
    assert out.splitlines()[-1] == list_notes(TABLE)
    rows = [line.split() for line in out.splitlines()[1:-1]]
    assert rows == [["model", "fit", "size"], ["rule", "1.000", "-"], ["a|b", "c", "2.500", "12.0"]]
