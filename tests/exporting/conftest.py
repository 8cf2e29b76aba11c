"""A finished network's run on the sample, and what `ratchet export` made of it."""

import shutil
from pathlib import Path

import pytest

from ratchet.config import compose
from ratchet.exporting.writing import export_run
from ratchet.runs import StoredRun
from ratchet.runs.stored import read_run
from ratchet.training import train

SMALL = ("model=cnn", "model.max_epochs=12", "model.filters=32", "model.embedding_size=32", "evaluation.resamples=100")


@pytest.fixture(scope="session")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    """Shared by all: copy it before writing into it."""
    return read_run(train(compose([f"runs_dir={tmp_path_factory.mktemp('cnn')}", *SMALL])).path)


@pytest.fixture(scope="session")
def exported(cnn: StoredRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by all: copy it before writing into it."""
    return export_run(cnn, out=tmp_path_factory.mktemp("exported") / "export").directory


@pytest.fixture
def run(cnn: StoredRun, tmp_path: Path) -> StoredRun:
    """A copy of the run, for one test."""
    shutil.copytree(cnn.path, tmp_path / "runs/sample/cnn" / cnn.path.name)
    return read_run(tmp_path / "runs/sample/cnn" / cnn.path.name)


@pytest.fixture
def export(exported: Path, tmp_path: Path) -> Path:
    """A copy of the export, for one test."""
    return Path(shutil.copytree(exported, tmp_path / "export"))
