"""OUTPUT.parts: finished batches until the output is whole, so that nothing of them is lost when a process ends."""

import json
import os
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from ratchet.errors import UserError
from ratchet.files import replacing, write_json, write_text
from ratchet.predicting.writing import Writer

_LOCK = "lock"
_KEYS = {"ratchet", "input", "model", "options", "survey", "process"}


@dataclass(frozen=True)
class Parts:
    """The directory. `part-<number>` appears whole, then its line in `done.jsonl`: without that it does not count."""

    directory: Path

    def state(self) -> dict[str, Any] | None:
        """What the parts were made of, by `begin`; None where nothing was begun.

        Raises:
            UserError: the file is broken.
        """
        path = self.directory / "state.json"
        try:
            state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise UserError(f"{path}: not readable ({error}): start anew with restart=true") from error
        if not state.keys() >= _KEYS:
            raise UserError(f"{path}: by another version of ratchet: start anew with restart=true")
        return state

    def begin(self, state: Mapping[str, Any], done: Sequence[Mapping[str, int]]) -> None:
        """Write down what the parts are made of, by which process, and which of them are done already."""
        for half_written in self.directory.glob(".*.tmp"):  # by a process that was killed while it wrote
            half_written.unlink()
        write_text(self.directory / "done.jsonl", "".join(f"{json.dumps(counts)}\n" for counts in done))
        write_json(self.directory / "state.json", {**state, "process": {"pid": os.getpid(), "host": platform.node()}})

    def clear(self) -> None:
        """Forget what was done: first the state, without which nothing else counts."""
        (self.directory / "state.json").unlink(missing_ok=True)
        for path in self.directory.iterdir():
            if path.name != _LOCK:
                path.unlink()

    def done(self) -> list[dict[str, int]]:
        """The counts of each part that is done, in their order; none where it is not known what they were made of."""
        if not (self.directory / "state.json").is_file():
            return []
        try:
            lines = (self.directory / "done.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            return []
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        there = takewhile(lambda each: self._path(each[0]).is_file(), enumerate(whole))
        return [counts for _, counts in there]

    def add(self, number: int, data: bytes, counts: Mapping[str, int]) -> None:
        """A finished part; on disk when this returns."""
        with replacing(self._path(number)) as temporary:
            temporary.write_bytes(data)
        with (self.directory / "done.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(counts) + "\n")

    def finish(self, writer: Writer, number: int, output: Path) -> None:
        """Make the output of the first `number` parts; it appears by one renaming, then the parts go away."""
        whole = self.directory / "whole"
        writer.assemble([self._path(each) for each in range(number)], whole)
        with whole.open("rb+") as written:
            os.fsync(written.fileno())
        whole.replace(output)
        self.clear()

    def _path(self, number: int) -> Path:
        return self.directory / f"part-{number:06d}"


def parts_of(output: Path) -> Path:
    """Where the parts of an output are kept."""
    return output.with_name(f"{output.name}.parts")


@contextmanager
def claimed(output: Path) -> Iterator[Parts]:
    """The parts of `output`, for this process alone; without a part the directory goes away when the block ends.

    Raises:
        UserError: another process has them, or the directory cannot be made.
    """
    from filelock import FileLock, Timeout

    parts = Parts(parts_of(output))
    lock = FileLock(parts.directory / _LOCK, blocking=False)
    try:
        parts.directory.mkdir(exist_ok=True)
        lock.acquire()
    except Timeout:
        raise UserError(f"{output}: {_writing(parts)}: wait for it, or choose another output") from None
    except OSError as error:
        raise UserError(f"{parts.directory}: cannot be made: {error.strerror}") from error
    try:
        yield parts
    finally:
        if not (parts.directory / "state.json").is_file():
            shutil.rmtree(parts.directory, ignore_errors=True)
        lock.release()


def _writing(parts: Parts) -> str:
    process = (parts.state() or {}).get("process")
    who = f"process {process['pid']} on {process['host']}" if process else "another process"
    return f"{who} is writing it"
