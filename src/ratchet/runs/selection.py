"""Select the runs a command reads, report what was left out, and find what may be pruned."""

import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from ratchet.errors import UserError, did_you_mean
from ratchet.runs.stored import StoredRun, candidate_key, find_run, find_runs, repeat_key

Key = TypeVar("Key")
Item = TypeVar("Item")
PROTECTING_TAGS = frozenset({"keep", "promoted"})


@dataclass(frozen=True)
class Candidate:
    """Runs of one configuration under one name: a repeat each, ordered by split and seed."""

    name: str
    runs: tuple[StoredRun, ...]

    @property
    def complexity(self) -> int:
        """The rung it stands on."""
        return self.runs[0].record.complexity

    @property
    def model(self) -> str:
        """The module that trains it."""
        return self.runs[0].record.model

    @property
    def config_hash(self) -> str:
        """What is trained, without seeds and paths."""
        return self.runs[0].record.config_hash


@dataclass(frozen=True)
class Selection:
    """Candidates that were measured on the very same splits, the simplest first; and what was left out, in words.

    `not_named` are names that have runs but were not asked for: a contest without them is a smaller one.
    """

    data: str
    part: str
    dataset_version: str
    candidates: tuple[Candidate, ...]
    left_out: tuple[str, ...]
    not_named: tuple[str, ...] = ()

    @property
    def runs(self) -> list[StoredRun]:
        """All of their runs."""
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
    """The newest configuration of each name, and its newest finished run per split and seed.

    `ids` takes those runs and no others, `every` all configurations of a name. Runs of a model without randomness
    stand for every seed of their split. Candidates are cut to the splits that all of them were measured on.

    Raises:
        UserError: nothing to select; runs of different data or splits, which cannot be compared.
    """
    left_out: list[str] = []
    runs = [find_run(runs_dir, wanted) for wanted in ids] if ids else find_runs(runs_dir)
    runs = _of_one_data(runs, data, runs_dir)
    data = runs[0].record.data
    usable = _usable(runs, part, left_out, strict=bool(ids))
    if not ids:
        usable = _named(usable, names)
    if not usable:
        raise UserError(
            f"no finished run of data={data} in {runs_dir} with predictions of {part}"
            + "".join(f"; {each}" for each in left_out)
        )
    groups = _grouped(usable, candidate_key)
    candidates = _candidates(groups, every or bool(ids), left_out)
    version = _one_version(candidates)
    not_named = _not_named(find_runs(runs_dir) if ids else runs, usable, part)
    if not_named:
        left_out.append(f"not named: {', '.join(not_named)}")
    return Selection(data, part, version, _on_common_splits(candidates, left_out), tuple(left_out), not_named)


def _of_one_data(runs: Sequence[StoredRun], data: str | None, runs_dir: Path) -> list[StoredRun]:
    found = sorted({run.record.data for run in runs})
    if not found:
        raise UserError(f"no runs in {runs_dir}: `python train.py -m model=rule,regression` makes some")
    if data is None:
        if len(found) > 1:
            raise UserError(f"runs of {len(found)} data sets in {runs_dir}: which one? {_choices('data', found)}")
        data = found[0]
    if data not in found:
        raise UserError(f"data={data}: no runs of it in {runs_dir}; {did_you_mean(data, found)}")
    return [run for run in runs if run.record.data == data]


def _usable(runs: Sequence[StoredRun], part: str, left_out: list[str], *, strict: bool) -> list[StoredRun]:
    """Runs that finished and have predictions of `part`; those that were asked for by id must be such."""
    reasons: dict[str, list[StoredRun]] = {}
    usable = []
    for run in runs:
        reason = _unusable(run, part, strict)
        if reason is None:
            usable.append(run)
        elif strict:
            raise UserError(f"{run.path}: {reason}: nothing to compare")
        else:
            reasons.setdefault(reason, []).append(run)
    left_out += [f"{_count(found)}: {reason}" for reason, found in reasons.items()]
    return usable


def _unusable(run: StoredRun, part: str, asked_for: bool) -> str | None:
    if run.status != "finished":
        return f"the run is {run.status}"
    if part == "test" and run.record.evaluate != "test":
        return "made with evaluate=val, no test predictions"
    return "a debug run" if "debug" in run.record.tags and not asked_for else None


def _named(runs: list[StoredRun], names: Sequence[str]) -> list[StoredRun]:
    known = {run.record.name for run in runs}
    for name in names:
        if name not in known:
            raise UserError(f"name={name}: no finished run of that name; {did_you_mean(name, known)}")
    return [run for run in runs if not names or run.record.name in names]


def _not_named(runs: Sequence[StoredRun], chosen: Sequence[StoredRun], part: str) -> tuple[str, ...]:
    """Names that could have been chosen."""
    data, names = chosen[0].record.data, {run.record.name for run in chosen}
    others = [run for run in runs if run.record.data == data and _unusable(run, part, False) is None]
    return tuple(sorted({run.record.name for run in others} - names))


def _candidates(
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
                f"{_count(groups[key])} of {name}: an older configuration ({key[1][:8]}; all=true takes it in)"
            )
        for key in newest_first if every else newest_first[:1]:
            shown = name if len(newest_first) == 1 or not every else f"{name}@{key[1][:8]}"
            candidates.append(Candidate(shown, _repeats(shown, groups[key], left_out)))
    return tuple(sorted(candidates, key=lambda each: (each.complexity, each.name)))


def _repeats(name: str, runs: Sequence[StoredRun], left_out: list[str]) -> tuple[StoredRun, ...]:
    """The newest run per split and seed, all on the version of the data that the newest one has."""
    version = runs[-1].record.dataset_version
    current = [run for run in runs if run.record.dataset_version == version]
    if len(current) < len(runs):
        left_out.append(f"{len(runs) - len(current)} of {name}: on another version of the data")
    newest = {repeat_key(run): run for run in current}
    if len(newest) < len(current):
        newer = "newer runs of the same splits and seeds took their place"
        why = "without randomness one run a split is enough" if runs[-1].record.deterministic else newer
        left_out.append(f"{len(current) - len(newest)} of {name}: {why}")
    return tuple(sorted(newest.values(), key=lambda run: (run.record.split_seed, run.record.seed)))


def _one_version(candidates: Sequence[Candidate]) -> str:
    versions = _grouped(candidates, lambda each: each.runs[0].record.dataset_version)
    if len(versions) > 1:
        raise UserError(
            "not comparable, the data differ: "
            + "; ".join(
                f"{', '.join(each.name for each in found)} on version {str(version)[:12]}"
                for version, found in versions.items()
            )
            + ". Train them on the same data, or choose with name= or runs="
        )
    return str(next(iter(versions)))


def _on_common_splits(candidates: Sequence[Candidate], left_out: list[str]) -> tuple[Candidate, ...]:
    _refuse_other_divisions(candidates)
    common = set.intersection(*({run.record.split_hash for run in each.runs} for each in candidates))
    if not common:
        seeds = "; ".join(f"{each.name}: {_numbers(run.record.split_seed for run in each.runs)}" for each in candidates)
        raise UserError(f"not comparable, there is no split that all were measured on. split.seed of {seeds}")
    cut = []
    for each in candidates:
        kept = tuple(run for run in each.runs if run.record.split_hash in common)
        dropped = [run.record.split_seed for run in each.runs if run.record.split_hash not in common]
        if dropped:
            left_out.append(f"split.seed={_numbers(dropped)} of {each.name}: not all candidates were measured there")
        cut.append(Candidate(each.name, kept))
    return tuple(cut)


def _refuse_other_divisions(candidates: Sequence[Candidate]) -> None:
    """The same split seed must mean the same ids."""
    seen: dict[int, tuple[str, str | None]] = {}
    for each in candidates:
        for run in each.runs:
            seed, split_hash = run.record.split_seed, run.record.split_hash
            name, other = seen.setdefault(seed, (each.name, split_hash))
            if other != split_hash:
                raise UserError(
                    f"not comparable: split.seed={seed} of {name} and of {each.name} are different splits "
                    f"({str(other)[:12]}, {str(split_hash)[:12]}): split.method, split.val or split.test differ"
                )


def _grouped(items: Iterable[Item], key: Callable[[Item], Key]) -> dict[Key, list[Item]]:
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _count(runs: Sequence[StoredRun]) -> str:
    return f"{len(runs)} run{'s' if len(runs) > 1 else ''}"


def _numbers(numbers: Iterable[int]) -> str:
    return ",".join(str(number) for number in sorted(set(numbers)))


def _choices(key: str, values: Sequence[str]) -> str:
    return " or ".join(f"{key}={value}" for value in values)


def prunable(
    runs: Sequence[StoredRun],
    *,
    statuses: Sequence[str],
    superseded: bool,
    older_than_days: float,
    keep: Collection[str] = (),
) -> list[StoredRun]:
    """Runs of `statuses`, and (if asked) finished ones that a newer run of the same candidate, split and seed replaced.

    Never a run that is running, that another run names as its parent, that is tagged `keep` or `promoted`, or whose id
    is in `keep`.
    """
    parents = {run.record.parent for run in runs}
    newest = {_key(run): run.record.id for run in runs if run.status == "finished"}
    before = datetime.now(UTC) - timedelta(days=older_than_days)
    found = []
    for run in runs:
        protected = run.record.id in parents or run.record.id in keep or not PROTECTING_TAGS.isdisjoint(run.record.tags)
        replaced = superseded and run.status == "finished" and newest[_key(run)] != run.record.id
        old = datetime.fromisoformat(run.record.started_at) <= before
        if old and not protected and run.status != "running" and (run.status in statuses or replaced):
            found.append(run)
    return found


def _key(run: StoredRun) -> tuple[object, ...]:
    record = run.record
    candidate = (record.data, record.name, record.config_hash)
    return (*candidate, record.dataset_version, record.split_hash, record.seed, record.evaluate)


def remove(run: StoredRun) -> None:
    """Delete a run directory; its record goes first, so that half a deletion is no run."""
    (run.path / "record.json").unlink()
    shutil.rmtree(run.path)
