"""Whether an export scores as its run does: on the val texts, never on test."""

import numpy as np

from ratchet.comparison.estimates import difference
from ratchet.comparison.resampling import JudgedRun, redraw
from ratchet.data.dataset import Dataset
from ratchet.evaluation.metrics import Binary
from ratchet.exporting.manifest import Check
from ratchet.models.base import Scores
from ratchet.neural.settings import ExportPrecision
from ratchet.scoring import Scorer

LARGEST = 1e-4  # difference of a score that is the same score, computed by another library
F1_MARGIN = 0.005  # F1 that int8 may cost
_ALPHA, _RESAMPLES = 0.05, 2_000  # they tell a variance, no quantile


class ExportRefused(Exception):
    """The export does not score as its run does; nothing was written."""


def check_scores(
    scorer: Scorer, val: Dataset, own: Scores, found: Scores, metric: str, precision: ExportPrecision | None
) -> Check:
    """Compare `found`, the export's calibrated scores of `val`, with the run's `own`.

    Within `LARGEST` of each other they are the same: decisions differ at most where a score is that close to its
    threshold. Scores of int8 may differ by more, if `metric` (F1 of some average) is not worse by `F1_MARGIN`: the
    lower bound of the one-sided 95 % interval of the difference, from paired draws of records, lies above that.

    Raises:
        ExportRefused: they differ by more.
    """
    decisions, decided = scorer.thresholds.decide(own), scorer.thresholds.decide(found)
    largest = float(np.abs(own.astype(np.float64) - found).max(initial=0))
    check = Check(len(val), largest, int((decisions != decided).sum()), metric)
    if precision is not ExportPrecision.int8:
        if not largest <= LARGEST:
            raise ExportRefused(f"scores differ from the run's by up to {largest:.2g} on val, {LARGEST:.0e} is allowed")
        return check
    value, lower = _f1_difference(val.targets, decisions, decided, metric)
    if not lower > -F1_MARGIN:
        raise ExportRefused(
            f"int8 may be worse than float32 by more than {F1_MARGIN}: {metric} {value:+.4f} on {len(val)} val texts, "
            f"95 % sure only that it is above {lower:+.4f} (thresholds as they are)"
        )
    return Check(check.texts, largest, check.changed_decisions, metric, value, lower)


def _f1_difference(targets: Binary, own: Binary, found: Binary, metric: str) -> tuple[float, float]:
    """Export - run, and its lower bound."""
    rows = np.arange(len(targets))
    judged = [[JudgedRun("val", rows, targets, decisions, {})] for decisions in (found, own)]
    left, right = (drawn[metric] for drawn in redraw(judged, len(targets), _RESAMPLES))
    estimate = difference(left, right)
    return float(estimate.value), float(estimate.lower(_ALPHA))
