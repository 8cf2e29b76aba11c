"""Tests for storage errors of any library that writes, and for suggested names."""

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

from ratchet.errors import DiskFull, UserError, did_you_mean, storage_error
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


def test_suggested_name_may_differ_in_case_only() -> None:
    assert did_you_mean("BUG", ["bug", "login"]) == "did you mean 'bug'?"
    assert did_you_mean("logn", ["bug", "login"]) == "did you mean 'login'?"


def test_long_list_of_valid_names_is_cut_and_counted() -> None:
    message = did_you_mean("xyz", [f"label-{index:05}" for index in range(10_000)])
    assert message.startswith("valid: label-00000, ")
    assert message.endswith("label-00039 and 9,960 more")
