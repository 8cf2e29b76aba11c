"""Read the lines of fastText: `__label__bug __label__login the text`."""

import re
from collections.abc import Iterator
from pathlib import Path

from ratchet.data.formats.dialect import Dialect
from ratchet.data.formats.rows import Row, Rows
from ratchet.data.opening import open_text

_LABEL = re.compile(r"(?<!\S)__label__(\S*)\s*")


def open_fasttext(path: Path, name: str, dialect: Dialect) -> Rows:
    """Open lines of fastText, and return their rows: the columns `labels` (a list, without prefix) and `text`.

    As in fastText, every word with the prefix is a label, wherever it is.

    Raises:
        UserError: the file is not text or is empty.
    """
    with open_text(path, name, dialect.encoding, "\n", dialect.key):
        pass  # errors of a file as such are reported before its first row is read

    def iterate() -> Iterator[Row]:
        with open_text(path, name, dialect.encoding, "\n", dialect.key) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield Row(number, {"labels": _LABEL.findall(line), "text": _LABEL.sub("", line).strip()})

    return Rows(name, "line", ["labels", "text"], iterate)
