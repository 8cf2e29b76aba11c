"""List the files of a data set that a pipeline watches, with the place in data/<name>/ where it reads each."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ratchet.config import DataConfig, FileConfig, RecordsLayout
from ratchet.data.directories import Located, is_pattern, list_watched_members
from ratchet.data.sources import PARTS, is_url, locate, locate_file
from ratchet.errors import UserError
from ratchet.files import expand_home, replacing, replacing_directory


@dataclass(frozen=True)
class WatchedFile:
    """A file, a directory or a pattern of a data set. `target` is where a pipeline reads it.

    `field` is the attribute of `node` that holds the configured path: path, train, val or test.
    """

    role: str
    node: FileConfig
    field: str
    target: Path

    @property
    def configured(self) -> str:
        """Return the configured path."""
        return str(getattr(self.node, self.field))

    def point_to_target(self) -> None:
        """Change the configuration: the file is read at its target, and never downloaded."""
        setattr(self.node, self.field, self.target.as_posix())
        self.node.url = None


def copy_to_target(file: WatchedFile, layout: RecordsLayout) -> list[Path]:
    """Copy a file, the files of a directory or those of a pattern to where a pipeline reads them. Return the copies.

    A copied directory holds nothing else afterwards.

    Raises:
        UserError: the file is missing or cannot be downloaded; nothing matches the pattern.
    """
    located = None if is_url(file.configured) else locate(file.configured)
    if located is None or (located.pattern is None and not located.base.is_dir()):
        source = locate_file(file.node if file.field == "path" else FileConfig(path=file.configured), file.role)
        file.target.parent.mkdir(parents=True, exist_ok=True)
        if not _is_same(source, file.target):
            with replacing(file.target) as temporary:
                shutil.copyfile(source, temporary)
        return [file.target]
    if located.pattern is not None:
        names, directory = located.list_files(), Located.from_pattern(file.target).base
    else:
        names, directory = list_watched_members(located.base, layout is RecordsLayout.directory), file.target
    if not _is_same(located.base, directory):
        with replacing_directory(directory) as temporary:
            for name in names:
                (temporary / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(located.base / name, temporary / name)
    return [directory / name for name in names]


def _is_same(source: Path, target: Path) -> bool:
    return target.exists() and source.samefile(target)


def list_watched_files(data: DataConfig) -> list[WatchedFile]:
    """Return the files of a data set that a pipeline watches: records, label files and taxonomy.

    A file is read at data/<name of the data set>/<name of the file>; a directory, a pattern, and the parts of the
    records stay where they are if that is below data/<name of the data set>.

    Raises:
        UserError: two of the files have the same name.
    """
    watched: dict[Path, WatchedFile] = {}
    for role, node, field in _list_files(data):
        file = WatchedFile(role, node, field, _find_target(data, str(getattr(node, field)), field))
        if file.target in watched and field in PARTS:
            file = WatchedFile(role, node, field, file.target.parent / field / file.target.name)
        if file.target in watched:
            other = watched[file.target].configured
            raise UserError(
                f"data set {data.name}: {other} and {file.configured} would both be {file.target}: rename one"
            )
        watched[file.target] = file
    return list(watched.values())


def _list_files(data: DataConfig) -> Iterator[tuple[str, FileConfig, str]]:
    """Yield the role of each configured file, and the node and the attribute that hold its path."""
    if data.records.path is not None and data.records.train is None:
        yield "records", data.records, "path"
    for part in PARTS:
        if getattr(data.records, part) is not None:
            yield f"records.{part}", data.records, part
    others = {"taxonomy": data.taxonomy, "label file": data.labels.names, "labels": data.labels.file}
    for role, file in others.items():
        if file is not None and file.path is not None:
            yield role, file, "path"


def _find_target(data: DataConfig, path: str, field: str) -> Path:
    own = Path("data", data.name)
    wildcards = is_pattern(path) and not is_url(path) and not expand_home(path).exists()
    inside = Path(path).is_relative_to(own) and ".." not in Path(path).parts and Path(path) != own
    if inside and (wildcards or field in PARTS or Path(path).is_dir()):
        return Path(path)
    if wildcards:
        return own / ("records" if field == "path" else field) / str(Located.from_pattern(Path(path)).pattern)
    return own / path.rstrip("/").rpartition("/")[2]
