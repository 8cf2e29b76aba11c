"""The MVP: predict a label if its name or an alias is in the text. It learns nothing and explains itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ratchet.config import ModelConfig
from ratchet.data.dataset import Dataset
from ratchet.data.taxonomy import Match, NameMatcher, Taxonomy, taxonomy_from_json
from ratchet.taggers import Evidence, FitContext, Scores


@dataclass
class Settings(ModelConfig):
    """The settings of the rules."""

    stemming: bool = True
    """Whether endings of words are ignored when names are matched."""
    parents: bool = True
    """Whether a label brings its ancestors in the taxonomy."""


class Tagger:
    """Whole-word matching of names and aliases, from the taxonomy or, without one, from the labels themselves.

    With `parents`, an entry of the taxonomy that is not a label still predicts those of its ancestors that are. Scores
    are 0 or 1.
    """

    deterministic = True

    def __init__(self, settings: Settings) -> None:
        self._stemming = settings.stemming
        self._parents = settings.parents
        self._labels: list[str] = []

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        self._use(train.labels, train.taxonomy)

    def _use(self, labels: list[str], taxonomy: Taxonomy) -> None:
        self._labels = list(labels)
        self._taxonomy = taxonomy
        column = {label: index for index, label in enumerate(labels)}
        self._columns: dict[str, list[int]] = {}
        for label in dict.fromkeys([*labels, *taxonomy.aliases]):
            implied = {label} | (taxonomy.ancestors(label) if self._parents else set())
            columns = sorted(column[entry] for entry in implied if entry in column)
            if columns:
                self._columns[label] = columns
        self._matcher = NameMatcher(taxonomy, self._columns, stemming=self._stemming)

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        scores = np.zeros((len(texts), len(self._labels)), dtype=np.float32)
        for row, text in enumerate(texts):
            for match in self._matcher.find(text):
                scores[row, self._columns[match.label]] = 1.0
        return scores

    def explain(self, texts: Sequence[str]) -> list[list[Evidence]]:
        """Return the matching words of each predicted label; for an ancestor, those of its descendant."""
        return [self._evidence(self._matcher.find(text)) for text in texts]

    def _evidence(self, matches: list[Match]) -> list[Evidence]:
        evidence = {
            Evidence(self._labels[column], match.words, 1.0): None
            for match in matches
            for column in self._columns[match.label]
        }
        return list(evidence)

    @property
    def num_parameters(self) -> int:
        return 0

    @property
    def size_bytes(self) -> int:
        return len(self._dump().encode())

    def _dump(self) -> str:
        content: dict[str, Any] = {
            "stemming": self._stemming,
            "parents": self._parents,
            "labels": self._labels,
            "taxonomy": self._taxonomy.to_json(),
        }
        return json.dumps(content, ensure_ascii=False, indent=1)

    def save(self, directory: Path) -> None:
        (directory / "rules.json").write_text(self._dump(), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        path = directory / "rules.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        tagger = cls(Settings(name="rule", complexity=0, stemming=content["stemming"], parents=content["parents"]))
        tagger._use(content["labels"], taxonomy_from_json(content["taxonomy"], str(path)))
        return tagger
