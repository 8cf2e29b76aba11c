"""Select the runs that a command reads, and report which were left out."""

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ratchet.errors import UserError, did_you_mean
from ratchet.extras import DISTRIBUTION
from ratchet.runs.split_settings import explain_different_splits
from ratchet.runs.stored import StoredRun, build_command, candidate_key, find_run, find_runs, repeat_key

Key = TypeVar("Key")
Item = TypeVar("Item")
_MOST_NAMED = 5  # candidates that a message names


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
class SetAside:
    """A candidate with too few splits: it would take the evidence of the others. `complete` trains the missing ones."""

    candidate: Candidate
    why: str
    complete: str

    @property
    def name(self) -> str:
        """Return the candidate's name."""
        return self.candidate.name

    def __str__(self) -> str:
        """Return it as a sentence."""
        return f"{self.name}: {self.why}. Complete it: `{self.complete}`"


@dataclass(frozen=True)
class Selection:
    """Candidates that were measured on the same splits, the simplest first, and messages about what was left out.

    `not_named` are names that have runs but were not requested: without them, the comparison has fewer candidates.
    The same holds for those that are `set_aside`. `notes` name candidates whose runs were made with several versions of
    packages, of Python or of the lock file, or on several kinds of processor.
    """

    data: str
    part: str
    dataset_version: str
    candidates: tuple[Candidate, ...]
    left_out: tuple[str, ...]
    not_named: tuple[str, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    notes: tuple[str, ...] = ()

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
    min_splits: int = 1,
) -> Selection:
    """Select the newest configuration and code of each name, and its newest finished run per split and seed.

    With `ids`, select exactly those runs; with `every`, all configurations and codes of a name. One run of a
    deterministic model represents all seeds of its split. Only splits that all candidates were measured on are kept.
    Candidates that would leave fewer than `min_splits` of them to the others are set aside, unless `names` or `ids` ask
    for them.

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
    set_aside = () if names or ids else _find_short_of_splits(candidates, min_splits)
    if set_aside:
        names_aside = {aside.name for aside in set_aside}
        candidates = tuple(candidate for candidate in candidates if candidate.name not in names_aside)
    candidates = _keep_common_splits(candidates, left_out)
    notes = tuple(note for candidate in candidates if (note := _describe_mixture(candidate)))
    return Selection(data, part, version, candidates, tuple(left_out), not_named, set_aside, notes)


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
    if run.record.code_changed:
        return "the code changed while the run was in progress"
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
    groups: dict[tuple[str, str, str], list[StoredRun]], every: bool, left_out: list[str]
) -> tuple[Candidate, ...]:
    """Return a candidate for each group, or for the newest of each name unless `every`."""
    by_name = _group(groups, lambda key: key[0])
    candidates = []
    for name, keys in by_name.items():
        newest_first = sorted(keys, key=lambda key: groups[key][-1].record.started_at, reverse=True)
        newest = newest_first[0]
        for key in newest_first[1:] if not every else []:
            left_out.append(_explain_older(groups[key], groups[newest]))
        for key in newest_first if every else newest_first[:1]:
            shown = _name_candidate(key, newest_first) if every else name
            candidates.append(Candidate(shown, _keep_newest_repeats(shown, groups[key], left_out)))
    return tuple(sorted(candidates, key=lambda candidate: (candidate.complexity, candidate.name)))


def _name_candidate(key: tuple[str, str, str], keys: Sequence[tuple[str, str, str]]) -> str:
    """Return the name of a candidate with what distinguishes it from others of its name: configuration, then code."""
    name, configuration, code = key
    parts = [configuration[:8]] if len({other[1] for other in keys}) > 1 else []
    if len({other[2] for other in keys if other[1] == configuration}) > 1:
        parts.append(f"code-{code[:8] or 'unknown'}")
    return f"{name}@{'-'.join(parts)}" if parts else name


def _explain_older(older: Sequence[StoredRun], newest: Sequence[StoredRun]) -> str:
    """Return why runs are left out for newer ones; if code was edited, with the command that completes the newest."""
    name, configuration, code = candidate_key(older[-1])
    what = f"{_format_count(older)} of {name}: "
    if configuration != newest[-1].record.config_hash:
        return f"{what}an older configuration ({configuration[:8]}; all=true includes it)"
    what += f"made with other code ({code[:8] or 'unknown'}) than the newest run; all=true includes it"
    measured = {run.record.split_hash for run in newest}
    missing = {run.record.split_seed for run in older if run.record.split_hash not in measured}
    return f"{what}. Complete the newest: `{build_repeat_command(newest[-1], missing)}`" if missing else what


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


def _describe_mixture(candidate: Candidate) -> str | None:
    """Return a sentence if the runs of a candidate were made in several environments, None if in one."""
    records = [run.record for run in candidate.runs]
    values: dict[str, set[str]] = {}
    for record in records:
        libraries = {name: version for name, version in record.packages.items() if name != DISTRIBUTION}
        for what, value in (libraries | {"Python": str(record.machine.get("python") or "")}).items():
            values.setdefault(what, set()).add(value)
    several = [f"{what} {' and '.join(sorted(found))}" for what, found in values.items() if len(found) > 1]
    several += ["several kinds of processor"] * (len({record.machine.get("features") for record in records}) > 1)
    several += ["several lock files"] * (len({record.lock_hash for record in records}) > 1)
    return f"{candidate.name}: its runs were made with {', '.join(several)}" if several else None


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


def _find_short_of_splits(candidates: Sequence[Candidate], min_splits: int) -> tuple[SetAside, ...]:
    """Return the candidates without which the others share enough splits; none if they do not share enough even then.

    First those with too few splits of their own; then, while the rest shares too few, those that share the fewest with
    the others. The results have no part in it. If none of the rest shares more than another, all are kept.
    """
    splits = {candidate.name: {run.record.split_hash for run in candidate.runs} for candidate in candidates}
    kept = [name for name, own in splits.items() if len(own) >= min_splits]
    while kept and len(set.intersection(*(splits[name] for name in kept))) < min_splits:
        votes = Counter(split for name in kept for split in splits[name])
        shared = {name: sum(votes[split] - 1 for split in splits[name]) for name in kept}
        more = [name for name in kept if shared[name] > min(shared.values())]
        if not more:
            break
        kept = more
    if not kept:
        return ()
    common = set.intersection(*(splits[name] for name in kept))
    seed_of = {run.record.split_hash: run.record.split_seed for candidate in candidates for run in candidate.runs}
    return tuple(
        SetAside(
            candidate,
            f"measured on split.seed={_format_numbers(seed_of[split] for split in splits[candidate.name])} only",
            build_repeat_command(candidate.runs[-1], [seed_of[split] for split in common - splits[candidate.name]]),
        )
        for candidate in candidates
        if candidate.name not in kept
    )


def build_repeat_command(run: StoredRun, split_seeds: Iterable[int]) -> str:
    """Return the command that trains the configuration of a run on other splits."""
    kept = [override for override in run.record.overrides if override.lstrip("+").partition("=")[0] != "split.seed"]
    seeds = _format_numbers(split_seeds)
    return build_command(run.record, [*["-m"] * ("," in seeds), *kept, f"split.seed={seeds}"])


def build_measure_command(runs: Sequence[StoredRun]) -> str:
    """Return the command that measures the costs of runs of one candidate again."""
    runs_dir = runs[0].path.parent.parent.parent
    elsewhere = [f"runs_dir={runs_dir}"] * (runs_dir.resolve() != Path("runs").resolve())
    return shlex.join(["ratchet", "runs", "measure", *(run.record.id for run in runs), *elsewhere])


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
            absent = _format_names([other.name for other in candidates if not _find_seeds(other) >= set(dropped)])
            left_out.append(f"split.seed={_format_numbers(dropped)} of {candidate.name}: not measured there: {absent}")
        kept.append(Candidate(candidate.name, runs))
    everywhere = set.union(*map(_find_seeds, candidates))
    for candidate in candidates:
        if missing := everywhere - _find_seeds(candidate):
            left_out.append(f"to include them: `{build_repeat_command(candidate.runs[-1], missing)}`")
    return tuple(kept)


def _find_seeds(candidate: Candidate) -> set[int]:
    return {run.record.split_seed for run in candidate.runs}


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


def _format_names(names: Sequence[str]) -> str:
    return ", ".join([*names[:_MOST_NAMED], *[f"{len(names) - _MOST_NAMED} more"] * (len(names) > _MOST_NAMED)])


def _format_numbers(numbers: Iterable[int]) -> str:
    return ",".join(str(number) for number in sorted(set(numbers)))


def _format_choices(key: str, values: Sequence[str]) -> str:
    return " or ".join(f"{key}={value}" for value in values)
