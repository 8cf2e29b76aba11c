"""Blocks and texts on a terminal, and the three output formats of a verb.

Piped output is never cut, and only the evidence of `init` is wrapped. On a terminal, sentences wrap between words and
tables are arranged so that every value stays complete: rich draws them, but alone it cuts `[0.731, 0.807]` and drops
names where columns are many.
"""

import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from rich.cells import cell_len, chop_cells

from ratchet.printable import printable, unfiltered
from ratchet.reporting.blocks import Cell, Facts, Paragraph, Table, TextBlock, list_notes, one_line, table_of_rows
from ratchet.reporting.markdown import to_markdown

_MIN_WIDTH = 40  # a narrower terminal wraps by itself
_MIN_TEXT = 40  # columns of a text next to its name; with less room it moves below the name
_MIN_FOLDED = 16  # columns of a folded name
_GAPS = (2, 1)  # spaces between two columns of a table: the second if there is too little room
# These stay on one line: a name with its value, as `audio +0.32`; a value with its interval; a bracket.
_TOGETHER = re.compile(r"(?:\[[^\]]*\]|\S|(?<!,) (?=[+-]?\d|\[))+")
_BREAK_AFTER = re.compile(r"[-_/.,=@:]")  # where a name that is too wide may be broken
_STYLES = {"good": "green", "bad": "red"}


class Format(Enum):
    """The output format of a verb."""

    table = "table"
    md = "md"
    json = "json"


# --- printing ---------------------------------------------------------------------------------------------------------


def terminal_width() -> int | None:
    """Return the width of the terminal (COLUMNS overrides it), or None if output is piped."""
    return max(shutil.get_terminal_size().columns, _MIN_WIDTH) if sys.stdout.isatty() else None


def print_blocks(blocks: Sequence[TextBlock], *, markdown: bool = False) -> None:
    """Print blocks with an empty line between two."""
    if markdown:
        print(to_markdown(blocks), end="")
        return
    for index, block in enumerate(blocks):
        if index:
            print()
        match block:
            case Paragraph():
                print_text(block.text)
            case Facts():
                _print_title(block.title)
                print_facts(block.facts, whole=block.whole)
            case Table():
                _print_title(block.title)
                _print_table(block)
                _print_title(list_notes(block))


def print_table(
    rows: Sequence[Mapping[str, str]], *, markdown: bool = False, left: int = 1, whole: Sequence[str] = ()
) -> None:
    """Print rows of equal keys: the first `left` columns are words, the others numbers; nothing if there are no rows.

    On a narrow terminal the words fold, except in the columns that `whole` names.
    """
    if rows:
        print_blocks([table_of_rows(rows, left=left, whole=whole)], markdown=markdown)


def print_json(content: Any) -> None:
    """Print as JSON; control characters and letters that the encoding of the output may lack are escaped."""
    ascii_only = (sys.stdout.encoding or "utf-8").lower() != "utf-8"
    print(printable(json.dumps(content, indent=1, ensure_ascii=ascii_only)))


def print_text(text: str, *, indent: int = 0, whole: bool = False) -> None:
    """Print a sentence. On a terminal it wraps, and further lines are indented by two more columns, unless `whole`."""
    width, text = None if whole else terminal_width(), printable(text)
    lines = [text] if width is None else wrapped(text, width - indent, hanging=2)
    for line in lines:
        print(" " * indent + line)


def print_facts(facts: Sequence[tuple[str, str]], *, at: int | None = None, whole: Sequence[str] = ()) -> None:
    """Print names with a text next to each, which starts at column `at`, or two columns after the widest name.

    An empty name continues the fact above it. The texts of the names in `whole` are not wrapped.
    """
    facts = [(printable(name), printable(text)) for name, text in facts]
    start = max((cell_len(name) for name, _ in facts), default=0) + 2 if at is None else at
    width = terminal_width()
    if width is not None and width - start < _MIN_TEXT:
        _print_facts_below(facts, width, whole)
        return
    for name, text in facts:
        first, *others = [text] if width is None or name in whole else wrapped(text, width - start)
        print((name + " " * (start - cell_len(name)) + first).rstrip())
        for line in others:
            print(" " * start + line)


def _print_facts_below(facts: Sequence[tuple[str, str]], width: int, whole: Sequence[str]) -> None:
    """Print each text below its name: for names that leave too little room next to them."""
    for name, text in facts:
        for line in wrapped(name, width, hard=True) if name else []:
            print(line)
        for line in [text] if name in whole else wrapped(text, width - 2, hanging=2):
            print("  " + line)


def _print_title(title: str) -> None:
    if title:
        print_text(title)


# --- wrapping ---------------------------------------------------------------------------------------------------------


def wrapped(text: str, width: int, *, hanging: int = 0, hard: bool = False) -> list[str]:
    """Split a text into lines of at most `width` columns, all but the first indented by `hanging`; at least one line.

    A wider word stays as it is (a path that is cut cannot be copied), unless `hard` breaks it.
    """
    if cell_len(text) <= width:
        return [text]
    lines: list[str] = []
    for word in _words(text, width - hanging, hard):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and cell_len(longer) > width:
            lines.append(" " * hanging + word)
        else:
            lines[-1:] = [longer]
    return lines or [""]


def _words(text: str, room: int, hard: bool) -> Iterator[str]:
    """Yield the parts of a text that do not continue on the next line."""
    for together in _TOGETHER.findall(text):
        for word in [together] if cell_len(together) <= room else together.split():
            yield from _broken(word, room) if hard else [word]


def _broken(word: str, room: int) -> Iterator[str]:
    while cell_len(word) > room:
        head = chop_cells(word, room)[0]
        cut = max((match.end() for match in _BREAK_AFTER.finditer(head)), default=0) or len(head) or 1
        yield word[:cut]
        word = word[cut:]
    yield word


# --- arranging columns ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Strip:
    """A column of a table in a terminal. Only what `folds` takes several lines; numbers are never cut."""

    title: str
    cells: Sequence[Cell]
    right: bool = False
    folds: bool = False

    @cached_property
    def widest(self) -> int:
        """Return the width without any folding."""
        return max(cell_len(text) for text in (self.title, *(cell.text for cell in self.cells)))

    @cached_property
    def least(self) -> int:
        """Return the smallest possible width. Titles fold as names do."""
        title = max((cell_len(word) for word in self.title.split()), default=0)
        cells = max((cell_len(cell.text) for cell in self.cells), default=0)
        return max(min(title, _MIN_FOLDED), min(cells, _MIN_FOLDED) if self.folds else cells)


@dataclass(frozen=True)
class Arranged:
    """Columns next to each other with their widths and the gap between two."""

    strips: Sequence[Strip]
    widths: Sequence[int]
    gap: int


def arrange(strips: Sequence[Strip], width: int | None) -> list[Arranged]:
    """Arrange columns in a terminal of `width` columns; without a width nothing is folded.

    Where there is too little room, first the gaps shrink, then words fold, then the last columns move to groups below,
    each of which repeats the first column.
    """
    widths = [strip.widest for strip in strips]
    if width is None:
        return [Arranged(strips, widths, _GAPS[0])]
    for folding in (False, True):
        for gap in _GAPS:
            room = width - gap * (len(strips) - 1)
            widths = _shrink(strips, room) if folding else [strip.widest for strip in strips]
            if sum(widths) <= room:
                return [Arranged(strips, widths, gap)]
    if len(strips) <= 2:  # a number that is wider than the terminal
        return [Arranged(strips, widths, _GAPS[-1])]
    return [part for group in _group(strips, width) for part in arrange(group, width)]


def _shrink(strips: Sequence[Strip], room: int) -> list[int]:
    """Return widths whose sum is `room`, as far as possible; the widest column shrinks first."""
    widths = [strip.widest for strip in strips]
    while sum(widths) > room:
        candidates = [index for index, strip in enumerate(strips) if widths[index] > strip.least]
        if not candidates:
            break
        widths[max(candidates, key=lambda index: widths[index])] -= 1
    return widths


def _group(strips: Sequence[Strip], width: int) -> list[list[Strip]]:
    first, *others = strips
    groups = [[first]]
    for strip in others:
        longer = [*groups[-1], strip]
        if len(longer) > 2 and sum(member.least + _GAPS[0] for member in longer) - _GAPS[0] > width:
            groups.append([first, strip])
        else:
            groups[-1] = longer
    return groups


# --- drawing tables ---------------------------------------------------------------------------------------------------


def _print_table(table: Table) -> None:
    strips = [
        Strip(
            printable(column.title),
            [Cell(one_line(row[index].text), tone=row[index].tone) for row in table.rows],
            right=column.numeric,
            folds=not (column.numeric or column.whole),
        )
        for index, column in enumerate(table.columns)
    ]
    for index, part in enumerate(arrange(strips, terminal_width())):
        if index:
            print()
        print("\n".join(draw(part)), file=unfiltered(sys.stdout))  # with colours


def draw(part: Arranged) -> list[str]:
    """Let rich draw columns; return the lines, with colours and bold titles on a terminal that has them."""
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    # Text and not str: rich would take brackets in a cell for its markup, and `:smile:` for an emoji.
    grid = Grid(box=None, pad_edge=False, padding=(0, part.gap, 0, 0), header_style="bold")
    for strip, width in zip(part.strips, part.widths, strict=True):
        title = Text("\n".join(wrapped(strip.title, width, hard=True)))
        grid.add_column(title, width=width, justify="right" if strip.right else "left", overflow="fold")
    for cells in zip(*(strip.cells for strip in part.strips), strict=True):
        grid.add_row(*(_as_rich(cell, width) for cell, width in zip(cells, part.widths, strict=True)))
    total = sum(part.widths) + part.gap * len(part.widths)  # rich also counts the gap after the last column
    # Whatever the environment says, a pipe gets plain text; a notebook gets what a pipe gets. Without a height rich
    # takes a dumb terminal to be 80 columns wide.
    console = Console(width=total, height=1, force_terminal=sys.stdout.isatty(), force_jupyter=False)
    with console.capture() as captured:
        console.print(grid)
    return [line.rstrip(" ") for line in captured.get().split("\n")[:-1]]


def _as_rich(cell: Cell, width: int) -> Any:
    from rich.text import Text

    lines = "\n".join(wrapped(cell.text, width, hard=True))
    return Text(lines, style=_STYLES.get(cell.tone, ""))
