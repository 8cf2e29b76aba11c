"""Write files and directories so that they appear complete or not at all."""

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_BLOCK = 65_536  # bytes that are read at a time, backwards from the end of a log


def is_plain_name(name: object) -> bool:
    """Return whether a text may name a file or a directory: letters, digits, "_", "-" and ".", no "." in front.

    A name that was read from a file cannot be trusted. This one stays in its directory: no separator, no "..".
    """
    return isinstance(name, str) and re.fullmatch(r"[\w-][\w.-]*", name) is not None


def expand_home(path: str | Path) -> Path:
    """Return the path with `~` replaced by the home directory. A file `~notes.csv` of no such user keeps its name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - `Path.expanduser` raises for an unknown user


def _make_suffix() -> str:
    """Return a suffix that no other process uses: processes of two containers may have the same id."""
    return f"{os.getpid()}-{secrets.token_hex(3)}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to. Rename it to `path` if the block completes, else delete it."""
    temporary = path.with_name(f".{path.name}.{_make_suffix()}.tmp")
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
    suffix = _make_suffix()
    temporary, old = (path.with_name(f".{path.name}.{suffix}.{end}") for end in ("tmp", "old"))
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


def hash_content(path: Path) -> str:
    """Return the sha256 of a file, or over the names and contents of all files in a directory without hidden ones.

    A file is read once per process, as long as it stays the same: a grid asks before each of its jobs.

    Raises:
        OSError: a file cannot be read.
    """
    if path.is_file():
        state = path.stat()
        return _hash_state(path.resolve(), (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    files = {file.relative_to(path): file for file in path.rglob("*") if file.is_file()}
    visible = sorted(name for name in files if not any(part.startswith(".") for part in name.parts))
    lines = "".join(f"{name.as_posix()}\n{hash_content(files[name])}\n" for name in visible)
    return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()


@cache
def _hash_state(path: Path, _state: tuple[int, ...]) -> str:
    return sha256_of(path)


def append_line(path: Path, line: str) -> None:
    """Append one line of JSON, in UTF-8, to a log that several processes write. Return when it is on the disk.

    The file is locked during the write, so no line is lost or mixed with another. If the disk is full, the file is
    unchanged. A last line that was cut short by a kill is removed first: its writer never returned.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        with _lock(descriptor):
            end, needs_newline = _find_end(descriptor)
            size = os.fstat(descriptor).st_size
            if end < size:
                os.ftruncate(descriptor, end)
            content = b"\n" * needs_newline + line.encode("utf-8", "backslashreplace") + b"\n"
            try:
                if os.write(descriptor, content) < len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, end)
                raise
    finally:
        os.close(descriptor)
    if is_new:  # after a power cut, the directory may not have an entry for a file that was synchronised
        _synchronise_directory(path.parent)


def read_lines(path: Path) -> list[bytes]:
    """Return the lines of a log that `append_line` writes; none if there is no such file.

    A last line that was cut short, or that another process is writing, is left out: its writer has not returned.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    *lines, last = content.split(b"\n")
    return [*lines, last] if _is_json(last) else lines


@contextmanager
def locked_directory(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a directory, which is created if it is missing; wait for another process's lock.

    The directory itself is locked: a lock file would be in the way of git. Readers need no lock.

    Raises:
        OSError: the directory cannot be created or opened.
    """
    path.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with _lock(descriptor):
            yield
    finally:
        os.close(descriptor)


@contextmanager
def _lock(descriptor: int) -> Iterator[None]:
    import fcntl  # Windows has none; only logs need it

    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _find_end(descriptor: int) -> tuple[int, bool]:
    """Return the size of a log without a last line that was cut short, and whether a newline is missing there.

    An editor may leave out the last newline. The start of a JSON object is never JSON, so the two can be told apart.
    """
    size = os.fstat(descriptor).st_size
    last = b""
    while len(last) < size and b"\n" not in last:
        start = max(0, size - len(last) - _BLOCK)
        last = os.pread(descriptor, size - len(last) - start, start) + last
    last = last.rpartition(b"\n")[2]
    return (size, True) if _is_json(last) else (size - len(last), False)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _synchronise_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
