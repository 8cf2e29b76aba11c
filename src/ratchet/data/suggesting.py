"""Suggest aliases of labels from the train part: words whose presence in a text predicts a label. A person decides."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.data.dataset import Dataset
from ratchet.data.taxonomy import (
    FUNCTION_WORDS,
    NameMatcher,
    Taxonomy,
    join_words,
    list_columns,
    load_english_stemmer,
    words,
)

_Z = 1.96  # of the Wilson interval: 95 %
_NEW_TEXTS = 3  # fewest texts of the label that an alias must add to those of its name and of better aliases
_MOST_TEXTS = 50_000  # more, evenly taken, would only take longer
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Suggestion:
    """An alias for a label: `with_alias` train texts hold it, and `with_both` of them have the label."""

    label: str
    alias: str
    with_both: int
    with_alias: int

    @property
    def evidence(self) -> str:
        """Return the counts in words."""
        return f"{self.with_both:,} of {self.with_alias:,} texts with it have the label"


def suggest_aliases(train: Dataset, *, min_texts: int = 5, precision: float = 0.5, most: int = 5) -> list[Suggestion]:
    """Return aliases for labels, in the order of the labels, the best of each label first. Pass the train part only.

    An alias is a word or a pair of neighbouring words of at least `min_texts` texts with the label. The share of texts
    with the label among those that hold it is at least `precision`: the lower end of its 95 % interval (Wilson 1927)
    is, as few texts are little evidence. It holds no name of the taxonomy, its own label's included, and adds texts
    that neither the name nor better aliases find. At most `most` aliases are suggested for a label.
    """
    train = _thin_out(train)
    matcher = NameMatcher(train.taxonomy, [*train.labels, *train.taxonomy.aliases], stemming=True)
    keys, presence = _count_keys(train.texts, min_texts, matcher)
    if not keys:
        return []
    found = _find_named(train, matcher)
    chosen: list[tuple[int, str, int, int]] = []
    for column in range(len(train.labels)):
        known = np.ones(len(train), dtype=bool) if train.known is None else train.known[:, column]
        positive = known & (train.targets[:, column] > 0)
        with_both, with_key = presence.T @ positive.astype(np.int64), presence.T @ known.astype(np.int64)
        lowest = bound_share(with_both, with_key)
        fit = np.flatnonzero((with_both >= min_texts) & (lowest >= precision)).tolist()
        left = positive & ~found[:, column]
        number = 0
        for _, _, key, index in sorted((-lowest[index], keys[index].count(" "), keys[index], index) for index in fit):
            rows = presence.indices[presence.indptr[index] : presence.indptr[index + 1]]
            if number < most and left[rows].sum() >= _NEW_TEXTS:
                chosen.append((column, key, int(with_both[index]), int(with_key[index])))
                left[rows] = False
                number += 1
    written = _find_spellings(train.texts, {key for _, key, _, _ in chosen})
    return [Suggestion(train.labels[column], written[key], both, alone) for column, key, both, alone in chosen]


def add_suggestions(
    labels: Sequence[str], taxonomy: Taxonomy, suggestions: Sequence[Suggestion]
) -> list[dict[str, Any]]:
    """Return the entries of a taxonomy file with the suggestions as aliases, to be edited.

    The key `suggested` says why each of them is there. It is for the reader: nothing else reads it.
    """
    of_label: dict[str, list[Suggestion]] = defaultdict(list)
    for suggestion in suggestions:
        of_label[suggestion.label].append(suggestion)
    entries = {entry["tag"]: entry for entry in taxonomy.to_json()}
    for label in labels:
        entry = entries.setdefault(label, {"tag": label, "aliases": [], "parents": []})
        if label in of_label:
            entry["aliases"] = [*entry["aliases"], *(suggestion.alias for suggestion in of_label[label])]
            entry["suggested"] = {suggestion.alias: suggestion.evidence for suggestion in of_label[label]}
    return list(entries.values())


def bound_share(hits: Integers, total: Integers) -> npt.NDArray[np.float64]:
    """Return the lower end of Wilson's 95 % interval of hits / total; 0 where the total is 0."""
    size = np.maximum(total, 1)
    share = hits / size
    spread = _Z * np.sqrt(share * (1 - share) / size + _Z**2 / (4 * size**2))
    bound = (share + _Z**2 / (2 * size) - spread) / (1 + _Z**2 / size)
    return np.where(total > 0, np.maximum(bound, 0.0), 0.0)


def _thin_out(train: Dataset) -> Dataset:
    """Return at most 50,000 records, evenly taken."""
    if len(train) <= _MOST_TEXTS:
        return train
    rows = np.linspace(0, len(train) - 1, _MOST_TEXTS).astype(np.int64)
    return Dataset(
        [train.ids[row] for row in rows],
        [train.texts[row] for row in rows],
        train.targets[rows],
        train.labels,
        train.taxonomy,
        train.task,
        None if train.known is None else train.known[rows],
    )


def _list_keys(text: str) -> Iterator[tuple[str, str]]:
    """Yield each word and each pair of neighbours of a text: its stems, and how the text writes it.

    Function words are no candidates, nor single Latin letters ("don't" has the words "don" and "t") and numbers alone.
    """
    stem = load_english_stemmer()
    text_words = words(text)
    stems = [stem(word) for word in text_words]
    useful = [word not in FUNCTION_WORDS and not (len(word) == 1 and word.isascii()) for word in text_words]
    for place, is_useful in enumerate(useful):
        if is_useful and not text_words[place].isdecimal():
            yield stems[place], text_words[place]
    for left, right in pairwise(range(len(stems))):
        if useful[left] and useful[right]:
            yield f"{stems[left]} {stems[right]}", join_words(text_words[left : right + 1])


def _count_keys(texts: Sequence[str], min_texts: int, matcher: NameMatcher) -> tuple[list[str], Any]:
    """Return the keys of at least `min_texts` texts that hold no name, and a matrix: is key k in text t."""
    from scipy.sparse import csc_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    counts = Counter(key for text in texts for key in {key for key, _ in _list_keys(text)})
    vocabulary = sorted(key for key, count in counts.items() if count >= min_texts)
    written = _find_spellings(texts, set(vocabulary))
    vocabulary = [key for key in vocabulary if not matcher.find(written[key])]
    if not vocabulary:
        return [], csc_matrix((len(texts), 0))
    vectorizer = CountVectorizer(
        analyzer=lambda text: [key for key, _ in _list_keys(text)], vocabulary=vocabulary, binary=True, dtype=np.int64
    )
    return vocabulary, csc_matrix(vectorizer.transform(texts))


def _find_named(train: Dataset, matcher: NameMatcher) -> npt.NDArray[np.bool_]:
    """Return which labels the names in each text predict, of shape (num_texts, num_labels)."""
    columns = list_columns(train.labels, train.taxonomy)
    found = np.zeros(train.targets.shape, dtype=bool)
    for row, text in enumerate(train.texts):
        for match in matcher.find(text):
            found[row, columns.get(match.label, [])] = True
    return found


def _find_spellings(texts: Sequence[str], keys: set[str]) -> dict[str, str]:
    """Return how most texts write each key; of equally many spellings, the first of the alphabet."""
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for text in texts:
        for key, written in _list_keys(text):
            if key in keys:
                spellings[key][written] += 1
    return {key: min(counts, key=lambda written: (-counts[written], written)) for key, counts in spellings.items()}
