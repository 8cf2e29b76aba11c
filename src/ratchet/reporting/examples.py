"""Records that a candidate predicts better or worse than the baseline."""

import hashlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.metrics import compute_item_metrics
from ratchet.evaluation.thresholds import Thresholds
from ratchet.runs.predictions import read_predictions
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import StoredRun

MOST = 10  # of each kind and candidate
_DIGITS = 9


@dataclass(frozen=True)
class Example:
    """A record, its true labels, and the predictions of baseline and candidate in the first run that measured it."""

    id: str
    text: str
    true: list[str]
    before: list[str]
    after: list[str]
    gain: float


@dataclass(frozen=True)
class Examples:
    """The number of records that a candidate gained and lost, and the largest gains and losses."""

    candidate: str
    gained: int
    lost: int
    alike: int
    best: list[Example]
    worst: list[Example]


@dataclass(frozen=True)
class _Outcome:
    """The results of one candidate on a record: its own F1 in each run, and the labels in the first run."""

    values: list[float]
    true: list[str]
    predicted: list[str]


def find_examples(selection: Selection, baseline: str, texts: Mapping[str, str]) -> list[Examples]:
    """Return the examples of every candidate except the baseline.

    The gain of a record is its mean F1 over the candidate's runs minus that over the baseline's runs.
    """
    outcomes = {candidate.name: _outcomes_of(candidate, selection.part) for candidate in selection.candidates}
    return [_contrast(name, outcomes[name], outcomes[baseline], texts) for name in outcomes if name != baseline]


def _contrast(
    name: str, ours: Mapping[str, _Outcome], theirs: Mapping[str, _Outcome], texts: Mapping[str, str]
) -> Examples:
    gains = {key: _gain(ours[key].values, theirs[key].values) for key in sorted(ours.keys() & theirs.keys())}
    ordered = sorted(gains, key=lambda key: (-gains[key], _hash_id(key)))
    examples = [
        Example(key, texts[key], ours[key].true, theirs[key].predicted, ours[key].predicted, gains[key])
        for key in ordered
    ]
    gained, lost = (sum(1 for gain in gains.values() if sign * gain > 0) for sign in (1, -1))
    return Examples(
        candidate=name,
        gained=gained,
        lost=lost,
        alike=len(gains) - gained - lost,
        best=[example for example in examples[:MOST] if example.gain > 0],
        worst=[example for example in reversed(examples[-MOST:]) if example.gain < 0],
    )


def _outcomes_of(candidate: Candidate, part: str) -> dict[str, _Outcome]:
    outcomes: dict[str, _Outcome] = {}
    for run in candidate.runs:
        for identifier, value, true, predicted in _score_records(run, part):
            outcomes.setdefault(identifier, _Outcome([], true, predicted)).values.append(value)
    return outcomes


def _score_records(run: StoredRun, part: str) -> Iterator[tuple[str, float, list[str], list[str]]]:
    """Yield each record of a run: its id, its own F1, its true and its predicted labels."""
    labels: list[str] = run.read_json("labels.json")
    predictions = read_predictions(run.path / "predictions" / f"{part}.parquet")
    thresholds = Thresholds.from_json(run.read_json("thresholds.json"), labels)
    decisions = predictions.hide_unknown(thresholds.decide(predictions.scores))
    values = compute_item_metrics(predictions.targets, decisions)["f1"].tolist()
    for row, identifier in enumerate(predictions.ids):
        yield identifier, values[row], _names(labels, predictions.targets[row]), _names(labels, decisions[row])


def _names(labels: Sequence[str], chosen: npt.NDArray[Any]) -> list[str]:
    return [labels[index] for index in np.flatnonzero(chosen).tolist()]


def _gain(ours: Sequence[float], theirs: Sequence[float]) -> float:
    # The mean of several equal values may differ from one of them in the last bit, which is no gain: round it away.
    return round(statistics.fmean(ours) - statistics.fmean(theirs), _DIGITS)


def _hash_id(identifier: str) -> bytes:
    """Order records of equal gain: always the same way, and independent of the order of the ids."""
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).digest()
