import logging
import signal
import warnings
from collections.abc import Iterator
from typing import Any, cast

import pytest
import torch

from ratchet.neural.process import deterministic, interruptible, quiet

debug = cast(Any, torch.utils.deterministic)


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:
    enabled, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    filled = debug.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[]):
        yield
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
    debug.fill_uninitialized_memory = filled


def determinism() -> tuple[bool, bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        debug.fill_uninitialized_memory,
    )


@pytest.mark.parametrize("enabled", [False, True])
@pytest.mark.parametrize("warn_only", [False, True])
@pytest.mark.parametrize("filled", [False, True])
def test_determinism_is_as_it_was_after_the_block(enabled: bool, warn_only: bool, filled: bool) -> None:
    torch.use_deterministic_algorithms(enabled, warn_only=warn_only and enabled)
    debug.fill_uninitialized_memory = filled
    before = determinism()
    with deterministic():
        torch.use_deterministic_algorithms(not enabled)
        assert debug.fill_uninitialized_memory is False
    assert determinism() == before


def test_chance_is_as_it_was_after_the_block() -> None:
    before = torch.get_rng_state()
    with deterministic():
        torch.manual_seed(123)
        torch.rand(5)
    assert torch.equal(torch.get_rng_state(), before)


def test_determinism_and_chance_are_as_they_were_after_an_error() -> None:
    state, before = torch.get_rng_state(), determinism()

    def fail() -> None:
        with deterministic():
            torch.use_deterministic_algorithms(not before[0])
            torch.rand(5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert determinism() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_lightning_may_warn_but_not_advertise(caplog: pytest.LogCaptureFixture) -> None:
    lightning = logging.getLogger("pytorch_lightning")
    level = lightning.level
    with quiet():
        lightning.info("try our other products")
        lightning.warning("something is wrong")
    assert lightning.level == level
    assert "products" not in caplog.text


def test_only_the_warnings_that_cannot_be_helped_are_held_back() -> None:
    with quiet():
        warnings.warn("It is recommended to use `self.log('f1', ..., sync_dist=True)` when", UserWarning, stacklevel=1)
        warnings.warn("`isinstance(treespec, LeafSpec)` is deprecated", FutureWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="of our own"):
            warnings.warn("of our own", UserWarning, stacklevel=1)
        with pytest.raises(FutureWarning, match="something else"):
            warnings.warn("something else", FutureWarning, stacklevel=1)
    with pytest.raises(FutureWarning):
        warnings.warn("`isinstance(treespec, LeafSpec)` is deprecated", FutureWarning, stacklevel=1)


def test_the_exit_that_follows_ctrl_c_is_a_keyboard_interrupt_again() -> None:
    def exit_after(error: BaseException) -> None:
        with interruptible():
            try:
                raise error
            except BaseException:
                raise SystemExit(1)  # noqa: B904  # as Lightning does it: the first error is the context

    with pytest.raises(KeyboardInterrupt):
        exit_after(KeyboardInterrupt())
    with pytest.raises(SystemExit) as left:
        exit_after(ValueError())
    assert left.value.code == 1


@pytest.mark.parametrize("stop", [SystemExit(143), KeyboardInterrupt()], ids=repr)
def test_an_error_that_a_stop_led_to_is_the_stop_again(stop: BaseException) -> None:
    """torch's writer of checkpoints says that it wrote less than it should have."""

    def written() -> None:
        try:
            raise stop
        finally:
            raise RuntimeError("unexpected pos 64 vs 0")

    with pytest.raises(type(stop)) as raised, interruptible():
        written()
    assert raised.value is stop


@pytest.mark.parametrize("error", [SystemExit(143), KeyboardInterrupt(), ValueError("wrong")], ids=repr)
def test_other_errors_come_out_as_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, interruptible():
        raise error
    assert raised.value is error


def test_no_handler_is_set() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interruptible(), deterministic(), quiet():
        assert signal.getsignal(signal.SIGINT) is before
