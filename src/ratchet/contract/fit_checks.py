"""Check what a model learns: columns, seeds, rare labels, odd texts; and that fit changes nothing but the model."""

import pickle
import random
from contextlib import chdir
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np

from ratchet.contract.subject import (
    TEXTS,
    Check,
    ContractBroken,
    Subject,
    case,
    global_seed,
    require,
    require_same_scores,
    require_scores,
)
from ratchet.contract.toy_data import ODD_TEXTS, TOPICS, make_toy_dataset
from ratchet.data.dataset import Task


def check_column_order(subject: Subject) -> None:
    """Require the columns of train.labels, whatever their order."""
    for labels in (["audio", "graphs", "vision"], ["vision", "graphs", "audio"]):
        train = make_toy_dataset(24, labels=labels, task=Task.multiclass)
        audio = [index for index, text in enumerate(train.texts) if "speech" in text]
        other_rows = [index for index in range(len(train)) if index not in audio][:4]
        rows = [*audio * 2, *other_rows]
        mostly_audio = replace(
            train,
            ids=[f"{number:04d}" for number in range(len(rows))],
            texts=[train.texts[row] for row in rows],
            targets=train.targets[rows],
        )
        mean = subject.fit(mostly_audio).predict_proba(mostly_audio.texts).mean(axis=0)
        highest = labels[int(mean.argmax())]
        require(
            highest == "audio",
            f"The columns of predict_proba must be in the order of train.labels, here {labels}; {len(audio) * 2} of "
            f"{len(rows)} training texts are about audio, but the column of {highest} has the highest mean. Keep the "
            "order of train.labels in fit; do not sort labels.",
        )


def check_odd_train_texts(subject: Subject) -> None:
    """Require a fit on texts of any length and any characters."""
    train, odd = make_toy_dataset(), list(ODD_TEXTS.values())
    scores = subject.fit(replace(train, texts=[*odd, *train.texts[len(odd) :]])).predict_proba(list(TEXTS))
    require_scores(scores, len(TEXTS), 3)


def check_same_seed(subject: Subject) -> None:
    """Require that scores depend on the seed of the context, not on the global generators."""
    first, second = subject.fitted_with_same_seed
    require_same_scores(
        second.predict_proba(list(TEXTS)),
        first.predict_proba(list(TEXTS)),
        "Two calls of fit with the same context.seed must give bit-identical scores",
        "Draw from np.random.default_rng(context.seed), or pass random_state=context.seed; do not use the global "
        "generators of random and NumPy, nor the order of a set.",
    )


def check_global_state(subject: Subject) -> None:
    """Require that fit and predict_proba leave the global generators of Python and NumPy as they are."""
    _ = subject.fitted  # what the model imports may draw numbers, once
    with global_seed(2**31):  # a state that no model would choose
        before = _read_global_states()
        subject.fit(make_toy_dataset()).predict_proba(list(TEXTS))
        changed = [name for name, state in _read_global_states().items() if state != before[name]]
    require(
        not changed,
        "fit and predict_proba must not use or seed the global generators, which other code uses, too; they change "
        f"{' and '.join(changed)}. Draw from np.random.default_rng(context.seed), or pass random_state=context.seed.",
    )


def _read_global_states() -> dict[str, object]:
    return {"random": random.getstate(), "np.random": pickle.dumps(np.random.get_state())}


def check_other_seeds(subject: Subject) -> None:
    """Require that a tagger which declares itself deterministic is."""
    first, *others = [
        subject.fit(make_toy_dataset(), seed=seed).predict_proba(list(TEXTS)) for seed in (0, 1, 2**32 - 1)
    ]
    if subject.fitted.deterministic:
        for scores in others:
            require_same_scores(
                scores,
                first,
                "A class with `deterministic = True` must give the same scores after fit with any context.seed",
                "Write `deterministic = False`, or remove the randomness from fit.",
            )


def check_label_without_texts(subject: Subject, *, task: Task) -> None:
    """Require a low score of a label that no training text has, wherever its column is."""
    for column, place in ((0, "first"), (1, "second"), (3, "last")):
        labels = list(TOPICS)
        labels.insert(column, "unheard-of")
        with case(f"no training text for the {place} of 4 labels"):
            scores = subject.fit(make_toy_dataset(task=task, labels=labels)).predict_proba(list(TEXTS))
            require_scores(scores, len(TEXTS), 4)
            rare, others = scores[:, column], np.delete(scores, column, axis=1).max(axis=1)
            require(
                bool((rare < 0.5).all() and (rare < others).all()),
                "predict_proba must score a label without training texts below 0.5, and below the best label of each "
                f"text; it scores up to {rare.max():.2g}. Let fit handle a column of train.targets that is all 0, as "
                "with a constant score of 0.",
            )


def check_label_on_every_text(subject: Subject) -> None:
    """Require a fit where a label is on every training text."""
    train = make_toy_dataset(labels=[*TOPICS, "everything"])
    train.targets[:, 3] = 1
    scores = subject.fit(train).predict_proba(list(TEXTS))
    require_scores(scores, len(TEXTS), 4)
    require(
        bool(scores[:, :3].any()),
        "predict_proba must still score the other labels if one label is on every training text; their scores are all "
        "0. Learn each column of train.targets independently of that one.",
    )


def check_unknown_targets(subject: Subject) -> None:
    """Require that targets which are not known have no effect, even if none of a label is known."""
    train = make_toy_dataset(labels=[*TOPICS, "never known"])
    known = np.random.default_rng(0).random(train.targets.shape) < 0.8
    known[:, 3] = False
    first, second = (
        subject.fit(
            replace(train, targets=np.where(known, train.targets, value).astype(np.uint8), known=known)
        ).predict_proba(list(TEXTS))
        for value in (0, 1)
    )
    require_scores(first, len(TEXTS), 4)
    require_same_scores(
        second,
        first,
        "Where train.known is False it is unknown whether the text has the label, so train.targets must not change "
        "the scores there",
        "Learn each label from the texts whose target is known: ratchet.data.known.prepare_fit(train.targets, "
        "train.known) returns targets and weights.",
    )


def check_inputs_unchanged(subject: Subject) -> None:
    """Require that fit changes neither the data nor the settings."""
    train, val = make_toy_dataset(), make_toy_dataset(9, seed=1)
    before, settings_before = deepcopy((train, val)), deepcopy(subject.settings)
    for dataset in (train, val):
        dataset.targets.setflags(write=False)
    try:
        subject.fit(train, val)
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        message = "fit must not change train or val; it writes to their targets. Copy them first: train.targets.copy()."
        raise ContractBroken(message) from error
    for name, dataset, copy in zip(("train", "val"), (train, val), before, strict=True):
        for part in ("ids", "texts", "targets", "labels", "taxonomy"):
            require(
                np.array_equal(getattr(dataset, part), getattr(copy, part))
                if part == "targets"
                else getattr(dataset, part) == getattr(copy, part),
                f"fit must not change train or val; it changes {name}.{part}. Work on a copy, as list({name}.{part}).",
            )
    require(
        subject.settings == settings_before,
        "A tagger must not change its settings, which the run's record stores; __init__ or fit changes them. Keep a "
        "derived value in an attribute of the tagger.",
    )


def check_nothing_is_written(subject: Subject) -> None:
    """Require that fit and predict_proba leave the working directory empty."""
    with subject.temporary_directory() as directory:
        with chdir(directory):
            subject.fit(make_toy_dataset()).predict_proba(list(TEXTS))
        written = sorted(path.name for path in directory.iterdir())
    require(
        not written,
        f"fit and predict_proba must write nothing to the working directory; they write {', '.join(written)}. Write to "
        "context.directory in fit.",
    )


FIT_CHECKS = (
    Check("score columns follow the order of labels", check_column_order),
    Check("odd training texts can be learned", check_odd_train_texts),
    Check("the same seed gives the same scores", check_same_seed),
    Check("global random state is unchanged", check_global_state),
    Check("a deterministic model ignores the seed", check_other_seeds),
    *(
        Check(f"a label without training texts scores low, {task.value}", partial(check_label_without_texts, task=task))
        for task in Task
    ),
    Check("a label may be on every training text", check_label_on_every_text),
    Check("unknown targets have no effect", check_unknown_targets),
    Check("fit leaves data and settings unchanged", check_inputs_unchanged),
    Check("nothing is written to the working directory", check_nothing_is_written),
)
