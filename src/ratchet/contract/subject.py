"""The model that is checked, and what a check may require of it.

A check raises `ContractBroken`, whose message says what the contract requires, what the model did, and how to correct
it. Any other exception that a model raises breaks the contract, too.
"""

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ratchet.config import ModelConfig
from ratchet.contract.toy_data import ODD_TEXTS, make_fit_context, make_toy_dataset
from ratchet.data.dataset import Dataset
from ratchet.errors import UserError
from ratchet.models import tagger_class
from ratchet.neural.settings import NeuralSettings
from ratchet.taggers import Evidence, Explainer, Tagger, check_scores

TEXTS = tuple(make_toy_dataset(12, seed=2).texts)
EXPLAINED_TEXTS = (*TEXTS[:4], *ODD_TEXTS.values())


class ContractBroken(AssertionError):
    """A model does not do what the contract requires. The message explains how to correct it."""


class NotChecked(Exception):
    """A check cannot run on this machine; the message says what it needs."""


class Subject:
    """A model that is checked, with the fitted tagger that many checks share."""

    def __init__(self, tagger: type[Tagger], settings: ModelConfig, directory: Path) -> None:
        self.tagger = tagger
        self.settings = settings
        self._directory = directory

    def fit(self, train: Dataset, val: Dataset | None = None, *, seed: int = 0) -> Tagger:
        """Fit a new tagger; without `val`, on `train` alone. It must not need the files of the fit afterwards."""
        tagger = self.tagger(self.settings)
        with self.temporary_directory() as directory:
            context = make_fit_context(directory, seed=seed, task=train.task)
            tagger.fit(train, train if val is None else val, context)
        return tagger

    @contextmanager
    def temporary_directory(self) -> Iterator[Path]:
        """Create an empty directory and remove it at the end: what large networks write would fill the disk."""
        with tempfile.TemporaryDirectory(dir=self._directory) as directory:
            yield Path(directory)

    @cached_property
    def fitted(self) -> Tagger:
        """Return a fitted tagger that no check changes."""
        return self.fit(make_toy_dataset(), make_toy_dataset(9, seed=1))

    @cached_property
    def fitted_with_same_seed(self) -> tuple[Tagger, Tagger]:
        """Return two taggers that were fitted with the same seed, under different states of the global generators."""
        taggers = []
        for state in (1, 2):
            with global_seed(state):
                taggers.append(self.fit(make_toy_dataset(), seed=3))
        return taggers[0], taggers[1]

    @cached_property
    def evidence(self) -> list[list[Evidence]]:
        """Return the evidence for EXPLAINED_TEXTS."""
        return self.explain(EXPLAINED_TEXTS)

    def explain(self, texts: Sequence[str]) -> list[list[Evidence]]:
        """Return the evidence for texts; empty lists if the tagger does not explain.

        Raises:
            NotChecked: a library for it is not installed.
        """
        if not isinstance(self.fitted, Explainer):
            return [[] for _ in texts]
        try:
            return self.fitted.explain(list(texts))
        except UserError as error:
            raise NotChecked(str(error)) from error


def make_subject(settings: ModelConfig, directory: Path, *, max_epochs: int = 2) -> Subject:
    """Return the model of these settings. Its files are written below `directory`, which exists.

    A network trains for `max_epochs` at most: the contract holds after any number of epochs.

    Raises:
        UserError: the module of the model cannot be imported.
    """
    settings = deepcopy(settings)
    if isinstance(settings, NeuralSettings):
        settings.max_epochs = min(settings.max_epochs, max_epochs)
    return Subject(tagger_class(settings.module), settings, directory)


# --- what checks require ----------------------------------------------------------------------------------------------


def require(condition: bool, explanation: str) -> None:
    """Raise `ContractBroken` with an explanation unless the condition holds."""
    if not condition:
        raise ContractBroken(explanation)


def require_scores(scores: Any, num_texts: int, num_labels: int) -> None:
    """Require float32 scores in [0, 1], with a row for each text and a column for each label."""
    try:
        check_scores(scores, (num_texts, num_labels))
    except ValueError as error:
        raise ContractBroken(f"{error}. {_correct_scores(scores, num_texts, num_labels)}") from None


def _correct_scores(scores: Any, num_texts: int, num_labels: int) -> str:
    if not isinstance(scores, np.ndarray):
        return "Return a NumPy array, as np.asarray(scores, dtype=np.float32)."
    if scores.shape != (num_texts, num_labels):
        return (
            f"Return one row for each of the {num_texts} texts and one column for each of the {num_labels} labels in "
            "train.labels, also for labels without a text and for no texts at all."
        )
    if scores.dtype != np.float32:
        return "Convert the result of predict_proba: scores.astype(np.float32)."
    if np.isnan(scores).any():
        return (
            f"{np.isnan(scores).sum()} of {scores.size} scores are NaN: look for a division by zero or a logarithm of "
            "0 in predict_proba or fit."
        )
    limits = f"from {scores.min():g} to {scores.max():g}"
    return f"They reach {limits}: map them to [0, 1] in predict_proba, as with a sigmoid or np.clip."


def require_same_scores(actual: Any, expected: Any, requirement: str, remedy: str, *, tolerance: float = 0) -> None:
    """Require equal scores."""
    one, other = np.asarray(actual), np.asarray(expected)
    if one.shape != other.shape:
        raise ContractBroken(f"{requirement}; one result has shape {one.shape}, the other {other.shape}. {remedy}")
    if not np.allclose(one, other, rtol=0, atol=tolerance, equal_nan=True):
        difference = np.nanmax(np.abs(one.astype(np.float64) - other))
        raise ContractBroken(f"{requirement}; they differ by up to {difference:.2g}. {remedy}")


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Seed the global generators of Python and NumPy until the block ends."""
    state, numpy_state = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
        np.random.set_state(numpy_state)


@contextmanager
def case(description: str) -> Iterator[None]:
    """Add the case that is checked to an exception, as "the text 'emoji'"."""
    try:
        yield
    except Exception as error:
        error.add_note(description)
        raise


@dataclass(frozen=True)
class Check:
    """A requirement of the contract, in words, and the function that raises if a model does not fulfil it."""

    name: str
    run: Callable[[Subject], None]
