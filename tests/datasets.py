"""Small data sets that models learn, and the context of a fit."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratchet.config import TrainerConfig
from ratchet.contract.toy_data import TOPICS as TOPICS
from ratchet.contract.toy_data import make_fit_context
from ratchet.contract.toy_data import make_toy_dataset as make_toy_dataset
from ratchet.data.dataset import Dataset, Task
from ratchet.data.taxonomy import Taxonomy
from ratchet.taggers import FitContext


def fit_context(
    directory: Path,
    *,
    seed: int = 0,
    log: Callable[[int, Mapping[str, float]], None] = lambda step, metrics: None,
    task: Task = Task.multilabel,
    trainer: TrainerConfig | None = None,
    resume: bool = False,
) -> FitContext:
    """Make the context of a fit. Its validation metric is the weighted F1 with thresholds tuned on val."""
    context = make_fit_context(directory, seed=seed, task=task)
    return replace(context, log=log, trainer=trainer or TrainerConfig(), resume=resume)


def build_dataset(
    texts: list[str], targets: npt.ArrayLike, *, task: Task = Task.multilabel, taxonomy: Taxonomy | None = None
) -> Dataset:
    """Build a data set of these texts. Its labels are named label0, label1, …, which occur in no text."""
    matrix = np.asarray(targets, dtype=np.uint8)
    labels = [f"label{column}" for column in range(matrix.shape[1])]
    ids = [str(number) for number in range(len(texts))]
    return Dataset(ids, texts, matrix, labels, taxonomy or Taxonomy.from_labels(labels), task)
