"""Read the stored predictions of candidates into arrays, check that they are comparable, and resample the metrics."""

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ratchet.data.known import list_measured_rows
from ratchet.errors import UserError
from ratchet.evaluation.cost import explain_disturbance
from ratchet.evaluation.metrics import Positives
from ratchet.evaluation.thresholds import Thresholds
from ratchet.runs.predictions import Predictions, read_predictions
from ratchet.runs.selection import Candidate, Selection, SetAside
from ratchet.runs.stored import StoredRun
from ratchet.statistics.bootstrap import Advance, CandidateMetrics, RunDecisions, bootstrap_metrics
from ratchet.statistics.estimates import (
    Estimate,
    ResampledMetric,
    estimate,
    estimate_all_differences,
    estimate_difference,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

RESAMPLES = 10_000
_FEW_CANDIDATES = 20  # their pairs are estimated one by one
COSTS = ("fit_seconds", "latency_ms_p50", "latency_ms_p95", "items_per_second", "peak_memory_mb", "size_mb")
_NO_ROWS = np.zeros(0, dtype=np.intp)
_COUNTS = ("behaviour/cases", "behaviour/skipped")  # metrics that count cases, not shares of them


@dataclass(frozen=True)
class Doubt:
    """Runs in which a busy machine disturbed the measurement of a cost: `why`, by run; `only` if it did so in all.

    The cost is then the median over all runs, and too high; else that over the other runs.
    """

    why: dict[str, str]
    only: bool


@dataclass(frozen=True)
class CandidateEvidence:
    """One candidate: the decisions of its runs, its resampled metrics, its costs and behavioural metrics.

    `doubts` has the costs that were measured on a busy machine, in some of the runs or in all.
    """

    candidate: Candidate
    run_decisions: list[RunDecisions]
    metrics: CandidateMetrics
    costs: dict[str, float | None]
    behaviour: dict[str, float]
    doubts: dict[str, Doubt] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the candidate's name, as tables show it."""
        return self.candidate.name

    def estimate(self, metric: str) -> Estimate:
        """Estimate a metric. Slices are resampled when they are asked for first: a gate and its review ask often."""
        if metric not in self._estimates:
            self._estimates[metric] = estimate(self.metrics[metric])
        return self._estimates[metric]

    def estimate_label(self, index: int) -> Estimate:
        """Estimate the F1 of the label with this index."""
        key = f"labels/{index}"
        if key not in self._estimates:
            metric = self.metrics.measure_labels([index])
            column = ResampledMetric(metric.values[:, 0], metric.resampled[:, :, 0], metric.splits)
            self._estimates[key] = estimate(column)
        return self._estimates[key]

    @cached_property
    def _estimates(self) -> dict[str, Estimate]:
        return {}

    @property
    def num_splits(self) -> int:
        """Return the number of splits that the candidate was measured on."""
        return len({run.split for run in self.run_decisions})


@dataclass(frozen=True)
class ShortEvidence:
    """A candidate that was set aside: its costs, and its stored metrics by split, which are not resampled."""

    aside: SetAside
    metrics: dict[str, dict[str, float]]
    costs: dict[str, float | None]
    doubts: dict[str, Doubt]

    @property
    def candidate(self) -> Candidate:
        """Return the candidate."""
        return self.aside.candidate


@dataclass(frozen=True)
class Evidence:
    """All candidates of a selection. `others` are parents that were not selected: measured, but never ranked.

    `positives` counts the true labels of distinct records, by label and by slice (as `slices/<name>`).
    `slices_left_out` has slices with other records in some runs, each with the candidates that define it otherwise.
    """

    selection: Selection
    labels: list[str]
    num_records: int
    candidates: list[CandidateEvidence]
    others: list[CandidateEvidence]
    positives: dict[str, int]
    resamples: int
    slices_left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    set_aside: Sequence[ShortEvidence] = ()

    def of(self, name: str) -> CandidateEvidence:
        """Return the candidate of this name."""
        return next(candidate for candidate in self.candidates if candidate.name == name)

    def estimate_difference(self, left: CandidateEvidence, right: CandidateEvidence, metric: str) -> Estimate:
        """Estimate a metric of one candidate minus that of another. Of many candidates, all pairs are computed once."""
        if len(self.candidates) <= _FEW_CANDIDATES:
            return estimate_difference(left.metrics[metric], right.metrics[metric])
        if metric not in self._differences:
            self._differences[metric] = estimate_all_differences([c.metrics[metric] for c in self.candidates])
        cell = self._index_of[left.name], self._index_of[right.name]
        table = self._differences[metric]
        return Estimate(
            table.value[cell],
            table.record_variance[cell],
            table.training_variance[cell],
            table.degrees_of_freedom[cell],
        )

    @cached_property
    def not_worse(self) -> dict[tuple[str, str, str, float, float], Any]:
        """Return what was judged of pairs so far, by the names, the metric, the margin and alpha; empty at first."""
        return {}

    @cached_property
    def _differences(self) -> dict[str, Estimate]:
        return {}

    @cached_property
    def _index_of(self) -> dict[str, int]:
        return {candidate.name: index for index, candidate in enumerate(self.candidates)}


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
    labels = _read_labels([run for candidate in candidates for run in candidate.runs])
    first_of: dict[str, _FirstOfSplit] = {}
    decisions = [[_read_decisions(run, selection.part, labels, first_of) for run in c.runs] for c in candidates]
    ids = sorted({identifier for first in first_of.values() for identifier in first.measured})
    decisions = _number_records(decisions, first_of, ids)
    decisions, left_out = _drop_inconsistent_slices([candidate.name for candidate in candidates], decisions)
    advance = begin(resamples * sum(len(runs) for runs in decisions))
    resampled = bootstrap_metrics(decisions, len(ids), resamples, advance=advance)
    costs = [_median_costs(candidate) for candidate in candidates]
    evidence = [
        CandidateEvidence(candidate, runs, metrics, medians, _mean_behaviour(candidate), doubts)
        for candidate, runs, metrics, (medians, doubts) in zip(candidates, decisions, resampled, costs, strict=True)
    ]
    count = len(selection.candidates)
    positives = _count_positives(decisions[0], labels)
    short = [
        ShortEvidence(aside, _read_averages(aside.candidate, selection.part), *_median_costs(aside.candidate))
        for aside in selection.set_aside
    ]
    candidates_of = evidence[:count], evidence[count:]
    return Evidence(selection, labels, len(ids), *candidates_of, positives, resamples, left_out, short)


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


@dataclass(frozen=True)
class _FirstOfSplit:
    """The records of the first run that was read of a split: all ids, those with a known target, true labels."""

    run: StoredRun
    ids: list[str]
    measured: list[str]
    targets: "csr_array"
    known: bytes | None

    def check(self, other: "_FirstOfSplit") -> None:
        """Check that another run of the split has the same ids, true labels and unknown labels.

        Equal split hashes promise this, but a file edited by hand would silently invalidate every comparison.
        """
        alike = (self.ids, self.known, self.targets.shape) == (other.ids, other.known, other.targets.shape)
        if not alike or (self.targets != other.targets).nnz:
            raise UserError(
                f"not comparable: {self.run.path} and {other.run.path} record the same split, but their predictions "
                "have other ids or true labels: one of the files was changed. Restore it, or leave that run out"
            )


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


def _read_decisions(run: StoredRun, part: str, labels: list[str], first_of: dict[str, _FirstOfSplit]) -> RunDecisions:
    """Read the predictions of a run and apply its thresholds; scores are read for one run at a time.

    `rows` are the indices of its records in their own order, for now.
    """
    stored = read_predictions(run.path / "predictions" / f"{part}.parquet")
    measured = _select_measured(stored)
    thresholds = Thresholds.from_json(run.read_json("thresholds.json"), labels)
    decisions = measured.hide_unknown(thresholds.decide(measured.scores))
    positives = Positives.of(measured.targets, decisions)
    known = None if stored.known is None else np.packbits(stored.known).tobytes()
    read = _FirstOfSplit(run, stored.ids, measured.ids, positives.targets, known)
    first = first_of.setdefault(str(run.record.split_hash), read)
    first.check(read)
    members: dict[str, list[int]] = {}
    for row, names in enumerate(measured.slices):
        for name in names:
            members.setdefault(name, []).append(row)
    return RunDecisions(
        split=str(run.record.split_hash),
        rows=np.arange(len(measured.ids)),
        positives=replace(positives, targets=first.targets),  # in memory once per split
        slices={name: np.array(rows, dtype=np.intp) for name, rows in sorted(members.items())},
    )


def _number_records(
    decisions: list[list[RunDecisions]], first_of: Mapping[str, _FirstOfSplit], ids: Sequence[str]
) -> list[list[RunDecisions]]:
    """Return the runs with the index of each record among all ids."""
    index_of = {identifier: index for index, identifier in enumerate(ids)}
    rows_of = {
        split: np.array([index_of[identifier] for identifier in first.measured], dtype=np.intp)
        for split, first in first_of.items()
    }
    return [[replace(run, rows=rows_of[run.split]) for run in runs] for runs in decisions]


def _drop_inconsistent_slices(
    names: Sequence[str], decisions: list[list[RunDecisions]]
) -> tuple[list[list[RunDecisions]], dict[str, list[str]]]:
    """Drop slices that have other records in some run of a split: configurations may define one name differently.

    Return the runs without them; and each such slice with the candidates whose records most others do not have in it.
    """
    slices = {slice_name for runs in decisions for run in runs for slice_name in run.slices}
    different: dict[str, list[str]] = {}
    for slice_name in sorted(slices):
        rows = [{(run.split, run.slices.get(slice_name, _NO_ROWS).tobytes()) for run in runs} for runs in decisions]
        votes = Counter(vote for of_candidate in rows for vote in of_candidate)
        most = {split: votes_of[0] for split, votes_of in _group_votes(votes).items()}
        odd = [name for name, cast in zip(names, rows, strict=True) if any(most[at] != rows_at for at, rows_at in cast)]
        if odd:
            different[slice_name] = odd
    if not different:
        return decisions, {}
    kept = [[replace(run, slices=_without(run.slices, different.keys())) for run in runs] for runs in decisions]
    return kept, different


def _group_votes(votes: "Counter[tuple[str, bytes]]") -> dict[str, list[bytes]]:
    """Return what each split was found to have, the most frequent first; of several, the simplest candidate's."""
    contents: dict[str, list[bytes]] = {}
    for (split, content), _ in votes.most_common():
        contents.setdefault(split, []).append(content)
    return contents


def _without(slices: Mapping[str, npt.NDArray[np.intp]], names: Collection[str]) -> dict[str, npt.NDArray[np.intp]]:
    return {name: rows for name, rows in slices.items() if name not in names}


def _count_positives(runs: Sequence[RunDecisions], labels: Sequence[str]) -> dict[str, int]:
    """Count true labels by label and by slice; a record that is in several test sets counts once."""
    from scipy.sparse import vstack

    rows = np.concatenate([run.rows for run in runs])
    _, first = np.unique(rows, return_index=True)
    sums = vstack([run.positives.targets for run in runs], format="csr")[first].sum(axis=0)
    counts = {label: int(total) for label, total in zip(labels, sums, strict=True)}
    in_slice: dict[str, dict[int, int]] = {}
    for run in runs:
        of_record = run.positives.count_items().actual[:, 0].astype(int)
        for name, members in run.slices.items():
            own = zip(run.rows[members].tolist(), of_record[members].tolist(), strict=True)
            in_slice.setdefault(name, {}).update(own)
    return counts | {f"slices/{name}": sum(of_id.values()) for name, of_id in in_slice.items()}


def _read_averages(candidate: Candidate, part: str) -> dict[str, dict[str, float]]:
    """Return the stored averages (`f1_weighted`, ...) by split, each the mean over seeds."""
    by_split: dict[str, dict[str, list[float]]] = {}
    for run in candidate.runs:
        stored = by_split.setdefault(str(run.record.split_hash), {})
        for key, value in run.read_metrics().items():
            if key.startswith(f"{part}/") and key.count("/") == 1 and value is not None:
                stored.setdefault(key.removeprefix(f"{part}/"), []).append(value)
    return {split: {key: statistics.mean(values) for key, values in of.items()} for split, of in by_split.items()}


def _median_costs(candidate: Candidate) -> tuple[dict[str, float | None], dict[str, Doubt]]:
    """Return the median of each cost over runs, None if not measured, and where a busy machine disturbed it.

    Disturbed runs count only if there is no other: a busy moment adds time, and never saves any.
    """
    metrics = {run.record.id: (run, run.read_metrics()) for run in candidate.runs}
    costs: dict[str, float | None] = {}
    doubts = {}
    for name in COSTS:
        measured, why = {}, {}
        for identifier, (run, values) in metrics.items():
            cost = None if name == "fit_seconds" and run.record.resumes else values.get(f"cost/{name}")
            if cost is not None:  # the fit of a resumed run was timed from its last start only
                measured[identifier] = cost
                if reason := explain_disturbance(values, name, run.record.machine.get("cores")):
                    why[identifier] = reason
        undisturbed = [cost for identifier, cost in measured.items() if identifier not in why]
        costs[name] = statistics.median(undisturbed or measured.values()) if measured else None
        if why:
            doubts[name] = Doubt(why, only=not undisturbed)
    return costs, doubts


def _mean_behaviour(candidate: Candidate) -> dict[str, float]:
    """Return the means over runs of `score`, `invariance`, ...; empty without behavioural tests."""
    metrics = [run.read_metrics() for run in candidate.runs]
    names = [key for key in metrics[0] if key.startswith("behaviour/") and key not in _COUNTS]
    values = {key: [run[key] for run in metrics if run.get(key) is not None] for key in names}
    return {key.removeprefix("behaviour/"): statistics.mean(shares) for key, shares in values.items() if shares}
