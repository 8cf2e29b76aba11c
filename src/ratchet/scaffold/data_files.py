"""Find the files that `ratchet init data=...` names, and the paths under which a project keeps copies of them."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from ratchet.config import RecordsConfig, RecordsLayout
from ratchet.data.directories import (
    PART_OF,
    Located,
    is_pattern,
    list_record_files,
    list_saved_parts,
    list_watched_members,
)
from ratchet.data.formats import SUFFIXES, find_suffix
from ratchet.data.opening import PACKED_SUFFIXES
from ratchet.errors import UserError
from ratchet.files import expand_home


@dataclass(frozen=True)
class Location:
    """A path or pattern that a configuration can have: `source`, and `kept` below data/<name>/ of a project.

    `copies` has the files by their path below data/<name>/.
    """

    source: str
    kept: str
    copies: Mapping[str, Path]


@dataclass(frozen=True)
class DataFiles:
    """The files of the records. `locations` has one for each part (train, val, test); the only key is None without.

    `named` is what the user wrote, for messages; the data set is called `stem` unless it gets another name.
    """

    named: str
    stem: str
    locations: Mapping[str | None, Location]
    layout: RecordsLayout = RecordsLayout.table
    has_parts: bool = False

    @property
    def paths(self) -> list[Path]:
        """Return the files themselves, without what only describes them."""
        paths = [path for location in self.locations.values() for path in location.copies.values()]
        return [path for path in paths if path.name not in ("dataset_info.json", "dataset_dict.json", "state.json")]

    def make_records(self, name: str | None = None) -> RecordsConfig:
        """Return the configuration that reads the files; with `name`, their copies in a project."""
        paths = {
            part or "path": location.source if name is None else f"data/{name}/{location.kept}"
            for part, location in self.locations.items()
        }
        return RecordsConfig(
            path=paths.get("path"),
            train=paths.get("train"),
            val=paths.get("val"),
            test=paths.get("test"),
            layout=self.layout,
        )

    def list_copies(self, name: str) -> dict[Path, Path]:
        """Return the file that each file of a project is copied from, by its path in the project."""
        return {
            Path("data", name, kept): path
            for location in self.locations.values()
            for kept, path in location.copies.items()
        }


def find_files(named: str) -> DataFiles:
    """Find a file, a directory, the files of a pattern, or several of them, separated by commas.

    Files whose names have the words train and test (or val, dev) are given parts, and so are directories.

    Raises:
        UserError: one of them does not exist; a directory holds no records, or files of several formats; some files
            name a part, and others do not.
    """
    paths = _split_paths(named)
    if len(paths) > 1:
        return _combine(named, [_find_location(path) for path in paths], paths)
    path = paths[0]
    if not path.exists() and is_pattern(str(path)):
        return _find_pattern(named, path)
    if path.is_dir():
        return _find_directory(named, path)
    location = _find_location(path)
    return DataFiles(named, _get_stem(path), {None: location})


def _split_paths(named: str) -> list[Path]:
    """Return the paths in a list separated by commas; a path with a comma is quoted, as in CSV, unless it exists."""
    whole = expand_home(named)
    if "," not in named or whole.exists():
        return [whole]
    return [expand_home(path) for path in next(csv.reader([named], skipinitialspace=True)) if path] or [whole]


def _get_stem(path: Path) -> str:
    """Return the name of a file without its suffixes, or of a directory."""
    if path.is_dir():
        return path.resolve().name
    return PurePath(path.stem).stem if path.suffix.lower() in PACKED_SUFFIXES else path.stem


def _find_location(path: Path) -> Location:
    """Return the location of a file or directory as such."""
    if not path.exists():
        raise UserError(f"{path}: no such file or directory")
    if path.is_dir():
        files = list_watched_members(path, is_layout=_has_class_directories(path))
        top = path.resolve().name
        return Location(str(path), top, {f"{top}/{name}": path / name for name in files})
    return Location(str(path), path.name, {path.name: path})


def _find_pattern(named: str, path: Path) -> DataFiles:
    located = Located.from_pattern(path)
    files = located.list_files()
    if not files:
        raise UserError(f"{named}: no file matches the pattern")
    paths = [located.base / name for name in files]
    stem = _get_stem(located.base)
    parts = _divide_by_part(paths)
    if parts:
        return DataFiles(named, stem, parts, has_parts=True)
    location = Location(str(path), str(located.pattern), {name: located.base / name for name in files})
    return DataFiles(named, stem, {None: location})


def _find_directory(named: str, path: Path) -> DataFiles:
    stem = _get_stem(path)
    if list_saved_parts(path):
        return DataFiles(named, stem, {None: _find_location(path)}, has_parts=True)
    inner = _list_directories(path)
    if _has_class_directories(path):
        layout = RecordsLayout.directory
        divided = _divide_by_part(inner) if all(map(_has_class_directories, inner)) else {}
        return DataFiles(named, stem, divided or {None: _find_location(path)}, layout, has_parts=bool(divided))
    is_of_parts = inner and all(_find_part(directory) for directory in inner) and not _has_files(path)
    entries = inner if is_of_parts else [path / name for name in list_record_files(path, "data")]
    parts = _divide_by_part(entries)
    return DataFiles(named, stem, parts or {None: _find_location(path)}, has_parts=bool(parts))


def _combine(named: str, locations: list[Location], paths: list[Path]) -> DataFiles:
    """Return several files as parts if their names say so, else as one set of records."""
    stem = _get_stem(paths[0].parent) if len({path.parent for path in paths}) == 1 else _get_stem(paths[0])
    parts = _divide_by_part(paths)
    if parts:
        are_classes = all(path.is_dir() and _has_class_directories(path) for path in paths)
        layout = RecordsLayout.directory if are_classes else RecordsLayout.table
        return DataFiles(named, stem, parts, layout, has_parts=True)
    directory = next((path for path in paths if path.is_dir()), None)
    if directory is not None:
        raise UserError(f"{directory}: is a directory: name several files, one directory, or directories for parts")
    if len({find_suffix(path.name) for path in paths}) > 1:
        raise UserError(f"{named}: the files have several formats: convert them to one")
    return DataFiles(named, stem, {None: _join_files(paths, "records")})


def _join_files(paths: list[Path], directory: str) -> Location:
    """Return several files as one directory of copies. In their own directory, a pattern must match them alone.

    Raises:
        UserError: there is no such pattern.
    """
    folder = paths[0].parent
    names = {path.name for path in paths}
    length = next(index for index in range(len(min(names)), -1, -1) if len({name[:index] for name in names}) == 1)
    pattern = f"{_escape(min(names)[:length])}*{_escape(paths[0].suffix)}"
    if {path.parent for path in paths} != {folder} or set(Located(folder, pattern).list_files()) != names:
        raise UserError(
            f"{', '.join(map(str, paths))}: copy the files to a directory of their own, and name the directory: no "
            "pattern matches them alone"
        )
    return Location(str(folder / pattern), directory, {f"{directory}/{path.name}": path for path in paths})


def _escape(text: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", text)


# --- parts ------------------------------------------------------------------------------------------------------------
def _find_part(path: Path) -> str | None:
    """Return the part that a name has a word of, as train-00000-of-00001.parquet; None if it has none or several."""
    stem = path.name if path.is_dir() else _get_stem(path)
    words = re.split(r"[^a-z]+", stem.casefold())
    parts = {PART_OF[word] for word in words if word in PART_OF}
    return parts.pop() if len(parts) == 1 else None


def _divide_by_part(paths: list[Path]) -> dict[str | None, Location]:
    """Return the location of each part; none unless there are train and test.

    Raises:
        UserError: some names have a part, and others have none.
    """
    paths_of: dict[str | None, list[Path]] = {}
    for path in paths:
        paths_of.setdefault(_find_part(path), []).append(path)
    if not {"train", "test"} <= set(paths_of):
        return {}
    if None in paths_of:
        others = ",".join(str(path) for path in paths if _find_part(path))
        raise UserError(
            f"{paths_of[None][0]}: its name has none of train, val and test, unlike {paths_of['train'][0].name}: "
            f"name the parts alone: data={others}"
        )
    return {
        part: _find_location(members[0]) if len(members) == 1 else _join_files(members, str(part))
        for part in ("train", "val", "test")
        if (members := paths_of.get(part))
    }


# --- directories ------------------------------------------------------------------------------------------------------
def _list_visible(path: Path) -> list[Path]:
    try:
        return sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def _list_directories(path: Path) -> list[Path]:
    return [entry for entry in _list_visible(path) if entry.is_dir()]


def _has_files(path: Path) -> bool:
    return any(entry.is_file() for entry in _list_visible(path))


def _has_class_directories(path: Path) -> bool:
    """Return whether a directory holds directories of texts only, such as one for each class."""
    inner = _list_directories(path)
    if not inner or _has_files(path) or list_saved_parts(path):
        return False
    files = [path / name for directory in inner for name in Located(directory, "**/*").list_files()]
    return bool(files) and not any(find_suffix(file.name) in SUFFIXES for file in files)
