"""Give the files that a project stores a schema version: migrate older files, refuse newer ones.

A version is raised when older code would misread a file. The new version then needs a migration from the one before,
and an example in tests/schema_versions. A new key that has a default, and that older code ignores, needs neither.

Files without a schema here are part of something that has one, or are never read again. A run's record covers all
files in its directory, the manifest those of an export, `sweep.json` those of a sweep.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ratchet.errors import UserError

Content = dict[str, Any]
Migration = Callable[[Content], Content]

_DISTRIBUTIONS = ("ratchet-ml", "ratchet")  # keys of Ratchet's own version among the versions of packages
_COMPUTED_AGAIN = "`dvc repro` writes it again"


@dataclass(frozen=True)
class FileSchema:
    """The current version of a kind of file, and the migrations from older versions.

    `key` holds the version. `writer_key` holds the version of the Ratchet that wrote the file, or the versions of all
    packages. `migrations[n]` turns the content of version n into that of version n + 1. `remedy` is what to do about a
    newer file, by default to install the Ratchet that wrote it.
    """

    name: str
    version: int = 1
    key: str = "schema_version"
    writer_key: str = "ratchet_version"
    migrations: Mapping[int, Migration] = field(default_factory=dict)
    remedy: str | None = None


# One constant per kind: the code of a run includes those that a run uses, and a change of the others does not alter it.
PROJECT_SCHEMA = FileSchema("project", key="schema", writer_key="ratchet")  # ratchet.yaml
RECORD_SCHEMA = FileSchema("record", writer_key="packages")  # record.json of a run
ACCESS_SCHEMA = FileSchema("test-set access")  # a line of runs/<data>/test_readings.jsonl
PROMOTION_SCHEMA = FileSchema("promotion")  # a line of promotions/<data>.jsonl
SWEEP_SCHEMA = FileSchema("sweep")  # runs/.sweeps/<sweep>/sweep.json
STUDY_SCHEMA = FileSchema("study")  # runs/.studies/<study>/study.json
MANIFEST_SCHEMA = FileSchema("manifest", key="format", writer_key="versions")  # manifest.json of an export
RESULTS_SCHEMA = FileSchema("results")  # results.lock.json, which does not name its Ratchet
COMPARISON_SCHEMA = FileSchema("comparison", remedy=_COMPUTED_AGAIN)  # build/comparison.json
VERDICT_SCHEMA = FileSchema("verdict", remedy=_COMPUTED_AGAIN)  # build/verdict.json
REVIEW_SCHEMA = FileSchema("review", remedy=_COMPUTED_AGAIN)  # build/review.json


def ratchet_version() -> str:
    """Return the version of this Ratchet."""
    # Not imported: the name would make the version a part of every run's code, and a release changes no prediction.
    return str(sys.modules["ratchet"].__version__)


def version_keys(schema: FileSchema) -> Content:
    """Return the keys to store in a new file: the schema version, and the version of this Ratchet."""
    return {schema.key: schema.version, schema.writer_key: ratchet_version()}


def read_versioned(content: object, schema: FileSchema, location: Path | str) -> Content:
    """Return the content of a stored file in the current version. Without a version, it is of version 1.

    Raises:
        UserError: a newer Ratchet wrote the file. The message names the Ratchet that reads it.
        ValueError: the content is not a mapping, or its version is not a positive integer.
    """
    if not isinstance(content, dict):
        raise ValueError("must be a mapping")
    version = content.get(schema.key, 1)
    if type(version) is not int or version < 1:  # a bool is an int
        raise ValueError(f"{schema.key}={version!r}: must be a positive integer")
    if version == schema.version:
        return content
    if version > schema.version:
        raise _describe_newer(content, schema, location, version)
    for step in range(version, schema.version):
        content = schema.migrations[step](content)
    return {**content, schema.key: schema.version}


def _describe_newer(content: Content, schema: FileSchema, location: Path | str, version: int) -> UserError:
    writer = _find_writer(content, schema)
    remedy = schema.remedy or (f"install ratchet-ml {writer} or newer" if writer else "install a newer ratchet-ml")
    return UserError(
        f"{location}: written by {f'Ratchet {writer}' if writer else 'a newer Ratchet'} with {schema.name} schema "
        f"{version}; this is Ratchet {ratchet_version()}, which reads up to schema {schema.version}: {remedy}"
    )


def _find_writer(content: Content, schema: FileSchema) -> str | None:
    """Return the version of the Ratchet that wrote a file; None if it does not say."""
    writer = content.get(schema.writer_key)
    if isinstance(writer, dict):
        writer = next((writer[name] for name in _DISTRIBUTIONS if name in writer), None)
    return writer if isinstance(writer, str) else None


def read_marker(path: Path) -> Content:
    """Read ratchet.yaml, which marks the root of a project. An empty file is of version 1.

    Raises:
        UserError: it cannot be read, or a newer Ratchet wrote it.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return read_versioned({} if content is None else content, PROJECT_SCHEMA, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not the marker of a project: {str(error).splitlines()[0]}") from error
