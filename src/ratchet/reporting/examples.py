"""Records that a candidate predicts better or worse than the baseline."""

import hashlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ratchet.evaluation.metrics import Positives, measure_items
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
class _Outcomes:
    """The results of one candidate: the F1 of each record in each run, and where the first run has the record."""

    values: dict[str, list[float]]
    first: dict[str, tuple[Positives, int]]
    labels: list[str]

    def name_labels(self, identifier: str) -> tuple[list[str], list[str]]:
        """Return the true and the predicted labels of a record in the first run that measured it."""
        positives, row = self.first[identifier]
        true, predicted = (sorted(cells[[row]].indices.tolist()) for cells in (positives.targets, positives.decisions))
        return [self.labels[index] for index in true], [self.labels[index] for index in predicted]


def find_examples(selection: Selection, baseline: str, texts: Mapping[str, str]) -> list[Examples]:
    """Return the examples of every candidate except the baseline.

    The gain of a record is its mean F1 over the candidate's runs minus that over the baseline's runs.
    """
    others = [candidate for candidate in selection.candidates if candidate.name != baseline]
    (simple,) = (candidate for candidate in selection.candidates if candidate.name == baseline)
    theirs = _outcomes_of(simple, selection.part)
    return [_contrast(other.name, _outcomes_of(other, selection.part), theirs, texts) for other in others]


def _contrast(name: str, ours: _Outcomes, theirs: _Outcomes, texts: Mapping[str, str]) -> Examples:
    shared = sorted(ours.values.keys() & theirs.values.keys())
    gains = {key: _gain(ours.values[key], theirs.values[key]) for key in shared}
    ordered = sorted(gains, key=lambda key: (-gains[key], _hash_id(key)))
    gained, lost = (sum(1 for gain in gains.values() if sign * gain > 0) for sign in (1, -1))
    return Examples(
        candidate=name,
        gained=gained,
        lost=lost,
        alike=len(gains) - gained - lost,
        best=[_show(key, gains[key], ours, theirs, texts) for key in ordered[:MOST] if gains[key] > 0],
        worst=[_show(key, gains[key], ours, theirs, texts) for key in reversed(ordered[-MOST:]) if gains[key] < 0],
    )


def _show(key: str, gain: float, ours: _Outcomes, theirs: _Outcomes, texts: Mapping[str, str]) -> Example:
    (true, after), (_, before) = ours.name_labels(key), theirs.name_labels(key)
    return Example(key, texts[key], true, before, after, gain)


def _outcomes_of(candidate: Candidate, part: str) -> _Outcomes:
    """Return the results of a candidate. Scores are read for one run at a time."""
    outcomes = _Outcomes({}, {}, candidate.runs[0].read_json("labels.json"))
    for run in candidate.runs:
        ids, positives = _read_decided(run, part)
        values = measure_items(positives)["f1"].tolist()
        for row, (identifier, value) in enumerate(zip(ids, values, strict=True)):
            outcomes.values.setdefault(identifier, []).append(value)
            outcomes.first.setdefault(identifier, (positives, row))
    return outcomes


def _read_decided(run: StoredRun, part: str) -> tuple[list[str], Positives]:
    predictions = read_predictions(run.path / "predictions" / f"{part}.parquet")
    thresholds = Thresholds.from_json(run.read_json("thresholds.json"), run.read_json("labels.json"))
    decisions = predictions.hide_unknown(thresholds.decide(predictions.scores))
    return predictions.ids, Positives.of(predictions.targets, decisions)


def _gain(ours: Sequence[float], theirs: Sequence[float]) -> float:
    # The mean of several equal values may differ from one of them in the last bit, which is no gain: round it away.
    return round(statistics.fmean(ours) - statistics.fmean(theirs), _DIGITS)


def _hash_id(identifier: str) -> bytes:
    """Order records of equal gain: always the same way, and independent of the order of the ids."""
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).digest()
