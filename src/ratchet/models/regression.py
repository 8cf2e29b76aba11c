"""Word and character n-gram TF-IDF with one class-balanced logistic regression a label (scikit-learn)."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from ratchet.config import InvalidSetting, ModelConfig, bounded
from ratchet.data.dataset import Dataset, Task
from ratchet.errors import UserError
from ratchet.models.base import Evidence, FitContext, Scores

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer


@dataclass
class Settings(ModelConfig):
    """N-gram lengths as [shortest, longest], words and characters within words; `C` is 1 / regularisation.

    `min_df` drops n-grams of fewer train texts, `stop_words` (english or null) drops words before n-grams are made.
    """

    word_ngrams: list[int] = field(default_factory=lambda: [1, 2])
    char_ngrams: list[int] | None = field(default_factory=lambda: [3, 5])
    stop_words: str | None = "english"
    min_df: int = bounded(1, low=1)
    C: float = bounded(20.0, above=0)

    def __post_init__(self) -> None:
        for name in ("word_ngrams", "char_ngrams"):
            ngrams = getattr(self, name)
            if isinstance(ngrams, list) and not (len(ngrams) == 2 and 1 <= ngrams[0] <= ngrams[1]):
                raise InvalidSetting(name, ngrams, "must be [shortest, longest], as [1, 2]")
        if self.stop_words not in (None, "english"):
            raise InvalidSetting("stop_words", self.stop_words, "must be english or null")


def make_vectorizers(
    settings: Settings, vocabularies: Sequence[dict[str, int] | None] = (None, None)
) -> "list[TfidfVectorizer]":
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


def make_features(vectorizers: "list[TfidfVectorizer]", texts: Sequence[str]) -> "csr_matrix":
    """The n-grams of all vectorizers side by side, shape (num_texts, num_features)."""
    from scipy.sparse import hstack

    return hstack([vectorizer.transform(texts) for vectorizer in vectorizers], format="csr")


def fit_classifiers(
    features: "csr_matrix", targets: npt.NDArray[np.uint8], C: float
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weights of shape (num_features, num_labels) and biases of one class-balanced logistic regression a label.

    They are fitted in the dual (liblinear): with some thousand texts and many more n-grams the dual is the small
    side, and it needs no BLAS, so cores are not fought over. benchmarks/regression_fit.py has it beside
    OneVsRestClassifier(LogisticRegression("lbfgs")). A thirtieth of the tolerance gives the same F1. The order of
    coordinates is fixed: no seed changes anything. Labels are not fitted in parallel threads, because liblinear's
    generator is shared by all of them and results would differ.
    A label on no text, or on all, has nothing to tell apart and gets a score of 0, or 1, for every text.
    """
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros((features.shape[1], targets.shape[1]), dtype=np.float32)
    bias = np.zeros(targets.shape[1], dtype=np.float32)
    for index, target in enumerate(targets.T):
        if target.min() == target.max():
            bias[index] = np.inf if target[0] else -np.inf
            continue
        classifier = LogisticRegression(
            C=C, solver="liblinear", dual=True, class_weight="balanced", tol=0.03, max_iter=1000, random_state=0
        )
        classifier.fit(features, target)
        weights[:, index], bias[index] = classifier.coef_[0], classifier.intercept_[0]
    return weights, bias


class Tagger:
    """TF-IDF of words' and characters' n-grams, and `fit_classifiers` on them."""

    deterministic = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._labels: list[str] = []
        self._task = Task.multilabel

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        self._labels, self._task = list(train.labels), train.task
        self._vectorizers = make_vectorizers(self._settings)
        try:
            for vectorizer in self._vectorizers:
                vectorizer.fit(train.texts)
        except ValueError as error:
            few, texts = self._settings.min_df, f"the {len(train)} train texts"
            remedy = f"model.min_df={few} leaves no n-gram of {texts}: set model.min_df=1"
            raise UserError(remedy if few > 1 else f"{texts} hold no word to learn from") from error
        features = make_features(self._vectorizers, train.texts)
        self._weights, self._bias = fit_classifiers(features, train.targets, self._settings.C)

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        if not len(texts):
            return np.zeros((0, len(self._labels)), dtype=np.float32)
        return self._probabilities(make_features(self._vectorizers, texts) @ self._weights + self._bias)

    def _probabilities(self, logits: npt.NDArray[Any]) -> Scores:
        from scipy.special import expit

        probabilities = expit(logits)
        if self._task is Task.multiclass:
            probabilities = probabilities / np.maximum(probabilities.sum(axis=1, keepdims=True), 1e-12)
        return np.asarray(probabilities, dtype=np.float32)

    def explain(self, texts: Sequence[str]) -> list[list[Evidence]]:
        """The five n-grams that speak most for each label with a score of .1 or more; weights are in log-odds."""
        if not len(texts):
            return []
        names = [name for vectorizer in self._vectorizers for name in vectorizer.get_feature_names_out()]
        features = make_features(self._vectorizers, texts)
        probabilities = self.predict_proba(texts)
        explained = []
        for row in range(len(texts)):
            one = features[[row]].tocoo()
            evidence = []
            for label in np.flatnonzero(probabilities[row] >= 0.1):
                shares: dict[str, float] = {}  # " bert " of the characters and "bert" of the words are one thing to see
                for column, share in zip(one.col, one.data * self._weights[one.col, label], strict=True):
                    shares[names[column].strip()] = shares.get(names[column].strip(), 0.0) + float(share)
                strongest = sorted(shares.items(), key=lambda item: -item[1])[:5]
                evidence += [Evidence(self._labels[label], words, share) for words, share in strongest if share > 0]
            explained.append(sorted(evidence, key=lambda each: -each.weight))
        return explained

    @property
    def num_parameters(self) -> int:
        return int(self._weights.size + self._bias.size)

    @property
    def size_bytes(self) -> int:
        return int(self._weights.nbytes + self._bias.nbytes)

    def save(self, directory: Path) -> None:
        idf = {f"idf_{index}": vectorizer.idf_ for index, vectorizer in enumerate(self._vectorizers)}
        np.savez(directory / "weights.npz", weights=self._weights, bias=self._bias, **idf)
        content = {
            "labels": self._labels,
            "task": self._task.value,
            "word_ngrams": self._settings.word_ngrams,
            "char_ngrams": self._settings.char_ngrams,
            "stop_words": self._settings.stop_words,
            "ngrams": [vectorizer.get_feature_names_out().tolist() for vectorizer in self._vectorizers],
        }
        (directory / "model.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        content = json.loads((directory / "model.json").read_text(encoding="utf-8"))
        arrays = np.load(directory / "weights.npz", allow_pickle=False)
        tagger = cls(
            Settings(
                name="regression",
                complexity=1,
                word_ngrams=content["word_ngrams"],
                char_ngrams=content["char_ngrams"],
                stop_words=content["stop_words"],
            )
        )
        tagger._labels, tagger._task = content["labels"], Task(content["task"])
        tagger._weights, tagger._bias = arrays["weights"], arrays["bias"]
        vocabularies = [{name: index for index, name in enumerate(names)} for names in content["ngrams"]]
        tagger._vectorizers = make_vectorizers(tagger._settings, vocabularies)
        for index, vectorizer in enumerate(tagger._vectorizers):
            vectorizer.idf_ = arrays[f"idf_{index}"]
        return tagger
