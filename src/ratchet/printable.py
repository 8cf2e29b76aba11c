"""Make text safe to print: labels, names and messages come from files, and a terminal obeys what it is sent.

An escape sequence can set the title of a window, hide lines, or answer in the user's name. Everything that a command
prints goes through the streams of `filter_output`, so no `print` can forget it.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

# C0 except tab and newline, DEL, C1 (U+009B starts an escape sequence alone), and what reverses the direction of text.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    r"""Return the text with escapes such as `\u001b` in place of control characters, except tabs and newlines.

    In JSON, the escape is the character: the value stays the same.
    """
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class FilteredStream:
    """A text stream that writes `printable` text to another one."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write the text, and return its length."""
        self.stream.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of the lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the other stream."""
        return getattr(self.stream, name)


@contextmanager
def filter_output() -> Iterator[None]:
    """Let stdout and stderr write `printable` text until the block ends.

    They stay so after an exception: the interpreter may have to print its trace.
    """
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _filtered(sys.stdout), _filtered(sys.stderr)
    yield
    sys.stdout, sys.stderr = before


def _filtered(stream: TextIO) -> TextIO:
    return stream if isinstance(stream, FilteredStream) else cast(TextIO, FilteredStream(stream))


def unfiltered(stream: TextIO) -> TextIO:
    """Return the stream behind `filter_output`: for colours and bars, whose texts must be `printable` already."""
    return stream.stream if isinstance(stream, FilteredStream) else stream
