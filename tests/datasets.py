"""Small data sets that models learn, and the context of a fit."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ratchet.config import ThresholdConfig, TrainerConfig
from ratchet.data.dataset import Dataset, Task
from ratchet.data.prepared import build_target_matrix
from ratchet.data.taxonomy import Taxonomy
from ratchet.evaluation.thresholds import compute_tuned_f1
from ratchet.taggers import FitContext, ValidationMetric

TOPICS = {
    "audio": "speech sound waves microphone recording voice",
    "graphs": "nodes edges network neighbours links paths",
    "vision": "pictures camera pixels photographs frames lens",
}


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
    return FitContext(
        directory,
        seed,
        log,
        ValidationMetric(
            "val/f1_weighted", lambda targets, scores: compute_tuned_f1(targets, scores, ThresholdConfig(), task)
        ),
        trainer or TrainerConfig(),
        threads=1,
        resume=resume,
    )


def make_toy_dataset(
    size: int = 24, *, task: Task = Task.multilabel, labels: list[str] | None = None, seed: int = 0
) -> Dataset:
    """Make learnable texts that contain an alias of each of their labels. A label that is not a topic has no text."""
    generator = np.random.default_rng(seed)
    names = list(TOPICS)
    label_sets: list[tuple[str, ...]] = [
        (names[i % 3], names[(i + 1) % 3]) if i % 4 == 0 and task is Task.multilabel else (names[i % 3],)
        for i in range(size)
    ]
    texts = [
        " ".join(
            word
            for label in label_set
            for word in [TOPICS[label].split()[0], *generator.choice(TOPICS[label].split(), 3)]
        )
        for label_set in label_sets
    ]
    chosen = labels or names
    aliases = {label: tuple(TOPICS.get(label, "").split()[:1]) for label in chosen}
    return Dataset(
        ids=[f"{index:04d}" for index in range(size)],
        texts=texts,
        targets=build_target_matrix(label_sets, chosen),
        labels=chosen,
        taxonomy=Taxonomy(aliases, dict.fromkeys(chosen, ())),
        task=task,
    )


def build_dataset(
    texts: list[str], targets: npt.ArrayLike, *, task: Task = Task.multilabel, taxonomy: Taxonomy | None = None
) -> Dataset:
    """Build a data set of these texts. Its labels are named label0, label1, …, which occur in no text."""
    matrix = np.asarray(targets, dtype=np.uint8)
    labels = [f"label{column}" for column in range(matrix.shape[1])]
    ids = [str(number) for number in range(len(texts))]
    return Dataset(ids, texts, matrix, labels, taxonomy or Taxonomy.from_labels(labels), task)
