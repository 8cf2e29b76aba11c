import os
import random
import subprocess
import sys

import numpy as np
import psutil
import pytest
from tests.commands import HANG_SECONDS
from threadpoolctl import threadpool_info

from ratchet.machine import available_cores, limited_threads, seed_everything, wanted_threads


def test_seed_everything_seeds_random_and_numpy() -> None:
    def draw(seed: int) -> tuple[float, float]:
        seed_everything(seed)
        return random.random(), float(np.random.random())

    assert draw(3) == draw(3)
    assert len({*draw(3), *draw(4)}) == 4


def test_at_least_one_core_is_available() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def count_blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info()]


@pytest.mark.parametrize("before", [None, "5"])
def test_threads_are_limited_in_the_block_and_restored_after_it(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if before is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", before)
    with limited_threads(2):
        outer = count_blas_threads()
        with limited_threads(1):
            assert set(count_blas_threads()) == {1}
            assert os.environ["OMP_NUM_THREADS"] == "1"
        assert count_blas_threads() == outer
        assert os.environ["OMP_NUM_THREADS"] == "2"
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_threads_are_restored_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = count_blas_threads()

    def fail() -> None:
        with limited_threads(1):
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        fail()
    assert count_blas_threads() == before
    assert "OMP_NUM_THREADS" not in os.environ


def test_wanted_threads_default_to_one_per_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert wanted_threads() == available_cores()
    with limited_threads(3):
        assert wanted_threads() == 3
    for nonsense in ("", "0", "many", "4,2"):
        monkeypatch.setenv("OMP_NUM_THREADS", nonsense)
        assert wanted_threads() == available_cores()


DEPENDENT = """
import sys, time
from ratchet.machine import end_with_process
end_with_process(int(sys.argv[1]), float(sys.argv[2]))
print("ready", flush=True)
time.sleep(3600)
"""


def start_dependent(pid: int, started: float) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", DEPENDENT, str(pid), str(started)], stdout=subprocess.PIPE, text=True
    )


def test_process_ends_with_the_one_it_depends_on() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]) as other:
        dependent = start_dependent(other.pid, psutil.Process(other.pid).create_time())
        assert dependent.stdout is not None
        assert dependent.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            dependent.wait(1.5)
        other.kill()
        assert dependent.wait(HANG_SECONDS) == 1, "even if nobody has waited for the other one: it is a zombie"
    dependent.communicate()


def test_process_ends_if_the_one_it_depends_on_ended_before() -> None:
    """The id may belong to another process by then, which started at another time."""
    dependent = start_dependent(os.getpid(), psutil.Process().create_time() - 100)
    assert dependent.wait(HANG_SECONDS) == 1
    dependent.communicate()
