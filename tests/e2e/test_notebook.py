"""Tests for the notebooks: they run on run directories, and are stored without outputs."""

import ast
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.commands import PROJECT, run_command

import ratchet
from ratchet.project import MARKER

NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))


def read_code_cells(path: Path) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in content if cell["cell_type"] == "code"]


def read_code(path: Path) -> str:
    return "\n".join("".join(cell["source"]) for cell in read_code_cells(path))


def test_ladder_notebook_exists() -> None:
    assert [path.name for path in NOTEBOOKS] == ["01_the_ladder.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path: Path) -> None:
    for cell in read_code_cells(path):
        assert (cell["outputs"], cell["execution_count"]) == ([], None)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_only_calls_the_library(path: Path) -> None:
    source = read_code(path)
    for word in ("def ", "for ", "lambda", "if ", "while ", "import numpy", "import polars", "class "):
        assert word not in source, "code in a notebook is not tested"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_uses_public_names_only(path: Path) -> None:
    imports = [node for node in ast.walk(ast.parse(read_code(path))) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert imports
    for node in imports:
        assert isinstance(node, ast.ImportFrom)
        assert node.module == "ratchet", "a submodule is not part of the public API"
        assert {alias.name for alias in node.names} <= set(ratchet.__all__)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_shows_the_ladder(path: Path, sample_runs: Path, tmp_path: Path) -> None:
    shutil.copytree(sample_runs, tmp_path / "runs")
    shutil.copy(PROJECT / MARKER, tmp_path)
    (tmp_path / "notebooks").mkdir()
    shutil.copy(path, tmp_path / "notebooks")
    program = Path(sys.executable).with_name("jupyter-execute")
    done = run_command(program, path.name, "--output=executed", cwd=tmp_path / "notebooks")
    assert done.returncode == 0, done.stderr
    outputs = [output for cell in read_code_cells(tmp_path / "notebooks/executed.ipynb") for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    shown = [output["data"] for output in outputs if "data" in output]
    pictures = ["".join(data["image/svg+xml"]) for data in shown if "image/svg+xml" in data]
    assert len(pictures) == 7, "all pictures except learning curves, which neither model has"
    assert all(name in pictures[0] for name in ("rule", "regression"))
    comparison, verdict = ("".join(data["text/html"]) for data in shown if "text/html" in data)
    assert all(f">{name}</td>" in comparison for name in ("rule", "regression"))
    assert "sample: regression ships" in verdict
    printed = "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")
    assert "the choice depends on" in printed
