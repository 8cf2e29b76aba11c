import os
import random

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from ratchet.machine import available_cores, limited_threads, seed_everything, wanted_threads


def test_a_seed_is_that_of_every_generator() -> None:
    def drawn(seed: int) -> tuple[float, float]:
        seed_everything(seed)
        return random.random(), float(np.random.random())

    assert drawn(3) == drawn(3)
    assert len({*drawn(3), *drawn(4)}) == 4


def test_there_is_a_core_to_run_on() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def blas_threads() -> list[int]:
    return [each["num_threads"] for each in threadpool_info()]


@pytest.mark.parametrize("before", [None, "5"])
def test_threads_are_limited_within_and_as_before_afterwards(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", before)
    with limited_threads(2):
        outer = blas_threads()
        with limited_threads(1):
            assert set(blas_threads()) == {1}
            assert os.environ["OMP_NUM_THREADS"] == "1"
        assert blas_threads() == outer
        assert os.environ["OMP_NUM_THREADS"] == "2"
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_threads_are_as_before_after_an_exception_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = blas_threads()

    def fail() -> None:
        with limited_threads(1):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        fail()
    assert blas_threads() == before
    assert "OMP_NUM_THREADS" not in os.environ


def test_threads_are_those_that_libraries_are_limited_to_else_one_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert wanted_threads() == available_cores()
    with limited_threads(3):
        assert wanted_threads() == 3
    for nonsense in ("", "0", "many", "4,2"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert wanted_threads() == available_cores()
