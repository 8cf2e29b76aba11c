"""Candidates against the MVP baseline, against their predecessor and against their parent, by statistics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ratchet.comparison.differences import Pair, Tested, common_splits, compare_pair, family
from ratchet.comparison.estimates import estimate
from ratchet.comparison.evidence import Evidence, Measured
from ratchet.comparison.groups import group_differences
from ratchet.comparison.lineage import changes_since
from ratchet.comparison.resampling import Advance
from ratchet.comparison.results import CandidateResult, Comparison
from ratchet.comparison.rows import candidate_row, notes_on, splits_read
from ratchet.errors import UserError, did_you_mean
from ratchet.runs.repeats import candidate_key
from ratchet.runs.selection import Selection
from ratchet.runs.stored import StoredRun


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
    """Every candidate against `baseline`, its predecessor (of next lower complexity) and the best that is simpler.

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
    """With labels, slices, and what changed since the parent."""
    if "baseline" in pairs:
        left, right = pairs["baseline"]
        groups = group_differences(left, right, evidence, tested[left.name, right.name][1])
        row = replace(row, groups=groups)
    if parent is not None:
        effect = tested[each.name, pairs["parent"][1].name][0] if "parent" in pairs else None
        row = replace(row, changes=changes_since(each.candidate, parent, effect))
    return row


def check_baseline(selection: Selection, baseline: str) -> None:
    """Before anything is drawn.

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
    """What a candidate is compared with, by kind."""
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
    """Where the ladder stands below: a rung that beats a rung that fell back has gained nothing yet."""
    lower = [other for other in candidates if other.candidate.complexity < each.candidate.complexity]
    return max(lower, key=lambda other: float(estimate(other.drawn[metric]).value)) if lower else None


def _predecessor(each: Measured, candidates: Sequence[Measured]) -> Measured | None:
    """Of next lower complexity; of several the one that is named after its model, else the first by name."""
    lower = [other for other in candidates if other.candidate.complexity < each.candidate.complexity]
    if not lower:
        return None
    rung = max(other.candidate.complexity for other in lower)
    same = [other for other in lower if other.candidate.complexity == rung]
    return min(same, key=lambda other: (other.name != other.candidate.model, other.name))
