"""Divide records into train, val and test: seeded, hashed, with duplicates kept in one part."""

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
_CANDIDATE = 0.6  # estimated similarity from which a pair is looked at; low, so that hardly one is missed
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


def duplicate_groups(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """A group number for each text, shape (num_texts,); texts of one group are near-identical, directly or by a chain.

    MinHash finds candidates (Broder 1997, by datasketch), the exact Jaccard similarity of character shingles decides:
    at least .8, which one changed word in a sentence of twenty keeps.
    """
    from datasketch import MinHash, MinHashLSH
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    normal = [" ".join(words(text)) or text for text in texts]
    representative: dict[str, int] = {}
    pairs = [(representative.setdefault(text, index), index) for index, text in enumerate(normal)]
    shingles = {index: _shingles(normal[index]) for index in representative.values()}
    index = MinHashLSH(threshold=_CANDIDATE, num_perm=_PERMUTATIONS, weights=(0.1, 0.9))
    hashed = MinHash.bulk([sorted(each) for each in shingles.values()], num_perm=_PERMUTATIONS, seed=1, hashfunc=crc32)
    for one, minhash in zip(shingles, hashed, strict=True):
        for other in index.query(minhash):
            if _jaccard(shingles[one], shingles[other]) >= _SIMILAR:
                pairs.append((other, one))
        index.insert(one, minhash)

    left, right = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    links = coo_array((np.ones(len(pairs)), (left, right)), shape=(len(texts), len(texts)))
    _, component = connected_components(links, directed=False)
    return np.asarray(component, dtype=np.int64)


def _shingles(text: str) -> frozenset[bytes]:
    return frozenset(
        text[start : start + _SHINGLE].encode("utf-8", "surrogatepass")
        for start in range(max(1, len(text) - _SHINGLE + 1))
    )


def _jaccard(left: frozenset[bytes], right: frozenset[bytes]) -> float:
    return len(left & right) / len(left | right)


@dataclass(frozen=True)
class Split:
    """Ids of each part, sorted. `hash` is the sha256 over them: equal hashes, equal parts."""

    train: list[str]
    val: list[str]
    test: list[str]

    @property
    def hash(self) -> str:
        """Identity of the division."""
        parts = {part: sorted(getattr(self, part)) for part in PARTS}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def make_split(prepared: Prepared, config: SplitConfig, column: str | None) -> Split:
    """Divide `prepared`; `column` names the given parts where `config.method` is `given`.

    Stratified splits are iterative stratification (Sechidis et al. 2011) for multi-label data, and by class for
    multi-class data. Temporal ones put the oldest records into train and the newest into test.

    Raises:
        UserError: too few records, a part that would be empty, given parts that share a text.
    """
    groups = duplicate_groups([record.text for record in prepared.records])
    if config.method is SplitMethod.given:
        assert column is not None
        part_of = _given(prepared, groups, config, column)
    elif config.method is SplitMethod.temporal:
        part_of = _temporal(prepared, groups, config)
    else:
        part_of = _stratified(
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


def _stratified(
    prepared: Prepared, groups: _Indices, config: SplitConfig, rows: _Indices, shares: dict[str, float]
) -> list[str]:
    """Draw the parts named in `shares` (of all `rows`) one after the other; what is left is train.

    The unit that is drawn is a group of near-identical records, with the labels of all of them.
    """
    part_of = ["train"] * len(prepared.records)
    numbers, unit_of = np.unique(groups[rows], return_inverse=True)
    targets = np.zeros((len(numbers), len(prepared.labels)), dtype=np.uint8)
    np.maximum.at(targets, unit_of, prepared.targets[rows])
    left, share_left = np.arange(len(numbers)), 1.0
    for part, share in shares.items():
        drawn = _draw(prepared, targets[left], share / share_left, config.seed)
        for row in rows[np.isin(unit_of, left[drawn])]:
            part_of[row] = part
        left, share_left = np.delete(left, drawn), share_left - share
    return part_of


def _draw(prepared: Prepared, targets: npt.NDArray[np.uint8], share: float, seed: int) -> _Indices:
    """Positions of about `share` of the rows of `targets`, with each label in about its share."""
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
                "Leave rare classes out: data.filter.min_records=10 data.filter.drop_unlabelled=true"
            ) from error
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    if targets.shape[1] == 1:  # one column is no multi-label problem to it: having the label or not becomes two
        targets = np.hstack([targets, 1 - targets])
    splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=size, random_state=seed)
    return np.sort(next(splitter.split(np.zeros((len(targets), 1)), targets))[1])


def _temporal(prepared: Prepared, groups: _Indices, config: SplitConfig) -> list[str]:
    """By date, ties by id; a group of near-identical records goes where its oldest one belongs."""
    undated = [record for record in prepared.records if record.created_at is None]
    if undated:
        raise UserError(
            f"{undated[0].place}: no date, and split.method=temporal needs one on every record ({len(undated)} lack it)"
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


def _given(prepared: Prepared, groups: _Indices, config: SplitConfig, column: str) -> list[str]:
    """The parts of a column. Where it has no val, `split.val` of all records is drawn from train."""
    part_of = []
    for record in prepared.records:
        part = _NAMES.get(record.columns[column].casefold())
        if part is None:
            raise UserError(f"{record.place}: {column}={record.columns[column]!r} is no part: train, val or test")
        part_of.append(part)
    _refuse_leaks(prepared, groups, part_of)
    if "val" not in part_of and "train" in part_of:
        rows = np.flatnonzero(np.array(part_of) == "train")
        drawn = _stratified(prepared, groups, config, rows, {"val": config.val * len(part_of) / len(rows)})
        part_of = ["val" if new == "val" else old for old, new in zip(part_of, drawn, strict=True)]
    return part_of


def _refuse_leaks(prepared: Prepared, groups: _Indices, part_of: list[str]) -> None:
    first: dict[int, int] = {}
    leaks = []
    for row, group in enumerate(groups):
        other = first.setdefault(int(group), row)
        if part_of[other] != part_of[row]:
            leaks.append((other, row))
    if leaks:
        shown = [
            f"  {prepared.records[one].place} ({part_of[one]}) and {prepared.records[two].place} ({part_of[two]})"
            for one, two in leaks[:8]
        ]
        more = [f"  ... and {len(leaks) - 8} more"] if len(leaks) > 8 else []
        raise UserError(
            "\n".join(
                [
                    f"{prepared.name}: a leak: {len(leaks)} (nearly) identical texts stand in two of the given parts",
                    *shown,
                    *more,
                    "Remove one of each pair, or draw the parts anew: split.method=stratified",
                ]
            )
        )
