"""Keep finished batches in OUTPUT.parts until the output is complete, so that a killed process loses none of them.

`state.json` records what they were made from: input, model, options. They are resumed only if none of it changed. It is
written first and deleted last, so it also shows whose the directory is. Another one is never touched.
"""

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from ratchet.errors import UserError
from ratchet.files import replacing, sha256_of, write_json, write_text
from ratchet.inference.writers import Writer

_LOCK, _STATE, _DONE, _WHOLE = "lock", "state.json", "done.jsonl", "whole"
_KEYS = {"ratchet", "input", "model", "options", "survey", "process"}
_PART = r"part-\d{6,}"
_TEMPORARY = r"\.({}|done\.jsonl|state\.json)\.[^.]+\.tmp"
_WRITTEN = re.compile(rf"{_LOCK}|{_WHOLE}|{_PART}|done\.jsonl|state\.json|{_TEMPORARY.format(_PART)}")
_BEFORE_STATE = re.compile(rf"{_LOCK}|\.state\.json\.[^.]+\.tmp")  # what a process that was killed early may leave


@dataclass(frozen=True)
class Parts:
    """The directory OUTPUT.parts. A file `part-<number>` counts once its line is in `done.jsonl`, written last."""

    directory: Path

    def state(self) -> dict[str, Any] | None:
        """Read what the parts were made from, as `begin` wrote it; None if nothing was begun.

        Raises:
            UserError: the file is broken, or of another version.
        """
        path = self.directory / _STATE
        if not path.exists():
            return None
        state = self._read_state()
        if state is None:
            raise UserError(f"{path}: not a file of `predict`")
        if not state.keys() >= _KEYS:
            raise UserError(f"{path}: written by another version of ratchet: start again with restart=true")
        return state

    def _read_state(self) -> dict[str, Any] | None:
        """Read `state.json`, of this or another version; None if it is missing or by another program."""
        try:
            state = json.loads((self.directory / _STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return state if isinstance(state, dict) and {"ratchet", "input", "model"} <= state.keys() else None

    def refuse_foreign(self) -> None:
        """Refuse a directory that `predict` did not make, before anything in it is changed.

        Raises:
            UserError: the directory is a link, or has files but no `state.json` of `predict`.
        """
        if not os.path.lexists(self.directory):
            return
        is_link = self.directory.is_symlink()
        if is_link or not self.directory.is_dir():
            raise UserError(
                f"{self.directory} is a {'link' if is_link else 'file'}, but finished batches are kept there: "
                "rename it, or choose another output"
            )
        other = next((path for path in sorted(self.directory.iterdir()) if not _is_of_early_end(path)), None)
        if other is not None and self._read_state() is None:
            raise UserError(
                f"{self.directory} has files that are not of `predict`, such as {other.name}, but finished batches are "
                "kept there: rename it, or choose another output"
            )

    def begin(self, state: Mapping[str, Any], done: Sequence[Mapping[str, int]]) -> None:
        """Record what the parts are made from, by which process, and which of them are done already."""
        for path in self._list_written():
            if path.suffix == ".tmp":  # half written by a process that was killed
                path.unlink()
        write_json(self.directory / _STATE, {**state, "process": {"pid": os.getpid(), "host": platform.node()}})
        write_text(self.directory / _DONE, "".join(f"{json.dumps(counts)}\n" for counts in done))

    def clear(self) -> None:
        """Delete all parts: first `done.jsonl`, without which none counts, and last the state."""
        (self.directory / _DONE).unlink(missing_ok=True)
        for path in self._list_written():
            if path.name not in (_LOCK, _STATE):
                path.unlink()
        (self.directory / _STATE).unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the directory with the files that `predict` writes; keep it if it has others."""
        for path in self._list_written():
            path.unlink(missing_ok=True)
        with suppress(OSError):  # a file was added to it
            self.directory.rmdir()

    def _list_written(self) -> list[Path]:
        """Return the files that `predict` writes; never others, nor directories."""
        return [path for path in self.directory.iterdir() if _WRITTEN.fullmatch(path.name) and not path.is_dir()]

    def done(self) -> list[dict[str, int]]:
        """Return the counts of each finished part, in order; none without `state.json`."""
        if not (self.directory / _STATE).is_file():
            return []
        try:
            lines = (self.directory / _DONE).read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            return []
        counts = [json.loads(line) for line in lines if line.endswith("\n")]  # a killed process may leave half a line
        present = takewhile(lambda numbered: self._path(numbered[0]).is_file(), enumerate(counts))
        return [part for _, part in present]

    def add(self, number: int, data: bytes, counts: Mapping[str, int]) -> None:
        """Store a finished part; it is on disk when this returns."""
        with replacing(self._path(number)) as temporary:
            temporary.write_bytes(data)
        with (self.directory / _DONE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(counts) + "\n")

    def finish(self, writer: Writer, number: int, output: Path) -> None:
        """Assemble the output from the first `number` parts, rename it into place, and delete the parts."""
        complete = self.directory / _WHOLE
        writer.assemble([self._path(part) for part in range(number)], complete)
        with complete.open("rb+") as written:
            os.fsync(written.fileno())
        complete.replace(output)
        self.clear()

    def _path(self, number: int) -> Path:
        return self.directory / f"part-{number:06d}"


def _is_of_early_end(path: Path) -> bool:
    """Return whether a process that was killed before it wrote `state.json` may have left this file."""
    return bool(_BEFORE_STATE.fullmatch(path.name)) and (path.name != _LOCK or path.stat().st_size == 0)


def parts_directory(output: Path) -> Path:
    """Return the directory of an output's parts."""
    return output.with_name(f"{output.name}.parts")


@contextmanager
def claim_parts(output: Path) -> Iterator[Parts]:
    """Lock the parts of `output` for this process; if none was begun, delete their directory when the block ends.

    Raises:
        UserError: another process has the lock, the directory is not of `predict`, or it cannot be created.
    """
    from filelock import FileLock, Timeout

    parts = Parts(parts_directory(output))
    lock = FileLock(parts.directory / _LOCK, blocking=False)
    try:
        parts.refuse_foreign()
        parts.directory.mkdir(exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(f"{output}: {_describe_owner(parts)}: wait for it, or choose another output") from None
    except OSError as error:
        raise UserError(f"{parts.directory}: cannot be created: {error.strerror}") from error
    try:
        yield parts
    finally:
        if not (parts.directory / _STATE).is_file():
            parts.remove()
        lock.release()


def _describe_owner(parts: Parts) -> str:
    process = (parts.state() or {}).get("process")
    who = f"process {process['pid']} on {process['host']}" if process else "another process"
    return f"{who} is writing it"


def input_state(path: Path, files: Sequence[Path], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the path, size, modification time and sha256 of an input, and the same of each file if it has several.

    The sha256 of `before` is reused if everything else is equal: a large input is not read again.

    Raises:
        UserError: the input does not exist or cannot be read.
    """
    try:
        states = [[str(file), (stat := file.stat()).st_size, stat.st_mtime_ns] for file in files]
        quick = {"path": str(path.resolve()), "files": states}
        if before is not None and all(before.get(key) == value for key, value in quick.items()):
            return {**quick, "sha256": before["sha256"]}
        digests = [sha256_of(file) for file in files]
    except OSError as error:
        raise UserError(f"{error.filename or path}: cannot be read: {error.strerror}") from error
    names = [file.relative_to(path).as_posix() if file.is_relative_to(path) else file.name for file in files]
    listed = "".join(f"{digest} {name}\n" for digest, name in zip(digests, names, strict=True))
    return {**quick, "sha256": digests[0] if list(files) == [path] else hashlib.sha256(listed.encode()).hexdigest()}


def refuse_changed(before: Mapping[str, Any], now: Mapping[str, Any], directory: Path, rows: int) -> None:
    """Refuse to resume parts in `directory`, of the first `rows` rows, that were made from something else.

    Raises:
        UserError: names everything that changed.
    """
    changes = []
    for source, key in (("input", "sha256"), ("model", "digest")):
        new, old = now[source], before[source]
        if old[key] != new[key]:
            name = "input" if source == "input" else f"run, then {old['name']}"
            changes.append(f"the {name} ({key} {old[key][:12]}, now {new[key][:12]})")
    keys = dict.fromkeys([*before["options"], *now["options"]])
    for key in keys:
        old_value, new_value = before["options"].get(key), now["options"].get(key)
        if old_value != new_value:
            changes.append(f"{key}={old_value}, now {new_value}")
    if before["ratchet"] != now["ratchet"]:
        changes.append(f"ratchet {before['ratchet']}, now {now['ratchet']}")
    if changes:
        raise UserError(
            f"{directory}: {rows} rows were scored with something else: {'; '.join(changes)}. "
            "Go back to that, or start again with restart=true"
        )
