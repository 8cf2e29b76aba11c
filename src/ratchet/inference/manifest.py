"""Write and read manifest.json: what was exported, how it was checked, and the sha256 of every file in it."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ratchet.errors import UserError
from ratchet.files import sha256_of, write_json
from ratchet.schema_versions import MANIFEST_SCHEMA, read_versioned

MANIFEST = "manifest.json"
_REMEDY = "copy the export again, or write it again: `ratchet export RUN replace=true`"


@dataclass(frozen=True)
class Check:
    """How the export's calibrated scores compare with the run's, on `texts` val texts.

    `runs` are the ids of all runs whose exports were checked, the exported one first; `records` counts their distinct
    val texts. `f1_difference` is export - run, the mean over the runs, with the lower bound of its one-sided 95 %
    interval; None in float32, whose scores are equal to the run's within a tolerance.
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
    """The fields of manifest.json: `module` is the module of the model, `files` maps each path to its sha256.

    `text` names the columns that make the text of a record, joined by `text_separator`; those of `text_files` hold
    names of files in `text_encoding`. `thresholds` is `export` if
    they were chosen on the export's own scores of the run's val texts.
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
    text_files: list[str] = field(default_factory=list)
    text_encoding: str = "utf-8"
    format: int = MANIFEST_SCHEMA.version

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Return the manifest of parsed JSON; ignore keys that a newer version added.

        Raises:
            KeyError, TypeError: it is not such a manifest.
        """
        known = {declared.name for declared in dataclasses.fields(cls)} - {"check"}
        return cls(check=Check(**content["check"]), **{key: value for key, value in content.items() if key in known})


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write manifest.json with the checksums of all files in `directory`."""
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    sums = {path.relative_to(directory).as_posix(): sha256_of(path) for path in files}
    write_json(directory / MANIFEST, dataclasses.asdict(dataclasses.replace(manifest, files=sums)))


def read_manifest(directory: Path) -> Manifest:
    """Read the manifest of an export.

    Raises:
        UserError: the directory is no export, or has the format of a newer version.
    """
    path = directory / MANIFEST
    try:
        content = read_versioned(json.loads(path.read_text(encoding="utf-8")), MANIFEST_SCHEMA, path)
        return Manifest.from_json(content)
    except OSError as error:
        raise UserError(f"{directory}: not an export: {error.strerror} ({MANIFEST}); `ratchet export RUN`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not the manifest of an export: {error}") from error


def check_files(directory: Path, manifest: Manifest) -> None:
    """Check that no file is missing and none has changed.

    Raises:
        UserError: names the first file that differs.
    """
    for name, expected in manifest.files.items():
        path = directory / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError(f"{directory / MANIFEST}: files: {name!r} is not in the export: do not use it")
        try:
            actual = sha256_of(path)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}; {_REMEDY}") from error
        if actual != expected:
            raise UserError(f"{path}: damaged or changed: its sha256 is not that of {MANIFEST}; {_REMEDY}")
