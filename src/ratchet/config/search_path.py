"""Make Hydra search the directories of `directories.py`, and extend conf/config.yaml by that of the project.

Hydra searches what is given as `hydra.searchpath` or by its own `--config-dir` last, so a file there would silently
lose against a packaged one of the same name. A plug-in can put directories first. It is registered at run time: Hydra
applications of others that find it in `hydra_plugins` would get our directories, too.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf

from ratchet.config.directories import list_directories, show_config
from ratchet.config.messages import read_yaml
from ratchet.errors import UserError
from ratchet.project import PACKAGED

_EXTENDED = "project_config"  # in Hydra's store: conf/config.yaml of the package, extended by that of the project


class _Directories(SearchPathPlugin):
    """Puts directories before conf/ of the package while `searching` them."""

    wanted: tuple[tuple[str, Path], ...] = ()  # provider and directory, the first wins

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the directories to the front of Hydra's search path."""
        for provider, directory in reversed(self.wanted):
            search_path.prepend(provider, f"file://{directory}")


@contextmanager
def searching(config_dir: Path | None) -> Iterator[str]:
    """Let Hydra search our directories if it starts in this block; yield the name of the primary configuration.

    Raises:
        UserError: conf/config.yaml of the project or of `config_dir` is not a mapping in YAML, or the path of a
            directory cannot be a value in Hydra's configuration.
    """
    _check_paths([Path.cwd(), *list_directories(config_dir)])
    before = _Directories.wanted
    further = [directory for directory in list_directories(config_dir) if directory != PACKAGED / "conf"]
    own = config_dir.resolve() if config_dir is not None else None
    _Directories.wanted = tuple(
        ("command-line" if directory == own else "project", directory) for directory in further
    )  # the names that `--info searchpath` prints; jobs find --config-dir by the first
    Plugins.instance().register(_Directories)
    try:
        yield _store_primary(further)
    finally:
        _Directories.wanted = before


def _check_paths(directories: list[Path]) -> None:
    """Check that Hydra can store the directories in its own configuration, where it would resolve `${`."""
    for directory in directories:
        if "${" in str(directory.absolute()):
            raise UserError(
                f"{directory.absolute()}: the name of a directory contains ${{, which Hydra reads as the name of a "
                "key: rename it, or work in another one"
            )


def _store_primary(directories: list[Path]) -> str:
    """Store the packaged conf/config.yaml with what the others change; return the name under which Hydra finds it."""
    extending = [directory / "config.yaml" for directory in directories if (directory / "config.yaml").is_file()]
    if not extending:
        return "config"
    content = _read_mapping(PACKAGED / "conf" / "config.yaml")
    for path in reversed(extending):
        content = _extend(content, _read_mapping(path))
    ConfigStore.instance().store(name=_EXTENDED, node=content)
    return _EXTENDED


def _read_mapping(path: Path) -> dict[str, Any]:
    content = read_yaml(path, show_config(path))
    if not isinstance(content, dict) or not isinstance(content.get("defaults", []), list):
        raise UserError(f"{show_config(path)}: must be a mapping of keys, and `defaults` in it a list")
    for entry in content.get("defaults", []):
        if not isinstance(entry, str) and not (isinstance(entry, dict) and len(entry) == 1):
            raise UserError(f"{show_config(path)}: defaults: {entry}: must be `GROUP: NAME`, or the name of a file")
    return {str(key): value for key, value in content.items()}


def _extend(base: dict[str, Any], further: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the choices and the keys of `further`."""
    body = OmegaConf.merge(_without_defaults(base), _without_defaults(further))
    merged = OmegaConf.to_container(body, resolve=False)
    assert isinstance(merged, dict)
    return {"defaults": _extend_defaults(base["defaults"], further.get("defaults", [])), **merged}


def _without_defaults(content: dict[str, Any]) -> Any:
    return OmegaConf.create({key: value for key, value in content.items() if key != "defaults"})


def _extend_defaults(base: list[Any], further: list[Any]) -> list[Any]:
    """Return `base` with the choices of `further`: each replaces that of its group, or is added.

    What is added comes after `_self_`, so that it may change the keys of the packaged file, as an experiment may.
    """
    extended = list(base)
    last = extended.index("_self_") + 1
    groups = {_group_of(entry): index for index, entry in enumerate(base) if isinstance(entry, dict)}
    for entry in further:
        if isinstance(entry, dict) and _group_of(entry) in groups:
            index = groups[_group_of(entry)]
            extended[index] = dict.fromkeys(base[index], next(iter(entry.values())))
        elif isinstance(entry, dict) and next(iter(entry), "").startswith("override "):
            extended.append(entry)  # Hydra wants these last
        elif entry not in extended:
            extended.insert(last, entry)
            last += 1
    return extended


def _group_of(entry: dict[str, Any]) -> str:
    """Return the group of an entry such as `{"override /model": "cnn"}`."""
    return str(next(iter(entry), "")).removeprefix("override ").strip().lstrip("/")
