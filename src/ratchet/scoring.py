"""A tagger with all that turns its scores into decisions: what scores texts, wherever it was written down."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet.errors import UserError
from ratchet.evaluation.calibration import Calibration
from ratchet.evaluation.thresholds import Thresholds
from ratchet.models import tagger_class
from ratchet.runs import StoredRun
from ratchet.taggers import Scores, Tagger


@dataclass(frozen=True)
class Scorer:
    """A finished run's tagger with what turns its scores into decisions, labels in their order."""

    tagger: Tagger
    labels: list[str]
    calibration: Calibration
    thresholds: Thresholds

    def scores(self, texts: Sequence[str]) -> Scores:
        """Scores of shape (num_texts, num_labels), calibrated as the run's own are."""
        return self.calibration.apply(self.tagger.predict_proba(texts))


def load_scorer(run: StoredRun) -> Scorer:
    """Everything that a finished run scores texts with.

    Raises:
        UserError: the run did not finish, or is a trial whose weights were not kept.
    """
    if run.status != "finished":
        raise UserError(f"{run.path}: the run is {run.status}, only a finished one can score")
    if not (run.path / "model").is_dir():
        raise UserError(
            f"{run.path}: its weights were not kept; a search keeps those of its best trial. `python train.py "
            "experiment=...` trains the experiment that it wrote, any configuration can be trained again"
        )
    return read_scorer(run.path / "model", run.record.model, run.read_json)


def read_scorer(model: Path, module: str, read_json: Callable[[str], Any]) -> Scorer:
    """The tagger of `module` that is in the directory `model`; `read_json` reads the files beside it by name."""
    labels: list[str] = read_json("labels.json")
    return Scorer(
        tagger_class(module).load(model),
        labels,
        Calibration.from_json(read_json("calibration.json")),
        Thresholds.from_json(read_json("thresholds.json"), labels),
    )
