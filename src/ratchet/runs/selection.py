"""Select the runs that a command reads, report which were left out, and find runs that can be pruned."""

import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from ratchet.errors import UserError, did_you_mean
from ratchet.runs.split_settings import explain_different_splits
from ratchet.runs.stored import StoredRun, candidate_key, find_run, find_runs, repeat_key

Key = TypeVar("Key")
Item = TypeVar("Item")
PROTECTING_TAGS = frozenset({"keep", "promoted"})


@dataclass(frozen=True)
class Candidate:
    """The runs (repeats) of one configuration under one name, ordered by split and seed."""

    name: str
    runs: tuple[StoredRun, ...]

    @property
    def complexity(self) -> int:
        """Return the complexity of the model: its rung on the ladder."""
        return self.runs[0].record.complexity

    @property
    def model(self) -> str:
        """Return the name of the model's module."""
        return self.runs[0].record.model

    @property
    def config_hash(self) -> str:
        """Return the hash of the configuration without seeds and paths."""
        return self.runs[0].record.config_hash


@dataclass(frozen=True)
class Selection:
    """Candidates that were measured on the same splits, the simplest first, and messages about what was left out.

    `not_named` are names that have runs but were not requested: without them, the comparison has fewer candidates.
    """

    data: str
    part: str
    dataset_version: str
    candidates: tuple[Candidate, ...]
    left_out: tuple[str, ...]
    not_named: tuple[str, ...] = ()

    @property
    def runs(self) -> list[StoredRun]:
        """Return the runs of all candidates."""
        return [run for candidate in self.candidates for run in candidate.runs]


def select(
    runs_dir: Path,
    *,
    data: str | None = None,
    names: Sequence[str] = (),
    ids: Sequence[str] = (),
    every: bool = False,
    part: str = "test",
) -> Selection:
    """Select the newest configuration of each name, and its newest finished run per split and seed.

    With `ids`, select exactly those runs; with `every`, all configurations of a name. One run of a deterministic
    model represents all seeds of its split. Only splits that all candidates were measured on are kept.

    Raises:
        UserError: there is nothing to select, or the runs differ in data or splits and cannot be compared.
    """
    left_out: list[str] = []
    runs = [find_run(runs_dir, wanted) for wanted in ids] if ids else find_runs(runs_dir)
    runs = _keep_data_set(runs, data, runs_dir)
    data = runs[0].record.data
    usable = _keep_usable(runs, part, left_out, strict=bool(ids))
    if not ids:
        usable = _keep_named(usable, names)
    if not usable:
        raise UserError(
            f"no finished run of data={data} in {runs_dir} with predictions of {part}"
            + "".join(f"; {message}" for message in left_out)
        )
    groups = _group(usable, candidate_key)
    candidates = _build_candidates(groups, every or bool(ids), left_out)
    version = _check_one_version(candidates)
    not_named = _find_not_named(find_runs(runs_dir) if ids else runs, usable, part)
    if not_named:
        left_out.append(f"not named: {', '.join(not_named)}")
    candidates = _keep_common_splits(candidates, left_out)
    return Selection(data, part, version, candidates, tuple(left_out), not_named)


def _keep_data_set(runs: Sequence[StoredRun], data: str | None, runs_dir: Path) -> list[StoredRun]:
    names = sorted({run.record.data for run in runs})
    if not names:
        raise UserError(f"no runs in {runs_dir}: make some with `ratchet train -m model=rule,regression`")
    if data is None:
        if len(names) > 1:
            raise UserError(f"{runs_dir} has runs of {len(names)} data sets: choose {_format_choices('data', names)}")
        data = names[0]
    if data not in names:
        raise UserError(f"data={data}: no runs of it in {runs_dir}; {did_you_mean(data, names)}")
    return [run for run in runs if run.record.data == data]


def _keep_usable(runs: Sequence[StoredRun], part: str, left_out: list[str], *, strict: bool) -> list[StoredRun]:
    """Return the finished runs that have predictions of `part`. With `strict`, raise an error for any other run."""
    reasons: dict[str, list[StoredRun]] = {}
    usable = []
    for run in runs:
        reason = _find_reason_against(run, part, strict)
        if reason is None:
            usable.append(run)
        elif strict:
            raise UserError(f"{run.path}: cannot be compared: {reason}")
        else:
            reasons.setdefault(reason, []).append(run)
    left_out += [f"{_format_count(unusable)}: {reason}" for reason, unusable in reasons.items()]
    return usable


def _find_reason_against(run: StoredRun, part: str, requested: bool) -> str | None:
    if run.status != "finished":
        return f"the run is {run.status}"
    if part == "test" and run.record.evaluate != "test":
        return "made with evaluate=val, no test predictions"
    return "a debug run" if "debug" in run.record.tags and not requested else None


def _keep_named(runs: list[StoredRun], names: Sequence[str]) -> list[StoredRun]:
    known = {run.record.name for run in runs}
    for name in names:
        if name not in known:
            raise UserError(f"name={name}: no finished run has that name; {did_you_mean(name, known)}")
    return [run for run in runs if not names or run.record.name in names]


def _find_not_named(runs: Sequence[StoredRun], chosen: Sequence[StoredRun], part: str) -> tuple[str, ...]:
    """Return the names of comparable runs that were not chosen."""
    data, names = chosen[0].record.data, {run.record.name for run in chosen}
    others = [run for run in runs if run.record.data == data and _find_reason_against(run, part, False) is None]
    return tuple(sorted({run.record.name for run in others} - names))


def _build_candidates(
    groups: dict[tuple[str, str], list[StoredRun]], every: bool, left_out: list[str]
) -> tuple[Candidate, ...]:
    by_name: dict[str, list[tuple[str, str]]] = {}
    for key in groups:
        by_name.setdefault(key[0], []).append(key)
    candidates = []
    for name, keys in by_name.items():
        newest_first = sorted(keys, key=lambda key: groups[key][-1].record.started_at, reverse=True)
        for key in newest_first[1:] if not every else []:
            left_out.append(
                f"{_format_count(groups[key])} of {name}: an older configuration ({key[1][:8]}; all=true includes it)"
            )
        for key in newest_first if every else newest_first[:1]:
            shown = name if len(newest_first) == 1 or not every else f"{name}@{key[1][:8]}"
            candidates.append(Candidate(shown, _keep_newest_repeats(shown, groups[key], left_out)))
    return tuple(sorted(candidates, key=lambda candidate: (candidate.complexity, candidate.name)))


def _keep_newest_repeats(name: str, runs: Sequence[StoredRun], left_out: list[str]) -> tuple[StoredRun, ...]:
    """Return the newest run per split and seed, all with the dataset version of the newest run."""
    version = runs[-1].record.dataset_version
    current = [run for run in runs if run.record.dataset_version == version]
    if len(current) < len(runs):
        left_out.append(f"{len(runs) - len(current)} of {name}: another version of the data")
    newest = {repeat_key(run): run for run in current}
    if len(newest) < len(current):
        newer = "newer runs of the same splits and seeds replace them"
        reason = "one run per split is enough for a deterministic model" if runs[-1].record.deterministic else newer
        left_out.append(f"{len(current) - len(newest)} of {name}: {reason}")
    return tuple(sorted(newest.values(), key=lambda run: (run.record.split_seed, run.record.seed)))


def _check_one_version(candidates: Sequence[Candidate]) -> str:
    """Return the dataset version of all candidates; raise an error if it is not the same."""
    versions = _group(candidates, lambda candidate: candidate.runs[0].record.dataset_version)
    if len(versions) > 1:
        raise UserError(
            "not comparable, the data differ: "
            + "; ".join(
                f"{', '.join(candidate.name for candidate in group)} on version {str(version)[:12]}"
                for version, group in versions.items()
            )
            + ". Train them on the same data, or choose with name= or runs="
        )
    return str(next(iter(versions)))


def _keep_common_splits(candidates: Sequence[Candidate], left_out: list[str]) -> tuple[Candidate, ...]:
    """Return the candidates with only the runs on splits that all candidates were measured on."""
    _refuse_different_splits(candidates)
    common = set.intersection(*({run.record.split_hash for run in candidate.runs} for candidate in candidates))
    if not common:
        seeds = "; ".join(
            f"{candidate.name}: {_format_numbers(run.record.split_seed for run in candidate.runs)}"
            for candidate in candidates
        )
        raise UserError(
            f"not comparable: no split was used by all candidates. Train them on the same split.seed; now: {seeds}"
        )
    kept = []
    for candidate in candidates:
        runs = tuple(run for run in candidate.runs if run.record.split_hash in common)
        dropped = [run.record.split_seed for run in candidate.runs if run.record.split_hash not in common]
        if dropped:
            left_out.append(
                f"split.seed={_format_numbers(dropped)} of {candidate.name}: not all candidates were measured there"
            )
        kept.append(Candidate(candidate.name, runs))
    return tuple(kept)


def _refuse_different_splits(candidates: Sequence[Candidate]) -> None:
    """Raise an error if runs with the same split seed have different splits."""
    first_of: dict[int, tuple[str, StoredRun]] = {}
    for candidate in candidates:
        for run in candidate.runs:
            seed = run.record.split_seed
            name, first = first_of.setdefault(seed, (candidate.name, run))
            if first.record.split_hash != run.record.split_hash:
                raise UserError(
                    f"not comparable: split.seed={seed} of {name} and of {candidate.name} are different splits "
                    f"({str(first.record.split_hash)[:12]}, {str(run.record.split_hash)[:12]}): "
                    f"{explain_different_splits(first, run)}"
                )


def _group(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _format_count(runs: Sequence[StoredRun]) -> str:
    return f"{len(runs)} run{'s' if len(runs) > 1 else ''}"


def _format_numbers(numbers: Iterable[int]) -> str:
    return ",".join(str(number) for number in sorted(set(numbers)))


def _format_choices(key: str, values: Sequence[str]) -> str:
    return " or ".join(f"{key}={value}" for value in values)


def find_prunable(
    runs: Sequence[StoredRun],
    *,
    statuses: Sequence[str],
    superseded: bool,
    older_than_days: float,
    keep: Collection[str] = (),
) -> list[StoredRun]:
    """Return the runs that can be pruned: those with one of `statuses`, and superseded ones if `superseded`.

    A run is superseded if a newer run of the same candidate, split and seed finished. A run is never pruned if it is
    running, is the parent of another run, is tagged `keep` or `promoted`, or its id is in `keep`.
    """
    parents = {run.record.parent for run in runs}
    newest = {_get_identity(run): run.record.id for run in runs if run.status == "finished"}
    before = datetime.now(UTC) - timedelta(days=older_than_days)
    prunable = []
    for run in runs:
        protected = run.record.id in parents or run.record.id in keep or not PROTECTING_TAGS.isdisjoint(run.record.tags)
        replaced = superseded and run.status == "finished" and newest[_get_identity(run)] != run.record.id
        old = datetime.fromisoformat(run.record.started_at) <= before
        if old and not protected and run.status != "running" and (run.status in statuses or replaced):
            prunable.append(run)
    return prunable


def _get_identity(run: StoredRun) -> tuple[object, ...]:
    record = run.record
    candidate = (record.data, record.name, record.config_hash)
    return (*candidate, record.dataset_version, record.split_hash, record.seed, record.evaluate)


def remove(run: StoredRun) -> None:
    """Delete a run directory. Delete its record first, so that an interrupted deletion does not leave a run."""
    (run.path / "record.json").unlink()
    shutil.rmtree(run.path)
