"""Check that an export scores as its run does: on val texts, never on test."""

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratchet.config import SplitConfig, SplitMethod, ThresholdConfig
from ratchet.data.dataset import Dataset
from ratchet.data.known import hide_unknown, list_measured_rows
from ratchet.data.prepared import Prepared
from ratchet.evaluation.metrics import Binary
from ratchet.evaluation.thresholds import Thresholds, choose_thresholds
from ratchet.files import write_json
from ratchet.inference.manifest import Check
from ratchet.inference.scorer import Scorer, load_scorer
from ratchet.models import tagger_class
from ratchet.runs.stored import StoredRun
from ratchet.statistics.bootstrap import RunDecisions, bootstrap_metrics
from ratchet.statistics.estimates import estimate_difference
from ratchet.taggers import Exporter, ExportPrecision, Scores

STEPS = 3  # of `try_export`: write the export, score with the run, score with the export
TOLERANCE = 1e-4  # largest difference between two libraries' values of the same float32 score
F1_MARGIN = 0.005  # largest loss of F1 that int8 may cause
_ALPHA, _RESAMPLES = 0.05, 2_000  # enough resamples: they estimate a variance, not a quantile
_REPEATS = 5  # repeats that a refusal recommends at a time


class ExportRefused(Exception):
    """The export does not score as the run does; nothing was written."""


@dataclass(frozen=True)
class Trial:
    """Calibrated scores of `val`, shape (num_texts, num_labels), by a run and by its export, each with thresholds."""

    run: StoredRun
    val: Dataset
    run_scores: Scores
    export_scores: Scores
    run_thresholds: Thresholds
    export_thresholds: Thresholds

    @property
    def run_decisions(self) -> Binary:
        """Return the decisions of the run."""
        return self.run_thresholds.decide(self.run_scores)

    @property
    def export_decisions(self) -> Binary:
        """Return the decisions of the export."""
        return self.export_thresholds.decide(self.export_scores)

    @property
    def largest_difference(self) -> float:
        """Return the largest difference between two scores of one text and label; NaN if a score is NaN."""
        return float(np.abs(self.run_scores.astype(np.float64) - self.export_scores).max(initial=0))

    @property
    def changed_decisions(self) -> int:
        """Count the cells that the two decide differently."""
        return int((self.run_decisions != self.export_decisions).sum())


def try_export(
    run: StoredRun,
    data: Prepared,
    threshold: ThresholdConfig,
    directory: Path,
    precision: ExportPrecision,
    advance: Callable[[int], None],
) -> Trial:
    """Write the run's export into the empty `directory`, and score the run's val texts with both.

    The export keeps the run's calibration, and in float32 its thresholds. A tuned threshold is an observed score, and
    int8 changes scores: its thresholds are chosen by `threshold` on its own scores of val, as the run's were.

    Raises:
        UserError: the run did not finish, or the libraries to export or score it are not installed.
    """
    scorer = load_scorer(run, use_export=False)
    val = data.select(run.read_json("split.json")["val"])
    _write_export(run, scorer, directory, precision)
    advance(1)
    run_scores = scorer.score(val.texts).scores
    advance(1)
    # The manifest is written after the checks, so that the directory is no export yet: only the tagger is read from it.
    exported = dataclasses.replace(scorer, tagger=tagger_class(run.record.model).load(directory / "model"))
    export_scores = exported.score(val.texts).scores
    thresholds = scorer.thresholds
    if precision is ExportPrecision.int8:
        thresholds = choose_thresholds(val.targets, export_scores, threshold, val.task, val.known)
        write_json(directory / "thresholds.json", thresholds.to_json(list(scorer.labels)))
    advance(1)
    return Trial(run, val, run_scores, export_scores, scorer.thresholds, thresholds)


def _write_export(run: StoredRun, scorer: Scorer, directory: Path, precision: ExportPrecision) -> None:
    for name in ("labels.json", "thresholds.json", "calibration.json"):
        shutil.copyfile(run.path / name, directory / name)
    model = directory / "model"
    model.mkdir()
    if isinstance(scorer.tagger, Exporter):
        scorer.tagger.export(model, precision)
    else:
        scorer.tagger.save(model)


def check_float32(trial: Trial, metric: str) -> Check:
    """Check that the export's scores are equal to the run's within `TOLERANCE`.

    Decisions then differ at most where a score is that close to its threshold.

    Raises:
        ExportRefused: a score differs by more.
    """
    largest = trial.largest_difference
    if not largest <= TOLERANCE:  # also refuses NaN
        raise ExportRefused(f"scores differ from the run's by up to {largest:.2g} on val, {TOLERANCE:.0e} is allowed")
    runs, texts = [trial.run.record.id], len(trial.val)
    return Check(texts, largest, trial.changed_decisions, metric, runs, texts)


def check_int8(trials: Sequence[Trial], metric: str, split: SplitConfig) -> Check:
    """Check that the exports of a candidate's runs decide as well as the runs; the first one is the one written.

    `metric`, the F1 of some average, must not be worse by `F1_MARGIN`: the lower bound of the one-sided 95 % interval
    of the mean difference must be above that. `split` determines how more repeats can be trained, for the message.

    Raises:
        ExportRefused: the F1 may be worse by more.
    """
    value, lower, records = _compare_f1(trials, metric)
    runs = [trial.run for trial in trials]
    if not lower > -F1_MARGIN:
        remedy = (
            "leave precision=int8 out"
            if value <= -F1_MARGIN
            else f"more repeats give more evidence: {_recommend_repeats(runs, split)}"
        )
        raise ExportRefused(
            f"int8 may be worse than float32 by more than {F1_MARGIN}: {metric} {value:+.4f} over "
            f"{count_runs(runs)}, {records} val texts, 95 % sure only that it is above {lower:+.4f}; {remedy}"
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


def count_runs(runs: Sequence[object]) -> str:
    """Return `1 run`, `5 runs`."""
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'}"


def _compare_f1(trials: Sequence[Trial], metric: str) -> tuple[float, float, int]:
    """Return export - run, its lower bound, and the number of records.

    All runs and exports share each bootstrap sample of records, so that the differences are paired.
    """
    ids = sorted({identifier for trial in trials for identifier in trial.val.ids})
    position = {identifier: number for number, identifier in enumerate(ids)}
    rows = [np.array([position[identifier] for identifier in trial.val.ids], dtype=np.intp) for trial in trials]
    repeats = list(zip(_units(trials), rows, trials, strict=True))
    exports = [_select_known(unit, own, trial.val, trial.export_decisions) for unit, own, trial in repeats]
    runs = [_select_known(unit, own, trial.val, trial.run_decisions) for unit, own, trial in repeats]
    left, right = (metrics[metric] for metrics in bootstrap_metrics([exports, runs], len(ids), _RESAMPLES))
    estimate = estimate_difference(left, right)
    return float(estimate.value), float(estimate.lower(_ALPHA)), len(ids)


def _select_known(unit: str, rows: npt.NDArray[np.intp], val: Dataset, decisions: Binary) -> RunDecisions:
    """Return the decisions on the texts that have a known target, without those on unknown ones."""
    measured = list_measured_rows(val.known, len(val))
    targets, decisions = hide_unknown(val.targets, val.known), hide_unknown(decisions, val.known)
    return RunDecisions.of(unit, rows[measured], targets[measured], decisions[measured], {})


def _units(trials: Sequence[Trial]) -> list[str]:
    """Return the unit of repetition of each trial: its split; with a single split, its run.

    An export and its run share the training seed, so that the difference is within a run in any case.
    """
    splits = [str(trial.run.record.split_hash) for trial in trials]
    return splits if len(set(splits)) > 1 else [trial.run.record.id for trial in trials]


def _recommend_repeats(runs: Sequence[StoredRun], split: SplitConfig) -> str:
    """Return the override that trains the next repeats; only a stratified split depends on its seed."""
    stratified = split.method is SplitMethod.stratified
    used = {run.record.split_seed if stratified else run.record.seed for run in runs}
    wanted = [seed for seed in range(len(used) // _REPEATS * _REPEATS + _REPEATS) if seed not in used]
    return f"`{'split.seed' if stratified else 'seed'}={','.join(map(str, wanted))}`"
