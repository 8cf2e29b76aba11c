"""Lines for people: whole where output is piped, wrapped between words where a terminal shows them."""

import re
import shutil
import sys
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, chop_cells

_NARROWEST = 40  # columns; a narrower terminal wraps by itself
_TEXT = 40  # columns that a text beside its name has at least; with less it stands below
# A word with the figures behind it, and a bracket, stay together: `audio +0.32`, `0.561 [0.512, 0.604]`.
_TOGETHER = re.compile(r"(?:\[[^\]]*\]|\S|(?<!,) (?=[+-]?\d|\[))+")
_INNER_BREAK = re.compile(r"[-_/.,=@:]")  # a name that is too wide is broken after one of these


def terminal_width() -> int | None:
    """Columns of the terminal that output goes to (COLUMNS overrules it); None where it is piped."""
    return max(shutil.get_terminal_size().columns, _NARROWEST) if sys.stdout.isatty() else None


def print_text(text: str, *, indent: int = 0, whole: bool = False) -> None:
    """Print a sentence; what a terminal has no room for goes on below, two columns further in."""
    width = None if whole else terminal_width()
    lines = [text] if width is None else wrapped(text, width - indent, hanging=2)
    for line in lines:
        print(" " * indent + line)


def print_facts(facts: Sequence[tuple[str, str]], *, at: int | None = None) -> None:
    """Print names with a text beside each, which begins at column `at`, or two columns after the widest name.

    A name may be empty: its text goes on with what is said of the name above.
    """
    begin = max((cell_len(name) for name, _ in facts), default=0) + 2 if at is None else at
    width = terminal_width()
    if width is not None and width - begin < _TEXT:
        _print_below(facts, width)
        return
    for name, text in facts:
        first, *others = [text] if width is None else wrapped(text, width - begin)
        print(name + " " * (begin - cell_len(name)) + first)
        for line in others:
            print(" " * begin + line)


def _print_below(facts: Sequence[tuple[str, str]], width: int) -> None:
    """The same where names leave too little room beside them: each text below its name."""
    for name, text in facts:
        for line in wrapped(name, width, hard=True) if name else []:
            print(line)
        for line in wrapped(text, width - 2, hanging=2):
            print("  " + line)


def wrapped(text: str, width: int, *, hanging: int = 0, hard: bool = False) -> list[str]:
    """The text in lines of at most `width` columns, all but the first indented by `hanging`; at least one line.

    A word that is wider stays as it is (a path that is cut cannot be copied), unless `hard` breaks it.
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
    """What does not stand on two lines."""
    for together in _TOGETHER.findall(text):
        for word in [together] if cell_len(together) <= room else together.split():
            yield from _broken(word, room) if hard else [word]


def _broken(word: str, room: int) -> Iterator[str]:
    while cell_len(word) > room:
        head = chop_cells(word, room)[0]
        cut = max((found.end() for found in _INNER_BREAK.finditer(head)), default=0) or len(head) or 1
        yield word[:cut]
        word = word[cut:]
    yield word
