"""Divide records into train, val and test: seeded, hashed, with near-duplicates in the same part."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from ratchet.config import SplitConfig, SplitMethod
from ratchet.data.dataset import Task
from ratchet.data.prepared import Prepared
from ratchet.data.taxonomy import words
from ratchet.errors import UserError

_SHINGLE = 5  # characters
_SIMILAR = 0.8  # Jaccard similarity of shingles
_CANDIDATE = 0.6  # estimated similarity from which a pair is compared exactly; low, so that few pairs are missed
_PERMUTATIONS = 128
PARTS = ("train", "val", "test")
_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}
_Indices = npt.NDArray[np.int64]


def group_duplicates(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return a group number for each text, of shape (num_texts,). Near-identical texts have the same number.

    MinHash finds candidate pairs (Broder 1997; datasketch). A pair is near-identical if the exact Jaccard similarity
    of its character shingles is at least .8: a sentence of twenty words with one word changed still is. The groups
    are the connected components of these pairs.
    """
    from datasketch import MinHash, MinHashLSH
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    normalised = [" ".join(words(text)) or text for text in texts]
    representative: dict[str, int] = {}  # equal normalised texts are compared once
    pairs = [(representative.setdefault(text, row), row) for row, text in enumerate(normalised)]
    shingles = {row: _cut_shingles(normalised[row]) for row in representative.values()}
    index = MinHashLSH(threshold=_CANDIDATE, num_perm=_PERMUTATIONS, weights=(0.1, 0.9))
    minhashes = MinHash.bulk(
        [sorted(shingle_set) for shingle_set in shingles.values()],
        num_perm=_PERMUTATIONS,
        seed=1,
        hashfunc=crc32,
    )
    for row, minhash in zip(shingles, minhashes, strict=True):
        for other in index.query(minhash):
            if _jaccard(shingles[row], shingles[other]) >= _SIMILAR:
                pairs.append((other, row))
        index.insert(row, minhash)

    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    links = coo_array((np.ones(len(pairs)), (left, right)), shape=(len(texts), len(texts)))
    _, component = connected_components(links, directed=False)
    return np.asarray(component, dtype=np.int64)


def _cut_shingles(text: str) -> frozenset[bytes]:
    return frozenset(
        text[start : start + _SHINGLE].encode("utf-8", "surrogatepass")
        for start in range(max(1, len(text) - _SHINGLE + 1))
    )


def _jaccard(left: frozenset[bytes], right: frozenset[bytes]) -> float:
    return len(left & right) / len(left | right)


@dataclass(frozen=True)
class Split:
    """The sorted ids of each part. `hash` is their sha256: equal hashes mean equal parts."""

    train: list[str]
    val: list[str]
    test: list[str]

    @property
    def hash(self) -> str:
        """Return the identity of the split."""
        parts = {part: sorted(getattr(self, part)) for part in PARTS}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def make_split(prepared: Prepared, config: SplitConfig, column: str | None) -> Split:
    """Divide the records of `prepared` into train, val and test.

    Stratified splits use iterative stratification (Sechidis et al. 2011) for multi-label data, and stratify by class
    for multi-class data. Temporal splits put the oldest records into train and the newest into test. Given splits
    read the part of each record from `column`.

    Raises:
        UserError: there are too few records, a part would be empty, or given parts share a text.
    """
    groups = group_duplicates([record.text for record in prepared.records])
    if config.method is SplitMethod.given:
        assert column is not None
        part_of = _read_given_parts(prepared, groups, config, column)
    elif config.method is SplitMethod.temporal:
        part_of = _split_by_date(prepared, groups, config)
    else:
        part_of = _stratify(
            prepared, groups, config, np.arange(len(prepared.records)), {"test": config.test, "val": config.val}
        )
    ids: dict[str, list[str]] = {part: [] for part in PARTS}
    for record, part in zip(prepared.records, part_of, strict=True):
        ids[part].append(record.id)
    empty = [part for part in PARTS if not ids[part]]
    if empty:
        raise UserError(
            f"{prepared.name}: the {empty[0]} part would be empty ({len(prepared.records)} records, split.method="
            f"{config.method.name}, split.val={config.val:g}, split.test={config.test:g})"
        )
    return Split(**ids)


def _stratify(
    prepared: Prepared, groups: _Indices, config: SplitConfig, rows: _Indices, shares: dict[str, float]
) -> list[str]:
    """Sample the parts of `shares` (fractions of `rows`) in their order. Return the part of each record.

    The sampling unit is a group of near-identical records, with the labels of all of them. All other records are in
    train.
    """
    part_of = ["train"] * len(prepared.records)
    units, unit_of = np.unique(groups[rows], return_inverse=True)
    targets = np.zeros((len(units), len(prepared.labels)), dtype=np.uint8)
    np.maximum.at(targets, unit_of, prepared.targets[rows])
    remaining, remaining_share = np.arange(len(units)), 1.0
    for part, share in shares.items():
        sampled = _sample_rows(prepared, targets[remaining], share / remaining_share, config.seed)
        for row in rows[np.isin(unit_of, remaining[sampled])]:
            part_of[row] = part
        remaining, remaining_share = np.delete(remaining, sampled), remaining_share - share
    return part_of


def _sample_rows(prepared: Prepared, targets: npt.NDArray[np.uint8], share: float, seed: int) -> _Indices:
    """Sample a stratified `share` of the rows of `targets` (num_units, num_labels). Return their positions."""
    size = round(share * len(targets))
    if not 0 < size < len(targets):
        raise UserError(f"{prepared.name}: {len(targets)} records are too few for a part of {share:.0%}")
    if prepared.task is Task.multiclass:
        from sklearn.model_selection import StratifiedShuffleSplit

        classes = targets.argmax(axis=1)
        try:
            splitter = StratifiedShuffleSplit(n_splits=1, test_size=size, random_state=seed)
            return np.sort(next(splitter.split(classes, classes))[1])
        except ValueError as error:
            rare = prepared.labels[np.bincount(classes, minlength=len(prepared.labels)).argmin()]
            raise UserError(
                f"{prepared.name}: cannot be stratified: {error} (rarest class: {rare!r}). "
                "Remove rare classes: data.filter.min_records=10 data.filter.drop_unlabelled=true"
            ) from error
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    if targets.shape[1] == 1:  # the splitter refuses a single column: add a second one for "does not have the label"
        targets = np.hstack([targets, 1 - targets])
    splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=size, random_state=seed)
    return np.sort(next(splitter.split(np.zeros((len(targets), 1)), targets))[1])


def _split_by_date(prepared: Prepared, groups: _Indices, config: SplitConfig) -> list[str]:
    """Return the part of each record by date, then id. All records of a group go to the part of its oldest one."""
    undated = [record for record in prepared.records if record.created_at is None]
    if undated:
        raise UserError(
            f"{undated[0].place}: no date, but split.method=temporal needs a date for every record "
            f"({len(undated)} have none)"
        )
    order = sorted(range(len(groups)), key=lambda row: (prepared.records[row].created_at, prepared.records[row].id))
    count = len(order)
    starts = {"test": count - round(config.test * count), "val": count - round((config.val + config.test) * count)}
    part_of = ["train"] * count
    oldest: dict[int, str] = {}
    for position, row in enumerate(order):
        part = "test" if position >= starts["test"] else "val" if position >= starts["val"] else "train"
        part_of[row] = oldest.setdefault(int(groups[row]), part)
    return part_of


def _read_given_parts(prepared: Prepared, groups: _Indices, config: SplitConfig, column: str) -> list[str]:
    """Return the part of each record from `column`. If none is val, sample `split.val` of all records from train."""
    part_of = []
    for record in prepared.records:
        part = _NAMES.get(record.columns[column].casefold())
        if part is None:
            raise UserError(f"{record.place}: {column}={record.columns[column]!r}: must be train, val or test")
        part_of.append(part)
    _refuse_leaks(prepared, groups, part_of)
    if "val" not in part_of and "train" in part_of:
        rows = np.flatnonzero(np.array(part_of) == "train")
        sampled = _stratify(prepared, groups, config, rows, {"val": config.val * len(part_of) / len(rows)})
        part_of = ["val" if new == "val" else old for old, new in zip(part_of, sampled, strict=True)]
    return part_of


def _refuse_leaks(prepared: Prepared, groups: _Indices, part_of: list[str]) -> None:
    """Raise an error if near-identical records are in different parts."""
    first_row: dict[int, int] = {}
    leaks = []
    for row, group in enumerate(groups):
        other = first_row.setdefault(int(group), row)
        if part_of[other] != part_of[row]:
            leaks.append((other, row))
    if leaks:
        examples = [
            f"  {prepared.records[one].place} ({part_of[one]}) and {prepared.records[two].place} ({part_of[two]})"
            for one, two in leaks[:8]
        ]
        more = [f"  ... and {len(leaks) - 8} more"] if len(leaks) > 8 else []
        raise UserError(
            "\n".join(
                [
                    f"{prepared.name}: data leak: {len(leaks)} (nearly) identical texts are in two of the given parts",
                    *examples,
                    *more,
                    "Remove one record of each pair, or make a new split: split.method=stratified",
                ]
            )
        )
