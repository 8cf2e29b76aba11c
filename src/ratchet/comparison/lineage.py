"""Find the parent of a candidate and list what changed since: model, data, training, code, packages."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from ratchet.comparison.results import Changes, Difference
from ratchet.config import unhashed_keys
from ratchet.errors import UserError
from ratchet.runs.code import changed_definitions
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import StoredRun, candidate_key

_GROUP_OF = {"model": "model", "data": "data", "split": "data"}  # all other top-level keys are `training`
_MAX_ITEMS = 4  # keys or definitions that are listed for one group


def find_changes(run: StoredRun, parent: StoredRun) -> dict[str, list[str]]:
    """Return the changes by group (model, data, training, code, lock); groups without a change are left out.

    Raises:
        UserError: a run's config.yaml cannot be read.
    """
    changes: dict[str, list[str]] = {}
    for key, before, after in list_differences(_read_settings(parent), _read_settings(run)):
        changes.setdefault(_GROUP_OF.get(key.split(".")[0], "training"), []).append(f"{key}: {before} -> {after}")
    if run.record.model != parent.record.model:
        changes["model"] = [f"{parent.record.model} -> {run.record.model}"]
    if run.record.dataset_version != parent.record.dataset_version:
        changes.setdefault("data", []).append("other records or labels (dataset version)")
    code = _list_changed_code(run, parent)
    if code:
        changes["code"] = code
    if run.record.lock_hash != parent.record.lock_hash:
        changes["lock"] = ["requirements.lock", *_list_changed_versions(run, parent)]
    return {group: _shorten(items) for group, items in changes.items()}


def build_warning(changed: Mapping[str, list[str]]) -> str | None:
    """Return a warning if several groups changed, so that the effect has no single cause; else None."""
    if len(changed) < 2:
        return None
    *most, last = changed
    return f"{', '.join(most)} and {last} changed at once: the effect has no single cause"


def _read_settings(run: StoredRun) -> dict[str, Any]:
    """Return the run's configuration as flat keys, without keys that do not affect training."""
    path = run.path / "config.yaml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        flat = dict(flatten(content, ""))
    except (OSError, yaml.YAMLError, AttributeError) as error:
        reason = str(error).splitlines()[0]
        message = f"{path}: not a run's configuration: {reason}. Restore the file, or leave this run out"
        raise UserError(message) from error
    unhashed = tuple(unhashed_keys())
    return {key: value for key, value in flat.items() if not _is_under(key, unhashed)}


def flatten(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and their values; an empty mapping is a value."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _is_under(key: str, prefixes: tuple[str, ...]) -> bool:
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in prefixes)


def list_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield each key whose value differs, with the old and the new value."""
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key, "not set"), after.get(key, "not set")
        if old != new and key not in ("model.name", "model.complexity"):
            yield key, old, new


def _list_changed_code(run: StoredRun, parent: StoredRun) -> list[str]:
    """Return the definitions that differ. For runs without code.json, only the commits can be compared."""
    if changed := [name for other in (parent, run) for name in other.record.code_changed]:
        return [f"unknown: changed while a run was in progress: {', '.join(sorted(set(changed)))}"]
    if run.record.model == parent.record.model and run.record.code_hash == parent.record.code_hash:
        return []
    before, now = _read_definitions(parent), _read_definitions(run)
    if before is not None and now is not None:
        return changed_definitions(before, now, same_model=run.record.model == parent.record.model)
    commits = [str(other.record.git.get("commit"))[:8] for other in (parent, run)]
    is_known = not any(other.record.git.get("problem") for other in (parent, run))
    if is_known and len(set(commits)) == 1 and all(
        run.record.git.get(key) == parent.record.git.get(key) for key in ("diff_sha256", "files")
    ):  # fmt: skip
        return []
    return [f"commit {commits[0]} -> {commits[1]} (definitions not recorded)"]


def _read_definitions(run: StoredRun) -> dict[str, str] | None:
    """Return the hash of each definition by name; None for runs that recorded none."""
    try:
        content = json.loads((run.path / "code.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _list_changed_versions(run: StoredRun, parent: StoredRun) -> list[str]:
    """Return the packages whose versions differ, as `name old -> new`."""
    before, after = parent.record.packages, run.record.packages
    return [f"{name} {before.get(name, '-')} -> {after.get(name, '-')}" for name in sorted({*before, *after})
            if before.get(name) != after.get(name)]  # fmt: skip


def _shorten(items: list[str]) -> list[str]:
    return items if len(items) <= _MAX_ITEMS else [*items[:_MAX_ITEMS], f"and {len(items) - _MAX_ITEMS} more"]


def find_parents(selection: Selection, runs: Sequence[StoredRun]) -> dict[str, StoredRun]:
    """Return the parent run by candidate name: the parent recorded by its newest run, if that run still exists."""
    by_id = {run.record.id: run for run in runs}
    newest = {candidate.name: find_newest_run(candidate) for candidate in selection.candidates}
    return {name: by_id[run.record.parent] for name, run in newest.items() if run.record.parent in by_id}


def find_newest_run(candidate: Candidate) -> StoredRun:
    """Return the run that started last."""
    return max(candidate.runs, key=lambda run: run.record.started_at)


def find_other_parents(
    selection: Selection, parents: Mapping[str, StoredRun], runs: Sequence[StoredRun]
) -> list[Candidate]:
    """Return the candidates of parents that were not selected, with their runs on the selected splits."""
    selected = {candidate_key(candidate.runs[0]) for candidate in selection.candidates}
    splits = {run.record.split_hash for run in selection.runs}
    candidates = {}
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
            candidates[key] = Candidate(name, tuple(newest.values()))
    return list(candidates.values())


def describe_changes(candidate: Candidate, parent: StoredRun, effect: Difference | None) -> Changes:
    """Return the changes since the parent, their measured effect, and the hypothesis of the newest run."""
    newest = find_newest_run(candidate)
    changed = find_changes(newest, parent)
    return Changes(
        parent=parent.record.id,
        parent_name=parent.record.name,
        changed=changed,
        effect=effect,
        warning=build_warning(changed),
        hypothesis=newest.record.hypothesis,
    )
