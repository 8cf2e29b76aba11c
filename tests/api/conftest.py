"""A project with runs, as the public API sees it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.commands import PROJECT

from ratchet.config import register
from ratchet.models import all_settings
from ratchet.project import MARKER


@pytest.fixture
def root(sample_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the root of a project with the sample runs. The working directory is `notebooks` in it."""
    root = tmp_path / "mine"
    (root / "notebooks").mkdir(parents=True)
    shutil.copy(PROJECT / MARKER, root)
    shutil.copytree(sample_runs, root / "runs")
    monkeypatch.chdir(root / "notebooks")
    return root


@pytest.fixture
def other_root(tmp_path: Path) -> Iterator[Path]:
    """Return the root of another project, without runs, that has a model `own`: the rule under another name."""
    root = tmp_path / "other"
    for name in ("conf/model", "models"):
        (root / name).mkdir(parents=True)
    shutil.copy(PROJECT / MARKER, root)
    (root / "models/own.py").write_text("from ratchet.models.rule import Settings as Settings, Tagger as Tagger\n")
    (root / "conf/model/own.yaml").write_text("defaults: [base_own, _self_]\nname: own\ncomplexity: 0\n")
    yield root
    register(all_settings())  # tests of the same process compose with the models of the checkout
