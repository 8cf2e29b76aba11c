"""manifest.json: what an export is of, what it was checked on, and the sha256 of every file in it."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ratchet.errors import UserError
from ratchet.files import write_json

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Check:
    """What the export's calibrated scores were held against: the run's own, on `texts` val texts.

    `runs` are the ids of all runs whose exports were checked, the exported one first, `records` the distinct val texts
    of all of them. `f1_difference` is export - run, the mean over the runs, with the lower bound of its one-sided 95 %
    interval; None where every score is so close to the run's that there is nothing to ask.
    """

    texts: int
    largest_difference: float
    changed_decisions: int
    metric: str
    runs: list[str]
    records: int
    f1_difference: float | None = None
    f1_difference_lower: float | None = None


@dataclass(frozen=True)
class Manifest:
    """The fields of manifest.json; `module` is the model's, `files` maps each file's path to its sha256.

    `text` names the columns that the text of a record is made of, `text_separator` is what stands between them.
    `thresholds` says whose they are: the run's, or the export's own, chosen on its scores of the run's val texts.
    """

    module: str
    name: str
    run: str
    config_hash: str
    dataset_version: str
    split_hash: str
    task: str
    text: list[str]
    text_separator: str
    precision: str | None
    thresholds: Literal["run", "export"]
    check: Check
    versions: dict[str, str]
    files: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The manifest of parsed JSON; keys that a newer version added are left out.

        Raises:
            KeyError, TypeError: not such a manifest.
        """
        known = {each.name for each in dataclasses.fields(cls)} - {"check"}
        return cls(check=Check(**content["check"]), **{key: value for key, value in content.items() if key in known})


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write manifest.json, with the checksums of all that is in `directory`."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    sums = {path.relative_to(directory).as_posix(): sha256_of(path) for path in files}
    write_json(directory / MANIFEST, dataclasses.asdict(dataclasses.replace(manifest, files=sums)))


def read_manifest(directory: Path) -> Manifest:
    """The manifest of an export.

    Raises:
        UserError: no export, or one of a format that is not known here.
    """
    path = directory / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = int(content["format"])
        if version > FORMAT:
            raise UserError(f"{path}: written by a newer version of ratchet (format {version}): update ratchet")
        return Manifest.from_json(content)
    except OSError as error:
        raise UserError(f"{directory}: not an export: {error.strerror} ({MANIFEST}); `ratchet export RUN`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the manifest of an export: {error}") from error


def check_files(directory: Path, manifest: Manifest) -> None:
    """Nothing is missing, and nothing has changed.

    Raises:
        UserError: the first file that is not what it was.
    """
    for name, expected in manifest.files.items():
        path = directory / name
        try:
            found = sha256_of(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}; {_REMEDY}") from error
        if found != expected:
            raise UserError(f"{path}: damaged or changed: its sha256 is not that of {MANIFEST}; {_REMEDY}")


_REMEDY = "copy the export again, or make it anew: `ratchet export RUN replace=true`"


def sha256_of(path: Path) -> str:
    """The checksum of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
