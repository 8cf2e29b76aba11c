"""Define the Tagger contract: what a model must do to be trained, saved, scored and explained.

A Protocol, not a base class. The contract suite in tests/contracts checks every model against it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt

from ratchet.config import TrainerConfig
from ratchet.data.dataset import Dataset
from ratchet.data.known import Known

Scores = npt.NDArray[np.float32]


class ExportPrecision(Enum):
    """The number format of the large matrix products of an exported network."""

    float32 = "float32"
    int8 = "int8"


class ValidationFunction(Protocol):
    """Measures scores against targets; both have the shape (num_texts, num_labels)."""

    def __call__(self, targets: npt.NDArray[np.uint8], scores: Scores, known: Known | None = None, /) -> float: ...


@dataclass(frozen=True)
class ValidationMetric:
    """The metric for early stopping and the best epoch; higher is better.

    `of` takes val's targets and scores, and the known cells where some are not: `of(val.targets, scores, val.known)`.

    It is the F1 that the run's thresholds maximise, so that a fit and its thresholds have the same objective.
    """

    name: str
    of: ValidationFunction


@dataclass(frozen=True)
class FitContext:
    """The inputs of a fit other than data: a directory to write to, the seed, and `log(step, metrics)` for curves.

    With `resume`, the fit continues after the last epoch with a checkpoint in `directory`, if there is one.
    The files in `directory` are removed after the run: a fitted tagger must work without them.
    """

    directory: Path
    seed: int
    log: Callable[[int, Mapping[str, float]], None]
    validation_metric: ValidationMetric
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    threads: int = 1
    resume: bool = False


@runtime_checkable
class Tagger(Protocol):
    """Scores the labels of texts.

    `deterministic`: the training seed has no effect. `num_parameters` and `size_bytes` are cheap once the tagger is
    fitted or loaded.
    """

    deterministic: ClassVar[bool]

    def __init__(self, settings: Any) -> None: ...

    @property
    def num_parameters(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        """Learn from `train`; choose (epochs, temperatures) on `val`. The test part is never passed.

        Targets that are not `known` must not contribute: ratchet.data.known has functions for it.
        """

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        """Return scores in [0, 1], float32 of shape (num_texts, num_labels), columns in the order of the labels."""

    def save(self, directory: Path) -> None:
        """Write everything `load` needs into `directory`, which exists; safe formats only, no pickle."""

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load the tagger that `save` wrote; its scores are bit-identical."""


@dataclass(frozen=True)
class Evidence:
    """Words that explain the score of a label. `weight` orders the evidence of a text, in a unit of the model."""

    label: str
    words: str
    weight: float


@runtime_checkable
class Explainer(Protocol):
    """An optional capability of a tagger: the evidence for each text, strongest first."""

    def explain(self, texts: Sequence[str]) -> list[list[Evidence]]: ...


@runtime_checkable
class Exporter(Protocol):
    """A capability of taggers that need torch: an export that scores without it."""

    def export(self, directory: Path, precision: ExportPrecision) -> None:
        """Write into `directory`, which exists, files from which `load` returns a tagger that scores without torch.

        Raises:
            UserError: the libraries for it are not installed, or the tagger was loaded from an export itself.
        """


@runtime_checkable
class RuleBased(Protocol):
    """A capability of taggers that score a text only if one of their rules fires."""

    def find_texts_without_rule(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return the texts on which no rule fires, of shape (num_texts,)."""
        ...


def check_scores(scores: Any, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return `scores` if they satisfy the Tagger contract.

    Raises:
        ValueError: the scores do not have `shape` or type float32, or a value is outside of [0, 1].
    """
    if not isinstance(scores, np.ndarray) or scores.dtype != np.float32 or scores.shape != tuple(shape):
        returned = f"{scores.dtype} {scores.shape}" if isinstance(scores, np.ndarray) else f"a {type(scores).__name__}"
        raise ValueError(f"predict_proba returned {returned}, but must return float32 {tuple(shape)}")
    if not ((scores >= 0) & (scores <= 1)).all():  # this is also true for NaN
        raise ValueError("predict_proba returned scores that are not in [0, 1]")
    return scores
