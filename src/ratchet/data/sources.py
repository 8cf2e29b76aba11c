"""Read the bytes of a configured file from a local path, or download it once, check it and cache it."""

import hashlib
import logging
import os
import sys
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path

from ratchet.config import DataConfig, FileConfig, RecordsConfig, RecordsLayout, SplitMethod
from ratchet.data.directories import Located, is_pattern, list_record_files, list_saved_parts
from ratchet.errors import UserError, did_you_mean
from ratchet.files import expand_home
from ratchet.printable import unfiltered
from ratchet.project import PACKAGED, current_project

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Content:
    """The bytes of a file, and its name for messages."""

    name: str
    data: bytes
    sha256: str


@dataclass(frozen=True)
class Source:
    """A file with records. `part` is train, val or test if the configuration gives it; `id_prefix` keeps ids unique.

    `under` is the key below which a JSON file holds these records.
    """

    name: str
    path: Path
    part: str | None = None
    under: str | None = None
    id_prefix: str = ""


def list_sources(data: DataConfig, *, packaged: bool = True) -> list[Source]:
    """Return the files of the records in a fixed order; with the layout directory, the directories.

    Relative paths are looked up as in `locate_file`. Where there are several files, or a directory or a pattern is
    configured, `id_prefix` has the name of the file: an id stays the same when a file is added.

    Raises:
        UserError: a file is missing, cannot be downloaded, or does not have its sha256; nothing matches a pattern; a
            directory holds no records, or files of several formats.
    """
    records = data.records
    given: dict[str | None, str | None] = {part: getattr(records, part) for part in PARTS if getattr(records, part)}
    if given and records.path is not None:
        raise UserError(
            f"data.records.path and {', '.join(f'data.records.{part}' for part in given)} exclude each other: set "
            "those that are not meant to null"
        )
    members = [
        member
        for part, path in (given or {None: records.path}).items()
        for member in _list_members(records, path, part, packaged)
    ]
    _check_sha256(records, members)
    _check_parts(data, members)
    if records.layout is RecordsLayout.directory:
        prefixes = [f"{member.part}/" if given else "" for member in members]
    elif len(members) == 1 and members[0].is_single:
        prefixes = [""]
    else:
        is_unique = len({member.label for member in members}) == len(members)
        prefixes = [f"{member.label if is_unique else f'{member.part}/{member.label}'}:" for member in members]
    if records.keys:
        [member] = members
        return [
            Source(str(member.path), member.path, part, records.keys[part], f"{part}:")
            for part in PARTS
            if part in records.keys
        ]
    return [
        Source(str(member.path), member.path, member.part, records.under, prefix)
        for member, prefix in zip(members, prefixes, strict=True)
    ]


def _check_sha256(records: RecordsConfig, members: "list[_Member]") -> None:
    if records.sha256 is None:
        return
    if records.path is None or len(members) > 1 or records.layout is RecordsLayout.directory:
        several = records.path or ", ".join(str(getattr(records, part)) for part in PARTS if getattr(records, part))
        raise UserError(
            f"data.records.sha256 is the hash of one file, but {several} has several: remove it (the version of the "
            "data set covers the content of all)"
        )
    locate_file(FileConfig(path=str(members[0].path), sha256=records.sha256), "records")


def _check_parts(data: DataConfig, members: "list[_Member]") -> None:
    """Check that parts are given where the split needs them, and only there."""
    records = data.records
    parts = list(dict.fromkeys(member.part for member in members if member.part is not None))
    if records.keys and len(members) > 1:
        raise UserError(
            f"data.records.keys is for one file that holds the parts, but {records.path} has {len(members)}"
        )
    if data.split.method is not SplitMethod.given:
        if parts and records.path is not None:
            raise UserError(
                f"records: {records.path} holds the parts {', '.join(parts)}: set data.split.method=given to use them, "
                f"or read all records as one part with data.records.path={records.path}/*/data-*.arrow"
            )
    elif data.split.column is None and not parts and not records.keys:
        raise UserError(
            f"records: {records.path} has no parts, but data.split.method=given: set data.split.column to the column "
            "with train, val or test, or data.records.train and data.records.test to a file each, or divide the "
            "records with data.split.method=stratified"
        )


@dataclass(frozen=True)
class _Member:
    """A file of the records. `label` is its path below the configured directory or pattern, else its name."""

    path: Path
    label: str
    is_single: bool = False
    part: str | None = None


def _list_members(records: RecordsConfig, path: str | None, part: str | None, packaged: bool) -> list[_Member]:
    """Return the files of a configured path: a file, a directory, a pattern or a URL."""
    role = "records" if part is None else f"records.{part}"
    file = records if part is None else FileConfig(path=path)
    if part is not None and is_url(str(path)):
        raise UserError(f"data.{role}: {path}: a part cannot be a URL: download the file, and set its path")
    located = None if path is None or is_url(path) else locate(path, packaged=packaged)
    if located is None:
        located = Located(locate_file(file, role, packaged=packaged))
    if records.layout is RecordsLayout.directory:
        if not located.base.is_dir() or located.pattern is not None:
            raise UserError(
                f"{role}: {path}: data.records.layout=directory needs a directory that holds a directory of text files "
                "for each class"
            )
        return [_Member(located.base, located.base.name, is_single=True, part=part)]
    if located.pattern is not None:
        return [_Member(located.base / name, name, part=part) for name in located.list_files()]
    if not located.base.is_dir():
        place = locate_file(file, role, packaged=packaged)
        return [_Member(place, place.name, is_single=True, part=part)]
    datasets = list_saved_parts(located.base)
    if not datasets:
        return [_Member(located.base / name, name, part=part) for name in list_record_files(located.base, role)]
    if part is not None:
        raise UserError(f"data.{role}: {path} holds several parts: set data.records.path={path} in place of the parts")
    return [
        _Member(directory / name, f"{directory.name}/{name}", part=name_of_part)
        for name_of_part, directory in datasets.items()
        for name in list_record_files(directory, role)
    ]


def read_file(file: FileConfig, role: str, *, packaged: bool = True) -> Content:
    """Read and check `file`. Return its content; `role` names the file in messages ("records", "taxonomy").

    Raises:
        UserError: see `locate_file`.
    """
    path = locate_file(file, role, packaged=packaged)
    data = path.read_bytes()
    return Content(str(path), data, hashlib.sha256(data).hexdigest())


def locate_file(file: FileConfig, role: str, *, packaged: bool = True) -> Path:
    """Find or download `file`, and check its content. Return its path; `role` names it in messages.

    A relative path is looked up in the working directory, in the project's root, then, with `packaged`, in the packaged
    data. A downloaded file is kept in the user's cache directory (`RATCHET_CACHE` sets another one).

    Raises:
        UserError: the file is missing, cannot be read or downloaded, its content does not have its sha256, or the
            packaged file of this name has another content.
    """
    if file.path is None:
        raise UserError(f"{role}: no path is configured")
    is_remote = is_url(file.path)
    path = None if is_remote else _find_file(expand_home(file.path), role, PACKAGED if packaged else None)
    if path is None:
        url = file.path if is_remote else file.url
        if url is None:
            raise _missing_file(file.path, role, packaged)
        path = _fetch(url, file.sha256, role, "" if is_remote else file.path)
    try:
        with path.open("rb") as content:
            digest = None if file.sha256 is None else hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{role}: {path}: cannot be read: {error.strerror}") from error
    if file.sha256 is not None and digest != file.sha256.lower():
        raise UserError(
            f"{role}: {path}: wrong content: sha256 is {digest}, expected {file.sha256}. "
            "Get the file again, or set the new sha256 if the change is intended"
        )
    return path


def locate(path: str, *, packaged: bool = True) -> Located | None:
    """Find a file, a directory or the files of a pattern where `locate_file` looks. Return None if nothing is there."""
    named = expand_home(path)
    if named.exists():
        return Located(named)
    roots = [] if named.is_absolute() else [Path(), current_project().root, *[PACKAGED] * packaged]
    for root in roots:
        if (root / named).exists():
            return Located(root / named)
    if not is_pattern(path):
        return None
    for place in [root / named for root in roots] or [named]:
        located = Located.from_pattern(place)
        if located.list_files():
            return located
    return None


def is_url(path: str) -> bool:
    """Return whether a configured path is a URL."""
    return path.startswith(("http://", "https://"))


def _missing_file(path: str, role: str, packaged: bool) -> UserError:
    """Return the error about a path at which nothing is; names the nearest name in its directory."""
    looked_in = dict.fromkeys([Path.cwd(), current_project().root, *[PACKAGED] * packaged])
    message = "no file matches the pattern" if is_pattern(path) else "no such file"
    message = f"{role}: {path}: {message} (looked in {', '.join(map(str, looked_in))})"
    parent = Located.from_pattern(expand_home(path)).base if is_pattern(path) else expand_home(path).parent
    directory = next((place for place in [parent, current_project().root / parent] if place.is_dir()), None)
    names = [] if directory is None else sorted(p.name for p in directory.iterdir() if not p.name.startswith("."))
    if not names:
        return UserError(message)
    if is_pattern(path):
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        return UserError(f"{message}; {directory} has {', '.join(names[:8])}{more}")
    near = did_you_mean(Path(path).name, names)
    return UserError(f"{message}; {near}" if near.startswith("did you mean") else message)


def _find_file(path: Path, role: str, packaged_data: Path | None) -> Path | None:
    if path.is_file() and packaged_data is None:
        return path
    root = current_project().root
    own = next((place for place in (path, root / path) if place.is_file()), None)
    packaged = None if packaged_data is None or path.is_absolute() else packaged_data / path
    if packaged is None or not packaged.is_file():
        return own
    if own is None:
        return packaged
    is_in_project = own.resolve().is_relative_to(root)
    if is_in_project and not packaged.samefile(own) and packaged.read_bytes() != own.read_bytes():
        raise UserError(
            f"{role}: {own}: Ratchet brings {path} with another content, so the name is ambiguous: rename your file, "
            "or remove it to use the packaged one"
        )
    return own


def _fetch(url: str, sha256: str | None, role: str, path: str) -> Path:
    """Download `url` into the cache unless it is there. Return its path; `path` is the missing local file, if any."""
    if sha256 is None:
        raise UserError(f"{role}: {url}: set the sha256 of the file in the configuration: downloads are checked")
    import platformdirs
    import pooch

    cache = Path(os.environ.get("RATCHET_CACHE") or platformdirs.user_cache_dir("ratchet"))
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), timeout=30)
    name = f"{sha256[:12]}-{url.rsplit('/', 1)[-1]}"
    try:
        with redirect_stderr(unfiltered(sys.stderr)):  # the bar returns to the start of its line
            return Path(pooch.retrieve(url, f"sha256:{sha256}", fname=name, path=cache, downloader=downloader))
    except Exception as error:
        missing = f"{path} does not exist, and " if path else ""
        raise UserError(
            f"{role}: {missing}{url} could not be downloaded ({_get_reason(error)}). If you are offline, copy the file "
            "to this machine and set its path in the configuration or in the environment variable of the data set's "
            "YAML file (MADEWITHML_DIR for madewithml)"
        ) from error


def _get_reason(error: BaseException) -> str:
    """Return the innermost cause: requests wraps "Name or service not known" in three layers of pools and retries."""
    while (inner := error.__context__) is not None:
        error = inner
    return str(error).splitlines()[0] if str(error) else type(error).__name__
