"""Small data sets that every model can learn, odd texts, and the context of a fit."""

from pathlib import Path

import numpy as np

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
ODD_TEXTS = {
    "empty": "",
    "whitespace": " \t\r\n \u00a0\u3000",
    "huge": "speech pictures nodes zyx " * 8_000,
    "one huge word": "w" * 200_000,
    "unseen letters": "нейронная сеть 神經網路 الشبكات العصبية",
    "emoji": "speech 🎤👩🏽\u200d💻🏳️\u200d🌈",
    "combining marks": "e\u0301\u0302\u0303 a\u0308" * 50,
    "control characters": "speech\x00\x01\x07\x1b[31m\x7f\u2028\ufeff",
    "beyond the basic plane": "\U0001d54a\U00010348\U0010ffff",
    "punctuation": "!?.,;:-_()[]{}<>/\\|\"'`~@#$%^&*+=",
}


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


def make_fit_context(directory: Path, *, seed: int = 0, task: Task = Task.multilabel) -> FitContext:
    """Make the context of a fit. Its validation metric is the weighted F1 with thresholds tuned on val."""
    return FitContext(
        directory,
        seed,
        lambda step, metrics: None,
        ValidationMetric(
            "val/f1_weighted",
            lambda targets, scores, known=None: compute_tuned_f1(targets, scores, ThresholdConfig(), task, known),
        ),
        TrainerConfig(progress_bar=False),
    )
