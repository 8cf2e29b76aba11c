"""Check what a fitted model returns: scores of the right type and range, for any texts, and evidence."""

from functools import partial

import numpy as np

from ratchet.contract.subject import (
    EXPLAINED_TEXTS,
    TEXTS,
    Check,
    Subject,
    case,
    require,
    require_same_scores,
    require_scores,
)
from ratchet.contract.toy_data import ODD_TEXTS, TOPICS, make_toy_dataset
from ratchet.data.dataset import Task
from ratchet.taggers import Tagger

_MEMBERS = ("deterministic", "num_parameters", "size_bytes", "fit", "predict_proba", "save", "load")
_ROUNDING = 1e-6  # matrix products of another size may round differently


def check_protocol(subject: Subject) -> None:
    """Require every member of `ratchet.taggers.Tagger`."""
    missing = [name for name in _MEMBERS if not hasattr(subject.fitted, name)]
    require(
        not missing and isinstance(subject.fitted, Tagger),
        f"A tagger must have {', '.join(_MEMBERS)}; this one has no {' and no '.join(missing)}. Add it to the class.",
    )


def check_deterministic_is_declared(subject: Subject) -> None:
    """Require a truth value in the class."""
    declared = getattr(subject.tagger, "deterministic", None)
    require(
        isinstance(declared, bool),
        f"The class must declare whether the training seed has no effect; `deterministic` is {declared!r}. Write "
        "`deterministic = True` or `deterministic = False` in the class.",
    )


def check_sizes(subject: Subject) -> None:
    """Require counts that are JSON numbers."""
    for name in ("num_parameters", "size_bytes"):
        count = getattr(subject.fitted, name)
        require(
            type(count) is int and count >= 0,
            f"{name} must be an int of at least 0 after fit; it is {count!r} ({type(count).__name__}). Convert it: "
            "int(...).",
        )


def check_scores_of_task(subject: Subject, *, task: Task) -> None:
    """Require valid scores, some of which are above 0."""
    tagger = subject.fit(make_toy_dataset(task=task), make_toy_dataset(9, task=task, seed=1))
    scores = tagger.predict_proba(list(TEXTS))
    require_scores(scores, len(TEXTS), 3)
    require(
        bool(scores.any()),
        "predict_proba must give some label a score above 0 where texts resemble the training texts; every score is 0. "
        "Check that fit stores what it learns, and that predict_proba uses it.",
    )


def check_no_texts(subject: Subject) -> None:
    """Require an empty result of the right shape."""
    require_scores(subject.fitted.predict_proba([]), 0, 3)


def check_sequence_types(subject: Subject) -> None:
    """Require the same scores for a tuple as for a list."""
    require_same_scores(
        subject.fitted.predict_proba(TEXTS),
        subject.fitted.predict_proba(list(TEXTS)),
        "predict_proba must give the same scores for a tuple of texts as for a list",
        "Only iterate over the texts, or begin with `texts = list(texts)`.",
    )


def check_repeated_scores(subject: Subject) -> None:
    """Require bit-identical scores, with another call in between."""
    first = subject.fitted.predict_proba(list(TEXTS))
    subject.fitted.predict_proba(["something else"])
    require_same_scores(
        subject.fitted.predict_proba(list(TEXTS)),
        first,
        "predict_proba must give bit-identical scores for the same texts in every call",
        "Use no randomness in predict_proba (dropout must be off), and change no attribute there.",
    )


def check_single_texts(subject: Subject) -> None:
    """Require scores that depend on the text alone."""
    texts = [*TEXTS, "", "speech " * 300, "pictures and sound 🎤", "speech"]
    together = subject.fitted.predict_proba(texts)
    alone = np.concatenate([subject.fitted.predict_proba([text]) for text in texts])
    backwards = subject.fitted.predict_proba(texts[::-1])[::-1]
    requirement = "predict_proba must score each text independently of the other texts in the call, and of their order"
    remedy = "Normalise within a text or with values that fit stored, never with those of the call."
    require_same_scores(alone, together, requirement, remedy, tolerance=_ROUNDING)
    require_same_scores(backwards, together, requirement, remedy, tolerance=_ROUNDING)


def check_odd_texts(subject: Subject) -> None:
    """Require valid scores for texts of any length and any characters, and unchanged scores of their neighbours."""
    for name, text in ODD_TEXTS.items():
        with case(f"the text {name!r}"):
            scores = subject.fitted.predict_proba([TEXTS[0], text, TEXTS[1]])
            require_scores(scores, 3, 3)
            require_same_scores(
                scores[[0, 2]],
                subject.fitted.predict_proba(list(TEXTS[:2])),
                "predict_proba must give the other texts of the call the scores that they have without it",
                "Score each text independently of the others.",
                tolerance=_ROUNDING,
            )


def check_evidence(subject: Subject) -> None:
    """Require one list of known labels, words and finite weights for each text."""
    evidence = subject.evidence
    require(
        len(evidence) == len(EXPLAINED_TEXTS),
        f"explain must return one list for each text; it returns {len(evidence)} lists for {len(EXPLAINED_TEXTS)} "
        "texts. Return an empty list for a text without evidence.",
    )
    for piece in (piece for pieces in evidence for piece in pieces):
        require(
            piece.label in TOPICS and bool(piece.words.strip()) and bool(np.isfinite(piece.weight)),
            f"explain must return a label of train.labels, words that are not blank, and a finite weight; it returns "
            f"{piece}. Leave such evidence out.",
        )


def check_order_of_evidence(subject: Subject) -> None:
    """Require decreasing weights."""
    for pieces in subject.evidence:
        weights = [piece.weight for piece in pieces]
        require(
            weights == sorted(weights, reverse=True),
            f"explain must return the evidence of a text by decreasing weight; its weights are {weights[:5]}. Sort it "
            "by weight: sorted(evidence, key=lambda piece: -piece.weight).",
        )


def check_no_texts_to_explain(subject: Subject) -> None:
    """Require an empty list."""
    evidence = subject.explain([])
    require(evidence == [], f"explain must return an empty list if there is no text; it returns {evidence!r}.")


SCORE_CHECKS = (
    Check("it has every method of a tagger", check_protocol),
    Check("it declares whether it is deterministic", check_deterministic_is_declared),
    Check("size and parameters are integers", check_sizes),
    *(Check(f"scores are float32 in [0, 1], {task.value}", partial(check_scores_of_task, task=task)) for task in Task),
    Check("no texts give no rows of scores", check_no_texts),
    Check("texts may be any sequence", check_sequence_types),
    Check("repeated predictions are identical", check_repeated_scores),
    Check("scores depend on the text alone", check_single_texts),
    Check("odd texts can be scored", check_odd_texts),
    Check("evidence names known labels", check_evidence),
    Check("evidence is sorted by weight", check_order_of_evidence),
    Check("no texts give no evidence", check_no_texts_to_explain),
)
