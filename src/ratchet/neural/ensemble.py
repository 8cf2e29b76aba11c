"""Combine a network with a lexical classifier: distil the one into the other, and average their log-odds."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ratchet.data.dataset import Dataset, Task
from ratchet.data.known import mark_unknown, prepare_fit
from ratchet.data.progress import report_step
from ratchet.errors import UserError
from ratchet.lexical.classifier import LexicalClassifier, fit_lexical
from ratchet.neural.exported import ExportedClassifier, is_exported, load_exported
from ratchet.neural.settings import NeuralSettings
from ratchet.taggers import ExportPrecision

if TYPE_CHECKING:
    from ratchet.neural.text_classifier import TextClassifier

Floats = npt.NDArray[np.float32]
Shares = list[tuple[str, str, float]]

_WORTH_EXPLAINING, _MOST = 0.1, 5  # the lowest score of a label that is explained; words per label
_LEXICAL, _AVERAGING = "lexical", "averaging.json"


def learn_lexical(train: Dataset, settings: NeuralSettings) -> tuple[LexicalClassifier | None, Floats]:
    """Fit the lexical classifier. Return it (None if it is not part of the ensemble) and the distillation targets.

    The targets are in [0, 1]: a mean of a text's labels and its left-out score, by lexical weights that were fitted
    without the text (`fit_lexical` says what they have seen of it). Soft targets show a network which labels are
    similar, which it cannot learn from few texts (distillation: Hinton et al. 2015). Scores of texts that were part of
    the fit would only repeat the labels. Where it is unknown whether a text has a label, the target is the score alone,
    or NaN (there is none) without distillation.

    Raises:
        UserError: the lexical classifier finds no word to learn from.
    """
    hard, known = prepare_fit(train.targets, train.known)
    targets = mark_unknown(hard, known)
    if not (settings.teacher_share or settings.lexical_share):
        return None, targets
    report_step("fitting the lexical model")
    lexical, left_out = fit_lexical(train, settings.lexical, "lexical.")
    share = settings.teacher_share
    mixed = (1 - share) * targets + share * left_out
    if known is not None and share:
        mixed = np.where(known, mixed, left_out)
    return lexical if settings.lexical_share else None, mixed


@dataclass(frozen=True)
class AveragedClassifier:
    """The weighted mean of two classifiers' log-odds: `lexical`, if there is one, has a weight of `lexical_share`."""

    network: "TextClassifier | ExportedClassifier"
    lexical: LexicalClassifier | None = None
    lexical_share: float = 0.0

    def predict_proba(self, texts: Sequence[str]) -> Floats:
        """Return scores in [0, 1], float32 of shape (num_texts, num_labels)."""
        if self.lexical is None:
            return self.network.predict_proba(texts)
        from scipy.special import expit, log_softmax, softmax

        one, other, share = self.network.logits(texts), self.lexical.logits(texts), np.float32(self.lexical_share)
        if self.network.task is Task.multilabel:
            return np.asarray(expit((1 - share) * one + share * other), dtype=np.float32)
        shares = softmax((1 - share) * log_softmax(one, axis=1) + share * other, axis=1)
        return np.asarray(shares, dtype=np.float32)

    def explain(self, texts: Sequence[str], of_network: list[Shares]) -> list[Shares]:
        """Return the evidence for each label, strongest first: the network's (`of_network`) and the lexical ones.

        They are weighted as in the log-odds. Each label with a score of at least .1 gets its five strongest words.
        """
        if self.lexical is None:
            return of_network
        explained = []
        scores = self.predict_proba(texts)
        for row, shares in enumerate(zip(of_network, self.lexical.explain(texts), strict=True)):
            weights = (1 - self.lexical_share, self.lexical_share)
            explained.append(_strongest(shares, weights, dict(zip(self.network.labels, scores[row], strict=True))))
        return explained

    @property
    def num_parameters(self) -> int:
        """Return the number of parameters of the network and of the lexical classifier."""
        return self.network.num_parameters + (self.lexical.num_parameters if self.lexical else 0)

    @property
    def size_bytes(self) -> int:
        """Return the bytes of their weights in memory."""
        return self.network.size_bytes + (self.lexical.size_bytes if self.lexical else 0)

    def save(self, directory: Path) -> None:
        """Write the network's files; for a lexical classifier also averaging.json, and its files in `lexical`."""
        self.network.save(directory)
        self._save_lexical(directory)

    def export(self, directory: Path, precision: ExportPrecision) -> None:
        """Write the same files, except for the network's: network.onnx scores without torch.

        Raises:
            UserError: the network was loaded from an export, or the libraries to export one are not installed.
        """
        if isinstance(self.network, ExportedClassifier):
            raise UserError(
                "a tagger that was loaded from an export cannot be exported: export the run that it was made from"
            )
        from ratchet.neural.onnx_export import export_classifier  # here, since it loads torch

        export_classifier(self.network, directory, precision)
        self._save_lexical(directory)

    def _save_lexical(self, directory: Path) -> None:
        if self.lexical is None:
            return
        (directory / _LEXICAL).mkdir(exist_ok=True)  # left by a run that was stopped while it saved
        self.lexical.save(directory / _LEXICAL)
        (directory / _AVERAGING).write_text(json.dumps({"lexical_share": self.lexical_share}), encoding="utf-8")


def load_averaged(directory: Path, network_module: str) -> AveragedClassifier:
    """Load what `AveragedClassifier.save` or `export` wrote; `network_module` as in `load_saved_or_exported`.

    Raises:
        UserError: the network is exported, and ONNX Runtime is not installed.
    """
    network = load_saved_or_exported(directory, network_module)
    if not (directory / _AVERAGING).is_file():
        return AveragedClassifier(network)
    share = json.loads((directory / _AVERAGING).read_text(encoding="utf-8"))["lexical_share"]
    return AveragedClassifier(network, LexicalClassifier.load(directory / _LEXICAL), share)


def load_saved_or_exported(directory: Path, network_module: str) -> "TextClassifier | ExportedClassifier":
    """Load what `save` or `export` wrote into `directory`.

    `network_module` has `build(architecture, num_labels)`; it and torch are imported for a saved network only.

    Raises:
        UserError: the network is exported, and ONNX Runtime is not installed.
    """
    if is_exported(directory):
        return load_exported(directory)
    from ratchet.neural.text_classifier import load_classifier

    return load_classifier(directory, import_module(network_module).build)


def _strongest(kinds: Sequence[Shares], weights: Sequence[float], scores: dict[str, float]) -> Shares:
    """Return the strongest words of each label with a sufficient score; add up the shares of a word of both kinds."""
    by_label: dict[str, dict[str, float]] = {}
    for shares, weight in zip(kinds, weights, strict=True):
        for label, words, share in shares:
            of_label = by_label.setdefault(label, {})
            of_label[words.casefold()] = of_label.get(words.casefold(), 0.0) + weight * share
    kept = [
        (label, words, share)
        for label, of_label in by_label.items()
        if scores[label] >= _WORTH_EXPLAINING
        for words, share in sorted(of_label.items(), key=lambda item: -item[1])[:_MOST]
    ]
    return sorted(kept, key=lambda evidence: -evidence[2])
