"""Write files and directories so that they appear complete or not at all."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def expand_home(path: str | Path) -> Path:
    """Return the path with `~` replaced by the home directory. A file `~notes.csv` of no such user keeps its name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - `Path.expanduser` raises for an unknown user


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to. Rename it to `path` if the block completes, else delete it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:  # without fsync, a power cut may leave an empty file under the new name
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory to write to. Rename it to `path` if the block completes, else delete it.

    A directory that is at `path` already is kept until the new one is in its place.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary, old = (path.with_name(f".{path.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():
            path.rename(old)
        try:
            temporary.rename(path)
        except OSError:
            if old.exists():
                old.rename(path)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write `path` atomically in UTF-8. Write a lone surrogate as its escape, which JSON reads back."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON to `path` atomically, with keys in their order.

    Raises:
        ValueError: the content has NaN or an infinite number, which JSON does not have.
    """
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def append_line(path: Path, line: str) -> None:
    """Append one line, in UTF-8, to a log that several processes write. End an incomplete last line first.

    The file is locked during the write, so no line is lost or mixed with another. If the disk is full, the file is
    unchanged.

    Raises:
        OSError: the file cannot be written.
    """
    import fcntl  # Windows has none; only this function needs it

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # released when the file is closed
        size = os.fstat(descriptor).st_size
        is_incomplete = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        content = ("\n" if is_incomplete else "").encode() + line.encode("utf-8", "backslashreplace") + b"\n"
        try:
            if os.write(descriptor, content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)
