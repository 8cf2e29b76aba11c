"""Read a directory per class with a text file per record, as 20 Newsgroups and scikit-learn's `load_files` have it."""

from collections.abc import Iterator
from pathlib import Path

from ratchet.data.directories import Located
from ratchet.data.formats.rows import Row, Rows
from ratchet.data.opening import find_codec
from ratchet.data.problems import Problem
from ratchet.errors import UserError

COLUMNS = ["id", "text", "label"]
_NOT_TEXTS = {"Thumbs.db", "desktop.ini"}


def open_folders(path: Path, name: str, encoding: str, *, id_prefix: str = "", has_labels: bool = True) -> Rows:
    """Open a directory, and return a row for each file in it: `id` (its path), `text` and `label` (its directory).

    A directory in that of a class is a level of the label, as in "rec/autos". Hidden files are skipped. A file that is
    not in a directory of a class is a problem, unless the labels are in another file (`has_labels` is False).

    Raises:
        UserError: the directory has no files, a directory in it is a symbolic link, or there is no such encoding.
    """
    find_codec(encoding)
    link = next((inner for inner in sorted(path.glob("[!.]*")) if inner.is_symlink() and inner.is_dir()), None)
    if link is not None:
        raise UserError(f"records: {link}: links to directories are not followed: move or copy the directory here")
    files = [file for file in Located(path, "**/*").list_files() if Path(file).name not in _NOT_TEXTS]
    if not files:
        raise UserError(f"records: {path}: the directory holds no files: data.records.layout=directory reads its files")
    if has_labels and not any("/" in file for file in files):
        raise UserError(
            f"records: {path} holds {len(files)} files, but no directory: data.records.layout=directory needs a "
            "directory for each class (or the labels in data.labels.file)"
        )

    def iterate() -> Iterator[Row | Problem]:
        for number, file in enumerate(files, start=1):
            yield _read_row(path / file, number, f"{id_prefix}{file}", file.rpartition("/")[0], encoding, has_labels)

    return Rows(name, "file", COLUMNS, iterate)


def _read_row(path: Path, number: int, identifier: str, folder: str, encoding: str, has_labels: bool) -> Row | Problem:
    if has_labels and not folder:
        message = "is not in the directory of a class: move or remove it"
        return Problem("file without a class", str(path), message, "stops")
    try:
        text = path.read_bytes().decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = (
            f"line {line}: byte 0x{error.object[error.start]:02x} is not {encoding}: set data.encoding (latin-1 and "
            "cp1252 are common), or save the file as UTF-8"
        )
        return Problem("wrong encoding", str(path), message, "stops")
    except OSError as error:
        return Problem("unreadable file", str(path), f"cannot be read: {error.strerror}", "stops")
    values = {"id": identifier, "text": text}
    return Row(number, {**values, "label": folder} if has_labels else values)
