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

    `targets` is uint8 of shape (num_texts, num_labels), with columns in the order of `labels`. `known` has the same
    shape and is False where it is not known whether the text has the label; None means that all targets are known.
    What targets are at unknown cells has no meaning: see ratchet.data.known.
    """

    ids: list[str]
    texts: list[str]
    targets: npt.NDArray[np.uint8]
    labels: list[str]
    taxonomy: Taxonomy
    task: Task = Task.multilabel
    known: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.texts) == len(self.targets)
        assert self.targets.shape[1:] == (len(self.labels),)
        if self.known is not None:
            assert self.known.shape == self.targets.shape
            assert self.task is Task.multilabel, "a record of exactly one label has no unknown target"
            if self.known.all():
                object.__setattr__(self, "known", None)

    def __len__(self) -> int:
        return len(self.ids)
