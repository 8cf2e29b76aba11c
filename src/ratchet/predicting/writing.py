"""What a writer of an output does, and what all that write text have in common."""

import gzip
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ratchet.predicting.batches import Batch
from ratchet.predicting.results import Predicted


class Writer(Protocol):
    """Makes parts, each of one batch, and the output of all parts; equal batches give equal bytes."""

    def part(self, batch: Batch, predicted: Predicted) -> bytes:
        """The rows of a batch with what was predicted for them, as a part holds them."""

    def assemble(self, parts: Sequence[Path], target: Path) -> None:
        """Write the output, whose parts these are, to `target`."""


def packed(text: str, path: Path) -> bytes:
    """Text as the output `path` holds it: in UTF-8, half a surrogate pair as its escape, by gzip if it ends in .gz."""
    data = text.encode("utf-8", "backslashreplace")
    return gzip.compress(data, compresslevel=6, mtime=0) if path.suffix.lower() == ".gz" else data


def join_parts(head: bytes, parts: Sequence[Path], target: Path) -> None:
    """Write `head` and the parts one after the other; pieces that gzip packed make one file that it unpacks."""
    with target.open("wb") as file:
        file.write(head)
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, file)
