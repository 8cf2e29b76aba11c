"""From run directories to what the statistics work on: every candidate's decisions on the very same records."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ratchet.errors import UserError
from ratchet.evaluation.metrics import Binary
from ratchet.evaluation.thresholds import Thresholds
from ratchet.runs.predictions import Predictions, read_predictions
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import StoredRun
from ratchet.statistics.bootstrap import Advance, JudgedRun, redraw
from ratchet.statistics.estimates import Drawn

RESAMPLES = 10_000
COSTS = ("fit_seconds", "latency_ms_p50", "latency_ms_p95", "items_per_second", "peak_memory_mb", "size_mb")


@dataclass(frozen=True)
class Measured:
    """One candidate: its runs' decisions, and all of its figures for many draws of the records."""

    candidate: Candidate
    judged: list[JudgedRun]
    drawn: dict[str, Drawn]
    costs: dict[str, float | None]
    behaviour: dict[str, float]

    @property
    def name(self) -> str:
        """As tables call it."""
        return self.candidate.name

    @property
    def num_splits(self) -> int:
        """On how many splits it was measured."""
        return len({run.split for run in self.judged})


@dataclass(frozen=True)
class Evidence:
    """All candidates; `others` are measured beside them but compete for nothing (parents that were not selected).

    `positives` counts, over distinct records, the true labels by label, and by slice (as `slices/<name>`).
    """

    selection: Selection
    labels: list[str]
    num_records: int
    candidates: list[Measured]
    others: list[Measured]
    positives: dict[str, int]
    resamples: int
    slices_left_out: Sequence[str] = ()

    def of(self, name: str) -> Measured:
        """The candidate of that name."""
        return next(each for each in self.candidates if each.name == name)


def gather(
    selection: Selection,
    *,
    others: Sequence[Candidate] = (),
    resamples: int = RESAMPLES,
    begin: Callable[[int], Advance] = lambda steps: lambda done: None,
) -> Evidence:
    """Read the predictions, check that all mean the same records, and draw.

    `begin` is told the number of steps and gives what counts them, for a progress bar.

    Raises:
        UserError: a prediction file is missing, or two runs of one split disagree on records, labels or truth.
    """
    everybody = [*selection.candidates, *others]
    read = [[(run, _predictions(run, selection.part)) for run in each.runs] for each in everybody]
    labels = _same_labels([run for each in everybody for run in each.runs])
    _check_same_records([pair for each in read for pair in each])
    ids = sorted({identifier for each in read for _, found in each for identifier in found.ids})
    place = {identifier: number for number, identifier in enumerate(ids)}
    judged = [[_judged(run, found, labels, place) for run, found in each] for each in read]
    judged, left_out = _with_common_slices(judged)
    advance = begin(resamples * sum(len(each) for each in judged))
    drawn = redraw(judged, len(ids), resamples, advance=advance)
    measured = [
        Measured(candidate, runs, figures, _costs(candidate), _behaviour(candidate))
        for candidate, runs, figures in zip(everybody, judged, drawn, strict=True)
    ]
    count = len(selection.candidates)
    positives = _positives(judged[0], labels)
    return Evidence(selection, labels, len(ids), measured[:count], measured[count:], positives, resamples, left_out)


def _predictions(run: StoredRun, part: str) -> Predictions:
    return read_predictions(run.path / "predictions" / f"{part}.parquet")


def _same_labels(runs: Sequence[StoredRun]) -> list[str]:
    first: list[str] = runs[0].read_json("labels.json")
    for run in runs[1:]:
        if run.read_json("labels.json") != first:
            raise UserError(f"not comparable: labels of {runs[0].path} and {run.path} differ (labels.json)")
    return first


def _check_same_records(read: Sequence[tuple[StoredRun, Predictions]]) -> None:
    """Equal hashes promise it; a file that was changed by hand would break every comparison without a word."""
    seen: dict[str | None, tuple[StoredRun, Predictions]] = {}
    for run, found in read:
        first, expected = seen.setdefault(run.record.split_hash, (run, found))
        if found.ids != expected.ids or not np.array_equal(found.targets, expected.targets):
            raise UserError(
                f"not comparable: {first.path} and {run.path} have the same split in their records, but not the same "
                "ids or true labels in their predictions: one of the files was changed"
            )


def _judged(run: StoredRun, found: Predictions, labels: list[str], place: dict[str, int]) -> JudgedRun:
    thresholds = Thresholds.from_json(run.read_json("thresholds.json"), labels)
    members: dict[str, list[int]] = {}
    for row, names in enumerate(found.slices):
        for name in names:
            members.setdefault(name, []).append(row)
    return JudgedRun(
        split=str(run.record.split_hash),
        rows=np.array([place[identifier] for identifier in found.ids], dtype=np.intp),
        targets=found.targets,
        decisions=thresholds.decide(found.scores),
        slices={name: np.array(rows, dtype=np.intp) for name, rows in sorted(members.items())},
    )


def _with_common_slices(judged: list[list[JudgedRun]]) -> tuple[list[list[JudgedRun]], list[str]]:
    """Slices by the same name can be defined differently: those that do not mean the same records are left out."""
    first: dict[str, JudgedRun] = {}
    different = set()
    for run in (run for each in judged for run in each):
        other = first.setdefault(run.split, run)
        for name in run.slices.keys() | other.slices.keys():
            if not np.array_equal(run.slices.get(name, _NOWHERE), other.slices.get(name, _NOWHERE)):
                different.add(name)
    if not different:
        return judged, []
    kept = [[replace(run, slices=_without(run.slices, different)) for run in each] for each in judged]
    return kept, sorted(different)


def _without(slices: Mapping[str, npt.NDArray[np.intp]], names: set[str]) -> dict[str, npt.NDArray[np.intp]]:
    return {name: places for name, places in slices.items() if name not in names}


def _positives(runs: Sequence[JudgedRun], labels: Sequence[str]) -> dict[str, int]:
    rows = np.concatenate([run.rows for run in runs])
    targets: Binary = np.concatenate([run.targets for run in runs])
    _, first = np.unique(rows, return_index=True)
    counts = dict(zip(labels, targets[first].sum(axis=0).tolist(), strict=True))
    in_slice: dict[str, dict[int, npt.NDArray[np.uint8]]] = {}
    for run in runs:
        for name, places in run.slices.items():
            in_slice.setdefault(name, {}).update(zip(run.rows[places].tolist(), run.targets[places], strict=True))
    sums = {f"slices/{name}": sum(int(row.sum()) for row in found.values()) for name, found in in_slice.items()}
    return counts | sums


def _costs(candidate: Candidate) -> dict[str, float | None]:
    """Medians over runs: one busy moment does not count."""
    figures = [run.figures() for run in candidate.runs]
    found = {name: [each[f"cost/{name}"] for each in figures if each.get(f"cost/{name}") is not None] for name in COSTS}
    return {name: statistics.median(values) if values else None for name, values in found.items()}


def _behaviour(candidate: Candidate) -> dict[str, float]:
    """Means over runs of `score`, `invariance`, ...; empty where there are no behavioural tests."""
    figures = [run.figures() for run in candidate.runs]
    names = [key for key in figures[0] if key.startswith("behaviour/") and key not in _COUNTS]
    values = {key: [each[key] for each in figures if each.get(key) is not None] for key in names}
    return {key.removeprefix("behaviour/"): statistics.mean(found) for key, found in values.items() if found}


_NOWHERE = np.zeros(0, dtype=np.intp)
_COUNTS = ("behaviour/cases", "behaviour/skipped")
