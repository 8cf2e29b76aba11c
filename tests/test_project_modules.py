"""Tests for the import of a project's modules: names, relative imports, two projects, errors, other processes."""

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratchet.errors import UserError
from ratchet.project_modules import import_project_module, module_name


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Write modules by name, as in `models/net`, and return the root."""
    for name, text in files.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


@given(st.binary(min_size=1, max_size=60))
def test_package_of_any_root_is_found_by_its_name(raw: bytes) -> None:
    name = os.fsdecode(raw.replace(b"\0", b"-").replace(b"/", b"-"))
    root = Path("/nowhere", name).resolve()
    found = find_spec(module_name(root))
    assert found is not None
    assert found.submodule_search_locations == [str(root)]
    assert module_name(root, "models", "net") == f"{module_name(root)}.models.net"


@pytest.mark.parametrize("name", ["project_", "project_zz", "project_1", "other"])
def test_other_names_have_no_project(name: str) -> None:
    parent = module_name(Path("/")).rpartition(".")[0]
    spec = find_spec(f"{parent}.{name}")
    assert spec is None or spec.submodule_search_locations == [""]


@pytest.mark.parametrize("name", ["plain", "with spaces", "größe", "a.b=c, d", os.fsdecode(b"\xe4")], ids=ascii)
def test_modules_import_each_other_relatively(name: str, tmp_path: Path) -> None:
    root = write(
        tmp_path / name,
        {
            "models/net": "from ._parts import width\nfrom ..features import n\nfrom .. import lib\nSIZE = width + n\n",
            "models/_parts": "width = 2",
            "features": "n = 3",
            "lib/__init__": "",
        },
    )
    module = import_project_module(root, "models", "net")
    assert module.SIZE == 5
    assert import_project_module(root, "models", "net") is module
    assert module.lib.__file__ == str(root / "lib" / "__init__.py")


def test_modules_of_two_projects_do_not_mix(tmp_path: Path) -> None:
    roots = [
        write(tmp_path / name, {"models/net": "from ..features import WHERE", "features": f"WHERE = '{name}'"})
        for name in ("first", "second")
    ]
    assert [import_project_module(root, "models", "net").WHERE for root in roots] == ["first", "second"]
    assert not {"models", "features"} & sys.modules.keys(), "other packages of these names are not hidden"


@pytest.mark.parametrize(
    ("files", "location", "cause"),
    [
        ({"models/net": "x = 1\nraise RuntimeError('no luck')\n"}, "models/net.py, line 2", "RuntimeError: no luck"),
        ({"models/net": "\n\nimport nowhere_at_all\n"}, "models/net.py, line 3", "ModuleNotFoundError"),
        ({"models/net": "import json\njson.loads('{')\n"}, "models/net.py, line 2", "JSONDecodeError"),
        ({"models/net": "x = 1\ndef f(:\n"}, "models/net.py, line 2", "SyntaxError"),
        ({"models/net": "import sys\nsys.exit('usage')\n"}, "models/net.py, line 2", "SystemExit: usage"),
        ({"models/net": "\nfrom . import _parts\n", "models/_parts": "1 / 0\n"}, "models/_parts.py, line 1", "Zero"),
        ({"models/net": "\nfrom ..lib import x\n", "lib": "\n\nx = (\n"}, "lib.py, line 3", "SyntaxError"),
        ({"models/net": "x = 1\0\n"}, "models/net.py", "null bytes"),
    ],
    ids=["raises", "missing", "library", "syntax", "exit", "sibling", "root", "null"],
)
def test_error_names_the_last_line_of_the_project(
    files: dict[str, str], location: str, cause: str, tmp_path: Path
) -> None:
    root = write(tmp_path, files)
    with pytest.raises(UserError) as caught:
        import_project_module(root, "models", "net")
    message = str(caught.value)
    assert message.startswith(f"{location}: cannot be imported: ") or (cause == "null bytes" and location in message)
    assert cause in message


def test_corrected_module_can_be_imported(tmp_path: Path) -> None:
    root = write(tmp_path, {"models/net": "raise ValueError"})
    with pytest.raises(UserError):
        import_project_module(root, "models", "net")
    write(root, {"models/net": "NAME = 'corrected'"})
    assert import_project_module(root, "models", "net").NAME == "corrected"


@pytest.mark.parametrize("statement", ["import features", "from features import x"])
def test_absolute_import_of_a_module_of_the_project_is_explained(statement: str, tmp_path: Path) -> None:
    root = write(tmp_path, {"models/net": statement, "features": "x = 1"})
    with pytest.raises(UserError, match=r"`from \.\.features import`"):
        import_project_module(root, "models", "net")


def test_user_errors_and_interrupts_are_passed_on(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "models/user": "from ratchet.errors import UserError\nraise UserError('as it is')",
            "models/stop": "raise KeyboardInterrupt",
        },
    )
    with pytest.raises(UserError, match=r"^as it is$"):
        import_project_module(root, "models", "user")
    with pytest.raises(KeyboardInterrupt):
        import_project_module(root, "models", "stop")


def test_other_process_finds_the_module_of_a_pickled_object(tmp_path: Path) -> None:
    root = write(tmp_path / "größe a", {"models/net": "class Net:\n    width = 7\n"})
    pickled = pickle.dumps(import_project_module(root, "models", "net").Net())
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer).width)"
    done = subprocess.run([sys.executable, "-c", program], input=pickled, capture_output=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, b"7"), done.stderr
