"""A candidate's own row of the leaderboard, and what stands below it."""

from pathlib import Path

import numpy as np

from ratchet.comparison.differences import HEADLINE, TAIL
from ratchet.comparison.estimates import estimate, training_spread
from ratchet.comparison.evidence import Evidence, Measured
from ratchet.comparison.results import CandidateResult, Interval, SplitRead
from ratchet.comparison.verdicts import clipped, number_or_none
from ratchet.runs.readings import count_readings
from ratchet.runs.selection import Selection
from ratchet.runs.stored import StoredRun


def candidate_row(each: Measured, metric: str, part: str, promoted: str | None) -> CandidateResult:
    """Figures, spreads, costs; what it is compared with is filled in later."""
    estimates = {name: estimate(each.drawn[name]) for name in HEADLINE}
    primary = each.drawn[metric]
    between_splits, between_seeds = (number_or_none(float(value)) for value in training_spread(primary))
    precisions = [run.figures().get(f"{part}/average_precision_macro") for run in each.candidate.runs]
    told = [float(value) for value in precisions if value is not None]
    return CandidateResult(
        name=each.name,
        model=each.candidate.model,
        complexity=each.candidate.complexity,
        config_hash=each.candidate.config_hash,
        runs=[run.record.id for run in each.candidate.runs],
        splits=each.num_splits,
        metrics={
            name: Interval(
                float(found.value), *clipped(float(found.value), float(found.lower(TAIL)), float(found.upper(TAIL)))
            )
            for name, found in estimates.items()
        },
        average_precision_macro=sum(told) / len(told) if told else None,
        spread_between_splits=between_splits,
        spread_between_seeds=between_seeds,
        error_from_records=float(np.sqrt(estimates[metric].record_variance)),
        costs=each.costs,
        behaviour=each.behaviour,
        promoted=promoted,
        baseline=None,
        predecessor=None,
        best_simpler=None,
        changes=None,
    )


def splits_read(selection: Selection, runs_dir: Path | None) -> list[SplitRead]:
    """The splits of a selection, and how often each was read: so far, or without `runs_dir` by what its runs noted."""
    found = {}
    for run in selection.candidates[0].runs:
        record, readings = run.record, None
        if selection.part == "test":
            noted = [other.record.test_readings or 0 for other in selection.runs if _same_split(run, other)]
            version, split_hash = selection.dataset_version, str(record.split_hash)
            readings = count_readings(runs_dir, selection.data, version, split_hash) if runs_dir else max(noted)
        found[record.split_hash] = SplitRead(
            record.split_seed, str(record.split_hash), record.records[selection.part], readings
        )
    return list(found.values())


def _same_split(run: StoredRun, other: StoredRun) -> bool:
    return run.record.split_hash == other.record.split_hash


def notes_on(evidence: Evidence) -> list[str]:
    """What the figures do not say, where that matters."""
    notes = []
    if len({run.split for run in evidence.candidates[0].judged}) == 1:
        unknown = [
            each.name for each in evidence.candidates
            if len(each.judged) == 1 and not each.candidate.runs[0].record.deterministic
        ]  # fmt: skip
        told = f", nor of another training of {', '.join(unknown)}" if unknown else ""
        notes.append(f"one split only: the intervals say nothing of another division of the data{told}")
    if evidence.slices_left_out:
        notes.append(
            f"slices that do not mean the same records in all runs are left out: {', '.join(evidence.slices_left_out)}"
        )
    if evidence.selection.part == "val":
        notes.append("on val, where thresholds were tuned and epochs chosen: for choosing, not for reporting")
    return notes
