"""Texts to sparse features: TF-IDF of words' and characters' n-grams, and the names of labels that stand in a text."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from ratchet.data.taxonomy import NameMatcher, Taxonomy, taxonomy_from_json
from ratchet.lexical.settings import LexicalSettings

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer

Vocabularies = Sequence[dict[str, int] | None]


def make_vectorizers(settings: LexicalSettings, vocabularies: Vocabularies = (None, None)) -> "list[TfidfVectorizer]":
    """The vectorizers of words and (if set) of characters; with `vocabularies` they need no fit but their IDF."""
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


class Mentions:
    """Which labels, or other entries of the taxonomy, a text names; a name brings the ancestors of its label."""

    def __init__(self, labels: Sequence[str], taxonomy: Taxonomy) -> None:
        self.labels, self.taxonomy = list(labels), taxonomy
        self.names = list(dict.fromkeys([*labels, *taxonomy.aliases]))
        column = {name: index for index, name in enumerate(self.names)}
        self._columns = {
            name: [column[each] for each in {name, *taxonomy.ancestors(name)} if each in column] for name in self.names
        }
        self._matcher = NameMatcher(taxonomy, self.names, stemming=True)

    def transform(self, texts: Sequence[str], weight: float) -> "csr_matrix":
        """`weight` where a name is in a text, shape (num_texts, num_names)."""
        from scipy.sparse import csr_matrix

        found = [
            sorted({column for match in self._matcher.find(text) for column in self._columns[match.label]})
            for text in texts
        ]
        ends = np.cumsum([0, *map(len, found)])
        columns = np.array([column for each in found for column in each], dtype=np.int32)
        values = np.full(len(columns), weight, dtype=np.float32)
        return csr_matrix((values, columns, ends), shape=(len(texts), len(self.names)))


class Features:
    """What a text is to the lexical classifier. Vocabulary and IDF come from the texts that `fit` is given."""

    def __init__(
        self, settings: LexicalSettings, vectorizers: "list[TfidfVectorizer]", mentions: Mentions | None
    ) -> None:
        self._settings, self._vectorizers, self._mentions = settings, vectorizers, mentions

    @classmethod
    def fit(cls, texts: Sequence[str], labels: Sequence[str], taxonomy: Taxonomy, settings: LexicalSettings) -> Self:
        """The features of `texts`.

        Raises:
            ValueError: no n-gram is left of them.
        """
        vectorizers = [vectorizer.fit(texts) for vectorizer in make_vectorizers(settings)]
        return cls(settings, vectorizers, Mentions(labels, taxonomy) if settings.mention_weight else None)

    def transform(self, texts: Sequence[str]) -> "csr_matrix":
        """Features of shape (num_texts, num_features), those of all kinds side by side."""
        from scipy.sparse import hstack

        kinds = [vectorizer.transform(texts) for vectorizer in self._vectorizers]
        if self._mentions:
            kinds.append(self._mentions.transform(texts, self._settings.mention_weight))
        return hstack(kinds, format="csr")

    def names(self) -> list[str]:
        """What each feature stands for: an n-gram, or the name of a label with blanks for its hyphens."""
        names = [name.strip() for vectorizer in self._vectorizers for name in vectorizer.get_feature_names_out()]
        if self._mentions:
            names += [name.replace("-", " ") for name in self._mentions.names]
        return names

    def save(self, directory: Path) -> None:
        """features.json and idf.npz."""
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
        """What `save` wrote."""
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
        return cls(settings, vectorizers, Mentions(content["labels"], taxonomy) if settings.mention_weight else None)
