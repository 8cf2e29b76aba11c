"""Columns share a terminal, and no number is ever cut."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from ratchet.reporting.blocks import Cell
from ratchet.reporting.terminal import Strip, arrange, draw

NAMES = st.text("abc_-日é", min_size=1, max_size=70)


def strip(title: str, cells: Sequence[str], *, right: bool = False, folds: bool = False) -> Strip:
    return Strip(title, [Cell(text) for text in cells], right, folds)


def drawn(strips: Sequence[Strip], width: int | None) -> list[list[str]]:
    """The lines of each part."""
    return [draw(part) for part in arrange(strips, width)]


def figures(count: int, text: str = "0.846 [0.805, 0.879]") -> list[Strip]:
    return [strip(f"metric {index}", [text, "-"], right=True) for index in range(count)]


def test_gaps_shrink_before_a_name_folds() -> None:
    name = strip("model", ["transformer", "rule"], folds=True)
    [wide] = drawn([name, *figures(3)], 77)
    [tight] = drawn([name, *figures(3)], 76)
    assert wide[1] == "transformer" + "  0.846 [0.805, 0.879]" * 3
    assert tight[1] == "transformer" + " 0.846 [0.805, 0.879]" * 3


def test_a_name_folds_before_columns_go_below() -> None:
    name = strip("model", ["regression_words_only", "rule"], folds=True)
    [block] = drawn([name, *figures(3)], 82)
    assert block[1:] == [
        "regression_     " + "  0.846 [0.805, 0.879]" * 3,
        "words_only",
        "rule            " + f"{'-':>22}" * 3,
    ]


def test_columns_that_have_no_room_go_below_with_the_names() -> None:
    name = strip("model", ["regression", "rule"], folds=True)
    first, second = drawn([name, *figures(3)], 60)
    assert [line.split() for line in (first[0], second[0])] == [
        ["model", "metric", "0", "metric", "1"],
        ["model", "metric", "2"],
    ]
    assert first[1] == "regression" + "  0.846 [0.805, 0.879]" * 2
    assert second[1:] == ["regression  0.846 [0.805, 0.879]", f"rule{'-':>28}"]


def test_a_long_title_folds_and_stands_on_its_column() -> None:
    [block] = drawn([strip("model", ["rule"]), strip("against regression_words", ["0.5"], right=True)], 26)
    assert block == [f"{'against':>26}", f"model{'regression_words':>21}", f"rule{'0.5':>22}"]


def test_wide_characters_take_two_columns() -> None:
    [block] = drawn([strip("", ["日本語", "rule"]), strip("", ["1", "22"], right=True)], None)
    assert block[1:] == ["日本語   1", "rule    22"]


def test_a_figure_that_is_wider_than_the_terminal_is_whole_all_the_same() -> None:
    figure = "1" * 60
    assert any(
        figure in line for lines in drawn([strip("model", ["rule"]), strip("n", [figure])], 40) for line in lines
    )


@settings(max_examples=150, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=5), count=st.integers(1, 6), width=st.integers(50, 140))
def test_whatever_the_names_every_figure_is_there_in_its_column(names: list[str], count: int, width: int) -> None:
    figure = [[f"+0.{row}{n}1 [+0.{row}{n}0, +0.{row}{n}2]" for n in range(count)] for row in range(len(names))]
    columns = [strip(f"title {n}", [each[n] for each in figure], right=True) for n in range(count)]
    lines = [line for part in drawn([strip("model", names, folds=True), *columns], width) for line in part]
    assert max(cell_len(line) for line in lines) <= width
    for n in range(count):
        places = {cell_len(line.partition(each[n])[0]) for each in figure for line in lines if each[n] in line}
        assert len(places) == 1, "aligned"
        assert all(sum(each[n] in line for line in lines) == 1 for each in figure), "once, and whole"


@settings(max_examples=100, deadline=None)
@given(names=st.lists(NAMES, min_size=1, max_size=5), width=st.integers(50, 140))
def test_whatever_the_width_a_name_can_be_put_together_again(names: list[str], width: int) -> None:
    """Blocks repeat it; within one its parts stand below each other."""
    columns = [strip("model", names, folds=True), *(strip("n", ["5"] * len(names), right=True) for _ in range(3))]
    [block] = drawn(columns, width)
    assert "".join(line.replace(" 5", "").strip() for line in block[1:]) == "".join(names)
