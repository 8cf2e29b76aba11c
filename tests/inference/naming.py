"""Provide a model without training, requests for it, and rows for files to the tests of this directory."""

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import strategies as st

from ratchet.data.dataset import Dataset, Task
from ratchet.data.texts import TextColumns
from ratchet.evaluation.calibration import Calibration
from ratchet.evaluation.thresholds import Thresholds
from ratchet.inference.columns import Layout
from ratchet.inference.predict_file import Request, Summary, predict_file
from ratchet.inference.scorer import ModelIdentity, Scorer
from ratchet.taggers import FitContext, Scores

LABELS = ["audio", "graphs", "vision"]
TEXT = TextColumns(("title", "description"))
ROWS = [
    {"id": f"{number:03d}", "title": title, "description": description}
    for number, (title, description) in enumerate(
        [("audio", "and graphs"), ("", "vision"), ("nothing", ""), ("", " "), ("vision", "audio, graphs")] * 2
    )
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)


class Naming:
    """Score a label .9 if the text names it, else .1; raise KeyboardInterrupt in call `fails_at` (from 0)."""

    deterministic: ClassVar[bool] = True
    num_parameters = 0
    size_bytes = 0

    def __init__(self, settings: Any = None) -> None:
        self.labels = LABELS
        self.calls: list[list[str]] = []
        self.fails_at: int | None = None

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        if len(self.calls) == self.fails_at:
            raise KeyboardInterrupt
        self.calls.append(list(texts))
        named = [[0.9 if label in text else 0.1 for label in self.labels] for text in texts]
        return np.array(named, dtype=np.float32).reshape(len(texts), len(self.labels))

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        raise AssertionError

    def save(self, directory: Path) -> None:
        raise AssertionError

    @classmethod
    def load(cls, directory: Path) -> "Naming":
        raise AssertionError


def naming_scorer(*, one_label: bool = False, sha256: str = "0" * 64, labels: Sequence[str] = LABELS) -> Scorer:
    tagger = Naming()
    tagger.labels = list(labels)
    task = Task.multiclass if one_label else Task.multilabel
    values = None if one_label else np.full(len(labels), 0.5)
    calibration, thresholds = Calibration("none", None, task), Thresholds("fixed", values)
    identity = ModelIdentity("naming", "run-1", "hash", sha256, exported=False)
    return Scorer(tagger, tuple(labels), calibration, thresholds, TEXT, identity)


def tagger_of(scorer: Scorer) -> Naming:
    assert isinstance(scorer.tagger, Naming)
    return scorer.tagger


def request(source: Path, output: Path, **fields: Any) -> Request:
    layout = {key: fields.pop(key) for key in ("detail", "prefix", "separator", "labels", "one_label") if key in fields}
    defaults: dict[str, Any] = {"text": TEXT, "layout": Layout(**{"labels": LABELS, **layout}), "batch_size": 4}
    return Request(source, output, **{**defaults, **fields})


def silent(task: str, rows: int | None) -> Callable[[int], None]:
    return lambda done: None


def predict(source: Path, output: Path, scorer: Scorer | None = None, **fields: Any) -> Summary:
    return predict_file(scorer or naming_scorer(), request(source, output, **fields), silent)


def interrupt_prediction(source: Path, output: Path, at: int, **fields: Any) -> None:
    """Predict until a KeyboardInterrupt in batch `at`."""
    model = naming_scorer()
    tagger_of(model).fails_at = at
    with pytest.raises(KeyboardInterrupt):
        predict(source, output, model, **fields)


def read_text(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def files_of(directory: Path) -> dict[str, bytes]:
    """Return the content of every file below `directory`."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
