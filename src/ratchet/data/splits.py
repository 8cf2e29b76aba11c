"""Divide records into train, val and test: seeded, hashed, with near-duplicates in the same part."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ratchet.config import Duplicates, SplitConfig, SplitMethod
from ratchet.data.dataset import Task
from ratchet.data.leaks import handle_leaks
from ratchet.data.near_duplicates import DisjointSets, Indices, group_duplicates
from ratchet.data.prepared import Prepared
from ratchet.data.problems import Problem
from ratchet.data.sentinel_dates import find_sentinel_dates
from ratchet.data.stratify import (
    Targets,
    cut_by_size,
    divide_groups,
    keep_share,
    measure_deviation,
    sample_stratified,
    tolerate,
)
from ratchet.errors import UserError

PARTS = ("train", "val", "test")
_TOLERATED = 0.02  # share of the records by which a part may differ before groups are divided by their sizes
_ENOUGH = 10  # records of a class that can be stratified, if they are not in few groups
_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}


@dataclass(frozen=True)
class Split:
    """The sorted ids of each part. `hash` is their sha256: equal hashes mean equal parts.

    `dropped` are the ids that are in no part, because they would leak into one; `leaked` are those of val and test
    whose text (or group) is in an earlier part, too. `problems` says where the parts are not what was asked for.
    """

    train: list[str]
    val: list[str]
    test: list[str]
    dropped: list[str] = field(default_factory=list, compare=False)
    leaked: list[str] = field(default_factory=list, compare=False)
    problems: tuple[Problem, ...] = field(default=(), compare=False)

    @property
    def hash(self) -> str:
        """Return the identity of the split."""
        parts = {part: sorted(getattr(self, part)) for part in PARTS}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def make_split(
    prepared: Prepared,
    config: SplitConfig,
    column: str | None,
    group: str | None = None,
    *,
    leaks_dir: Path | None = None,
) -> Split:
    """Divide the records of `prepared` into train, val and test.

    Stratified splits use iterative stratification (Sechidis et al. 2011) for multi-label data, and stratify by class
    for multi-class data. Where large groups move a part away from its share, sizes come before labels. Temporal splits
    put the oldest records into train and the newest into test. Given splits read the part of each record from its
    file, or from `column`. Near-duplicates, and records with the same value of the column `group`, are in one part. The
    pairs that leak between given parts are listed in `leaks_dir`.

    Raises:
        UserError: there are too few records, a part would be empty, or given parts share a text.
    """
    texts = [record.text for record in prepared.records]
    groups = group_duplicates(texts, config.similarity, near=config.duplicates is Duplicates.near)
    if group is not None:
        groups = _join_groups(prepared, groups, group)
    units = _Units(prepared, config, groups, group)
    shares = {"test": config.test, "val": config.val}
    if config.method is SplitMethod.given:
        return _read_given_parts(units, column, leaks_dir)
    if config.method is SplitMethod.temporal:
        return _collect(units, _split_by_date(units), shares)
    return _collect(units, _stratify(units, np.arange(len(prepared.records)), shares), shares)


@dataclass(frozen=True)
class _Units:
    """The records with the group of each: records of a group stay in one part."""

    prepared: Prepared
    config: SplitConfig
    groups: Indices
    column: str | None

    @property
    def shared(self) -> str:
        """Return the name of records of one group, for messages."""
        texts = "(nearly) identical texts" if self.config.duplicates is Duplicates.near else "identical texts"
        return texts if self.column is None else f"records of one {self.column} or {texts}"

    @property
    def remedy(self) -> str:
        """Return which settings make smaller groups, for messages; "" if none does."""
        ways = [] if self.column is None else ["set another column as data.split.group, or none"]
        if self.config.duplicates is Duplicates.near:
            if self.config.similarity < 1:
                ways.append(f"raise split.similarity (now {self.config.similarity:g})")
            ways.append("set split.duplicates=exact")
        return ", or ".join(ways)

    def explain(self) -> str | None:
        """Return which group is the largest and how to make smaller ones; None if no group has several records."""
        group, size = Counter(self.groups.tolist()).most_common(1)[0]
        if size == 1:
            return None
        count = len(self.groups)
        first = self.prepared.records[int(np.argmax(self.groups == group))].place
        which = f"all {count:,}" if size == count else f"{size:,} of {count:,}"
        if self.column is not None:
            why = f"are {self.shared}"
        else:
            is_near = self.config.duplicates is Duplicates.near
            why = "are near-duplicates of one another" if is_near else "have the same words"
        return (
            f"{which} records {why} and so stay in one part (the first: {first}): {self.remedy or 'remove the copies'}"
        )


def _join_groups(prepared: Prepared, groups: Indices, column: str) -> Indices:
    """Return larger groups: records with the same value of `column` are in one, except where it is empty."""
    sets = DisjointSets(len(groups))
    first_row: dict[int | str, int] = {}
    for row, (record, group) in enumerate(zip(prepared.records, groups.tolist(), strict=True)):
        value = record.columns.get(column)
        if value is None:
            raise UserError(f"{record.place}: no column {column!r} (data.split.group)")
        for key in (group, value) if value.strip() else (group,):
            sets.join(first_row.setdefault(key, row), row)
    return sets.number()


def _collect(units: _Units, part_of: list[str], asked: Mapping[str, float]) -> Split:
    """Return the ids of each part, and the problem if a part is far from the share of the records that is `asked`."""
    config, records = units.config, units.prepared.records
    ids: dict[str, list[str]] = {part: [] for part in PARTS}
    for record, part in zip(records, part_of, strict=True):
        if part:
            ids[part].append(record.id)
    empty = [part for part in PARTS if not ids[part]]
    explanation = units.explain() if asked else None
    if explanation and config.method is SplitMethod.temporal:
        explanation = f"a group of records is in the part of its oldest one; {explanation}"
    if "" in part_of:
        explanation = f"split.leaks=drop_from_train dropped {part_of.count('')} records; split.leaks=report keeps them"
    if empty:
        raise UserError(
            f"{units.prepared.name}: the {empty[0]} part would be empty ({len(records)} records, split.method="
            f"{config.method.name}, split.val={config.val:g}, split.test={config.test:g})"
            f"{f'; {explanation}' if explanation else ''}"
        )
    problems = []
    mean = len(records) / len(np.unique(units.groups))
    for part, share in asked.items():
        wanted = share * len(records)
        most = min(0.2 * wanted, _TOLERATED * len(records))
        tolerated = min(tolerate(wanted, mean), max(2, most))  # large groups need a reason, too
        if abs(len(ids[part]) - wanted) > tolerated + 0.5:
            message = (
                f"{part} has {len(ids[part]):,} of {len(records):,} records ({len(ids[part]) / len(records):.1%}), not "
                f"{share:.1%} as split.{part} asks"
                f"{f': {explanation}' if explanation else ''}"
            )
            problems.append(Problem("share of a part", units.prepared.name, message, "kept"))
    return Split(**ids, problems=tuple(problems))


def _stratify(units: _Units, rows: Indices, shares: dict[str, float]) -> list[str]:
    """Sample the parts of `shares` (fractions of `rows`) in their order. Return the part of each record.

    The sampling unit is a group of near-identical records, with the labels of all of them. All other records are in
    train. If parts of units are too far from their shares, because units are large, the sizes are divided first.

    Raises:
        UserError: a class is too rare to be stratified, or there are too few units.
    """
    prepared = units.prepared
    numbers, unit_of = np.unique(units.groups[rows], return_inverse=True)
    sizes = np.bincount(unit_of)
    targets = np.zeros((len(numbers), len(prepared.labels)), dtype=np.uint8)
    np.maximum.at(targets, unit_of, prepared.targets[rows])
    wanted = [round(share * len(rows)) for share in shares.values()]
    part_of_unit = _stratify_units(units, targets, sizes, shares)
    has_groups = len(sizes) < len(rows)  # without any, every deviation is for the sake of the labels
    if part_of_unit is None or (has_groups and _is_too_far(_count(part_of_unit, sizes, wanted), wanted)):
        by_size = divide_groups(prepared.task, targets, sizes, wanted, units.config.seed)
        if part_of_unit is None or _is_better(by_size, part_of_unit, sizes, wanted):
            part_of_unit = by_size
    names = [*shares, "train"]  # the last is that of -1
    part_of = ["train"] * len(prepared.records)
    for row, unit in zip(rows.tolist(), unit_of.tolist(), strict=True):
        part_of[row] = names[part_of_unit[unit]]
    return part_of


def _count(part_of_unit: Indices, sizes: Indices, wanted: Sequence[int]) -> list[int]:
    """Return the number of records of each sampled part, and last of train."""
    return [int(sizes[part_of_unit == part].sum()) for part in (*range(len(wanted)), -1)]


def _is_better(one: Indices, other: Indices, sizes: Indices, wanted: Sequence[int]) -> bool:
    counts, others = _count(one, sizes, wanted), _count(other, sizes, wanted)
    return not all(others) or measure_deviation(counts[:-1], wanted) < measure_deviation(others[:-1], wanted)


def _is_too_far(counts: Sequence[int], wanted: Sequence[int]) -> bool:
    """Return whether a part (train is the last of `counts`) is empty, or too far from what is wanted."""
    return not all(counts) or measure_deviation(counts[:-1], wanted) > max(2, _TOLERATED * sum(counts))


def _stratify_units(units: _Units, targets: Targets, sizes: Indices, shares: Mapping[str, float]) -> Indices | None:
    """Return the part of each unit, -1 for train; None if only the number of units is too small for its classes."""
    prepared, seed, count = units.prepared, units.config.seed, int(sizes.sum())
    part_of_unit = np.full(len(sizes), -1)
    # A group that is larger than every sampled part can only be in train: the parts divide what is left.
    movable = sizes[sizes <= max(shares.values()) * count].sum()
    scale = min(1.0, movable / (sum(shares.values()) * count))
    remaining, remaining_share = np.arange(len(sizes)), 1.0
    for part, share in enumerate(shares.values()):
        sampled = _sample_units(units, targets[remaining], share / remaining_share)
        if sampled is None:
            return None
        wanted = round(share * scale * count)
        sampled = keep_share(prepared.task, targets[remaining], sizes[remaining], sampled, wanted, seed)
        part_of_unit[remaining[sampled]] = part
        remaining, remaining_share = np.delete(remaining, sampled), remaining_share - share
    return part_of_unit


def _sample_units(units: _Units, targets: Targets, share: float) -> Indices | None:
    """Sample a stratified `share` of the rows of `targets` (num_units, num_labels). Return their positions.

    None if there are enough records of each class, but in too few units.
    """
    prepared = units.prepared
    size = round(share * len(targets))
    explanation = units.explain() if not 0 < size < len(targets) else None
    if explanation:
        size = min(max(size, 1), len(targets) - 1)  # few but large units
    if not 0 < size < len(targets):
        if explanation and len(np.unique(units.groups)) >= len(PARTS):
            return None
        raise UserError(
            f"{prepared.name}: " + (explanation or f"{len(targets)} records are too few for a part of {share:.0%}")
        )
    try:
        return sample_stratified(prepared.task, targets, size, units.config.seed)
    except ValueError as error:
        assert prepared.task is Task.multiclass
        rare = np.bincount(targets.argmax(axis=1), minlength=len(prepared.labels)).argmin()
        explanation = units.explain() if prepared.targets[:, rare].sum(dtype=np.int64) >= _ENOUGH else None
        if explanation and len(np.unique(units.groups)) >= len(PARTS):
            return None
        remedy = f"Remove rare classes: data.filter.min_records={_ENOUGH} data.filter.drop_unlabelled=true"
        raise UserError(
            f"{prepared.name}: cannot be stratified: {error} (rarest class: {prepared.labels[rare]!r}). "
            f"{explanation or remedy}"
        ) from error


def _split_by_date(units: _Units) -> list[str]:
    """Return the part of each record by date, then id. All records of a group go to the part of its oldest one."""
    prepared, config = units.prepared, units.config
    undated = [record for record in prepared.records if record.created_at is None]
    if undated:
        raise UserError(
            f"{undated[0].place}: no date, but split.method=temporal needs a date for every record "
            f"({len(undated)} have none)"
        )
    _refuse_sentinel_dates(prepared)
    count = len(prepared.records)
    order = sorted(range(count), key=lambda row: (prepared.records[row].created_at, prepared.records[row].id))
    starts = {"test": count - round(config.test * count), "val": count - round((config.val + config.test) * count)}
    part_of = ["train"] * count
    oldest: dict[int, str] = {}
    for position, row in enumerate(order):
        part = "test" if position >= starts["test"] else "val" if position >= starts["val"] else "train"
        part_of[row] = oldest.setdefault(int(units.groups[row]), part)
    wanted = [starts["test"] - starts["val"], count - starts["test"]]
    counts = [part_of.count(part) for part in ("val", "test", "train")]
    if not len(PARTS) <= len(oldest) < count or not _is_too_far(counts, wanted):
        return part_of
    sizes = np.bincount(units.groups)
    val, test = cut_by_size(sizes[list(oldest)], wanted)
    ordered = ["train"] * val + ["val"] * (test - val) + ["test"] * (len(oldest) - test)
    part_of_group = dict(zip(oldest, ordered, strict=True))
    by_size = [part_of_group[group] for group in units.groups.tolist()]
    new_counts = [by_size.count("val"), by_size.count("test")]
    is_better = not all(counts) or measure_deviation(new_counts, wanted) < measure_deviation(counts[:-1], wanted)
    return by_size if is_better else part_of


def _refuse_sentinel_dates(prepared: Prepared) -> None:
    """Raise an error if a date that means "no date" would decide which records are the oldest or the newest."""
    sentinels = find_sentinel_dates(record.created_at for record in prepared.records)
    for date, count in sentinels.items():
        first = next(record for record in prepared.records if record.created_at == date)
        raise UserError(
            f"{first.place}: {count} records are dated {date.isoformat(sep=' ').removesuffix(' 00:00:00')}, far from "
            "all others: a date that means none would put them into one part of split.method=temporal. Set "
            f"data.missing to the text that the file has for it (as ['{date.date()}']) and data.drop_bad_rows=true, to "
            "leave records without a date out, or split.method=stratified"
        )


def _read_given_parts(units: _Units, column: str | None, leaks_dir: Path | None) -> Split:
    """Return the given parts. If none is val, sample `split.val` of all records from train."""
    prepared, config = units.prepared, units.config
    part_of = []
    for record in prepared.records:
        value = record.part if record.part is not None else record.columns.get(column or "")
        if value is None:
            raise UserError(
                f"{record.place}: split.method=given, but the record has no part: set data.split.column, or a file "
                "for each part: data.records.train and data.records.test"
            )
        part = _NAMES.get(value.casefold())
        if part is None:
            raise UserError(f"{record.place}: {column or 'part'}={value!r}: must be train, val or test")
        part_of.append(part)
    handled = handle_leaks(prepared, units.groups, part_of, config.leaks, units.shared, units.remedy, leaks_dir)
    part_of = ["" if row in handled.dropped else part for row, part in enumerate(part_of)]
    asked: dict[str, float] = {}
    if "val" not in part_of and "train" in part_of:
        rows = np.flatnonzero(np.array(part_of) == "train")
        if config.val * len(part_of) >= len(rows):
            raise UserError(
                f"{prepared.name}: split.val={config.val:g} of {len(part_of)} records cannot be sampled from the "
                f"{len(rows)} of train: lower split.val, or give the records a part val"
            )
        asked["val"] = config.val
        sampled = _stratify(units, rows, {"val": config.val * len(part_of) / len(rows)})
        part_of = ["val" if new == "val" else old for old, new in zip(part_of, sampled, strict=True)]
    split = _collect(units, part_of, asked)
    return Split(
        train=split.train,
        val=split.val,
        test=split.test,
        dropped=[prepared.records[row].id for row in sorted(handled.dropped)],
        leaked=[prepared.records[row].id for row in sorted(handled.leaked)],
        problems=(*handled.problems, *split.problems),
    )
