"""Whether an export scores as its run does: on val texts, never on test."""

from collections.abc import Sequence

import numpy as np

from ratchet.config import SplitConfig, SplitMethod
from ratchet.exporting.manifest import Check
from ratchet.exporting.trial import Trial
from ratchet.runs import StoredRun
from ratchet.statistics.bootstrap import RunDecisions, bootstrap_metrics
from ratchet.statistics.estimates import estimate_difference

LARGEST = 1e-4  # difference of a score that is the same score, computed by another library
F1_MARGIN = 0.005  # F1 that int8 may cost
_ALPHA, _RESAMPLES = 0.05, 2_000  # they tell a variance, no quantile
_REPEATS = 5  # that are advised at a time


class ExportRefused(Exception):
    """The export does not score as the run does; nothing was written."""


def check_scores(trial: Trial, metric: str) -> Check:
    """The export's scores are the run's: within `LARGEST` of each other.

    Decisions differ at most where a score is that close to its threshold.

    Raises:
        ExportRefused: a score differs by more.
    """
    largest = trial.largest_difference
    if not largest <= LARGEST:
        raise ExportRefused(f"scores differ from the run's by up to {largest:.2g} on val, {LARGEST:.0e} is allowed")
    runs, texts = [trial.run.record.id], len(trial.val)
    return Check(texts, largest, trial.changed_decisions, metric, runs, texts)


def check_f1(trials: Sequence[Trial], metric: str, split: SplitConfig) -> Check:
    """The exports of a candidate's runs decide as well as the runs themselves; what is written is the first one's.

    `metric`, the F1 of some average, is not worse by `F1_MARGIN`: the lower bound of the one-sided 95 % interval of
    the mean difference lies above that. `split` says how more evidence is had, where there is too little.

    Raises:
        ExportRefused: it may be worse by more.
    """
    value, lower, records = _f1_difference(trials, metric)
    runs = [trial.run for trial in trials]
    if not lower > -F1_MARGIN:
        raise ExportRefused(
            f"int8 may be worse than float32 by more than {F1_MARGIN}: {metric} {value:+.4f} over "
            f"{number_of(runs)}, {records} val texts, 95 % sure only that it is above {lower:+.4f}; "
            + ("leave precision=int8 out" if value <= -F1_MARGIN else f"more repeats tell more: {_more(runs, split)}")
        )
    first = trials[0]
    return Check(
        len(first.val),
        first.largest_difference,
        first.changed_decisions,
        metric,
        [run.record.id for run in runs],
        records,
        value,
        lower,
    )


def number_of(runs: Sequence[object]) -> str:
    """`1 run`, `5 runs`."""
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'}"


def _f1_difference(trials: Sequence[Trial], metric: str) -> tuple[float, float, int]:
    """Export - run, its lower bound, and how many records tell it: one draw of them for all runs and exports."""
    ids = sorted({identifier for trial in trials for identifier in trial.val.ids})
    place = {identifier: number for number, identifier in enumerate(ids)}
    rows = [np.array([place[identifier] for identifier in trial.val.ids], dtype=np.intp) for trial in trials]
    repeats = list(zip(_units(trials), rows, trials, strict=True))
    exports = [RunDecisions(unit, places, trial.val.targets, trial.decided, {}) for unit, places, trial in repeats]
    runs = [RunDecisions(unit, places, trial.val.targets, trial.decisions, {}) for unit, places, trial in repeats]
    left, right = (drawn[metric] for drawn in bootstrap_metrics([exports, runs], len(ids), _RESAMPLES))
    estimate = estimate_difference(left, right)
    return float(estimate.value), float(estimate.lower(_ALPHA)), len(ids)


def _units(trials: Sequence[Trial]) -> list[str]:
    """What repeats: splits; where there is but one, its seeds, for an export and its run have the seed in common."""
    splits = [str(trial.run.record.split_hash) for trial in trials]
    return splits if len(set(splits)) > 1 else [trial.run.record.id for trial in trials]


def _more(runs: Sequence[StoredRun], split: SplitConfig) -> str:
    """The override that makes the next repeats; only a stratified split is another one for another seed."""
    stratified = split.method is SplitMethod.stratified
    there = {run.record.split_seed if stratified else run.record.seed for run in runs}
    wanted = [seed for seed in range(len(there) // _REPEATS * _REPEATS + _REPEATS) if seed not in there]
    return f"`{'split.seed' if stratified else 'seed'}={','.join(map(str, wanted))}`"
