"""From an export's directory to what scores texts; nothing here or below loads torch."""

import json
from pathlib import Path
from typing import Any

from ratchet.errors import UserError, did_you_mean
from ratchet.exporting.manifest import MANIFEST, check_files, read_manifest
from ratchet.models import model_modules
from ratchet.runs import StoredRun
from ratchet.scoring import Scorer, read_scorer

PLACE = "export"  # of a run's export, within the run's directory


def find_export(run: StoredRun) -> Path | None:
    """Where `ratchet export` put the run's export, if it did and was not told another place."""
    directory = run.path / PLACE
    return directory if (directory / MANIFEST).is_file() else None


def load_export(directory: Path) -> Scorer:
    """What scores texts as the exported run does. It takes as many threads as `ratchet.machine.wanted_threads` says.

    Raises:
        UserError: no export, a file that is missing or changed, a newer format, a model that is not among those here,
            or what it needs to score is not installed.
    """
    manifest = read_manifest(directory)
    check_files(directory, manifest)
    if manifest.module not in model_modules():
        hint = did_you_mean(manifest.module, model_modules())
        raise UserError(f"{directory}: an export of the model {manifest.module!r}, which is not there; {hint}")

    def read_json(name: str) -> Any:
        try:
            return json.loads((directory / name).read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"{directory / name}: cannot be read: {error.strerror}") from error

    return read_scorer(directory / "model", manifest.module, read_json)
