"""Read the bytes of a configured file from a local path, or download it once, check it and cache it."""

import hashlib
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ratchet.config import DataConfig, FileConfig
from ratchet.errors import UserError
from ratchet.project import PACKAGED, current_project


@dataclass(frozen=True)
class Content:
    """The bytes of a file, and its name for messages."""

    name: str
    data: bytes
    sha256: str


def read_file(file: FileConfig, role: str, *, packaged: bool = True) -> Content:
    """Read and check `file`. Return its content; `role` names the file in messages ("records", "taxonomy").

    A relative path is looked up in the working directory, in the project's root, then, with `packaged`, in the packaged
    data. A downloaded file is kept in the user's cache directory (`RATCHET_CACHE` sets another one).

    Raises:
        UserError: the file is missing, cannot be read or downloaded, its content does not have its sha256, or the
            packaged file of this name has another content.
    """
    if file.path is None:
        raise UserError(f"{role}: no path is configured")
    is_url = file.path.startswith(("http://", "https://"))
    path = None if is_url else _find_file(Path(file.path).expanduser(), role, PACKAGED if packaged else None)
    if path is None:
        url = file.path if is_url else file.url
        if url is None:
            looked_in = dict.fromkeys([Path.cwd(), current_project().root, *[PACKAGED] * packaged])
            raise UserError(f"{role}: {file.path}: no such file (looked in {', '.join(map(str, looked_in))})")
        path = _fetch(url, file.sha256, role, "" if is_url else file.path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{role}: {path}: cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(data).hexdigest()
    if file.sha256 is not None and digest != file.sha256.lower():
        raise UserError(
            f"{role}: {path}: wrong content: sha256 is {digest}, expected {file.sha256}. "
            "Get the file again, or set the new sha256 if the change is intended"
        )
    return Content(str(path), data, digest)


def list_watched_files(data: DataConfig) -> list[tuple[str, FileConfig, Path]]:
    """Return the role, the configuration and the path of each file of a data set.

    The path is where a pipeline reads the file: data/<name of the data set>/<name of the file>.

    Raises:
        UserError: two of the files have the same name.
    """
    files: dict[Path, tuple[str, FileConfig]] = {}
    for role, file in (("records", data.records), ("taxonomy", data.taxonomy), ("label file", data.labels.names)):
        if file is not None and file.path is not None:
            path = Path("data", data.name, file.path.rstrip("/").rpartition("/")[2])
            if path in files:
                other = files[path][1].path
                raise UserError(f"data set {data.name}: {other} and {file.path} would both be {path}: rename one")
            files[path] = (role, file)
    return [(role, file, path) for path, (role, file) in files.items()]


def _find_file(path: Path, role: str, packaged_data: Path | None) -> Path | None:
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
