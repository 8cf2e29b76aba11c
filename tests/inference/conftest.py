"""Fixtures: files for a model to label, a finished run of a network on the sample, and its export."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.inference.naming import ROWS

from ratchet.config import compose
from ratchet.inference.export import export_run
from ratchet.runs.stored import StoredRun, read_run
from ratchet.training import train

SMALL = (
    *("model=cnn", "model.tokens=word", "model.max_epochs=12", "model.filters=32", "model.embedding_size=32"),
    "evaluation.resamples=100",
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Write ten rows as Parquet: four with texts of different labels and one without a text, twice."""
    path = tmp_path / "texts.parquet"
    pl.DataFrame(ROWS).write_parquet(path)
    return path


@pytest.fixture
def source_csv(tmp_path: Path) -> Path:
    """Write the same rows as CSV."""
    path = tmp_path / "texts.csv"
    pl.DataFrame(ROWS).write_csv(path)
    return path


@pytest.fixture(scope="session")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    """Train a network; all tests share the run, so copy it before writing into it."""
    return read_run(train(compose([f"runs_dir={tmp_path_factory.mktemp('cnn')}", *SMALL])).path)


@pytest.fixture(scope="session")
def exported(cnn: StoredRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export the network; all tests share the export, so copy it before writing into it."""
    return export_run(cnn, out=tmp_path_factory.mktemp("exported") / "export").directory


@pytest.fixture
def run(cnn: StoredRun, tmp_path: Path) -> StoredRun:
    """Copy the run for one test."""
    shutil.copytree(cnn.path, tmp_path / "runs/sample/cnn" / cnn.path.name)
    return read_run(tmp_path / "runs/sample/cnn" / cnn.path.name)


@pytest.fixture
def export(exported: Path, tmp_path: Path) -> Path:
    """Copy the export for one test."""
    return Path(shutil.copytree(exported, tmp_path / "export"))


@pytest.fixture
def repeat(run: StoredRun) -> Callable[..., StoredRun]:
    """Copy the run: `repeat(3, status="failed")` looks as if trained on split 3 with other val texts."""

    def make(split: int, **fields: Any) -> StoredRun:
        directory = run.path.with_name(f"20300101T00000{split}Z-00000{split}")
        shutil.copytree(run.path, directory)
        record = json.loads((directory / "record.json").read_text(encoding="utf-8"))
        changes = {"id": directory.name, "split_seed": split, "split_hash": f"split-{split}"}
        (directory / "record.json").write_text(json.dumps({**record, **changes, **fields}), encoding="utf-8")
        parts = run.read_json("split.json")
        parts["val"] = parts["train"][:: split + 1]
        (directory / "split.json").write_text(json.dumps(parts), encoding="utf-8")
        return read_run(directory)

    return make
