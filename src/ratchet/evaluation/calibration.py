"""Scores as probabilities: how far they are from it, and one temperature that brings them nearer.

Of all records with score .8 for a label, do 80 % have it? Where only the order of scores matters, nobody needs to know;
where a score is shown, compared with that of another model, or summed to estimate quality without labels, one does.
"""

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.config import CalibrationConfig, CalibrationMethod
from ratchet.data.dataset import Task
from ratchet.evaluation.metrics import Binary, Floats

log = logging.getLogger(__name__)

_EDGES = np.arange(11) / 10  # ten bins of equal width, as in Naeini et al. (2015) and Guo et al. (2017)
_HOTTEST = 20.0  # temperatures are sought within [1 / 20, 20]


@dataclass(frozen=True)
class Calibration:
    """How a run turns a model's scores into probabilities: method `none` leaves them, `temperature` divides logits.

    Above 1 a temperature draws scores together (the model was too sure), below 1 apart (it was not sure enough).
    """

    method: str
    temperature: float | None
    task: Task

    def apply(self, scores: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Calibrated scores, float32 in [0, 1] of the same shape (num_items, num_labels); `none`: `scores` themselves.

        Multi-label: sigmoid(logit(score) / temperature), which reorders nothing and keeps exact 0 and 1.
        Multi-class: softmax(log(score) / temperature), whose rows sum to 1 and keep their argmax.
        """
        if self.temperature is None:
            return scores
        exact = scores.astype(np.float64)
        with np.errstate(divide="ignore"):  # a score of 0 has the logit -inf, and comes back as 0
            if self.task is Task.multilabel:
                from scipy.special import expit, logit

                return np.asarray(expit(logit(exact) / self.temperature), dtype=np.float32)
            return _shares(exact, self.temperature)

    def to_json(self) -> dict[str, Any]:
        """The content of calibration.json."""
        return {"method": self.method, "temperature": self.temperature, "task": self.task.value}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Calibration":
        """What `to_json` wrote."""
        return cls(content["method"], content["temperature"], Task(content["task"]))


def _shares(scores: Floats, temperature: float) -> npt.NDArray[np.float32]:
    """softmax(log(score) / temperature); a row of zeros prefers no class, so each gets the same share."""
    from scipy.special import softmax

    logits = np.log(np.where(scores.any(axis=1, keepdims=True), scores, 1.0))
    shares = np.asarray(softmax(logits / temperature, axis=1), dtype=np.float32)
    rows, top = np.arange(len(shares)), scores.argmax(axis=1)
    tied = shares.argmax(axis=1) != top  # close scores may round to one float32: the larger stays the larger
    shares[rows[tied], top[tied]] = np.nextafter(shares[tied].max(axis=1), np.float32(1))
    return shares


def fit_calibration(targets: Binary, scores: npt.NDArray[Any], config: CalibrationConfig, task: Task) -> Calibration:
    """The calibration of a run, from validation `targets` and `scores` of shape (num_items, num_labels).

    One temperature for all labels, that of least log loss (Guo et al. 2017, "On Calibration of Modern Neural
    Networks"). A score of 0 or 1 has no finite logit, so no temperature moves it: it has no say. Where there are no
    others, as with rules, the method is `none`, and the log says so.
    """
    if config.method is CalibrationMethod.none:
        return Calibration("none", None, task)
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    logs, true = _log_probabilities(targets, scores, task)
    if not len(logs):
        log.warning("calibration.method=temperature: val scores are only 0 and 1, there is nothing to calibrate")
        return Calibration("none", None, task)

    def log_loss(log_temperature: float) -> float:
        scaled = logs / np.exp(log_temperature)
        return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(true)), true]).mean())

    bounds = (-np.log(_HOTTEST), np.log(_HOTTEST))  # convex in 1 / temperature: one minimum
    best = minimize_scalar(log_loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return Calibration("temperature", float(np.exp(best.x)), task)


def _log_probabilities(targets: Binary, scores: npt.NDArray[Any], task: Task) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Log probabilities of shape (num_rows, num_classes) and the true class of each row, without rows that are fixed.

    Multi-label: each (record, label) pair is a row of two classes, "no" and "yes".
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


def calibration_figures(targets: Binary, scores: npt.NDArray[Any], task: Task) -> dict[str, float]:
    """`brier` and `expected_calibration_error`, lower is better; NaN where scores are only 0 and 1.

    Brier score (Brier 1950): multi-label, the mean squared difference over all (record, label) pairs, in [0, 1];
    multi-class, squared differences summed over classes, mean over records, in [0, 2]. Expected calibration error:
    |share of positives - mean score| over the bins of `reliability`, weighted by their counts (Naeini et al. 2015).
    Where most labels are rare, most pairs lie near 0 and both are small whatever the model: compare, do not admire.
    """
    if _only_0_and_1(scores):
        return {"brier": np.nan, "expected_calibration_error": np.nan}
    squared = (scores.astype(np.float64) - targets) ** 2
    brier = squared.mean() if task is Task.multilabel else squared.sum(axis=1).mean()
    count, score, positive = _bin_sums(targets, scores, task)
    return {"brier": float(brier), "expected_calibration_error": float(np.abs(positive - score).sum() / count.sum())}


def reliability(targets: Binary, scores: npt.NDArray[Any], task: Task) -> list[dict[str, float | int | None]]:
    """The table of a reliability diagram: a row for each of ten bins (low, high] of equal width, 0 in the first.

    Keys `low`, `high`, `count`, `mean_score`, `share_positive`; the last two None where a bin is empty. Multi-label:
    all (record, label) pairs; multi-class: the top score of each record, positive where it is right (Guo et al.
    2017). Empty where scores are only 0 and 1.
    """
    if _only_0_and_1(scores):
        return []
    return [
        {
            "low": float(_EDGES[index]),
            "high": float(_EDGES[index + 1]),
            "count": int(count),
            "mean_score": score / count if count else None,
            "share_positive": positive / count if count else None,
        }
        for index, (count, score, positive) in enumerate(_bin_sums(targets, scores, task).T.tolist())
    ]


def _bin_sums(targets: Binary, scores: npt.NDArray[Any], task: Task) -> Floats:
    """How many scores each bin holds, their sum, and how many are of positives: shape (3, num_bins)."""
    score, positive = scores, targets
    if task is Task.multiclass:
        top = scores.argmax(axis=1)[:, None]
        score, positive = np.take_along_axis(scores, top, axis=1), np.take_along_axis(targets, top, axis=1)
    weights = np.stack([np.ones(score.size), score.ravel(), positive.ravel()]).astype(np.float64)
    bins = np.searchsorted(_EDGES[1:-1], weights[1])
    return np.stack([np.bincount(bins, each, len(_EDGES) - 1) for each in weights]).astype(np.float64)


def _only_0_and_1(scores: npt.NDArray[Any]) -> bool:
    return bool(np.isin(scores, (0, 1)).all())
