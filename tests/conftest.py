"""What every test may use: the checkout, runs on the sample, a small data set, and the real commands."""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # before torch is loaded: workers of the suite share the cores
os.environ.pop(
    "PYTHONDONTWRITEBYTECODE", None
)  # hundreds of commands are started: the package is compiled once for all

from tests.commands import PROGRAMS, PROJECT, Command, run_command
from tests.datasets import TOPICS
from tests.sample_runs import train_on_the_sample

from ratchet.config import compose, register
from ratchet.data.dataset import Dataset, Task
from ratchet.data.prepared import build_target_matrix
from ratchet.data.taxonomy import Taxonomy
from ratchet.errors import RunFailed
from ratchet.models import all_settings

# How long an example takes says more about the machine than about the code: a busy one must not fail a test.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests under tests/e2e run commands for real; `-m "not slow"` leaves them out. THOROUGH=1 runs the dearest too."""
    skip = pytest.mark.skip(reason="half a minute of CPU and more: THOROUGH=1 runs it, as .ci/run --full does")
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.slow)
        if "thorough" in item.keywords and os.environ.get("THOROUGH") != "1":
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def _schemas() -> None:
    register(all_settings())


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout under test."""
    return PROJECT


@pytest.fixture(scope="session")
def sample_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of rule and regression on three splits of the sample, to read; the workers of the suite share them."""
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
    """A copy of these runs, to change."""
    return Path(shutil.copytree(sample_runs, tmp_path / "runs"))


@pytest.fixture
def train(tmp_path: Path) -> Command:
    """`python train.py ...` in an empty directory: `train("model=rule")`; keywords are environment variables."""
    return lambda *arguments, **environment: run_command(
        sys.executable, PROJECT / "train.py", *arguments, cwd=tmp_path, **environment
    )


@pytest.fixture
def ratchet(tmp_path: Path) -> Command:
    """`ratchet ...` in the same working directory as `train`."""
    return lambda *arguments, **environment: run_command(PROGRAMS / "ratchet", *arguments, cwd=tmp_path, **environment)


@pytest.fixture
def make_dataset() -> Callable[..., Dataset]:
    """`make_dataset(30)`: that many learnable texts over the labels audio, graphs and vision."""

    def make(
        size: int = 30, *, labels: list[str] | None = None, task: Task = Task.multilabel, seed: int = 0
    ) -> Dataset:
        generator = np.random.default_rng(seed)
        names = list(TOPICS)
        own: list[tuple[str, ...]] = [
            (names[i % 3], names[(i + 1) % 3]) if i % 4 == 0 else (names[i % 3],) for i in range(size)
        ]
        if task is Task.multiclass:
            own = [each[:1] for each in own]
        texts = [
            " ".join(word for label in each for word in generator.choice(TOPICS[label].split(), 4)) + f" item {index}"
            for index, each in enumerate(own)
        ]
        chosen = labels or names
        return Dataset(
            ids=[f"{index:04d}" for index in range(size)],
            texts=texts,
            targets=build_target_matrix(own, chosen),
            labels=chosen,
            taxonomy=Taxonomy.from_labels(chosen),
            task=task,
        )

    return make


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`terminal(80)`: from now on output goes to a (dumb) terminal of so many columns, as far as the code can see."""

    def begin(columns: int) -> None:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "dumb")

    return begin


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for this module's runs, in `runs`."""
    return tmp_path_factory.mktemp("workplace")


@pytest.fixture(scope="module")
def make_run(workplace: Path) -> Callable[..., Path]:
    """`make_run("model=rule")`: the directory of a new run, also of one that failed."""
    from ratchet.training import train  # it imports torch

    def make(*overrides: str) -> Path:
        few = "evaluation.resamples=100"  # what is tested is how figures are shown
        config = compose([few, *overrides, f"runs_dir={(workplace / 'runs').as_posix()}"])
        try:
            return train(config, list(overrides)).path
        except RunFailed as failed:
            return failed.path

    return make
