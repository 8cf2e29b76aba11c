"""Tests for recognising storage errors of any library that writes."""

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
def limit_file_size(size: int) -> Iterator[None]:
    """Limit the size (bytes) of files that this process writes. Writing more fails as on a full disk."""
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
def test_full_disk_is_recognised_for_every_writer(writer: str, tmp_path: Path) -> None:
    with limit_file_size(5000), pytest.raises(Exception) as raised:  # noqa: PT011
        WRITERS[writer](tmp_path / "file")
    error = storage_error(raised.value, "the run's directory", "; then it goes on")
    assert isinstance(error, DiskFull)
    assert str(error).startswith(f"the run's directory: {os.strerror(errno.EFBIG)}. ")
    assert str(error).endswith("; then it goes on")


@pytest.mark.parametrize(
    ("code", "kind", "exit_code", "advice"),
    [
        (errno.ENOSPC, DiskFull, 1, "No space left on device. Make room there."),
        (errno.EROFS, UserError, 2, "Read-only file system. Make it writable."),
        (errno.EACCES, UserError, 2, "Permission denied. Make it writable."),
    ],
)
def test_storage_error_gives_advice(code: int, kind: type[UserError], exit_code: int, advice: str) -> None:
    error = storage_error(OSError(code, "x"), "runs", ".")
    assert type(error) is kind
    assert (str(error), error.exit_code) == (f"runs: {advice}", exit_code)


def test_other_errors_and_user_errors_are_not_converted() -> None:
    user_error = UserError("records.csv: cannot be read: Permission denied")
    user_error.__cause__ = PermissionError(errno.EACCES, "x")
    for error in (ValueError("x"), FileNotFoundError(errno.ENOENT, "x"), user_error):
        assert storage_error(error, "runs", ".") is None
