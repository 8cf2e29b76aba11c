"""Find configuration files: in --config-dir, in the project's conf/, then in the conf/ that the package brings."""

from pathlib import Path

from ratchet.project import PACKAGED, current_project


def list_directories(config_dir: Path | None = None) -> list[Path]:
    """Return the directories of configurations, in order of precedence."""
    return current_project().conf_directories(config_dir)


def find_config(name: str, config_dir: Path | None = None) -> Path:
    """Return the file of a configuration such as `objective/strict`; the packaged path if there is none."""
    candidates = [directory / f"{name}.yaml" for directory in list_directories(config_dir)]
    return next((path for path in candidates if path.is_file()), PACKAGED / "conf" / f"{name}.yaml")


def list_groups(config_dir: Path | None = None) -> list[str]:
    """Return the names of the groups of configurations, sorted."""
    directories = list_directories(config_dir)
    names = {path.name for directory in directories for path in directory.iterdir() if path.is_dir()}
    return sorted(name for name in names if not name.startswith("."))


def list_configs(group: str, config_dir: Path | None = None) -> dict[str, Path]:
    """Return the files of a group by the name that chooses them, sorted."""
    paths: dict[str, Path] = {}
    for directory in reversed(list_directories(config_dir)):
        for path in (directory / group).rglob("*.yaml"):
            paths[path.relative_to(directory / group).with_suffix("").as_posix()] = path
    return dict(sorted(paths.items()))


def list_replaced(config_dir: Path | None = None) -> list[str]:
    """Return the configurations that replace one of a later directory, as `model/cnn`; config.yaml only extends."""
    seen: set[str] = set()
    replaced: set[str] = set()
    for directory in list_directories(config_dir):
        names = {path.relative_to(directory).with_suffix("").as_posix() for path in directory.rglob("*.yaml")}
        replaced |= names & seen
        seen |= names
    return sorted(replaced - {"config"})


def show_config(path: Path) -> str:
    """Return the path of a configuration file as messages show it; `conf/...` for those of the package."""
    packaged = PACKAGED / "conf"
    return (
        f"conf/{path.relative_to(packaged).as_posix()}"
        if path.is_relative_to(packaged)
        else current_project().show(path)
    )
