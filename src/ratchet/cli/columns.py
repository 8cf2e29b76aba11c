"""Columns side by side: how wide each is, which of them fold, and which go below where the terminal is too narrow."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from rich.cells import cell_len

from ratchet.cli.lines import wrapped

_GAPS = (2, 1)  # columns of the terminal between two of a table
_FOLDED = 16  # what a name or a sentence has at least


@dataclass(frozen=True)
class Column:
    """A title and its cells; figures are `right`, and are never cut; only what `folds` takes several lines."""

    title: str
    cells: Sequence[str]
    right: bool = False
    folds: bool = False

    @cached_property
    def widest(self) -> int:
        """The width that it takes when nothing is folded."""
        return max(_width(each) for each in (self.title, *self.cells))

    @cached_property
    def least(self) -> int:
        """The width that it can be shrunk to; its title folds as names do."""
        title = max((cell_len(word) for word in self.title.split()), default=0)
        cells = max((_width(each) for each in self.cells), default=0)
        return max(min(title, _FOLDED), min(cells, _FOLDED) if self.folds else cells)


@dataclass(frozen=True)
class Block:
    """Lines of titles and lines of cells, aligned."""

    titles: list[str]
    body: list[str]


def arranged(columns: Sequence[Column], width: int | None) -> list[Block]:
    """The columns side by side in `width` columns of a terminal; without a width no cell is folded.

    Where there is too little room the gaps shrink first, then what folds; then the last columns go to blocks below,
    each of which begins with the first column again.
    """
    widths = [each.widest for each in columns]
    if width is None:
        return [_block(columns, widths, _GAPS[0])]
    for folding in (False, True):
        for gap in _GAPS:
            room = width - gap * (len(columns) - 1)
            widths = _shrunk(columns, room) if folding else [each.widest for each in columns]
            if sum(widths) <= room:
                return [_block(columns, widths, gap)]
    if len(columns) <= 2:  # a figure that is wider than the terminal
        return [_block(columns, widths, _GAPS[-1])]
    return [block for group in _groups(columns, width) for block in arranged(group, width)]


def _shrunk(columns: Sequence[Column], room: int) -> list[int]:
    """Widths that come to `room`, as far as that can be: the widest column gives way first."""
    widths = [each.widest for each in columns]
    while sum(widths) > room:
        able = [index for index, each in enumerate(columns) if widths[index] > each.least]
        if not able:
            break
        widths[max(able, key=lambda index: widths[index])] -= 1
    return widths


def _groups(columns: Sequence[Column], width: int) -> list[list[Column]]:
    first, *others = columns
    groups = [[first]]
    for column in others:
        together = [*groups[-1], column]
        if len(together) > 2 and sum(each.least + _GAPS[0] for each in together) - _GAPS[0] > width:
            groups.append([first, column])
        else:
            groups[-1] = together
    return groups


def _block(columns: Sequence[Column], widths: Sequence[int], gap: int) -> Block:
    rows = zip(*(each.cells for each in columns), strict=True)
    titles = [_folded(each.title, width) for each, width in zip(columns, widths, strict=True)]
    height = max(len(lines) for lines in titles)
    titles = [[""] * (height - len(lines)) + lines for lines in titles]  # they stand on the table
    return Block(
        _aligned(titles, columns, widths, gap),
        [
            line
            for row in rows
            for line in _aligned([_folded(*cell) for cell in zip(row, widths, strict=True)], columns, widths, gap)
        ],
    )


def _aligned(cells: Sequence[Sequence[str]], columns: Sequence[Column], widths: Sequence[int], gap: int) -> list[str]:
    """The lines of one row, whose cells may have several."""
    return [
        (" " * gap).join(map(_padded, line, columns, widths)).rstrip() for line in zip_longest(*cells, fillvalue="")
    ]


def _padded(text: str, column: Column, width: int) -> str:
    blank = " " * (width - cell_len(text))
    return blank + text if column.right else text + blank


def _folded(text: str, width: int) -> list[str]:
    return [line for part in text.split("\n") for line in wrapped(part, width, hard=True)]


def _width(text: str) -> int:
    return max(cell_len(line) for line in text.split("\n"))
