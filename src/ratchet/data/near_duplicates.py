"""Group texts that are (nearly) the same, in a time that grows with their number and not with its square."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ratchet.data.progress import show_progress
from ratchet.data.taxonomy import words

Indices = npt.NDArray[np.int64]
_SHINGLE = 5  # characters
_PERMUTATIONS = 128
_MISSED = 0.001  # share of the pairs at exactly the wanted similarity that share no band
_NEIGHBOURS = 50  # texts of a bucket that a text is compared with
_REJECTED = 20  # exact comparisons without a match, after which a text is compared only with texts that had fewer
_REMEMBERED = 1_000_000  # rejected pairs, so that a pair of several buckets is compared exactly once
_BLOCK = 2_000  # texts whose shingles are hashed together
_SHOWN_FROM = 20_000  # texts from which there is a progress bar
_ODD = np.uint64(0x9E3779B97F4A7C15)
_ASCII_WORDS = "".join(chr(code).lower() if chr(code).isalnum() else " " for code in range(128))


class DisjointSets:
    """A partition of the rows 0 to `count` - 1, in which sets can be joined. `root` is the first row of each set."""

    def __init__(self, count: int) -> None:
        self.root: Indices = np.arange(count)

    def find(self, row: int) -> int:
        """Return the first row of the set of `row`."""
        path = []
        while (parent := int(self.root[row])) != row:
            path.append(row)
            row = parent
        if path:
            self.root[path] = row
        return row

    def join(self, left: int, right: int) -> None:
        """Join the sets of two rows. `root` is up to date only after `flatten`."""
        left, right = self.find(left), self.find(right)
        self.root[max(left, right)] = min(left, right)

    def flatten(self) -> None:
        """Let `root` be the first row of each set, for every row."""
        while not np.array_equal(self.root, above := self.root[self.root]):
            self.root = above

    def number(self) -> Indices:
        """Return the number of each row's set; sets are numbered by their first rows."""
        self.flatten()
        return np.asarray(np.unique(self.root, return_inverse=True)[1], dtype=np.int64)


def group_duplicates(texts: Sequence[str], similarity: float = 0.8, *, near: bool = True) -> Indices:
    """Return a group number for each text, of shape (num_texts,). Near-identical texts have the same number.

    MinHash finds candidate pairs (Broder 1997). A pair is near-identical if the exact Jaccard similarity of its
    character shingles is at least `similarity`: at .8, a sentence of twenty words with one word changed still is. The
    groups are the connected components of these pairs. Without `near`, only texts of the same words are grouped.

    The time is linear: a text is compared with at most 50 others of a bucket, the most similar first, and pairs that
    are in one group already are skipped.
    """
    sets = DisjointSets(len(texts))
    normalised = ((row, normalise(text)) for row, text in enumerate(texts))
    distinct = _join_equal(normalised, texts, sets)
    if near and len(texts) > 1:
        rows_per_band = _choose_rows_per_band(similarity)
        count = _PERMUTATIONS // rows_per_band
        shown = len(texts) >= _SHOWN_FROM
        with show_progress("near duplicates", len(texts) + count * _BLOCK, shown=shown) as advance:
            rows, signatures, bands = _hash_texts(distinct, len(texts), rows_per_band, advance)
            _join_similar(texts, rows, signatures, bands, similarity, sets, lambda: advance(_BLOCK))
    else:
        for _ in distinct:  # joins the equal texts
            pass
    return sets.number()


def normalise(text: str) -> str:
    """Return the words of the text with one space between them, or the text itself if it has no words."""
    if text.isascii():  # several times as fast as, and equal to, the general case
        return " ".join(text.translate(_ASCII_WORDS).split()) or text
    return " ".join(words(text)) or text


def _join_equal(
    normalised: Iterable[tuple[int, str]], texts: Sequence[str], sets: DisjointSets
) -> Iterator[tuple[int, str]]:
    """Join rows with equal normalised texts; yield each normalised text once, with its first row."""
    first_row: dict[int, int] = {}  # by hash: the texts themselves would take several times the memory
    for row, text in normalised:
        first = first_row.setdefault(hash(text), row)
        if first != row and normalise(texts[first]) == text:
            sets.root[row] = first
        else:
            yield row, text


def _choose_rows_per_band(similarity: float) -> int:
    """Return the largest number of rows of a band for which pairs of this similarity share a band (almost) surely."""

    def missed(rows: int) -> float:
        return float((1 - similarity**rows) ** (_PERMUTATIONS // rows))

    return max((rows for rows in range(1, 17) if missed(rows) <= _MISSED), default=1)


def _hash_texts(
    distinct: Iterator[tuple[int, str]], count: int, rows_per_band: int, advance: Callable[[int], None]
) -> tuple[Indices, npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """Return the rows of the texts, their signatures (num_texts, 128) and bands (num_bands, num_texts).

    A signature has eight bits for each permutation, enough to estimate a similarity. Texts shorter than a shingle are
    left out: they are similar only to equal ones.
    """
    generator = np.random.default_rng(1)
    multipliers = generator.integers(0, 2**31, (_PERMUTATIONS, 1), dtype=np.uint32) * 2 + 1  # odd: a permutation
    rows = np.empty(count, dtype=np.int64)
    signatures = np.empty((count, _PERMUTATIONS), dtype=np.uint8)
    bands = np.empty((_PERMUTATIONS // rows_per_band, count), dtype=np.uint32)
    size, last_row = 0, 0
    for block in _cut_blocks(pair for pair in distinct if len(pair[1]) >= _SHINGLE):
        minima = _compute_minima([text for _, text in block], multipliers)
        end = size + len(block)
        rows[size:end] = [row for row, _ in block]
        signatures[size:end] = (minima * np.uint32(_ODD & np.uint64(0xFFFFFFFF))) >> np.uint32(24)
        for band, keys in enumerate(bands):
            key = np.zeros(len(block), dtype=np.uint64)
            for column in range(band * rows_per_band, (band + 1) * rows_per_band):
                key = _mix(key ^ minima[:, column])
            keys[size:end] = key >> np.uint64(32)
        size = end
        advance(block[-1][0] - last_row)
        last_row = block[-1][0]
    return rows[:size], signatures[:size], bands[:, :size]


def _cut_blocks(pairs: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    block: list[tuple[int, str]] = []
    for pair in pairs:
        block.append(pair)
        if len(block) == _BLOCK:
            yield block
            block = []
    if block:
        yield block


def _compute_minima(texts: list[str], multipliers: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Return the MinHash of each text, of shape (len(texts), 128)."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    hashes = np.zeros(len(codes) - _SHINGLE + 1, dtype=np.uint64)
    for position in range(_SHINGLE):  # shingles that span two texts are computed, too, but not used
        hashes = _mix(hashes ^ codes[position : position + len(hashes)])
    shingles = (hashes >> np.uint64(32)).astype(np.uint32)
    minima = np.empty((len(texts), _PERMUTATIONS), dtype=np.uint32)
    start = 0
    for row, text in enumerate(texts):
        end = start + len(text)
        own = shingles[start : end - _SHINGLE + 1]
        # Multiplication modulo 2^32 permutes the (well mixed) hashes; a product of 128 x 4,096 stays in the cache.
        (multipliers * own[:4096]).min(axis=1, out=minima[row])
        for later in range(4096, len(own), 4096):
            np.minimum(minima[row], (multipliers * own[later : later + 4096]).min(axis=1), out=minima[row])
        start = end
    return minima


def _mix(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = values * _ODD
    return values ^ (values >> np.uint64(31))


def _join_similar(
    texts: Sequence[str],
    rows: Indices,
    signatures: npt.NDArray[np.uint8],
    bands: npt.NDArray[np.uint32],
    similarity: float,
    sets: DisjointSets,
    advance: Callable[[], None],
) -> None:
    """Join texts that share a band and are similar."""
    candidate = similarity - 4 * (similarity * (1 - similarity) / _PERMUTATIONS) ** 0.5  # four standard errors
    rejected: set[tuple[int, int]] = set()
    rejections = np.zeros(len(texts), dtype=np.uint8)

    @lru_cache(maxsize=4096)
    def cut_shingles(row: int) -> frozenset[str]:
        text = normalise(texts[row])
        return frozenset(text[start : start + _SHINGLE] for start in range(len(text) - _SHINGLE + 1))

    def compare(left: int, right: int) -> None:
        if sets.find(left) == sets.find(right) or (left, right) in rejected:
            return
        if min(rejections[left], rejections[right]) >= _REJECTED:
            return
        one, two = cut_shingles(left), cut_shingles(right)
        common = len(one & two)
        if common / (len(one) + len(two) - common) >= similarity:
            sets.join(left, right)
            return
        if len(rejected) >= _REMEMBERED:
            rejected.clear()
        rejected.add((left, right))
        for row in (left, right):
            rejections[row] = min(rejections[row] + 1, _REJECTED)

    for band in range(len(bands)):
        for lefts, rights in _pair_neighbours(bands[band], bands[(band + 1) % len(bands)], rows, sets):
            open_pairs = np.minimum(rejections[rows[lefts]], rejections[rows[rights]]) < _REJECTED
            lefts, rights = lefts[open_pairs], rights[open_pairs]
            likely = _estimate(signatures, lefts, rights) >= candidate
            for left, right in np.sort(rows[np.stack([lefts[likely], rights[likely]], axis=1)], axis=1).tolist():
                compare(left, right)
            sets.flatten()
        advance()


def _pair_neighbours(
    keys: npt.NDArray[np.uint32], next_keys: npt.NDArray[np.uint32], rows: Indices, sets: DisjointSets
) -> Iterator[tuple[Indices, Indices]]:
    """Yield pairs of texts with equal `keys` that are not in one set: at distance 1, then 2, ..., in their bucket.

    Texts of a bucket are sorted by their next band, so that similar ones are close together in a large bucket.
    """
    combined = keys.astype(np.uint64) << np.uint64(32) | next_keys
    order = np.argsort(combined, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(keys[:-1] == keys[1:])
    if not (sets.root[rows[order[starts]]] != sets.root[rows[order[starts + 1]]]).any():
        return  # every bucket is one set
    for distance in range(1, _NEIGHBOURS + 1):
        starts = starts[starts + distance < len(keys)]
        starts = starts[keys[starts] == keys[starts + distance]]
        if not len(starts):
            return
        lefts, rights = order[starts], order[starts + distance]
        apart = sets.root[rows[lefts]] != sets.root[rows[rights]]
        if apart.any():
            yield lefts[apart], rights[apart]


def _estimate(signatures: npt.NDArray[np.uint8], lefts: Indices, rights: Indices) -> npt.NDArray[np.float64]:
    """Return the share of equal positions of two signatures, an estimate of the Jaccard similarity, for each pair."""
    estimates = np.empty(len(lefts))
    for start in range(0, len(lefts), 8192):
        part = slice(start, start + 8192)
        estimates[part] = (signatures[lefts[part]] == signatures[rights[part]]).mean(axis=1)
    return estimates
