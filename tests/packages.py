"""Read which packages Ratchet requires, and run programs as if some packages were not installed."""

import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ratchet.extras import DISTRIBUTION

INSTALLED_APART = "torch"  # users choose its build (README)
_OWN = {"ratchet", "hydra_plugins"}

_HIDE = """
import sys
from importlib.machinery import PathFinder
class VisibleFinder(PathFinder):  # still finds the metadata of installed packages
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else super().find_spec(name, path, target)
sys.meta_path[:] = [VisibleFinder if finder is PathFinder else finder for finder in sys.meta_path]
"""


def hide_modules(names: Iterable[str]) -> str:
    """Return code that hides modules from everything after it, as if they were not installed."""
    return f"HIDDEN = frozenset({sorted(names)!r})\n{_HIDE}"


def read_extras(project: Path) -> dict[str, list[str]]:
    """Return the requirements of each extra in pyproject.toml."""
    extras: dict[str, list[str]] = _read_pyproject(project)["project"]["optional-dependencies"]
    return extras


def read_project_requirements(project: Path, *extras: str) -> list[Requirement]:
    """Return what Ratchet requires with these extras; extras that they contain are resolved."""
    texts = [*_read_pyproject(project)["project"]["dependencies"]]
    waiting, seen = list(extras), set()
    while waiting:
        extra = waiting.pop(0)
        if extra in seen:
            continue
        seen.add(extra)
        for requirement in map(Requirement, read_extras(project)[extra]):
            if requirement.name == DISTRIBUTION:
                waiting += sorted(requirement.extras)
            else:
                texts.append(str(requirement))
    return [Requirement(text) for text in texts]


def collect_requirements(roots: Iterable[Requirement], project: Path) -> dict[str, list[Requirement]]:
    """Return all dependencies of `roots` by name, as installed packages declare them; those of torch are skipped.

    pyproject.toml replaces the declaration of some packages.
    """
    metadata = _read_pyproject(project)["tool"]["uv"]["dependency-metadata"]
    replaced = {package["name"]: package["requires-dist"] for package in metadata}
    requirements: dict[str, list[Requirement]] = {}
    waiting, seen = list(roots), set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name == INSTALLED_APART:
            continue
        requirements.setdefault(name, []).append(requirement)
        for extra in ["", *requirement.extras]:
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            for text in replaced.get(name, distribution(name).requires or []):
                child = Requirement(text)
                if child.marker is None or child.marker.evaluate({"extra": extra}):
                    waiting.append(child)
    return requirements


def list_modules_beyond_core(project: Path) -> set[str]:
    """Return the installed top-level modules that neither Ratchet without extras nor its dependencies provide."""
    core = set(collect_requirements(read_project_requirements(project), project))
    return {
        module
        for module, distributions in packages_distributions().items()
        if module not in _OWN and core.isdisjoint(canonicalize_name(name) for name in distributions)
    }


def _read_pyproject(project: Path) -> Mapping[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
