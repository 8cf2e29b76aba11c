"""Tests for arranging columns to the width of a terminal: numbers are never cut."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from ratchet.reporting.blocks import Cell
from ratchet.reporting.terminal import Strip, arrange, draw

NAMES = st.text("abc_-日é", min_size=1, max_size=70)


def make_strip(title: str, cells: Sequence[str], *, right: bool = False, folds: bool = False) -> Strip:
    return Strip(title, [Cell(text) for text in cells], right, folds)


def draw_parts(strips: Sequence[Strip], width: int | None) -> list[list[str]]:
    """Return the lines of each part."""
    return [draw(part) for part in arrange(strips, width)]


def make_metrics(count: int, text: str = "0.846 [0.805, 0.879]") -> list[Strip]:
    return [make_strip(f"metric {index}", [text, "-"], right=True) for index in range(count)]


def test_gaps_shrink_before_name_folds() -> None:
    name = make_strip("model", ["transformer", "rule"], folds=True)
    [wide] = draw_parts([name, *make_metrics(3)], 77)
    [tight] = draw_parts([name, *make_metrics(3)], 76)
    assert wide[1] == "transformer" + "  0.846 [0.805, 0.879]" * 3
    assert tight[1] == "transformer" + " 0.846 [0.805, 0.879]" * 3


def test_name_folds_before_columns_move_below() -> None:
    name = make_strip("model", ["regression_words_only", "rule"], folds=True)
    [block] = draw_parts([name, *make_metrics(3)], 82)
    assert block[1:] == [
        "regression_     " + "  0.846 [0.805, 0.879]" * 3,
        "words_only",
        "rule            " + f"{'-':>22}" * 3,
    ]


def test_columns_without_room_repeat_names_below() -> None:
    name = make_strip("model", ["regression", "rule"], folds=True)
    first, second = draw_parts([name, *make_metrics(3)], 60)
    assert [line.split() for line in (first[0], second[0])] == [
        ["model", "metric", "0", "metric", "1"],
        ["model", "metric", "2"],
    ]
    assert first[1] == "regression" + "  0.846 [0.805, 0.879]" * 2
    assert second[1:] == ["regression  0.846 [0.805, 0.879]", f"rule{'-':>28}"]


def test_long_title_folds_above_its_column() -> None:
    [block] = draw_parts(
        [make_strip("model", ["rule"]), make_strip("against regression_words", ["0.5"], right=True)], 26
    )
    assert block == [f"{'against':>26}", f"model{'regression_words':>21}", f"rule{'0.5':>22}"]


def test_wide_characters_take_two_columns() -> None:
    [block] = draw_parts([make_strip("", ["日本語", "rule"]), make_strip("", ["1", "22"], right=True)], None)
    assert block[1:] == ["日本語   1", "rule    22"]


def test_number_wider_than_terminal_is_not_cut() -> None:
    number = "1" * 60
    assert any(
        number in line
        for lines in draw_parts([make_strip("model", ["rule"]), make_strip("n", [number])], 40)
        for line in lines
    )


@settings(max_examples=150, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=5), count=st.integers(1, 6), width=st.integers(50, 140))
def test_numbers_stay_aligned_for_any_names(names: list[str], count: int, width: int) -> None:
    intervals = [[f"+0.{row}{n}1 [+0.{row}{n}0, +0.{row}{n}2]" for n in range(count)] for row in range(len(names))]
    columns = [make_strip(f"title {n}", [values[n] for values in intervals], right=True) for n in range(count)]
    lines = [line for part in draw_parts([make_strip("model", names, folds=True), *columns], width) for line in part]
    assert max(cell_len(line) for line in lines) <= width
    for n in range(count):
        places = {cell_len(line.partition(values[n])[0]) for values in intervals for line in lines if values[n] in line}
        assert len(places) == 1, "aligned"
        assert all(sum(values[n] in line for line in lines) == 1 for values in intervals), "once and uncut"


@settings(max_examples=100, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=5), width=st.integers(50, 140))
def test_folded_name_keeps_all_characters(names: list[str], width: int) -> None:
    """Within a block, the parts of a name are below each other."""
    columns = [
        make_strip("model", names, folds=True),
        *(make_strip("n", ["5"] * len(names), right=True) for _ in range(3)),
    ]
    [block] = draw_parts(columns, width)
    assert "".join(line.replace(" 5", "").strip() for line in block[1:]) == "".join(names)
