"""The Python modules of projects, imported under a name of their own: `ratchet.project_modules.<root>.models.<name>`.

`<root>` is the project's directory in hexadecimal digits. So the modules of two projects never mix, a project's
`models/` hides no other package of that name, and a child process (spawned, of joblib, of SLURM) that unpickles an
object of such a module finds it without any set-up. Within a project, modules import each other relatively:
`from .network import Network`, `from ..features import ngrams`.

Importing this package adds a finder for these names to `sys.meta_path`, and does nothing else.
"""

import sys
from importlib import import_module, invalidate_caches
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from ratchet.errors import UserError

_PREFIX = "project_"


def module_name(root: Path, *parts: str) -> str:
    """Return the name under which a module of the project in `root` is imported."""
    return ".".join([f"{__name__}.{_PREFIX}{str(root.resolve()).encode('utf-8', 'surrogateescape').hex()}", *parts])


def import_project_module(root: Path, *parts: str) -> ModuleType:
    """Import a module of the project in `root`, such as `models`, `majority`.

    Raises:
        UserError: the module raises an exception when it is imported; names its file and line.
    """
    path = root.joinpath(*parts).with_suffix(".py")
    invalidate_caches()  # the file may have been written after this process listed the directory
    try:
        return import_module(module_name(root, *parts))
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # of a script that ends itself, too
        reason = f"cannot be imported: {type(error).__name__}: {error}{_suggest_relative(error, root)}"
        raise UserError(f"{_locate(error, root, path)}: {reason}") from error


def _suggest_relative(error: BaseException, root: Path) -> str:
    """Return how to import a module of the project that was not imported relatively."""
    name = str(error.name).partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    is_own = name and ((root / name).is_dir() or (root / f"{name}.py").is_file())
    return f". It is a module of the project: import it relatively, as in `from ..{name} import`" if is_own else ""


def _locate(error: BaseException, root: Path, path: Path) -> str:
    """Return the last line in the project that led to `error`."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_relative(Path(error.filename), root)}, line {error.lineno}"
    location, trace = _relative(path, root), error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.is_relative_to(root) and "site-packages" not in file.parts:
            location = f"{_relative(file, root)}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return location


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


class _ProjectFinder(MetaPathFinder):
    """Finds the package of a project's root; Python itself finds the modules in it."""

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return the specification of a project's package; None for every other name."""
        parent, _, name = fullname.rpartition(".")
        if parent != __name__ or not name.startswith(_PREFIX):
            return None
        try:
            root = bytes.fromhex(name.removeprefix(_PREFIX)).decode("utf-8", "surrogateescape")
        except ValueError:
            return None
        spec = ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = [root]
        return spec


if not any(type(finder).__name__ == _ProjectFinder.__name__ for finder in sys.meta_path):
    sys.meta_path.append(_ProjectFinder())
