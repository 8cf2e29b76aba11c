"""Turn texts into sparse features: TF-IDF of word and character n-grams, and label names in the text."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from ratchet.config import InvalidSetting, bounded
from ratchet.data.taxonomy import NameMatcher, Taxonomy, taxonomy_from_json

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

Columns = npt.NDArray[np.int32]
Weights = npt.NDArray[np.float32]
Vocabularies = Sequence[dict[str, int] | None]


@dataclass
class LexicalSettings:
    """The settings of the features and of the ridge regression.

    A name of another entry of the taxonomy in a text is a feature, too.
    """

    word_ngrams: list[int] = field(default_factory=lambda: [1, 2])
    """Shortest and longest n-gram of words."""
    char_ngrams: list[int] | None = field(default_factory=lambda: [3, 5])
    """Shortest and longest n-gram of characters within a word; null uses none."""
    stop_words: str | None = "english"
    """Words that are dropped before n-grams are made: english or null."""
    min_df: int = bounded(1, low=1)
    """Smallest number of train texts that contain an n-gram."""
    mention_weight: float = bounded(0.3, low=0, high=10)  # far above these two bounds the texts' products are no longer
    """Weight of a label's name in the text; all n-grams of a kind together have length 1."""
    C: float = bounded(1.5, above=0, high=1000)  # positive definite, as they are rounded to float32
    """Inverse strength of the regularisation."""


def check_lexical(settings: LexicalSettings, within: str = "") -> None:
    """Check the values that types do not restrict; `within` is the path of the settings, as in "lexical.".

    Raises:
        InvalidSetting: an invalid range of n-grams, or stop words of another language.
    """
    for name in ("word_ngrams", "char_ngrams"):
        ngrams = getattr(settings, name)
        if isinstance(ngrams, list) and not (len(ngrams) == 2 and 1 <= ngrams[0] <= ngrams[1]):
            raise InvalidSetting(within + name, ngrams, "must be [shortest, longest], as [1, 2]")
    if settings.stop_words not in (None, "english"):
        raise InvalidSetting(f"{within}stop_words", settings.stop_words, "must be english or null")


def make_vectorizers(settings: LexicalSettings, vocabularies: Vocabularies = (None, None)) -> "list[TfidfVectorizer]":
    """Return the vectorizers of words and (if set) of characters; with `vocabularies` only the IDF is left to set."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    kinds: list[tuple[str, list[int]]] = [("word", settings.word_ngrams)]
    if settings.char_ngrams is not None:
        kinds.append(("char_wb", settings.char_ngrams))
    return [
        TfidfVectorizer(
            analyzer=analyzer,
            ngram_range=tuple(ngrams),
            min_df=settings.min_df,
            sublinear_tf=True,
            stop_words=settings.stop_words if analyzer == "word" else None,
            vocabulary=vocabulary,
            dtype=np.float32,
        )
        for (analyzer, ngrams), vocabulary in zip(kinds, vocabularies, strict=False)
    ]


class Ngrams:
    """The TF-IDF of a fitted vectorizer for one text: counts damped as 1 + log(count), rows of unit length.

    The vectorizer's own `transform` returns the same up to rounding, but is slow for short texts because of its checks.
    """

    def __init__(self, vectorizer: "TfidfVectorizer") -> None:
        self._analyze: Callable[[str], list[str]] = vectorizer.build_analyzer()
        self._columns: dict[str, int] = vectorizer.vocabulary_
        self._idf = vectorizer.idf_.astype(np.float32)
        self.size = len(self._columns)

    def weigh(self, text: str) -> tuple[Columns, Weights]:
        """Return the sorted columns of the text's known n-grams, and their weights."""
        known = [self._columns[ngram] for ngram in self._analyze(text) if ngram in self._columns]
        columns, counts = np.unique(np.array(known, dtype=np.int32), return_counts=True)
        weights = (1 + np.log(counts.astype(np.float32))) * self._idf[columns]
        length = np.sqrt(weights @ weights)
        return columns, weights / length if length else weights

    def leave_out(self, weights: "csr_matrix", min_df: int) -> "csr_matrix":
        """Return the weights that each text of the fit would have if it had not been part of it."""
        from sklearn.preprocessing import normalize

        texts = np.bincount(weights.indices, minlength=self.size)
        without = np.log(weights.shape[0] / np.maximum(texts, 1)) + 1  # the IDF of one text less
        factors = np.where(texts > min_df, without / self._idf, 0)
        left_out = weights.copy()
        left_out.data = (left_out.data * factors[left_out.indices]).astype(np.float32)
        left_out.eliminate_zeros()
        return normalize(left_out, copy=False)


class Mentions:
    """The labels, or other entries of the taxonomy, that a text names; ancestors of a label count as named."""

    def __init__(self, labels: Sequence[str], taxonomy: Taxonomy, weight: float) -> None:
        self.labels, self.taxonomy, self._weight = list(labels), taxonomy, weight
        self.names = list(dict.fromkeys([*labels, *taxonomy.aliases]))
        self.size = len(self.names)
        column = {name: index for index, name in enumerate(self.names)}
        self._columns = {
            name: [column[entry] for entry in {name, *taxonomy.ancestors(name)} if entry in column]
            for name in self.names
        }
        self._matcher = NameMatcher(taxonomy, self.names, stemming=True)

    def weigh(self, text: str) -> tuple[Columns, Weights]:
        """Return the sorted columns of the names in the text, and `weight` for each."""
        columns = {column for match in self._matcher.find(text) for column in self._columns[match.label]}
        return np.array(sorted(columns), dtype=np.int32), np.full(len(columns), self._weight, dtype=np.float32)


class Features:
    """The features of the lexical classifier. Vocabulary and IDF are those of the texts of `fit`."""

    def __init__(
        self, settings: LexicalSettings, vectorizers: "list[TfidfVectorizer]", mentions: Mentions | None
    ) -> None:
        self._settings, self._vectorizers, self._mentions = settings, vectorizers, mentions
        self._kinds: list[Ngrams | Mentions] = [Ngrams(vectorizer) for vectorizer in vectorizers]
        if mentions:
            self._kinds.append(mentions)
        self._firsts = np.cumsum([0, *(kind.size for kind in self._kinds)], dtype=np.int32)  # the last is the end

    @classmethod
    def fit(cls, texts: Sequence[str], labels: Sequence[str], taxonomy: Taxonomy, settings: LexicalSettings) -> Self:
        """Fit the features to `texts`.

        Raises:
            ValueError: no n-gram is left.
        """
        vectorizers = [vectorizer.fit(texts) for vectorizer in make_vectorizers(settings)]
        return cls(settings, vectorizers, _mentions(labels, taxonomy, settings))

    def transform(self, texts: Sequence[str]) -> "csr_matrix":
        """Return the features of all kinds, of shape (num_texts, num_features)."""
        from scipy.sparse import csr_matrix

        columns: list[Columns] = [np.zeros(0, dtype=np.int32)]
        weights: list[Weights] = [np.zeros(0, dtype=np.float32)]
        ends = [0]
        for text in texts:
            for kind, first in zip(self._kinds, self._firsts, strict=False):
                local, values = kind.weigh(text)
                columns.append(local + first)
                weights.append(values)
            ends.append(ends[-1] + sum(map(len, columns[-len(self._kinds) :])))
        shape = (len(texts), int(self._firsts[-1]))
        return csr_matrix((np.concatenate(weights), np.concatenate(columns), ends), shape=shape)

    def leave_out(self, fitted: "csr_matrix") -> "csr_matrix":
        """Return the features `fitted` of the texts of `fit` as if each text had not been one of them.

        Its own n-grams are not in the vocabulary then, the IDF of the others is slightly higher, and n-grams of a kind
        still have length 1 together. That the IDF of the other texts changes, too, is neglected.
        """
        from scipy.sparse import hstack

        kinds = []
        for kind, first in zip(self._kinds, self._firsts, strict=False):
            of_kind = fitted[:, first : first + kind.size]
            kinds.append(kind.leave_out(of_kind, self._settings.min_df) if isinstance(kind, Ngrams) else of_kind)
        return hstack(kinds, format="csr")

    def names(self) -> list[str]:
        """Return the name of each feature: an n-gram, or the name of a label with blanks for its hyphens."""
        names = [name.strip() for vectorizer in self._vectorizers for name in vectorizer.get_feature_names_out()]
        if self._mentions:
            names += [name.replace("-", " ") for name in self._mentions.names]
        return names

    def save(self, directory: Path) -> None:
        """Write features.json and idf.npz."""
        idf = {f"idf_{index}": vectorizer.idf_ for index, vectorizer in enumerate(self._vectorizers)}
        np.savez(directory / "idf.npz", **idf)
        mentions = self._mentions
        content = {
            "word_ngrams": self._settings.word_ngrams,
            "char_ngrams": self._settings.char_ngrams,
            "stop_words": self._settings.stop_words,
            "mention_weight": self._settings.mention_weight,
            "ngrams": [vectorizer.get_feature_names_out().tolist() for vectorizer in self._vectorizers],
            "labels": mentions.labels if mentions else [],
            "taxonomy": mentions.taxonomy.to_json() if mentions else [],
        }
        text = json.dumps(content, ensure_ascii=False)
        (directory / "features.json").write_bytes(text.encode("utf-8", "backslashreplace"))

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load what `save` wrote."""
        path = directory / "features.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        kept = ("word_ngrams", "char_ngrams", "stop_words", "mention_weight")
        settings = LexicalSettings(**{name: content[name] for name in kept})
        vocabularies = [{name: index for index, name in enumerate(names)} for names in content["ngrams"]]
        vectorizers = make_vectorizers(settings, vocabularies)
        arrays = np.load(directory / "idf.npz", allow_pickle=False)
        for index, vectorizer in enumerate(vectorizers):
            vectorizer.idf_ = arrays[f"idf_{index}"]
        taxonomy = taxonomy_from_json(content["taxonomy"], str(path))
        return cls(settings, vectorizers, _mentions(content["labels"], taxonomy, settings))


def _mentions(labels: Sequence[str], taxonomy: Taxonomy, settings: LexicalSettings) -> Mentions | None:
    return Mentions(labels, taxonomy, settings.mention_weight) if settings.mention_weight else None
