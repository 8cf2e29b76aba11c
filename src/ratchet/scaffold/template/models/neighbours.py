"""Score a text by its nearest neighbours: the train texts that share the most of its rarer words.

This is a complete model, as an example to copy. A model is two files: this module, and conf/model/neighbours.yaml with
its settings. `python train.py model=neighbours` trains it, `ratchet models check neighbours` checks what it must do.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ratchet.config import ModelConfig, bounded
from ratchet.data.dataset import Dataset
from ratchet.data.known import prepare_fit
from ratchet.errors import UserError
from ratchet.taggers import FitContext, Scores


@dataclass
class Settings(ModelConfig):
    """What conf/model/neighbours.yaml and `model.KEY=VALUE` may set. The string below a key is its help."""

    neighbours: int = bounded(10, low=1)
    """Train texts that vote on the labels of a text."""
    longest_ngram: int = bounded(2, low=1, high=5)
    """Words of the longest n-gram."""


class Tagger:
    """Each neighbour votes for its labels, with its similarity as the weight."""

    deterministic = True  # the seed of the training has no effect

    def __init__(self, settings: Settings) -> None:
        self._neighbours, self._longest_ngram = settings.neighbours, settings.longest_ngram

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        """Store the texts of train.

        `train.targets` is an array of 0 and 1, of shape (texts, labels). Where it is unknown whether a text has a
        label, `train.known` is False, and the text has no vote. `val` is for choices such as early stopping; this
        model makes none. The test part is never passed.
        """
        vectorizer = _make_vectorizer(self._longest_ngram)
        try:
            texts = vectorizer.fit_transform(train.texts)
        except ValueError as error:
            raise UserError(f"the {len(train)} train texts contain no word to learn from") from error
        targets, known = prepare_fit(train.targets, train.known)
        self._use(vectorizer, texts, targets.copy(), np.ones_like(targets, dtype=bool) if known is None else known)

    def _use(self, vectorizer: Any, texts: Any, targets: Any, known: Any) -> None:
        self._vectorizer, self._texts, self._targets, self._known = vectorizer, texts, targets, known
        self._texts_of_word = texts.T.tocsr()
        self._frequencies = np.average(targets, axis=0, weights=known).astype(np.float32)

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        """Return scores in [0, 1], float32 of shape (texts, labels); those of a text depend on this text alone."""
        scores = np.tile(self._frequencies, (len(texts), 1))  # of a text that shares no word with train
        features: Any = self._vectorizer.transform(texts) if len(texts) else None  # scikit-learn refuses an empty list
        for number in range(len(texts)):
            cosines = (features[[number]] @ self._texts_of_word).tocsr()  # TF-IDF rows have length 1
            nearest = np.lexsort((cosines.indices, -cosines.data))[: self._neighbours]  # ties: the first of train
            weights = cosines.data[nearest]
            rows = cosines.indices[nearest]
            total = weights @ self._known[rows]  # of the neighbours that can vote, for each label
            shares = np.divide(weights @ self._targets[rows], total, out=scores[number].copy(), where=total > 0)
            scores[number] = np.minimum(shares, 1)  # rounding may exceed 1
        return scores

    @property
    def num_parameters(self) -> int:
        """Return how many numbers were learnt."""
        return int(self._texts.nnz + self._vectorizer.idf_.size)

    @property
    def size_bytes(self) -> int:
        """Return the bytes of the arrays in memory."""
        return int(self._texts.data.nbytes + self._texts.indices.nbytes + self._targets.nbytes)

    def save(self, directory: Path) -> None:
        """Write what `load` needs, in safe formats only: a pickle may run any code when it is loaded."""
        content = {
            "neighbours": self._neighbours,
            "longest_ngram": self._longest_ngram,
            "ngrams": self._vectorizer.get_feature_names_out().tolist(),
        }
        (directory / "neighbours.json").write_text(json.dumps(content), encoding="utf-8")
        np.savez(
            directory / "neighbours.npz",
            data=self._texts.data,
            indices=self._texts.indices,
            indptr=self._texts.indptr,
            idf=self._vectorizer.idf_,
            targets=self._targets,
            known=self._known,
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load what `save` wrote; the scores are bit-identical."""
        from scipy.sparse import csr_matrix  # heavy libraries are imported where they are used

        content = json.loads((directory / "neighbours.json").read_text(encoding="utf-8"))
        arrays = np.load(directory / "neighbours.npz", allow_pickle=False)
        ngrams = content.pop("ngrams")
        tagger = cls(Settings(name="neighbours", complexity=2, **content))
        vectorizer = _make_vectorizer(content["longest_ngram"], {ngram: column for column, ngram in enumerate(ngrams)})
        vectorizer.idf_ = arrays["idf"]
        shape = (len(arrays["targets"]), len(ngrams))
        texts = csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), shape=shape)
        tagger._use(vectorizer, texts, arrays["targets"], arrays["known"])
        return tagger


def _make_vectorizer(longest_ngram: int, vocabulary: dict[str, int] | None = None) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(ngram_range=(1, longest_ngram), sublinear_tf=True, vocabulary=vocabulary, dtype=np.float32)
