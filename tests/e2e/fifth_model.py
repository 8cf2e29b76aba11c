"""The configuration and the module of a model that tests add."""

CONFIG = """\
# How often each label is on a train record, whatever the text says.
defaults: [base_majority, _self_]
name: majority
complexity: 0
smoothing: 1.0
"""
MODULE = '''\
"""The base rate: every text gets the share of train records that have the label."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ratchet.config import ModelConfig, bounded
from ratchet.data.dataset import Dataset
from ratchet.data.known import prepare_fit
from ratchet.taggers import FitContext, Scores


@dataclass
class Settings(ModelConfig):
    """`smoothing` records without any label are added."""

    smoothing: float = bounded(1.0, low=0)


class Tagger:
    """Scores are label frequencies."""

    deterministic = True

    def __init__(self, settings: Settings) -> None:
        self._smoothing = settings.smoothing
        self._shares: list[float] = []

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        targets, known = prepare_fit(train.targets, train.known)
        texts = len(train) if known is None else known.sum(axis=0)
        self._shares = (targets.sum(axis=0) / (texts + self._smoothing)).tolist()
        context.log(0, {"most_common": max(self._shares)})

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        return np.tile(np.array(self._shares, dtype=np.float32), (len(texts), 1))

    @property
    def num_parameters(self) -> int:
        return len(self._shares)

    @property
    def size_bytes(self) -> int:
        return 4 * len(self._shares)

    def save(self, directory: Path) -> None:
        (directory / "shares.json").write_text(json.dumps(self._shares), encoding="utf-8")

    @classmethod
    def load(cls, directory: Path) -> Self:
        tagger = cls(Settings(name="majority", complexity=0))
        tagger._shares = json.loads((directory / "shares.json").read_text(encoding="utf-8"))
        return tagger
'''
