"""List the files of a directory or a pattern, and the parts of a data set that `datasets` saved to disk."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from ratchet.errors import UserError

INFO = "dataset_info.json"  # what Hugging Face's `save_to_disk` writes next to the records
_STATE = "state.json"
_PARTS = "dataset_dict.json"
PART_OF = {  # names of parts
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    "test": "test",
}
_NOT_RECORDS = {
    *(INFO, _STATE, _PARTS),
    *("_SUCCESS", "_metadata", "_common_metadata"),  # of Spark
    *("Thumbs.db", "desktop.ini"),
}


@dataclass(frozen=True)
class Located:
    """A file or a directory; with `pattern`, the files below the directory `base` that match it."""

    base: Path
    pattern: str | None = None

    @classmethod
    def from_pattern(cls, path: Path) -> "Located":
        """Split a path with wildcards before the first part that has one."""
        parts = path.parts
        first = next(index for index, part in enumerate(parts) if is_pattern(part))
        return cls(Path(*parts[:first]), "/".join(parts[first:]))

    def list_files(self) -> list[str]:
        """Return the files that match the pattern, as sorted paths below `base`, without hidden ones.

        Raises:
            UserError: the pattern is not valid.
        """
        if self.pattern is None or not self.base.is_dir():
            return []
        try:
            matches = [path for path in self.base.glob(self.pattern) if path.is_file()]
        except (ValueError, NotImplementedError) as error:
            raise UserError(f"{self.base / self.pattern}: not a valid pattern: {error}") from error
        names = {path.relative_to(self.base) for path in matches}
        return sorted(name.as_posix() for name in names if not any(_is_hidden(part) for part in name.parts))


def is_pattern(path: str) -> bool:
    """Return whether a path has wildcards."""
    return any(character in path for character in "*?[")


def list_record_files(directory: Path, role: str) -> list[str]:
    """Return the names of the files of a directory: all must have one format; those of a saved data set if it is one.

    Raises:
        UserError: there is none, or they have several formats; names what is there.
    """
    listed = _list_saved_files(directory)
    if listed:
        return listed
    entries = sorted(_list_visible(directory), key=lambda path: path.name)
    files = [path.name for path in entries if path.is_file() and path.name not in _NOT_RECORDS]
    if not files:
        raise UserError(f"{role}: {directory}: {_describe_without_files(directory, entries)}")
    stems = Counter(_unpacked(name) for name in files)
    formats = Counter(PurePath(stem).suffix.lower() for stem in stems)
    if len(formats) > 1:
        counts = ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in formats.most_common())
        best = formats.most_common(1)[0][0]
        raise UserError(
            f"{role}: {directory} holds files of several formats ({counts}): name those that hold records by a "
            f"pattern, as {directory}/*{best}"
        )
    twice = next((stem for stem, count in stems.items() if count > 1), None)
    if twice is not None:
        names = " and ".join(name for name in files if _unpacked(name) == twice)
        raise UserError(f"{role}: {directory} holds {names}, probably the same records: remove one, or name a pattern")
    return files


def list_saved_parts(directory: Path) -> dict[str, Path]:
    """Return the directory of each part (train, val, test) that a `DatasetDict` saved; empty if it is none.

    Raises:
        UserError: a part has another name, or two have the same.
    """
    content = _read_object(directory / _PARTS)
    names = content.get("splits") if content else None
    if not isinstance(names, list):
        return {}
    parts: dict[str, Path] = {}
    for name in map(str, names):
        part = PART_OF.get(name)
        if part is None or part in parts:
            problem = f"part {name!r} is none of train, val and test" if part is None else f"two parts are {part}"
            raise UserError(
                f"{directory}: {problem}: name the directories yourself, as data.records.train={directory}/{names[0]}"
            )
        parts[part] = directory / name
    return parts


def list_watched_members(directory: Path, is_layout: bool) -> list[str]:
    """Return all files of a directory that reading it needs, as paths below it; `is_layout`: a directory per class."""
    if is_layout or list_saved_parts(directory):
        return Located(directory, "**/*").list_files()
    extra = [name for name in (INFO, _STATE) if (directory / name).is_file()]
    return [*list_record_files(directory, "records"), *extra]


def _list_saved_files(directory: Path) -> list[str]:
    """Return the files that `save_to_disk` lists: others in the directory are caches of it."""
    content = _read_object(directory / _STATE)
    files = content.get("_data_files") if content else None
    if not isinstance(files, list):
        return []
    return [str(file["filename"]) for file in files if isinstance(file, dict) and "filename" in file]


def _describe_without_files(directory: Path, entries: list[Path]) -> str:
    inner = [path for path in entries if path.is_dir()]
    if not inner:
        return "the directory is empty"
    files = [path for folder in inner for path in _list_visible(folder) if path.is_file()]
    names = ", ".join(path.name for path in inner[:5]) + (" and more" if len(inner) > 5 else "")
    suffixes = Counter(PurePath(_unpacked(path.name)).suffix.lower() for path in files)
    if not suffixes:
        return f"the directory holds no files, but the directories {names}: name one of them"
    suffix = suffixes.most_common(1)[0][0]
    if suffix in ("", ".txt", ".text", ".md", ".eml", ".lab", ".html"):
        return (
            f"the directory holds no files, but the directories {names}, which hold texts: if each is a class, set "
            "data.records.layout=directory, data.text=[text]"
        )
    return (
        f"the directory holds no files, but the directories {names}: name one of them, or all files by a pattern, as "
        f"{directory}/**/*{suffix}"
    )


def _unpacked(name: str) -> str:
    from ratchet.data.opening import PACKED_SUFFIXES  # it imports `sources`, which imports this module

    path = PurePath(name)
    return path.stem if path.suffix.lower() in PACKED_SUFFIXES else name


def _list_visible(directory: Path) -> list[Path]:
    try:
        return [path for path in directory.iterdir() if not _is_hidden(path.name)]
    except OSError as error:
        raise UserError(f"{directory}: cannot be read: {error.strerror}") from error


def _is_hidden(name: str) -> bool:
    return name.startswith(".")


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes()) if path.is_file() else None
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: not valid JSON: {error}") from error
    return content if isinstance(content, dict) else None
