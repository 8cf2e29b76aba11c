"""Records that a candidate gets right where the baseline does not, and the other way round."""

import hashlib
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.evaluation.metrics import item_metrics
from ratchet.evaluation.thresholds import Thresholds
from ratchet.runs.predictions import read_predictions
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import StoredRun

MOST = 10  # of each kind and candidate
_DIGITS = 9


@dataclass(frozen=True)
class Example:
    """A record, its true labels, and what both predicted on the first split that it was measured on."""

    id: str
    text: str
    true: list[str]
    before: list[str]
    after: list[str]
    gain: float


@dataclass(frozen=True)
class Examples:
    """Of one candidate: how many records it gained, lost and neither, and some of the first two, the largest first."""

    candidate: str
    gained: int
    lost: int
    alike: int
    best: list[Example]
    worst: list[Example]


@dataclass(frozen=True)
class _Seen:
    """What the runs of one candidate made of a record: F1 by itself in each, and the labels of the first."""

    values: list[float]
    true: list[str]
    predicted: list[str]


def examples_of(selection: Selection, baseline: str, texts: Mapping[str, str]) -> list[Examples]:
    """For every candidate but the baseline; a record's gain is its mean F1 in the candidate's runs less the other's."""
    seen = {each.name: _seen(each, selection.part) for each in selection.candidates}
    return [_compared(name, seen[name], seen[baseline], texts) for name in seen if name != baseline]


def _compared(name: str, ours: Mapping[str, _Seen], theirs: Mapping[str, _Seen], texts: Mapping[str, str]) -> Examples:
    gains = {key: _gain(ours[key].values, theirs[key].values) for key in sorted(ours.keys() & theirs.keys())}
    ordered = sorted(gains, key=lambda key: (-gains[key], _draw(key)))
    shown = [
        Example(key, texts[key], ours[key].true, theirs[key].predicted, ours[key].predicted, gains[key])
        for key in ordered
    ]
    gained, lost = (sum(1 for each in gains.values() if sign * each > 0) for sign in (1, -1))
    return Examples(
        candidate=name,
        gained=gained,
        lost=lost,
        alike=len(gains) - gained - lost,
        best=[each for each in shown[:MOST] if each.gain > 0],
        worst=[each for each in reversed(shown[-MOST:]) if each.gain < 0],
    )


def _seen(candidate: Candidate, part: str) -> dict[str, _Seen]:
    found: dict[str, _Seen] = {}
    for run in candidate.runs:
        for identifier, value, true, predicted in _judged(run, part):
            found.setdefault(identifier, _Seen([], true, predicted)).values.append(value)
    return found


def _judged(run: StoredRun, part: str) -> Iterator[tuple[str, float, list[str], list[str]]]:
    """Every record of a run: its id, its F1 by itself, its true and its predicted labels."""
    labels: list[str] = run.read_json("labels.json")
    found = read_predictions(run.path / "predictions" / f"{part}.parquet")
    decisions = Thresholds.from_json(run.read_json("thresholds.json"), labels).decide(found.scores)
    values = item_metrics(found.targets, decisions)["f1"].tolist()
    for row, identifier in enumerate(found.ids):
        yield identifier, values[row], _names(labels, found.targets[row]), _names(labels, decisions[row])


def _names(labels: Sequence[str], chosen: npt.NDArray[Any]) -> list[str]:
    return [labels[index] for index in np.flatnonzero(chosen).tolist()]


def _gain(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Rounded: the mean of several equal values may differ from one of them by the last bit, which is no gain."""
    return round(statistics.fmean(ours) - statistics.fmean(theirs), _DIGITS)


def _draw(identifier: str) -> bytes:
    """Of records that gained the same, the same ones are shown each time, whatever their ids say."""
    return hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).digest()
