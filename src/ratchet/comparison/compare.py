"""Compare candidates with the MVP baseline, their predecessor and their parent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ratchet.comparison.differences import (
    HEADLINE_METRICS,
    TAIL,
    Pair,
    Tested,
    adjust_p_values,
    compare_groups,
    compare_pairs,
    find_common_splits,
)
from ratchet.comparison.evidence import RESAMPLES, CandidateEvidence, Evidence, gather_evidence
from ratchet.comparison.lineage import describe_changes, find_other_parents, find_parents
from ratchet.comparison.results import CandidateResult, Comparison, Interval, SplitRead
from ratchet.errors import UserError, did_you_mean
from ratchet.runs import find_runs
from ratchet.runs.accesses import count_test_accesses
from ratchet.runs.promotions import describe_promotion, find_promoted
from ratchet.runs.selection import Selection
from ratchet.runs.stored import StoredRun, candidate_key, describe_texts_without_rule
from ratchet.statistics.bootstrap import Advance
from ratchet.statistics.estimates import Estimate, estimate, estimate_training_spread

Bar = Callable[[str], Callable[[int], Advance]]  # from a title to a progress bar: its steps, then what is done


def compare(
    evidence: Evidence,
    *,
    runs_dir: Path | None,
    metric: str,
    baseline: str,
    promoted: Mapping[tuple[str, str], str],
    parents: Mapping[str, StoredRun],
    begin: Callable[[int], Advance] = lambda steps: lambda done: None,
) -> Comparison:
    """Compare every candidate with `baseline`, its predecessor (next lower complexity) and the best simpler one.

    Args:
        evidence: The candidates and their resampled metrics.
        runs_dir: Where test-set accesses are counted. None: the highest count that the runs recorded is reported.
        metric: The primary metric, such as `f1_weighted`.
        baseline: Name of the candidate that the others are compared with.
        promoted: The gate's verdict on what is promoted, by name and config hash.
        parents: The parent run of each candidate that has one, by candidate name.
        begin: Gets the number of steps and returns a function that reports finished steps, for a progress bar.

    Raises:
        UserError: there is no candidate of the baseline's name.
    """
    selection = evidence.selection
    check_baseline(selection, baseline)
    values = {candidate.name: float(estimate(candidate.metrics[metric]).value) for candidate in evidence.candidates}
    pairs_of = {
        candidate.name: _find_pairs(candidate, evidence, values, baseline, parents) for candidate in evidence.candidates
    }
    pairs = {(left.name, right.name): (left, right) for kinds in pairs_of.values() for left, right in kinds.values()}
    against_baseline = [kinds["baseline"] for kinds in pairs_of.values() if "baseline" in kinds]
    advance = begin(evidence.resamples * len(pairs))
    tested = compare_pairs(list(pairs.values()), evidence, metric, advance, against_baseline)
    groups = compare_groups([left for left, _ in against_baseline], evidence.of(baseline), evidence, tested)
    differences = adjust_p_values(["baseline"], pairs_of, tested) | adjust_p_values(
        ["predecessor", "best_simpler"], pairs_of, tested
    )
    rows = []
    for candidate in evidence.candidates:
        name = candidate.name
        first = candidate.candidate.runs[0].record
        row = build_row(candidate, metric, selection.part, promoted.get((first.name, first.config_hash)))
        row = replace(
            row,
            baseline=differences.get((name, "baseline")),
            predecessor=differences.get((name, "predecessor")),
            best_simpler=differences.get((name, "best_simpler")),
            groups=groups.get(name, []),
        )
        rows.append(_add_changes(row, candidate, pairs_of[name], parents.get(name), tested))
    return Comparison(
        data=selection.data,
        part=selection.part,
        dataset_version=selection.dataset_version,
        metric=metric,
        baseline=baseline,
        resamples=evidence.resamples,
        records=evidence.num_records,
        splits=list_splits(selection, runs_dir),
        candidates=rows,
        left_out=[*(f"set aside, {aside}" for aside in selection.set_aside), *selection.left_out],
        notes=[*selection.notes, *list_notes(evidence)],
    )


def _add_changes(
    row: CandidateResult,
    candidate: CandidateEvidence,
    pairs: Mapping[str, Pair],
    parent: StoredRun | None,
    tested: Tested,
) -> CandidateResult:
    """Return the row with what changed since the parent."""
    if parent is None:
        return row
    effect = tested[candidate.name, pairs["parent"][1].name][0] if "parent" in pairs else None
    return replace(row, changes=describe_changes(candidate.candidate, parent, effect))


def check_baseline(selection: Selection, baseline: str) -> None:
    """Check, before the slow resampling, that the baseline is among the candidates.

    Raises:
        UserError: no candidate of that name.
    """
    names = [candidate.name for candidate in selection.candidates]
    for aside in selection.set_aside:
        if aside.name == baseline:
            raise UserError(f"baseline={baseline}: set aside: {aside.why}. Complete it: `{aside.complete}`")
    if baseline not in names:
        raise UserError(
            f"baseline={baseline}: no such candidate among the selected; {did_you_mean(baseline, names)} "
            f"(train it on data={selection.data}, or choose another baseline: baseline=NAME)"
        )


def _find_pairs(
    candidate: CandidateEvidence,
    evidence: Evidence,
    values: Mapping[str, float],
    baseline: str,
    parents: Mapping[str, StoredRun],
) -> dict[str, Pair]:
    """Return the pairs to compare for a candidate, by kind (baseline, predecessor, best_simpler, parent)."""
    others: dict[str, CandidateEvidence | None] = {}
    if candidate.name != baseline:
        others["baseline"] = evidence.of(baseline)
        others["predecessor"] = _find_predecessor(candidate, evidence.candidates)
        best = _find_best_simpler(candidate, evidence.candidates, values)
        others["best_simpler"] = best if best not in others.values() else None
    if candidate.name in parents:
        key = candidate_key(parents[candidate.name])
        known = [*evidence.candidates, *evidence.others]
        parent = next((other for other in known if candidate_key(other.candidate.runs[0]) == key), None)
        if parent is not None and parent is not candidate and find_common_splits(candidate, parent):
            others["parent"] = parent
    return {kind: (candidate, other) for kind, other in others.items() if other is not None}


def _find_best_simpler(
    candidate: CandidateEvidence, candidates: Sequence[CandidateEvidence], values: Mapping[str, float]
) -> CandidateEvidence | None:
    """Return the best of the simpler candidates: beating a predecessor that itself got worse is no progress."""
    simpler = [other for other in candidates if other.candidate.complexity < candidate.candidate.complexity]
    return max(simpler, key=lambda other: values[other.name]) if simpler else None


def _find_predecessor(
    candidate: CandidateEvidence, candidates: Sequence[CandidateEvidence]
) -> CandidateEvidence | None:
    """Return the candidate of next lower complexity. Ties: the one named after its model, else the first by name."""
    simpler = [other for other in candidates if other.candidate.complexity < candidate.candidate.complexity]
    if not simpler:
        return None
    highest = max(other.candidate.complexity for other in simpler)
    tied = [other for other in simpler if other.candidate.complexity == highest]
    return min(tied, key=lambda other: (other.name != other.candidate.model, other.name))


def compare_selected(
    selection: Selection,
    *,
    runs_dir: Path,
    metric: str,
    baseline: str,
    count_readings: bool = True,
    promotions_dir: Path | None = None,
    resamples: int = RESAMPLES,
    bar: Bar = lambda what: lambda steps: lambda done: None,
) -> tuple[Evidence, Comparison]:
    """Return the evidence and the comparison of selected runs. The gate then judges by the same bootstrap samples.

    Parents are looked up in `runs_dir`. With `count_readings` the test-set accesses are counted there, too; without,
    the highest count that the runs recorded is reported. Without `promotions_dir` nothing counts as promoted.

    Raises:
        UserError: no such baseline, or predictions that cannot be compared.
    """
    check_baseline(selection, baseline)
    runs = find_runs(runs_dir)
    parents = find_parents(selection, runs)
    others = find_other_parents(selection, parents, runs)
    evidence = gather_evidence(selection, others=others, resamples=resamples, begin=bar("bootstrapping records"))
    standing = find_promoted(promotions_dir, selection.data) if promotions_dir else None
    comparison = compare(
        evidence,
        runs_dir=runs_dir if count_readings else None,
        metric=metric,
        baseline=baseline,
        promoted={(str(standing.name), str(standing.config_hash)): describe_promotion(standing)} if standing else {},
        parents=parents,
        begin=bar("permuting predictions"),
    )
    return evidence, comparison


def build_row(candidate: CandidateEvidence, metric: str, part: str, promoted: str | None) -> CandidateResult:
    """Return a candidate's metrics, spreads and costs; `compare` adds the differences to other candidates."""
    estimates = {name: estimate(candidate.metrics[name]) for name in HEADLINE_METRICS}
    primary = candidate.metrics[metric]
    between_splits, between_seeds = (nan_to_none(float(value)) for value in estimate_training_spread(primary))
    stored = [run.read_metrics().get(f"{part}/average_precision_macro") for run in candidate.candidate.runs]
    precisions = [float(value) for value in stored if value is not None]
    return CandidateResult(
        name=candidate.name,
        model=candidate.candidate.model,
        complexity=candidate.candidate.complexity,
        config_hash=candidate.candidate.config_hash,
        runs=[run.record.id for run in candidate.candidate.runs],
        splits=candidate.num_splits,
        metrics={name: _clipped_interval(of_metric) for name, of_metric in estimates.items()},
        average_precision_macro=sum(precisions) / len(precisions) if precisions else None,
        spread_between_splits=between_splits,
        spread_between_seeds=between_seeds,
        error_from_records=float(np.sqrt(estimates[metric].record_variance)),
        costs=candidate.costs,
        behaviour=candidate.behaviour,
        promoted=promoted,
        baseline=None,
        predecessor=None,
        best_simpler=None,
        changes=None,
    )


def list_splits(selection: Selection, runs_dir: Path | None) -> list[SplitRead]:
    """Return the splits of a selection with their test-set accesses: counted in `runs_dir`, or as the runs recorded."""
    splits = {}
    for run in selection.candidates[0].runs:
        record, readings = run.record, None
        if selection.part == "test":
            same = [other for other in selection.runs if _same_split(run, other)]
            version, split_hash = selection.dataset_version, str(record.split_hash)
            recorded = max(other.record.test_readings or 0 for other in same)
            readings = count_test_accesses(runs_dir, version, split_hash, same) if runs_dir else recorded
        splits[record.split_hash] = SplitRead(
            record.split_seed, str(record.split_hash), record.records[selection.part], readings
        )
    return list(splits.values())


def _same_split(run: StoredRun, other: StoredRun) -> bool:
    return run.record.split_hash == other.record.split_hash


def list_notes(evidence: Evidence) -> list[str]:
    """Return the limits of this comparison, as sentences: what its intervals do not cover, what was left out."""
    notes = []
    if len({run.split for run in evidence.candidates[0].run_decisions}) == 1:
        trained_once = [
            candidate.name for candidate in evidence.candidates
            if len(candidate.run_decisions) == 1 and not candidate.candidate.runs[0].record.deterministic
        ]  # fmt: skip
        training = f", nor another training of {', '.join(trained_once)}" if trained_once else ""
        notes.append(f"one split only: the intervals do not cover another split of the data{training}")
    drawn = len(evidence.candidates[0].metrics[HEADLINE_METRICS[0]].resampled)
    if drawn < evidence.resamples:
        notes.append(
            f"intervals rest on {drawn:,} bootstrap samples instead of {evidence.resamples:,}, as many as fit in "
            f"memory for {evidence.num_records:,} records: a standard error within {2 / np.sqrt(2 * drawn):.0%}"
        )
    if evidence.slices_left_out:
        slices = "; ".join(f"{name} ({', '.join(odd)})" for name, odd in evidence.slices_left_out.items())
        notes.append(f"slices with other records in some of the runs are left out: {slices}")
    for candidate in evidence.candidates:
        runs = candidate.candidate.runs
        if described := describe_texts_without_rule(runs[0], evidence.selection.part):
            split = f" (split {runs[0].record.split_seed})" if len(runs) > 1 else ""
            notes.append(f"{candidate.name}: no rule fires {described}{split}")
    if evidence.selection.part == "val":
        notes.append("on val, where thresholds were tuned and epochs chosen: use it to choose, not to report")
    return notes


def _clipped_interval(metric: Estimate) -> Interval:
    """Return a metric and its 95 % interval, which cannot leave [0, 1]."""
    value = float(metric.value)
    return Interval(value, *clip_interval(value, float(metric.lower(TAIL)), float(metric.upper(TAIL))))


def clip_interval(value: float, low: float, high: float) -> tuple[float, float]:
    """Return the bounds of an interval, clipped to [0, 1] and including `value`."""
    return min(max(low, 0.0), value), max(min(high, 1.0), value)


def nan_to_none(value: float) -> float | None:
    """Return None for NaN, which JSON cannot represent; else a float."""
    return None if np.isnan(value) else float(value)
