"""Which texts are the same or nearly so: such records stay in one part, or the test set would leak into training."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import numpy.typing as npt

from ratchet.data.words import words

_SHINGLE = 5  # characters
_SIMILAR = 0.8  # Jaccard similarity of shingles
_CANDIDATE = 0.6  # estimated similarity from which a pair is looked at; low, so that hardly one is missed
_PERMUTATIONS = 128


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
