"""What a tagger sees: ids, texts, targets. Nothing here knows where they came from."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from ratchet.data.taxonomy import Taxonomy


class Task(Enum):
    """Whether a record has any number of labels, or exactly one."""

    multilabel = "multilabel"
    multiclass = "multiclass"


@dataclass(frozen=True)
class Dataset:
    """Records of one part. `targets` is uint8 of shape (num_texts, num_labels), columns in the order of `labels`."""

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
