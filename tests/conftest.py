"""What every test may use: the checkout, a small data set, and the real commands as subprocesses."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # before torch is loaded: workers of the suite share the cores
os.environ.pop(
    "PYTHONDONTWRITEBYTECODE", None
)  # hundreds of commands are started: the package is compiled once for all

from ratchet.config import ThresholdConfig, TrainerConfig, register
from ratchet.data.dataset import Dataset, Task
from ratchet.data.prepared import target_matrix
from ratchet.data.taxonomy import Taxonomy
from ratchet.evaluation.thresholds import f1_once_tuned
from ratchet.models import all_settings
from ratchet.taggers import FitContext, ValidationMetric

PROJECT = Path(__file__).resolve().parents[1]

Command = Callable[..., "subprocess.CompletedProcess[str]"]


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


def run_command(*command: str | Path, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; what it printed and its exit code."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=240,
        check=False,
    )


@pytest.fixture
def train(tmp_path: Path) -> Command:
    """`python train.py ...` in an empty directory: `train("model=rule")`; keywords are environment variables."""
    return lambda *arguments, **environment: run_command(
        sys.executable, PROJECT / "train.py", *arguments, cwd=tmp_path, **environment
    )


@pytest.fixture
def ratchet(tmp_path: Path) -> Command:
    """`ratchet ...` in the same working directory as `train`."""
    program = Path(sys.executable).with_name("ratchet")
    return lambda *arguments, **environment: run_command(program, *arguments, cwd=tmp_path, **environment)


WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "pytorch_lightning", "onnx", "onnxscript"}:
            raise ModuleNotFoundError(f"no {name} here", name=name)
sys.meta_path.insert(0, Absent())  # None in sys.modules would do, but libraries look there to see what is loaded
"""  # the first lines of a program to run where these are not installed


def fit_context(
    directory: Path,
    *,
    seed: int = 0,
    log: Callable[[int, Mapping[str, float]], None] = lambda step, metrics: None,
    task: Task = Task.multilabel,
    trainer: TrainerConfig | None = None,
    resume: bool = False,
) -> FitContext:
    """What a fit may use besides data; its validation metric is the weighted F1 of thresholds tuned on val."""
    return FitContext(
        directory,
        seed,
        log,
        ValidationMetric(
            "val/f1_weighted", lambda targets, scores: f1_once_tuned(targets, scores, ThresholdConfig(), task)
        ),
        trainer or TrainerConfig(),
        threads=1,
        resume=resume,
    )


TOPICS = {
    "audio": "speech sound waves microphone recording voice",
    "graphs": "nodes edges network neighbours links paths",
    "vision": "pictures camera pixels photographs frames lens",
}


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
            targets=target_matrix(own, chosen),
            labels=chosen,
            taxonomy=Taxonomy.from_labels(chosen),
            task=task,
        )

    return make
