"""Read the stored predictions of candidates into arrays, check that they are comparable, and resample the metrics."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ratchet.data.known import list_measured_rows
from ratchet.errors import UserError
from ratchet.evaluation.metrics import Binary
from ratchet.evaluation.thresholds import Thresholds
from ratchet.runs.predictions import Predictions, read_predictions
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import StoredRun
from ratchet.statistics.bootstrap import Advance, RunDecisions, bootstrap_metrics
from ratchet.statistics.estimates import ResampledMetric

RESAMPLES = 10_000
COSTS = ("fit_seconds", "latency_ms_p50", "latency_ms_p95", "items_per_second", "peak_memory_mb", "size_mb")
_NO_ROWS = np.zeros(0, dtype=np.intp)
_COUNTS = ("behaviour/cases", "behaviour/skipped")  # metrics that count cases, not shares of them


@dataclass(frozen=True)
class CandidateEvidence:
    """One candidate: the decisions of its runs, its resampled metrics, its costs and behavioural metrics."""

    candidate: Candidate
    run_decisions: list[RunDecisions]
    metrics: dict[str, ResampledMetric]
    costs: dict[str, float | None]
    behaviour: dict[str, float]

    @property
    def name(self) -> str:
        """Return the candidate's name, as tables show it."""
        return self.candidate.name

    @property
    def num_splits(self) -> int:
        """Return the number of splits that the candidate was measured on."""
        return len({run.split for run in self.run_decisions})


@dataclass(frozen=True)
class Evidence:
    """All candidates of a selection. `others` are parents that were not selected: measured, but never ranked.

    `positives` counts the true labels of distinct records, by label and by slice (as `slices/<name>`).
    """

    selection: Selection
    labels: list[str]
    num_records: int
    candidates: list[CandidateEvidence]
    others: list[CandidateEvidence]
    positives: dict[str, int]
    resamples: int
    slices_left_out: Sequence[str] = ()

    def of(self, name: str) -> CandidateEvidence:
        """Return the candidate of this name."""
        return next(candidate for candidate in self.candidates if candidate.name == name)


def gather_evidence(
    selection: Selection,
    *,
    others: Sequence[Candidate] = (),
    resamples: int = RESAMPLES,
    begin: Callable[[int], Advance] = lambda steps: lambda done: None,
) -> Evidence:
    """Read the predictions, check that all candidates have the same records, and resample the metrics.

    `begin` gets the number of steps and returns a function that reports finished steps, for a progress bar.

    Raises:
        UserError: a prediction file is missing, or two runs of one split differ in records, labels, true labels or
            which of them are known.
    """
    candidates = [*selection.candidates, *others]
    predictions = [[(run, _read_predictions(run, selection.part)) for run in c.runs] for c in candidates]
    labels = _read_labels([run for candidate in candidates for run in candidate.runs])
    _check_same_records([pair for pairs in predictions for pair in pairs])
    predictions = [[(run, _select_measured(stored)) for run, stored in pairs] for pairs in predictions]
    ids = sorted({identifier for pairs in predictions for _, stored in pairs for identifier in stored.ids})
    index_of = {identifier: index for index, identifier in enumerate(ids)}
    decisions = [[_read_decisions(run, stored, labels, index_of) for run, stored in pairs] for pairs in predictions]
    decisions, left_out = _drop_inconsistent_slices(decisions)
    advance = begin(resamples * sum(len(runs) for runs in decisions))
    resampled = bootstrap_metrics(decisions, len(ids), resamples, advance=advance)
    evidence = [
        CandidateEvidence(candidate, runs, metrics, _median_costs(candidate), _mean_behaviour(candidate))
        for candidate, runs, metrics in zip(candidates, decisions, resampled, strict=True)
    ]
    count = len(selection.candidates)
    positives = _count_positives(decisions[0], labels)
    return Evidence(selection, labels, len(ids), evidence[:count], evidence[count:], positives, resamples, left_out)


def _read_predictions(run: StoredRun, part: str) -> Predictions:
    return read_predictions(run.path / "predictions" / f"{part}.parquet")


def _read_labels(runs: Sequence[StoredRun]) -> list[str]:
    """Return the labels that all runs share, in their common order."""
    first: list[str] = runs[0].read_json("labels.json")
    for run in runs[1:]:
        if run.read_json("labels.json") != first:
            raise UserError(
                f"not comparable: {runs[0].path} and {run.path} have different labels (labels.json). "
                "Select runs of one version of the data"
            )
    return first


def _check_same_records(predictions: Sequence[tuple[StoredRun, Predictions]]) -> None:
    """Check that runs of one split have the same ids, true labels and unknown labels.

    Equal split hashes promise this, but a file edited by hand would silently invalidate every comparison.
    """
    first_of: dict[str | None, tuple[StoredRun, Predictions]] = {}
    for run, stored in predictions:
        first, expected = first_of.setdefault(run.record.split_hash, (run, stored))
        if stored.ids != expected.ids or not _have_same_targets(stored, expected):
            raise UserError(
                f"not comparable: {first.path} and {run.path} record the same split, but their predictions have other "
                "ids or true labels: one of the files was changed. Restore it, or leave that run out"
            )


def _have_same_targets(one: Predictions, other: Predictions) -> bool:
    if one.known is None or other.known is None:
        return one.known is other.known and np.array_equal(one.targets, other.targets)
    return np.array_equal(one.known, other.known) and np.array_equal(one.targets, other.targets)


def _select_measured(predictions: Predictions) -> Predictions:
    """Return the predictions of the records that have a known target, as metrics.json is measured on."""
    if predictions.known is None:
        return predictions
    rows = list_measured_rows(predictions.known, len(predictions.ids))
    return Predictions(
        [predictions.ids[row] for row in rows],
        predictions.targets[rows],
        predictions.scores[rows],
        [predictions.slices[row] for row in rows],
        predictions.known[rows],
    )


def _read_decisions(
    run: StoredRun, predictions: Predictions, labels: list[str], index_of: dict[str, int]
) -> RunDecisions:
    """Apply the thresholds of a run to its predictions; `index_of` gives the index of each record id."""
    thresholds = Thresholds.from_json(run.read_json("thresholds.json"), labels)
    members: dict[str, list[int]] = {}
    for row, names in enumerate(predictions.slices):
        for name in names:
            members.setdefault(name, []).append(row)
    return RunDecisions(
        split=str(run.record.split_hash),
        rows=np.array([index_of[identifier] for identifier in predictions.ids], dtype=np.intp),
        targets=predictions.targets,
        decisions=predictions.hide_unknown(thresholds.decide(predictions.scores)),
        slices={name: np.array(rows, dtype=np.intp) for name, rows in sorted(members.items())},
    )


def _drop_inconsistent_slices(decisions: list[list[RunDecisions]]) -> tuple[list[list[RunDecisions]], list[str]]:
    """Drop slices that have other records in some run of a split: configurations may define one name differently.

    Return the runs without them, and their names.
    """
    first_of: dict[str, RunDecisions] = {}
    different = set()
    for run in (run for runs in decisions for run in runs):
        first = first_of.setdefault(run.split, run)
        for name in run.slices.keys() | first.slices.keys():
            if not np.array_equal(run.slices.get(name, _NO_ROWS), first.slices.get(name, _NO_ROWS)):
                different.add(name)
    if not different:
        return decisions, []
    kept = [[replace(run, slices=_without(run.slices, different)) for run in runs] for runs in decisions]
    return kept, sorted(different)


def _without(slices: Mapping[str, npt.NDArray[np.intp]], names: set[str]) -> dict[str, npt.NDArray[np.intp]]:
    return {name: rows for name, rows in slices.items() if name not in names}


def _count_positives(runs: Sequence[RunDecisions], labels: Sequence[str]) -> dict[str, int]:
    """Count true labels by label and by slice; a record that is in several test sets counts once."""
    rows = np.concatenate([run.rows for run in runs])
    targets: Binary = np.concatenate([run.targets for run in runs])
    _, first = np.unique(rows, return_index=True)
    counts = dict(zip(labels, targets[first].sum(axis=0).tolist(), strict=True))
    in_slice: dict[str, dict[int, npt.NDArray[np.uint8]]] = {}
    for run in runs:
        for name, members in run.slices.items():
            in_slice.setdefault(name, {}).update(zip(run.rows[members].tolist(), run.targets[members], strict=True))
    sums = {f"slices/{name}": sum(int(row.sum()) for row in by_id.values()) for name, by_id in in_slice.items()}
    return counts | sums


def _median_costs(candidate: Candidate) -> dict[str, float | None]:
    """Return the median of each cost over runs, so that one busy moment does not count; None if not measured."""
    metrics = [run.read_metrics() for run in candidate.runs]
    costs = {name: [run[f"cost/{name}"] for run in metrics if run.get(f"cost/{name}") is not None] for name in COSTS}
    return {name: statistics.median(values) if values else None for name, values in costs.items()}


def _mean_behaviour(candidate: Candidate) -> dict[str, float]:
    """Return the means over runs of `score`, `invariance`, ...; empty without behavioural tests."""
    metrics = [run.read_metrics() for run in candidate.runs]
    names = [key for key in metrics[0] if key.startswith("behaviour/") and key not in _COUNTS]
    values = {key: [run[key] for run in metrics if run.get(key) is not None] for key in names}
    return {key.removeprefix("behaviour/"): statistics.mean(shares) for key, shares in values.items() if shares}
