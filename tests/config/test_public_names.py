"""Tests for the lazily imported names of `ratchet.config`: type checkers must see the names that exist at run time."""

import ast
import json
import sys
from importlib import import_module
from pathlib import Path

import pytest
from tests.conftest import run_command

import ratchet.config


def test_type_checking_imports_match_the_lazy_names() -> None:
    tree = ast.parse(Path(ratchet.config.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert imported == ratchet.config._MODULES


@pytest.mark.parametrize("name", ratchet.config._MODULES)
def test_lazy_name_is_the_object_of_its_module(name: str) -> None:
    value = getattr(ratchet.config, name)
    assert value is getattr(import_module(ratchet.config._MODULES[name]), name)
    assert getattr(value, "__module__", ratchet.config._MODULES[name]) in (ratchet.config._MODULES[name], "builtins")


def test_lazy_names_do_not_shadow_modules() -> None:
    """Importing a module sets an attribute of the package, which takes precedence over a lazy name."""
    modules = {path.stem for path in Path(ratchet.config.__file__).parent.glob("*.py")}
    assert not modules & ratchet.config._MODULES.keys()


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        ratchet.config.nothing_of_the_kind  # noqa: B018


def test_importing_schemas_loads_neither_hydra_nor_omegaconf(tmp_path: Path) -> None:
    script = "import json, sys, ratchet.config, ratchet.config.schema; print(json.dumps(sorted(sys.modules)))"
    process = run_command(sys.executable, "-c", script, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert not {name.partition(".")[0] for name in json.loads(process.stdout)} & {"hydra", "omegaconf"}
