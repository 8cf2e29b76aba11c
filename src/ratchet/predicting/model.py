"""What predicts: a run's export, or a finished run itself; its own thresholds, its own way to make a text of a row."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ratchet.config import load
from ratchet.data.texts import TextColumns
from ratchet.exporting import find_export, load_export
from ratchet.exporting.manifest import MANIFEST, read_manifest
from ratchet.models import all_settings
from ratchet.runs import find_run
from ratchet.scoring import Scorer, load_scorer


@dataclass(frozen=True)
class Model:
    """A scorer, the columns that its texts are made of, and what tells it from every other one.

    `digest` is a sha256 over all files that decide what is predicted.
    """

    name: str
    scorer: Scorer
    text: TextColumns
    digest: str


def open_model(runs_dir: Path, wanted: str) -> Model:
    """The model that `wanted` names: a directory that `ratchet export` wrote, or a run.

    A run is named by its directory, an id, the unique beginning or end of one, or `last`; where it has an export, that
    one predicts.

    Raises:
        UserError: no such run, several, one that did not finish, or an export that is damaged.
    """
    if (Path(wanted) / MANIFEST).is_file():
        return _exported(Path(wanted))
    run = find_run(runs_dir, wanted)
    if export := find_export(run):
        return _exported(export)
    scorer = load_scorer(run)
    data = load(run.path / "config.yaml", all_settings()).data
    decisive = [run.path / name for name in ("labels.json", "calibration.json", "thresholds.json")]
    digest = digest_of([*decisive, *sorted(run.path.glob("model/**/*"))])
    return Model(f"{run.record.name} ({run.record.id})", scorer, TextColumns.from_config(data), digest)


def _exported(directory: Path) -> Model:
    scorer, manifest = load_export(directory), read_manifest(directory)
    name = f"{manifest.name} ({manifest.run}), exported"
    text = TextColumns(tuple(manifest.text), manifest.text_separator)
    return Model(name, scorer, text, digest_of([directory / MANIFEST]))


def digest_of(paths: Iterable[Path]) -> str:
    """sha256 over the names and contents of those of `paths` that are files."""
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                digest.update(f"{path.name}\n{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
