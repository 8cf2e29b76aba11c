"""What predicts: a finished run, under its own thresholds, with its own way to make a text of a row."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ratchet.config import load
from ratchet.data.texts import TextColumns
from ratchet.models import all_settings
from ratchet.rescoring import Scorer, load_scorer
from ratchet.runs import find_run


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
    """The model that `wanted` names: the directory of a run, an id, the unique beginning or end of one, or `last`.

    Raises:
        UserError: no such run, several, or one that did not finish.
    """
    run = find_run(runs_dir, wanted)
    scorer = load_scorer(run)
    data = load(run.path / "config.yaml", all_settings()).data
    decisive = [run.path / name for name in ("labels.json", "calibration.json", "thresholds.json")]
    digest = digest_of([*decisive, *sorted(run.path.glob("model/**/*"))])
    return Model(f"{run.record.name} ({run.record.id})", scorer, TextColumns.of(data), digest)


def digest_of(paths: Iterable[Path]) -> str:
    """sha256 over the names and contents of those of `paths` that are files."""
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            with path.open("rb") as file:
                digest.update(f"{path.name}\n{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
