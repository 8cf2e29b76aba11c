"""Fixtures for all tests: the checkout, runs on the sample, a small data set, and the real commands."""

import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # before torch is loaded: workers of the suite share the cores
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so under nohup; the tests send SIGINT to their commands
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("WANDB_MODE", None)  # the tests of tracking set their own
os.environ.pop("WANDB_DISABLED", None)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # the tests start hundreds of commands: compile the package only once

from tests.commands import PROGRAMS, PROJECT, Command, run_command
from tests.datasets import TOPICS
from tests.sample_runs import train_on_the_sample

from ratchet.config import compose, register
from ratchet.data.dataset import Dataset, Task
from ratchet.data.prepared import build_target_matrix
from ratchet.data.taxonomy import Taxonomy
from ratchet.errors import RunFailed
from ratchet.models import all_settings

# The time of an example depends on the machine more than on the code: a busy machine must not fail a test.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests under tests/e2e as slow (`-m "not slow"` skips them). Skip thorough tests unless THOROUGH=1."""
    skip = pytest.mark.skip(reason="half a minute of CPU and more: THOROUGH=1 runs it, as .ci/run --full does")
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.slow)
        if "thorough" in item.keywords and os.environ.get("THOROUGH") != "1":
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def _schemas() -> None:
    register(all_settings())


@pytest.fixture(scope="session", autouse=True)
def _edits_do_not_matter() -> Iterator[None]:
    """Let runs in the process of the tests not notice that the code is edited while the tests run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ratchet.runs.recording.find_changed_code", lambda model: [])
        yield


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the checkout under test."""
    return PROJECT


@pytest.fixture(scope="session")
def sample_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return runs of rule and regression on three splits of the sample. They are read-only: all workers share them."""
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "trained-on-the-sample"
    directory.mkdir(exist_ok=True)
    complete = directory / "complete"
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first worker trains, the others wait
        if not complete.exists():
            shutil.rmtree(directory / "runs", ignore_errors=True)
            train_on_the_sample(directory)
            complete.touch()
    return directory / "runs"


@pytest.fixture
def runs_dir(sample_runs: Path, tmp_path: Path) -> Path:
    """Return a copy of the sample runs that a test may change."""
    return Path(shutil.copytree(sample_runs, tmp_path / "runs"))


@pytest.fixture
def train(tmp_path: Path) -> Command:
    """Run `python train.py` in an empty directory: `train("model=rule")`. Keywords are environment variables."""
    return lambda *arguments, **environment: run_command(
        sys.executable, PROJECT / "train.py", *arguments, cwd=tmp_path, **environment
    )


@pytest.fixture
def ratchet(tmp_path: Path) -> Command:
    """Run `ratchet` in the same working directory as `train`."""
    return lambda *arguments, **environment: run_command(PROGRAMS / "ratchet", *arguments, cwd=tmp_path, **environment)


@pytest.fixture
def make_dataset() -> Callable[..., Dataset]:
    """Make learnable texts over the labels audio, graphs and vision: `make_dataset(30)`."""

    def make(
        size: int = 30, *, labels: list[str] | None = None, task: Task = Task.multilabel, seed: int = 0
    ) -> Dataset:
        generator = np.random.default_rng(seed)
        names = list(TOPICS)
        label_sets: list[tuple[str, ...]] = [
            (names[i % 3], names[(i + 1) % 3]) if i % 4 == 0 else (names[i % 3],) for i in range(size)
        ]
        if task is Task.multiclass:
            label_sets = [label_set[:1] for label_set in label_sets]
        texts = [
            " ".join(word for label in label_set for word in generator.choice(TOPICS[label].split(), 4))
            + f" item {index}"
            for index, label_set in enumerate(label_sets)
        ]
        chosen = labels or names
        return Dataset(
            ids=[f"{index:04d}" for index in range(size)],
            texts=texts,
            targets=build_target_matrix(label_sets, chosen),
            labels=chosen,
            taxonomy=Taxonomy.from_labels(chosen),
            task=task,
        )

    return make


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make stdout look like a dumb terminal with so many columns: `terminal(80)`."""

    def begin(columns: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "dumb")

    return begin


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for this module's runs, in `runs`."""
    return tmp_path_factory.mktemp("workplace")


@pytest.fixture(scope="module")
def make_run(workplace: Path) -> Callable[..., Path]:
    """Train a run and return its directory, also if it failed: `make_run("model=rule")`."""
    from ratchet.training import train  # it imports torch

    def make(*overrides: str) -> Path:
        few = "evaluation.resamples=100"  # enough for tests of how metrics are displayed
        config = compose([few, *overrides, f"runs_dir={(workplace / 'runs').as_posix()}"])
        try:
            return train(config, list(overrides)).path
        except RunFailed as failed:
            return failed.path

    return make
