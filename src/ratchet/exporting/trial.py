"""One run's export in a directory, and how it and the run itself score the run's own val texts."""

import dataclasses
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ratchet.config import ThresholdConfig
from ratchet.data.dataset import Dataset
from ratchet.data.prepared import Prepared
from ratchet.evaluation.metrics import Binary
from ratchet.evaluation.thresholds import Thresholds, choose_thresholds
from ratchet.files import write_json
from ratchet.models import tagger_class
from ratchet.runs import StoredRun
from ratchet.scoring import Scorer, load_scorer
from ratchet.taggers import Exporter, ExportPrecision, Scores, check_scores

STEPS = 3  # that `advance` is told of: written, scored by the run, scored by the export


@dataclass(frozen=True)
class Trial:
    """Calibrated scores of `val`, shape (num_texts, num_labels), by the run and by its export; each has thresholds."""

    run: StoredRun
    val: Dataset
    own: Scores
    found: Scores
    own_thresholds: Thresholds
    found_thresholds: Thresholds

    @property
    def decisions(self) -> Binary:
        """What the run decides."""
        return self.own_thresholds.decide(self.own)

    @property
    def decided(self) -> Binary:
        """What the export decides."""
        return self.found_thresholds.decide(self.found)

    @property
    def largest_difference(self) -> float:
        """Between two scores of the same text and label; NaN where one is."""
        return float(np.abs(self.own.astype(np.float64) - self.found).max(initial=0))

    @property
    def changed_decisions(self) -> int:
        """In how many cells the two decide differently."""
        return int((self.decisions != self.decided).sum())


def try_export(
    run: StoredRun,
    data: Prepared,
    threshold: ThresholdConfig,
    directory: Path,
    precision: ExportPrecision,
    advance: Callable[[int], None],
) -> Trial:
    """Write the run's export into `directory`, which is empty, and score its val texts with both.

    Calibration is the run's, and so are thresholds, but those of int8: a threshold stands on an observed score, and
    scores of int8 are others. They are chosen on them, by `threshold` and on val, as the run's were on its own.

    Raises:
        UserError: the run did not finish, or the libraries to export or score it are not installed.
    """
    scorer = load_scorer(run)
    val = data.select(run.read_json("split.json")["val"])
    _write(run, scorer, directory, precision)
    advance(1)
    own = check_scores(scorer.scores(val.texts), val.targets.shape)
    advance(1)
    exported = dataclasses.replace(scorer, tagger=tagger_class(run.record.model).load(directory / "model"))
    found = check_scores(exported.scores(val.texts), val.targets.shape)
    thresholds = scorer.thresholds
    if precision is ExportPrecision.int8:
        thresholds = choose_thresholds(val.targets, found, threshold, val.task)
        write_json(directory / "thresholds.json", thresholds.to_json(scorer.labels))
    advance(1)
    return Trial(run, val, own, found, scorer.thresholds, thresholds)


def _write(run: StoredRun, scorer: Scorer, directory: Path, precision: ExportPrecision) -> None:
    for name in ("labels.json", "thresholds.json", "calibration.json"):
        shutil.copyfile(run.path / name, directory / name)
    model = directory / "model"
    model.mkdir()
    if isinstance(scorer.tagger, Exporter):
        scorer.tagger.export(model, precision)
    else:
        scorer.tagger.save(model)
