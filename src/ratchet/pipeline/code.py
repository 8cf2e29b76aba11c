"""Which code a stage runs, as a fingerprint that a comment, a docstring or a blank line does not change."""

import ast
import hashlib
from collections.abc import Iterable
from modulefinder import ModuleFinder
from pathlib import Path

from ratchet.project import PROJECT

# By contract a tracker only looks on: what it does changes no prediction and no figure. An export comes after the run.
_ONLOOKERS = ["ratchet.tracking", "ratchet.neural.export"]


def fingerprints(modules: Iterable[str]) -> dict[str, str]:
    """By module of this package, the hash of its code; all that `modules` import, lazily or not, and they themselves.

    Imports are found in the byte code, without running any of it (the standard library's modulefinder). The hashes are
    of syntax trees, which differ between minor versions of Python.
    """
    finder = ModuleFinder(path=[str(PROJECT / "src")], excludes=_ONLOOKERS)
    for module in modules:
        finder.import_hook(module)
    files = {name: getattr(module, "__file__", None) for name, module in finder.modules.items()}
    return {name: _hash(Path(path)) for name, path in sorted(files.items()) if path}  # "sys" has none


def _hash(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if ast.get_docstring(node, clean=False) is not None:
                    node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest()[:16]
