"""Texts with targets of one's own choice."""

import numpy as np
import numpy.typing as npt

from ratchet.data.dataset import Dataset, Task
from ratchet.data.taxonomy import Taxonomy


def dataset(
    texts: list[str], targets: npt.ArrayLike, *, task: Task = Task.multilabel, taxonomy: Taxonomy | None = None
) -> Dataset:
    """Labels are called label0, label1, …: names that stand in no text."""
    matrix = np.asarray(targets, dtype=np.uint8)
    labels = [f"label{column}" for column in range(matrix.shape[1])]
    ids = [str(number) for number in range(len(texts))]
    return Dataset(ids, texts, matrix, labels, taxonomy or Taxonomy.from_labels(labels), task)
