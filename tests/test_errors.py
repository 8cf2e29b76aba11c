"""What a disk has against being written to is recognised, whichever library was writing."""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from ratchet.errors import DiskFull, UserError, storage_error
from ratchet.files import write_text


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file that this process writes becomes larger (bytes); what is beyond fails as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_checkpoint(path: Path) -> None:
    import torch

    from ratchet.neural.checkpoints import WholeFiles

    WholeFiles().save_checkpoint({"weights": torch.zeros(100_000)}, path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: write_text(path, "x" * 100_000),
    "parquet": lambda path: pl.DataFrame({"x": np.random.default_rng(0).random(100_000)}).write_parquet(path),
    "safetensors": lambda path: save_file({"x": np.zeros(100_000)}, path),
    "checkpoint": write_checkpoint,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_recognised_whoever_writes(writer: str, tmp_path: Path) -> None:
    with files_of_at_most(5000), pytest.raises(Exception) as raised:  # noqa: PT011
        WRITERS[writer](tmp_path / "file")
    told = storage_error(raised.value, "the run's directory", "; then it goes on")
    assert isinstance(told, DiskFull)
    assert str(told).startswith(f"the run's directory: {os.strerror(errno.EFBIG)}. ")
    assert str(told).endswith("; then it goes on")


@pytest.mark.parametrize(
    ("code", "kind", "exit_code", "advice"),
    [
        (errno.ENOSPC, DiskFull, 1, "No space left on device. Make room there."),
        (errno.EROFS, UserError, 2, "Read-only file system. Make it writable."),
        (errno.EACCES, UserError, 2, "Permission denied. Make it writable."),
    ],
)
def test_it_is_said_what_would_help(code: int, kind: type[UserError], exit_code: int, advice: str) -> None:
    told = storage_error(OSError(code, "x"), "runs", ".")
    assert type(told) is kind
    assert (str(told), told.exit_code) == (f"runs: {advice}", exit_code)


def test_other_errors_and_what_was_said_already_are_left_alone() -> None:
    said = UserError("records.csv: cannot be read: Permission denied")
    said.__cause__ = PermissionError(errno.EACCES, "x")
    for error in (ValueError("x"), FileNotFoundError(errno.ENOENT, "x"), said):
        assert storage_error(error, "runs", ".") is None
