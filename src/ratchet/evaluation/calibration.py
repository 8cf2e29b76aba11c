"""Calibrate scores with one temperature, and measure how well they are calibrated.

Of all records with score .8 for a label, do 80 % have it? This does not matter where only the order of scores does. It
matters where a score is shown, compared with that of another model, or summed to estimate quality without labels.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.config import CalibrationConfig, CalibrationMethod
from ratchet.data.dataset import Task
from ratchet.data.known import Known, select_known_cells
from ratchet.evaluation.metrics import Binary, Floats, is_binary, split_rows

log = logging.getLogger(__name__)

_EDGES = np.arange(11) / 10  # ten bins of equal width, as in Naeini et al. (2015) and Guo et al. (2017)
_MAX_TEMPERATURE = 20.0  # the search covers [1 / 20, 20]
MAX_FITTED = 8_000_000  # scores that a temperature is fitted on: more change it by less than 1 %


@dataclass(frozen=True)
class Calibration:
    """The calibration of a run: method `none` leaves scores as they are, `temperature` divides logits.

    A temperature above 1 moves scores together (the model was overconfident), below 1 apart (underconfident).
    """

    method: str
    temperature: float | None
    task: Task

    def apply(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return calibrated scores, float32 in [0, 1], shape (num_items, num_labels); with `none`, `scores` themselves.

        Multi-label: sigmoid(logit(score) / temperature), which keeps the order of scores and exact 0 and 1.
        Multi-class: softmax(log(score) / temperature), whose rows sum to 1 and keep their argmax.
        """
        if self.temperature is None:
            return scores
        calibrated = np.empty(scores.shape, dtype=np.float32)
        for rows in split_rows(scores.shape):
            calibrated[rows] = self._scale(scores[rows].astype(np.float64), self.temperature)
        return calibrated

    def _scale(self, scores: Floats, temperature: float) -> npt.NDArray[np.float32]:
        with np.errstate(divide="ignore"):  # a score of 0 has the logit -inf, and comes back as 0
            if self.task is Task.multilabel:
                from scipy.special import expit, logit

                return np.asarray(expit(logit(scores) / temperature), dtype=np.float32)
            return _scale_classes(scores, temperature)

    def to_json(self) -> dict[str, Any]:
        """Return the content of calibration.json."""
        return {"method": self.method, "temperature": self.temperature, "task": self.task.value}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Calibration":
        """Read what `to_json` returned."""
        return cls(content["method"], content["temperature"], Task(content["task"]))


def _scale_classes(scores: Floats, temperature: float) -> npt.NDArray[np.float32]:
    """Return softmax(log(score) / temperature). A row of zeros prefers no class: all classes get the same share."""
    from scipy.special import softmax

    logits = np.log(np.where(scores.any(axis=1, keepdims=True), scores, 1.0))
    shares = np.asarray(softmax(logits / temperature, axis=1), dtype=np.float32)
    rows, top = np.arange(len(shares)), scores.argmax(axis=1)
    tied = shares.argmax(axis=1) != top  # close scores may round to one float32: keep the argmax
    shares[rows[tied], top[tied]] = np.nextafter(shares[tied].max(axis=1), np.float32(1))
    return shares


def fit_calibration(
    targets: Binary, scores: npt.NDArray[Any], config: CalibrationConfig, task: Task, known: Known | None = None
) -> Calibration:
    """Fit the calibration of a run on validation `targets` and `scores` of shape (num_items, num_labels).

    One temperature for all labels, the one of least log loss (Guo et al. 2017, "On Calibration of Modern Neural
    Networks"). A score of 0 or 1 has no finite logit, so no temperature moves it and it does not contribute. If there
    are no others, as with rules, the method is `none` and a warning is logged. Of more than `MAX_FITTED` scores it
    is fitted on those of every n-th record.
    """
    if config.method is CalibrationMethod.none:
        return Calibration("none", None, task)
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    rows = slice(None, None, -(-targets.size // MAX_FITTED) or 1)
    targets, scores, known = targets[rows], scores[rows], None if known is None else known[rows]
    logs, true = _log_probabilities(select_known_cells(targets, known), select_known_cells(scores, known), task)
    if not len(logs):
        log.warning("calibration.method=temperature: val scores are only 0 and 1, there is nothing to calibrate")
        return Calibration("none", None, task)

    def log_loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(true)), true]).mean())

    bounds = (-np.log(_MAX_TEMPERATURE), np.log(_MAX_TEMPERATURE))  # convex in 1 / temperature: one minimum
    best = minimize_scalar(log_loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return Calibration("temperature", float(np.exp(best.x)), task)


def _log_probabilities(targets: Binary, scores: npt.NDArray[Any], task: Task) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Return log probabilities (num_rows, num_classes) and the true class of each row, without rows that cannot move.

    Multi-label: each known (record, label) pair is a row of two classes, "no" and "yes".
    """
    exact = scores.astype(np.float64)
    with np.errstate(divide="ignore"):
        if task is Task.multilabel:
            logs = np.stack([np.log1p(-exact), np.log(exact)], axis=-1).reshape(-1, 2)
            true = targets.ravel().astype(np.intp)
        else:
            logs, true = np.log(exact), targets.argmax(axis=1)
    moves = (np.isfinite(logs) & (logs < 0)).any(axis=1) & np.isfinite(logs[np.arange(len(true)), true])
    return logs[moves], true[moves]


def compute_calibration_metrics(
    targets: Binary, scores: npt.NDArray[Any], task: Task, known: Known | None = None
) -> dict[str, float]:
    """Return `brier` and `expected_calibration_error`; lower is better, NaN where scores are only 0 and 1.

    Brier score (Brier 1950): multi-label, the mean squared difference over all known (record, label) pairs, in [0, 1];
    multi-class, squared differences summed over classes, mean over records, in [0, 2]. Expected calibration error:
    |share of positives - mean score| over the bins of `reliability`, weighted by their counts (Naeini et al. 2015).
    Where most labels are rare, most scores are near 0 and both are small for any model: only compare them.
    """
    targets, scores = select_known_cells(targets, known), select_known_cells(scores, known)
    if is_binary(scores):
        return {"brier": np.nan, "expected_calibration_error": np.nan}
    squared = sum(_sum_squares(targets[rows], scores[rows], task) for rows in split_rows(scores.shape))
    brier = squared / (scores.size if task is Task.multilabel else len(scores))
    count, score, positive = _sum_bins(targets, scores, task)
    return {"brier": float(brier), "expected_calibration_error": float(np.abs(positive - score).sum() / count.sum())}


def compute_reliability(
    targets: Binary, scores: npt.NDArray[Any], task: Task, known: Known | None = None
) -> list[dict[str, float | int | None]]:
    """Return the rows of a reliability diagram, one per bin: ten bins (low, high] of equal width.

    The first bin includes 0. Keys are `low`, `high`, `count`, `mean_score`, `share_positive`; the last two are None
    for an empty bin. Multi-label: all known (record, label) pairs; multi-class: the top score of each record, positive
    if it is right (Guo et al. 2017). Empty where scores are only 0 and 1.
    """
    targets, scores = select_known_cells(targets, known), select_known_cells(scores, known)
    if is_binary(scores):
        return []
    return [
        {
            "low": float(_EDGES[index]),
            "high": float(_EDGES[index + 1]),
            "count": int(count),
            "mean_score": score / count if count else None,
            "share_positive": positive / count if count else None,
        }
        for index, (count, score, positive) in enumerate(_sum_bins(targets, scores, task).T.tolist())
    ]


def _sum_squares(targets: Binary, scores: npt.NDArray[Any], task: Task) -> float:
    """Return the sum of squared differences; multi-class: over classes first, then over records."""
    squared = (scores.astype(np.float64) - targets) ** 2
    return float(squared.sum() if task is Task.multilabel else squared.sum(axis=1).sum())


def _sum_bins(targets: Binary, scores: npt.NDArray[Any], task: Task) -> Floats:
    """Return the number of scores in each bin, their sum, and the number of positives: shape (3, num_bins)."""
    blocks = [_sum_bins_of(targets[rows], scores[rows], task) for rows in split_rows(scores.shape)]
    return np.sum(blocks, axis=0) if len(blocks) > 1 else blocks[0]


def _sum_bins_of(targets: Binary, scores: npt.NDArray[Any], task: Task) -> Floats:
    """Return the sums of `_sum_bins` for one block of rows."""
    score, positive = scores, targets
    if task is Task.multiclass:
        top = scores.argmax(axis=1)[:, None]
        score, positive = np.take_along_axis(scores, top, axis=1), np.take_along_axis(targets, top, axis=1)
    weights = np.stack([np.ones(score.size), score.ravel(), positive.ravel()]).astype(np.float64)
    bins = np.searchsorted(_EDGES[1:-1], weights[1])
    return np.stack([np.bincount(bins, weight, len(_EDGES) - 1) for weight in weights]).astype(np.float64)
