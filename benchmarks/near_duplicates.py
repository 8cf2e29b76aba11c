"""Time the grouping of near-duplicates, against MinHash and LSH of datasketch on the same texts.

    python benchmarks/near_duplicates.py            # 1,000, 10,000 and 100,000 unlike texts; 20,000 of one template
    python benchmarks/near_duplicates.py 1000000    # other numbers of unlike texts

Prints CPU seconds, microseconds per text (constant if the time is linear), and the number of groups. "Almost alike" are
texts of one template with a similarity of about .7: all are candidates, and none are similar. The peer, if it is
installed, groups at most 10,000 unlike texts and 1,000 of a template, as its time grows with the square; the ratio is
peer / ours.
"""

import string
import sys
import time
from collections.abc import Callable

import numpy as np

from ratchet.data.near_duplicates import group_duplicates, normalise

TEMPLATE = (
    "We thank you for your message of today. Your request number {:06d} has been received and will be answered within "
    "two working days. Please keep this note for your records."
)
ALMOST = (
    "We have received your order {} today and shall send all goods to your address within the next two weeks, we hope."
)
PEER_UP_TO = {"unlike": 10_000, "template": 1_000, "almost alike": 1_000}


def make_unlike(count: int) -> list[str]:
    """Return texts of about 200 characters; words have frequencies as in a language (Zipf)."""
    generator = np.random.default_rng(0)
    letters = np.array(list(string.ascii_lowercase))
    vocabulary = ["".join(generator.choice(letters, size)) for size in generator.integers(2, 10, 20_000)]
    shares = 1 / np.arange(1, len(vocabulary) + 1)
    cumulated = np.cumsum(shares / shares.sum())[:-1]
    return [
        " ".join(vocabulary[word] for word in np.searchsorted(cumulated, generator.random(28))) for _ in range(count)
    ]


def make_template(count: int) -> list[str]:
    return [TEMPLATE.format(number * 7919 % 999_983) for number in range(count)]


def make_almost(count: int) -> list[str]:
    generator = np.random.default_rng(0)
    letters = np.array(list(string.ascii_lowercase))
    return [ALMOST.format("".join(generator.choice(letters, 16))) for _ in range(count)]


def group_with_datasketch(texts: list[str]) -> int:
    """Return the number of groups that datasketch's index and the same exact comparison find."""
    from datasketch import MinHash, MinHashLSH

    shingles = [{text[i : i + 5] for i in range(max(1, len(text) - 4))} for text in map(normalise, texts)]
    index = MinHashLSH(threshold=0.6, num_perm=128, weights=(0.1, 0.9))
    minhashes = MinHash.bulk([[s.encode() for s in of_text] for of_text in shingles], num_perm=128)
    group = list(range(len(texts)))
    for row, minhash in enumerate(minhashes):
        for other in index.query(minhash):
            common = len(shingles[row] & shingles[other])
            if common / (len(shingles[row]) + len(shingles[other]) - common) >= 0.8:
                old, new = group[row], group[other]
                group = [new if number == old else number for number in group] if old != new else group
        index.insert(row, minhash)
    return len(set(group))


def time_cpu(function: Callable[[], int]) -> tuple[float, int]:
    started = time.process_time()
    result = function()
    return time.process_time() - started, result


def compare_with_peer(kind: str, texts: list[str]) -> str:
    texts = texts[: PEER_UP_TO[kind]]
    try:
        peer, groups = time_cpu(lambda: group_with_datasketch(texts))
    except ImportError:
        return "not installed"
    ours, own_groups = time_cpu(lambda: len(set(group_duplicates(texts).tolist())))
    return f"{peer / ours:.0f} on {len(texts):,} ({peer:.1f} / {ours:.2f} s, {groups:,} / {own_groups:,} groups)"


def main(*counts: str) -> None:
    jobs = [("unlike", int(count)) for count in counts or ("1000", "10000", "100000")]
    jobs += [("template", 20_000), ("almost alike", 20_000)]
    make = {"unlike": make_unlike, "template": make_template, "almost alike": make_almost}
    group_duplicates(make_unlike(100))  # imports
    print(f"{'texts':>22} {'CPU s':>7} {'us/text':>8} {'groups':>9}  peer / ours")
    for kind, count in jobs:
        texts = make[kind](count)
        seconds, groups = time_cpu(lambda: len(set(group_duplicates(texts).tolist())))  # noqa: B023
        row = f"{f'{count:,} {kind}':>22} {seconds:7.2f} {seconds / count * 1e6:8.1f} {groups:9,}"
        print(f"{row}  {compare_with_peer(kind, texts)}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
