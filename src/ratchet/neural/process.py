"""What training does to the process that it runs in, kept to the training: other jobs come after it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch


@contextmanager
def deterministic() -> Iterator[None]:
    """Torch's state of chance and of determinism as it was, once the block ends, whatever was set in between."""
    before, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    debug = cast(Any, torch.utils.deterministic)
    filled = debug.fill_uninitialized_memory
    debug.fill_uninitialized_memory = False  # it serves to find defects in kernels, and costs time
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        debug.fill_uninitialized_memory = filled


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning's advertisements are not for the log. Its one call of a torch class on its way out cannot be helped.

    And it cannot know that the metric is the same in every process of a group.
    """
    lightning = logging.getLogger("pytorch_lightning")
    level = lightning.level
    lightning.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning)
            warnings.filterwarnings("ignore", message="The `srun` command is available")  # and not needed
            warnings.filterwarnings("ignore", message=r"It is recommended to use `self\.log\(.*sync_dist=True")
            yield
    finally:
        lightning.setLevel(level)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C stays a KeyboardInterrupt, and SIGTERM the exit that it asks for.

    Lightning tidies up and exits with code 1, and torch, while it writes, makes an error of its own of either.
    """
    try:
        yield
    except BaseException as error:
        stop = _stop_behind(error)
        if stop is None or stop is error:
            raise
        raise stop from None


def _stop_behind(error: BaseException) -> BaseException | None:
    """The Ctrl-C that led to `error`, or else the exit."""
    behind: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in behind:
        behind.append(following)
        following = following.__cause__ or following.__context__
    stops = [each for kind in (KeyboardInterrupt, SystemExit) for each in behind if isinstance(each, kind)]
    return stops[0] if stops else None
