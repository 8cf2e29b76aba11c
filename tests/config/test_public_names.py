"""`ratchet.config` looks its names up at first use: what type checkers see must be what there is."""

import ast
import json
import sys
from importlib import import_module
from pathlib import Path

import pytest
from tests.conftest import run_command

import ratchet.config


def test_type_checkers_see_the_names_of_the_table() -> None:
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
def test_every_name_is_that_of_its_module(name: str) -> None:
    value = getattr(ratchet.config, name)
    assert value is getattr(import_module(ratchet.config._MODULES[name]), name)
    assert getattr(value, "__module__", ratchet.config._MODULES[name]) in (ratchet.config._MODULES[name], "builtins")


def test_no_name_hides_a_module() -> None:
    """Importing a module sets an attribute of the package, before which a name is never looked up."""
    modules = {path.stem for path in Path(ratchet.config.__file__).parent.glob("*.py")}
    assert not modules & ratchet.config._MODULES.keys()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        ratchet.config.nothing_of_the_kind  # noqa: B018


def test_schemas_load_neither_hydra_nor_omegaconf(tmp_path: Path) -> None:
    script = "import json, sys, ratchet.config, ratchet.config.schema; print(json.dumps(sorted(sys.modules)))"
    done = run_command(sys.executable, "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not {name.partition(".")[0] for name in json.loads(done.stdout)} & {"hydra", "omegaconf"}
