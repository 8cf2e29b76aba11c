"""Get the bytes of a configured file: from a local path, or fetched once, checked and cached."""

import hashlib
import logging
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from ratchet.config import DataConfig, FileConfig
from ratchet.errors import UserError
from ratchet.project import PROJECT


@dataclass(frozen=True)
class Content:
    """A file's bytes and the name that messages call it by."""

    name: str
    data: bytes
    sha256: str


def read_file(file: FileConfig, what: str) -> Content:
    """The checked content of `file`; `what` names its role in messages ("records", "taxonomy").

    A relative path is looked up in the working directory, then in the project's own. What is fetched goes to
    the user's cache directory (`RATCHET_CACHE` to choose another).

    Raises:
        UserError: not there, not readable, not to be fetched, or not the content that its sha256 promises.
    """
    if file.path is None:
        raise UserError(f"{what}: no path is configured")
    is_url = file.path.startswith(("http://", "https://"))
    path = None if is_url else _existing(Path(file.path).expanduser())
    if path is None:
        url = file.path if is_url else file.url
        if url is None:
            raise UserError(f"{what}: {file.path}: no such file (looked in {Path.cwd()} and {PROJECT})")
        path = _fetch(url, file.sha256, what, "" if is_url else file.path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{what}: {path}: cannot be read: {error.strerror}") from error
    digest = hashlib.sha256(data).hexdigest()
    if file.sha256 is not None and digest != file.sha256.lower():
        raise UserError(
            f"{what}: {path}: wrong content: sha256 is {digest}, expected {file.sha256}. "
            "Get the file anew, or set the new sha256 if the change is meant"
        )
    return Content(str(path), data, digest)


def watched_files(data: DataConfig) -> list[tuple[str, FileConfig, Path]]:
    """The files of a data set, each with its role and where a pipeline looks for it: data/<name>/<file>.

    Raises:
        UserError: two of them have the same name.
    """
    found: dict[Path, tuple[str, FileConfig]] = {}
    for what, file in (("records", data.records), ("taxonomy", data.taxonomy), ("label file", data.labels.names)):
        if file is not None and file.path is not None:
            path = Path("data", data.name, file.path.rstrip("/").rpartition("/")[2])
            if path in found:
                other = found[path][1].path
                raise UserError(f"data set {data.name}: {other} and {file.path} would both be {path}: rename one")
            found[path] = (what, file)
    return [(what, file, path) for path, (what, file) in found.items()]


def _existing(path: Path) -> Path | None:
    candidates = [path] if path.is_absolute() else [path, PROJECT / path]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _fetch(url: str, sha256: str | None, what: str, path: str) -> Path:
    if sha256 is None:
        raise UserError(f"{what}: {url}: a file that is fetched needs its sha256 in the configuration")
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
            f"{what}: {missing}{url} could not be fetched ({_reason(error)}). Offline, put the file somewhere and name "
            "it in the configuration, or through the environment variable that the data set's YAML names "
            "(MADEWITHML_DIR for madewithml)"
        ) from error


def _reason(error: BaseException) -> str:
    """The innermost cause: requests wraps "Name or service not known" in three layers of pools and retries."""
    while (inner := error.__context__) is not None:
        error = inner
    return str(error).splitlines()[0] if str(error) else type(error).__name__
