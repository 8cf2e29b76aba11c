"""Which run a candidate iterates on, and what came of the change: one step at a time."""

from collections.abc import Mapping, Sequence

from ratchet.comparison.changes import changes_between, warning_of
from ratchet.comparison.results import Changes, Difference
from ratchet.runs.repeats import candidate_key
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import StoredRun


def parents_of(selection: Selection, runs: Sequence[StoredRun]) -> dict[str, StoredRun]:
    """By candidate's name, the run that its newest run names as its parent, where that run is still there."""
    by_id = {run.record.id: run for run in runs}
    newest = {each.name: newest_run(each) for each in selection.candidates}
    return {name: by_id[run.record.parent] for name, run in newest.items() if run.record.parent in by_id}


def newest_run(candidate: Candidate) -> StoredRun:
    """The run that was started last."""
    return max(candidate.runs, key=lambda run: run.record.started_at)


def other_parents(selection: Selection, parents: Mapping[str, StoredRun], runs: Sequence[StoredRun]) -> list[Candidate]:
    """Parents' candidates that were not selected, with their runs on the selected splits."""
    selected = {candidate_key(each.runs[0]) for each in selection.candidates}
    splits = {run.record.split_hash for run in selection.runs}
    found = {}
    for parent in parents.values():
        key = candidate_key(parent)
        same = [
            run for run in runs
            if candidate_key(run) == key and run.status == "finished" and run.record.split_hash in splits
            and run.record.dataset_version == selection.dataset_version
            and (selection.part == "val" or run.record.evaluate == "test")
        ]  # fmt: skip
        newest = {(run.record.split_hash, run.record.seed): run for run in same}
        if key not in selected and newest:
            name = f"{key[0]}@{key[1][:8]}"
            found[key] = Candidate(name, tuple(newest.values()))
    return list(found.values())


def changes_since(candidate: Candidate, parent: StoredRun, effect: Difference | None) -> Changes:
    """What changed since the parent, beside the effect."""
    newest = newest_run(candidate)
    changed = changes_between(newest, parent)
    return Changes(
        parent=parent.record.id,
        parent_name=parent.record.name,
        changed=changed,
        effect=effect,
        warning=warning_of(changed),
        hypothesis=newest.record.hypothesis,
    )
