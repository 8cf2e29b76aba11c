"""Ridge regression for each label on n-grams of words and characters and on names of labels, calibrated on train."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ratchet.config import ModelConfig
from ratchet.data.dataset import Dataset
from ratchet.lexical.classifier import LexicalClassifier, fit_lexical
from ratchet.lexical.features import LexicalSettings, check_lexical
from ratchet.taggers import Evidence, FitContext, Scores


@dataclass
class Settings(LexicalSettings, ModelConfig):
    """The settings of the lexical classifier."""

    def __post_init__(self) -> None:
        check_lexical(self)


class Tagger:
    """The lexical classifier, alone."""

    deterministic = True
    _classifier: LexicalClassifier

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        self._classifier, _ = fit_lexical(train, self._settings)

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        return self._classifier.predict_proba(texts)

    def explain(self, texts: Sequence[str]) -> list[list[Evidence]]:
        """Return the five strongest features of each label with a score of at least .1; weights are in log-odds."""
        return [[Evidence(*share) for share in shares] for shares in self._classifier.explain(texts)]

    @property
    def num_parameters(self) -> int:
        return self._classifier.num_parameters

    @property
    def size_bytes(self) -> int:
        return self._classifier.size_bytes

    def save(self, directory: Path) -> None:
        self._classifier.save(directory)

    @classmethod
    def load(cls, directory: Path) -> Self:
        tagger = cls.__new__(cls)
        tagger._classifier = LexicalClassifier.load(directory)
        return tagger
