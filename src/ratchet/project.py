"""Locate the project: its root directory, its conf/ and models/, and what the package itself brings.

A project is a directory with `ratchet.yaml`, which `ratchet init` writes. Commands work in it and in its
subdirectories. Without one, the working directory is the project. The package brings conf/ and the sample; a project
adds to them, and may replace them. This repository is a project, too: its own conf/ is the one that the wheel contains.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

from ratchet.errors import UserError
from ratchet.schema_versions import read_marker

MARKER = "ratchet.yaml"
VARIABLE = "RATCHET_PROJECT"  # environment variable that names the root
_BARE = ("conf", "params.yaml")  # DVC and Kedro projects have these, too: they count only in the working directory
_IN_WHEEL = Path(__file__).resolve().parent / "packaged"
CHECKOUT = None if _IN_WHEEL.is_dir() else Path(__file__).resolve().parents[2]  # of an editable install
PACKAGED = CHECKOUT or _IN_WHEEL  # has conf/ and data/


@dataclass(frozen=True)
class Project:
    """The directories of a project. `is_marked`: its root has `ratchet.yaml`."""

    root: Path
    is_marked: bool = True

    @classmethod
    def find(cls, start: str | Path | None = None) -> Self:
        """Return the project that a directory belongs to.

        Without `start`, this is the project that RATCHET_PROJECT names, else that of the working directory.

        Raises:
            UserError: RATCHET_PROJECT names no directory, or one that is no project; or a newer Ratchet made the
                project.
        """
        named = os.environ.get(VARIABLE, "") if start is None else ""
        if named:
            root, is_marked = read_named(Path(named), f"{VARIABLE}={named}")
        else:
            root, is_marked = _walk_up(find_working_directory() if start is None else Path(start))
        if is_marked:
            read_marker(root / MARKER)
        return cls(root, is_marked)

    @property
    def conf(self) -> Path:
        """Return the directory of its own configurations, which need not exist."""
        return self.root / "conf"

    @property
    def models(self) -> Path:
        """Return the directory of its own models, which need not exist."""
        return self.root / "models"

    @property
    def runs_dir(self) -> Path:
        """Return the directory of its runs."""
        return self.root / "runs"

    @property
    def promotions_dir(self) -> Path:
        """Return the directory of its promotions."""
        return self.root / "promotions"

    @property
    def code_root(self) -> Path:
        """Return the directory whose git commit identifies the code of a run.

        This is the root, except in an unmarked directory with an editable install: only the checkout has code then.
        """
        return self.root if self.is_marked or CHECKOUT is None else CHECKOUT

    def conf_directories(self, config_dir: Path | None = None) -> list[Path]:
        """Return the existing directories of configurations in order of precedence: `config_dir`, own, packaged.

        Raises:
            UserError: the installation lacks its own.
        """
        if not (PACKAGED / "conf").is_dir():
            raise UserError(
                f"{PACKAGED / 'conf'}: no such directory: the installation is incomplete. Install ratchet-ml again; a "
                "copy of src/ needs conf/ and data/ of the repository next to it"
            )
        wanted = [directory for directory in (config_dir, self.conf, PACKAGED / "conf") if directory is not None]
        existing = [directory.resolve() for directory in wanted if directory.is_dir()]
        return list(dict.fromkeys(existing))

    def show(self, path: Path) -> str:
        """Return a path as messages show it: relative to the root if it is below it."""
        absolute = Path.cwd() / path
        return absolute.relative_to(self.root).as_posix() if absolute.is_relative_to(self.root) else str(path)


def current_project() -> Project:
    """Return the project of this process: that of RATCHET_PROJECT, else that of the working directory.

    Raises:
        UserError: RATCHET_PROJECT names no directory, or one that is no project; the working directory was deleted.
    """
    return _find_cached(os.environ.get(VARIABLE, ""), str(find_working_directory()))


def find_working_directory() -> Path:
    """Return the working directory.

    Raises:
        UserError: it was deleted, or may not be read.
    """
    try:
        return Path.cwd()
    except OSError as error:
        raise UserError(f"the working directory: {error.strerror}: change to another one (cd DIR)") from error


@lru_cache(maxsize=16)
def _find_cached(_named: str, _directory: str) -> Project:
    return Project.find()


def read_named(directory: Path, named_by: str) -> tuple[Path, bool]:
    """Return the root of the project that a user named, and whether it has `ratchet.yaml`.

    Raises:
        UserError: it is no directory, or no project; begins with `named_by`, the setting that names it.
    """
    if not directory.is_dir():
        raise UserError(f"{named_by}: no such directory: name the root of a project")
    is_marked = (directory / MARKER).is_file()
    if not is_marked and not any((directory / name).exists() for name in _BARE):
        raise UserError(f"{named_by}: not a project: no {MARKER} in it; `ratchet init` creates a project")
    return directory.resolve(), is_marked


def _walk_up(start: Path) -> tuple[Path, bool]:
    """Return the nearest directory with `ratchet.yaml`, not above the root of a git repository; else `start`."""
    start = start.resolve()
    for directory in (start, *start.parents):
        if (directory / MARKER).is_file():
            return directory, True
        if (directory / ".git").exists():
            break
    return start, False
