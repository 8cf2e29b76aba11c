"""Define the data that a tagger receives: ids, texts and targets, independent of any file format."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from ratchet.data.taxonomy import Taxonomy


class Task(Enum):
    """The number of labels of a record: any number (`multilabel`) or exactly one (`multiclass`)."""

    multilabel = "multilabel"
    multiclass = "multiclass"


@dataclass(frozen=True)
class Dataset:
    """The records of one part (train, val or test).

    `targets` is uint8 of shape (num_texts, num_labels), with columns in the order of `labels`.
    """

    ids: list[str]
    texts: list[str]
    targets: npt.NDArray[np.uint8]
    labels: list[str]
    taxonomy: Taxonomy
    task: Task = Task.multilabel

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.texts) == len(self.targets)
        assert self.targets.shape[1:] == (len(self.labels),)

    def __len__(self) -> int:
        return len(self.ids)
