"""A model that needs no training, and files for it to label."""

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

from ratchet.data.dataset import Dataset, Task
from ratchet.data.texts import TextColumns
from ratchet.evaluation.calibration import Calibration
from ratchet.evaluation.thresholds import Thresholds
from ratchet.predicting.model import Model
from ratchet.predicting.results import Layout
from ratchet.predicting.scoring import Request, Summary, predict_file
from ratchet.scoring import Scorer
from ratchet.taggers import FitContext, Scores

LABELS = ["audio", "graphs", "vision"]
TEXT = TextColumns(("title", "description"))


class Naming:
    """A label scores .9 where the text names it, else .1; `fails_at` is the call that fails (from 0)."""

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


def naming_model(*, one_label: bool = False, digest: str = "0" * 64, labels: Sequence[str] = LABELS) -> Model:
    tagger = Naming()
    tagger.labels = list(labels)
    task = Task.multiclass if one_label else Task.multilabel
    values = None if one_label else np.full(len(labels), 0.5)
    scorer = Scorer(tagger, tagger.labels, Calibration("none", None, task), Thresholds("fixed", values))
    return Model("naming", scorer, TEXT, digest)


def tagger_of(model: Model) -> Naming:
    assert isinstance(model.scorer.tagger, Naming)
    return model.scorer.tagger


def request(source: Path, output: Path, **fields: Any) -> Request:
    layout = {key: fields.pop(key) for key in ("detail", "prefix", "separator", "labels", "one_label") if key in fields}
    defaults: dict[str, Any] = {"text": TEXT, "layout": Layout(**{"labels": LABELS, **layout}), "batch_size": 4}
    return Request(source, output, **{**defaults, **fields})


def silent(what: str, rows: int | None) -> Callable[[int], None]:
    return lambda done: None


def predict(source: Path, output: Path, model: Model | None = None, **fields: Any) -> Summary:
    return predict_file(model or naming_model(), request(source, output, **fields), silent)


def read_text(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


ROWS = [
    {"id": f"{number:03d}", "title": title, "description": description}
    for number, (title, description) in enumerate(
        [("audio", "and graphs"), ("", "vision"), ("nothing", ""), ("", " "), ("vision", "audio, graphs")] * 2
    )
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Ten rows as Parquet; four with the text of another label each, one without a text, and again."""
    path = tmp_path / "texts.parquet"
    pl.DataFrame(ROWS).write_parquet(path)
    return path


@pytest.fixture
def source_csv(tmp_path: Path) -> Path:
    """The same as CSV."""
    path = tmp_path / "texts.csv"
    pl.DataFrame(ROWS).write_csv(path)
    return path
