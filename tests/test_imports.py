"""Tests for the layers of imports, and for imports without side effects."""

import ast
import json
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from tests.commands import run_command
from tests.datasets import fit_context
from tests.packages import hide_modules, list_modules_beyond_core

import ratchet
from ratchet.config import compose
from ratchet.data.dataset import Dataset
from ratchet.inference.export import export_run
from ratchet.models import tagger_class
from ratchet.runs.stored import read_run

MODULES = sorted(module.name for module in walk_packages(ratchet.__path__, "ratchet."))

IMPORT_ALL = """
import importlib, json, os, signal, sys, threading
# What libraries do when they are imported is not ours: polars configures its allocator, torch its threads.
import numpy, polars, pytorch_lightning, transformers
before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
environment = dict(os.environ)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
assert {each: signal.getsignal(each) for each in before} == before, "a signal handler was set"
assert dict(os.environ) == environment, "the environment was changed"
assert [each.name for each in threading.enumerate()] == ["MainThread"], threading.enumerate()
"""

IMPORT_LIGHT = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.modules) & {"torch", "transformers", "pytorch_lightning", "wandb", "sklearn"})))
"""


IMPORT_CORE = """
import importlib, json, sys
failed = {}
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        failed[name] = error.name
print(json.dumps(failed))
"""

WITH_EXTRAS = (
    "ratchet.charts",
    "ratchet.neural.",
    "ratchet.reporting.page",
    "ratchet.reporting.sections",
    "ratchet.reporting.search_page",
)  # need an extra when they are imported; others import them where they need them

HEAVY = {
    "altair", "dvc", "hydra", "omegaconf", "optuna", "pandas", "polars", "pooch", "pydantic",
    "pytorch_lightning", "torch", "transformers", "wandb",
}  # fmt: skip


def test_modules_are_found() -> None:
    assert {"ratchet.cli.main", "ratchet.models.rule", "ratchet.data.splits", "ratchet.runs.stored"} <= set(MODULES)


def test_imports_follow_the_layer_contracts(project: Path) -> None:
    done = run_command(Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache", cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    contracts = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    for contract in contracts:
        assert f"{contract['name']} KEPT" in done.stdout
    assert "0 broken" in done.stdout


def test_every_module_belongs_to_a_layer(project: Path) -> None:
    """A package that no layer names could import anything."""
    contracts = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    named = {name for layer in layers for name in layer.split(" | ") if name.startswith(("ratchet.", "("))}
    later = {name.strip("()") for name in named if name.startswith("(")}
    top = {".".join(name.split(".")[:2]) for name in MODULES}
    assert top <= {name.strip("()") for name in named}
    assert named - {f"({name})" for name in later} <= top, "put a layer that does not exist yet in parentheses"


def test_importing_has_no_side_effects(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    work = tmp_path / "work"
    work.mkdir()
    done = run_command(
        sys.executable,
        "-B",
        "-c",
        IMPORT_ALL,
        json.dumps(MODULES),
        cwd=work,
        HOME=str(home),
        XDG_CACHE_HOME=str(home / "cache"),
        TMPDIR=str(work),
        TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "inductor"),  # torch creates it when Lightning is imported
        MPLCONFIGDIR=str(tmp_path / "matplotlib"),  # matplotlib, if installed, creates it
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(work.iterdir()) == []
    assert list(home.iterdir()) == []


def test_importing_loads_no_heavy_library(tmp_path: Path) -> None:
    """Heavy libraries are imported only where they are used, or `--help` would take seconds; networks are exempt."""
    light = [name for name in MODULES if not name.endswith("_network") and not name.startswith("ratchet.neural.")]
    light.append("ratchet.neural.settings")
    done = run_command(sys.executable, "-c", IMPORT_LIGHT, json.dumps(light), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


def test_importing_ratchet_loads_only_the_standard_library(tmp_path: Path) -> None:
    script = "import sys; before = set(sys.modules); import ratchet; print(*sorted(set(sys.modules) - before))"
    done = run_command(sys.executable, "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded - set(sys.stdlib_module_names) == {"ratchet"}


def test_modules_that_need_no_extra_are_importable_with_core_alone(project: Path, tmp_path: Path) -> None:
    assert all(any(name.startswith(prefix) for name in MODULES) for prefix in WITH_EXTRAS)
    light = [name for name in MODULES if not name.startswith(WITH_EXTRAS) and not name.endswith("_network")]
    light += ["ratchet.neural.settings", "hydra_plugins.ratchet_plugins"]
    program = hide_modules(list_modules_beyond_core(project)) + IMPORT_CORE
    done = run_command(sys.executable, "-c", program, json.dumps(light), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_every_module_has_a_docstring() -> None:
    undocumented = [name for name in MODULES if not import_module(name).__doc__]
    assert undocumented == []


def test_no_test_module_imports_another(project: Path) -> None:
    """Shared code belongs in a module of its own or in a fixture of conftest.py."""
    modules = sorted((project / "tests").rglob("*.py"))
    assert any(path.name == "test_imports.py" for path in modules)
    imported = [
        f"{path.relative_to(project)}:{node.lineno}: {name}"
        for path in modules
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported_names(node)
        if any(part.startswith("test_") for part in name.split("."))
    ]
    assert imported == []


def _imported_names(node: ast.AST) -> list[str]:
    """Return the modules, and the names that may be modules, of an import; return [] for any other node."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


SCORE = """
import json, sys
from pathlib import Path
from ratchet.models import tagger_class
tagger = tagger_class(sys.argv[1]).load(Path(sys.argv[2]))
assert tagger.predict_proba(["camera"]).shape == (1, 3)
print(json.dumps(sorted(set(sys.modules) & {"torch", "transformers", "pytorch_lightning", "sklearn"})))
"""


def test_stored_network_scores_without_training_libraries(tmp_path: Path, make_dataset: Callable[..., Dataset]) -> None:
    """Lightning alone takes seconds to import."""
    settings = compose(["model=cnn", "model.max_epochs=1"]).model
    tagger = tagger_class("cnn")(settings)
    tagger.fit(make_dataset(), make_dataset(), fit_context(tmp_path / "checkpoints"))
    (tmp_path / "model").mkdir()
    tagger.save(tmp_path / "model")
    done = run_command(sys.executable, "-c", SCORE, "cnn", str(tmp_path / "model"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["torch"]


SCORE_EXPORT = """
import json, sys
import ratchet
assert ratchet.load_scorer(sys.argv[1]).score(["speech recognition"]).scores.shape[0] == 1
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_exported_regression_scores_with_core_alone_and_loads_little(
    sample_runs: Path, project: Path, tmp_path: Path
) -> None:
    """A serving image holds no Hydra; polars, which reads files of records, is not needed either."""
    run = read_run(sorted(sample_runs.glob("sample/regression/*"))[0])
    export_run(run, out=tmp_path / "export")
    hidden = list_modules_beyond_core(project) | {"hydra", "omegaconf"}
    done = run_command(sys.executable, "-c", hide_modules(hidden) + SCORE_EXPORT, "export", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert "numpy" in loaded
    assert loaded.isdisjoint(HEAVY)
