"""The MVP: predict a label if its name or an alias is in the text. It learns nothing and explains itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ratchet.config import ModelConfig
from ratchet.data.dataset import Dataset, Task
from ratchet.data.taxonomy import Match, NameMatcher, Taxonomy, list_columns, taxonomy_from_json
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
    are 0 or 1. Where no rule fires, no label is predicted. If a record has exactly one label, it is that of the longest
    name in the text (of several, the most frequent in train); where no rule fires, it is train's most frequent label.
    """

    deterministic = True

    def __init__(self, settings: Settings) -> None:
        self._stemming = settings.stemming
        self._parents = settings.parents
        self._labels: list[str] = []

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        frequent = None
        if train.task is Task.multiclass:
            frequent = np.argsort(-train.targets.sum(axis=0, dtype=np.int64), kind="stable").tolist()
        self._use(train.labels, train.taxonomy, frequent)

    def _use(self, labels: list[str], taxonomy: Taxonomy, frequent: list[int] | None = None) -> None:
        """Build the rules. `frequent` are the columns by falling frequency if a record has exactly one label."""
        self._labels = list(labels)
        self._taxonomy = taxonomy
        self._frequent = frequent
        self._rank = {column: rank for rank, column in enumerate(frequent or ())}
        self._columns = list_columns(labels, taxonomy, parents=self._parents)
        self._matcher = NameMatcher(taxonomy, self._columns, stemming=self._stemming)

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        scores = np.zeros((len(texts), len(self._labels)), dtype=np.float32)
        for row, text in enumerate(texts):
            columns = self._choose(self._matcher.find(text))
            scores[row, columns or (self._frequent or [])[:1]] = 1.0
        return scores

    def find_texts_without_rule(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return which texts hold no name of a label, of shape (num_texts,)."""
        return np.array([not self._matcher.find(text) for text in texts], dtype=np.bool_)

    def _choose(self, matches: list[Match]) -> list[int]:
        """Return the columns of the labels that the names in a text predict."""
        if self._frequent is None:
            return [column for match in matches for column in self._columns[match.label]]
        found = [(match.length, -self._rank[column]) for match in matches for column in self._columns[match.label]]
        return [self._frequent[-max(found)[1]]] if found else []

    def explain(self, texts: Sequence[str]) -> list[list[Evidence]]:
        """Return the matching words of each predicted label; for an ancestor, those of its descendant."""
        return [self._evidence(self._matcher.find(text)) for text in texts]

    def _evidence(self, matches: list[Match]) -> list[Evidence]:
        chosen = set(self._choose(matches))
        evidence = {
            Evidence(self._labels[column], match.words, 1.0): None
            for match in matches
            for column in self._columns[match.label]
            if column in chosen
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
        if self._frequent is not None:
            content["by_frequency"] = [self._labels[column] for column in self._frequent]
        return json.dumps(content, ensure_ascii=False, indent=1)

    def save(self, directory: Path) -> None:
        (directory / "rules.json").write_text(self._dump(), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        path = directory / "rules.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        tagger = cls(Settings(name="rule", complexity=0, stemming=content["stemming"], parents=content["parents"]))
        labels: list[str] = content["labels"]
        frequent = [labels.index(label) for label in content["by_frequency"]] if "by_frequency" in content else None
        tagger._use(labels, taxonomy_from_json(content["taxonomy"], str(path)), frequent)
        return tagger
