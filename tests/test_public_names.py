"""Tests for the public names of `import ratchet`."""

import ast
import json
import sys
from pathlib import Path

import pytest
from tests.commands import run_command

import ratchet


@pytest.mark.parametrize("name", ratchet.__all__)
def test_public_name_is_the_object_of_its_module(name: str) -> None:
    module, attribute = ratchet._PUBLIC[name]
    assert getattr(ratchet, name) is getattr(sys.modules[module], attribute)


def test_imports_for_type_checkers_match_public_names() -> None:
    tree = ast.parse(Path(ratchet.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert imported == ratchet._PUBLIC
    assert sorted(ratchet._PUBLIC) == sorted(ratchet.__all__)


def test_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        ratchet.nothing_of_the_kind  # noqa: B018


def test_importing_ratchet_loads_no_submodule(tmp_path: Path) -> None:
    script = "import json, sys, ratchet; print(json.dumps([name for name in sys.modules if 'ratchet' in name]))"
    done = run_command(sys.executable, "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    loaded = [name for name in json.loads(done.stdout) if not name.startswith("__editable__")]
    assert loaded == ["ratchet"]
