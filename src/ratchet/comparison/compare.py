"""Compare candidates with the MVP baseline, their predecessor and their parent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ratchet.comparison.differences import (
    HEADLINE,
    TAIL,
    Pair,
    Tested,
    common_splits,
    compare_pair,
    family,
    group_differences,
)
from ratchet.comparison.evidence import RESAMPLES, Evidence, Measured, gather
from ratchet.comparison.lineage import changes_since, other_parents, parents_of
from ratchet.comparison.results import CandidateResult, Comparison, Interval, SplitRead
from ratchet.errors import UserError, did_you_mean
from ratchet.runs import find_runs
from ratchet.runs.accesses import count_readings
from ratchet.runs.promotions import promoted, said_of
from ratchet.runs.selection import Selection
from ratchet.runs.stored import StoredRun, candidate_key
from ratchet.statistics.bootstrap import Advance
from ratchet.statistics.estimates import estimate, training_spread

Bar = Callable[[str], Callable[[int], Advance]]


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

    Readings of test splits are counted in `runs_dir`; without, by what the runs noted (all of it is in them then).
    `promoted` says of a name and config hash that it is, `parents` which run a candidate iterates on.

    Raises:
        UserError: there is no candidate of the baseline's name.
    """
    selection = evidence.selection
    check_baseline(selection, baseline)
    against = {each.name: _pairs_of(each, evidence, metric, baseline, parents) for each in evidence.candidates}
    pairs = {(left.name, right.name): (left, right) for each in against.values() for left, right in each.values()}
    advance = begin(evidence.resamples * len(pairs))
    tested = {names: compare_pair(*pair, evidence, metric, advance) for names, pair in pairs.items()}
    found = family(["baseline"], against, tested) | family(["predecessor", "best_simpler"], against, tested)
    rows = []
    for each in evidence.candidates:
        row = candidate_row(each, metric, selection.part, promoted.get(candidate_key(each.candidate.runs[0])))
        row = replace(
            row,
            baseline=found.get((each.name, "baseline")),
            predecessor=found.get((each.name, "predecessor")),
            best_simpler=found.get((each.name, "best_simpler")),
        )
        rows.append(_with_details(row, each, against[each.name], evidence, parents.get(each.name), tested))
    return Comparison(
        data=selection.data,
        part=selection.part,
        dataset_version=selection.dataset_version,
        metric=metric,
        baseline=baseline,
        resamples=evidence.resamples,
        records=evidence.num_records,
        splits=splits_read(selection, runs_dir),
        candidates=rows,
        left_out=list(selection.left_out),
        notes=notes_on(evidence),
    )


def _with_details(
    row: CandidateResult,
    each: Measured,
    pairs: Mapping[str, Pair],
    evidence: Evidence,
    parent: StoredRun | None,
    tested: Tested,
) -> CandidateResult:
    """Return the row with label and slice differences, and what changed since the parent."""
    if "baseline" in pairs:
        left, right = pairs["baseline"]
        groups = group_differences(left, right, evidence, tested[left.name, right.name][1])
        row = replace(row, groups=groups)
    if parent is not None:
        effect = tested[each.name, pairs["parent"][1].name][0] if "parent" in pairs else None
        row = replace(row, changes=changes_since(each.candidate, parent, effect))
    return row


def check_baseline(selection: Selection, baseline: str) -> None:
    """Check, before the slow resampling, that the baseline is among the candidates.

    Raises:
        UserError: no candidate of that name.
    """
    names = [each.name for each in selection.candidates]
    if baseline not in names:
        raise UserError(
            f"baseline={baseline}: no such candidate among the selected; {did_you_mean(baseline, names)} "
            f"(train it on data={selection.data}, or take another: baseline=NAME)"
        )


def _pairs_of(
    each: Measured, evidence: Evidence, metric: str, baseline: str, parents: Mapping[str, StoredRun]
) -> dict[str, Pair]:
    """Return the pairs to compare for a candidate, by kind (baseline, predecessor, ...)."""
    others: dict[str, Measured | None] = {}
    if each.name != baseline:
        others["baseline"] = evidence.of(baseline)
        others["predecessor"] = _predecessor(each, evidence.candidates)
        best = _best_simpler(each, evidence.candidates, metric)
        others["best_simpler"] = best if best not in others.values() else None
    if each.name in parents:
        key = candidate_key(parents[each.name])
        known = [*evidence.candidates, *evidence.others]
        parent = next((other for other in known if candidate_key(other.candidate.runs[0]) == key), None)
        others["parent"] = parent if parent is not each and parent and common_splits(each, parent) else None
    return {kind: (each, other) for kind, other in others.items() if other is not None}


def _best_simpler(each: Measured, candidates: Sequence[Measured], metric: str) -> Measured | None:
    """Return the best simpler candidate: beating a predecessor that itself got worse is no progress."""
    lower = [other for other in candidates if other.candidate.complexity < each.candidate.complexity]
    return max(lower, key=lambda other: float(estimate(other.drawn[metric]).value)) if lower else None


def _predecessor(each: Measured, candidates: Sequence[Measured]) -> Measured | None:
    """Return the candidate of next lower complexity. Ties: the one named after its model, else the first by name."""
    lower = [other for other in candidates if other.candidate.complexity < each.candidate.complexity]
    if not lower:
        return None
    rung = max(other.candidate.complexity for other in lower)
    same = [other for other in lower if other.candidate.complexity == rung]
    return min(same, key=lambda other: (other.name != other.candidate.model, other.name))


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
    """Return the evidence and the comparison; the objective judges by the same bootstrap samples.

    Parents are sought in `runs_dir`, where readings of test splits are counted too, unless what the runs noted of them
    shall do. Without `promotions_dir` nothing is promoted.

    Raises:
        UserError: no such baseline, or predictions that cannot be compared.
    """
    check_baseline(selection, baseline)
    runs = find_runs(runs_dir)
    parents = parents_of(selection, runs)
    others = other_parents(selection, parents, runs)
    evidence = gather(selection, others=others, resamples=resamples, begin=bar("bootstrapping records"))
    standing = promoted(promotions_dir, selection.data) if promotions_dir else None
    found = compare(
        evidence,
        runs_dir=runs_dir if count_readings else None,
        metric=metric,
        baseline=baseline,
        promoted={(str(standing.name), str(standing.config_hash)): said_of(standing)} if standing else {},
        parents=parents,
        begin=bar("permuting predictions"),
    )
    return evidence, found


def candidate_row(measured: Measured, metric: str, part: str, promoted: str | None) -> CandidateResult:
    """Return metrics, spreads and costs; `compare` fills in the differences later."""
    estimates = {name: estimate(measured.drawn[name]) for name in HEADLINE}
    primary = measured.drawn[metric]
    between_splits, between_seeds = (number_or_none(float(value)) for value in training_spread(primary))
    precisions = [run.figures().get(f"{part}/average_precision_macro") for run in measured.candidate.runs]
    known = [float(value) for value in precisions if value is not None]
    return CandidateResult(
        name=measured.name,
        model=measured.candidate.model,
        complexity=measured.candidate.complexity,
        config_hash=measured.candidate.config_hash,
        runs=[run.record.id for run in measured.candidate.runs],
        splits=measured.num_splits,
        metrics={
            name: Interval(
                float(value.value), *clipped(float(value.value), float(value.lower(TAIL)), float(value.upper(TAIL)))
            )
            for name, value in estimates.items()
        },
        average_precision_macro=sum(known) / len(known) if known else None,
        spread_between_splits=between_splits,
        spread_between_seeds=between_seeds,
        error_from_records=float(np.sqrt(estimates[metric].record_variance)),
        costs=measured.costs,
        behaviour=measured.behaviour,
        promoted=promoted,
        baseline=None,
        predecessor=None,
        best_simpler=None,
        changes=None,
    )


def splits_read(selection: Selection, runs_dir: Path | None) -> list[SplitRead]:
    """Return the splits of a selection with their test-set accesses.

    They are counted in `runs_dir`; without it, the highest number that the runs recorded is used.
    """
    splits = {}
    for run in selection.candidates[0].runs:
        record, readings = run.record, None
        if selection.part == "test":
            recorded = [other.record.test_readings or 0 for other in selection.runs if _same_split(run, other)]
            version, split_hash = selection.dataset_version, str(record.split_hash)
            readings = count_readings(runs_dir, selection.data, version, split_hash) if runs_dir else max(recorded)
        splits[record.split_hash] = SplitRead(
            record.split_seed, str(record.split_hash), record.records[selection.part], readings
        )
    return list(splits.values())


def _same_split(run: StoredRun, other: StoredRun) -> bool:
    return run.record.split_hash == other.record.split_hash


def notes_on(evidence: Evidence) -> list[str]:
    """Return what limits the conclusions from a comparison."""
    notes = []
    if len({run.split for run in evidence.candidates[0].judged}) == 1:
        unknown = [
            measured.name for measured in evidence.candidates
            if len(measured.judged) == 1 and not measured.candidate.runs[0].record.deterministic
        ]  # fmt: skip
        training = f", nor another training of {', '.join(unknown)}" if unknown else ""
        notes.append(f"one split only: the intervals do not cover another split of the data{training}")
    if evidence.slices_left_out:
        notes.append(
            f"slices with different records in different runs are left out: {', '.join(evidence.slices_left_out)}"
        )
    if evidence.selection.part == "val":
        notes.append("on val, where thresholds were tuned and epochs chosen: use it to choose, not to report")
    return notes


def clipped(value: float, low: float, high: float) -> tuple[float, float]:
    """Return the bounds of an interval, clipped to [0, 1] and including `value`."""
    return min(max(low, 0.0), value), max(min(high, 1.0), value)


def number_or_none(value: float) -> float | None:
    """Return None for NaN, which JSON cannot represent; else a float."""
    return None if np.isnan(value) else float(value)
