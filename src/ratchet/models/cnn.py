"""A convolutional network over characters, words or sub-words, its embeddings learnt from train alone (PyTorch)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ratchet.config import InvalidSetting, bounded
from ratchet.data.dataset import Dataset
from ratchet.models.base import Evidence, FitContext, Scores
from ratchet.neural.settings import ExportPrecision, NeuralSettings, Tokens

if TYPE_CHECKING:
    from ratchet.neural.classifier import TextClassifier
    from ratchet.neural.exported import ExportedClassifier


@dataclass
class Settings(NeuralSettings):
    """`widths`: tokens that a convolution sees at once, one convolution each, `filters` patterns in each of them.

    `vocabulary_size` and `min_count` bound the tokens that are learnt from the train texts.
    """

    tokens: Tokens = Tokens.word
    vocabulary_size: int = bounded(20_000, low=2)
    min_count: int = bounded(1, low=1)
    embedding_size: int = bounded(128, low=1)
    widths: list[int] = field(default_factory=lambda: [1, 2, 3])
    filters: int = bounded(128, low=1)
    dropout: float = bounded(0.5, low=0, high=0.95)

    def __post_init__(self) -> None:
        if isinstance(self.widths, list) and (not self.widths or min(self.widths) < 1):
            raise InvalidSetting("widths", self.widths, "must name widths of at least 1, as [1, 2, 3]")


class Tagger:
    """Embeddings, parallel convolutions, maximum over the text, one linear layer."""

    deterministic = False
    _classifier: "TextClassifier | ExportedClassifier"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        import torch

        from ratchet.models.cnn_network import build
        from ratchet.neural.classifier import TextClassifier
        from ratchet.neural.fitting import fit_classifier
        from ratchet.neural.losses import prior_logits
        from ratchet.neural.tokens import PADDING, learn_tokenizer, limit_length

        settings = self._settings
        tokenizer = learn_tokenizer(
            train.texts, settings.tokens, vocabulary_size=settings.vocabulary_size, min_count=settings.min_count
        )
        limit_length(tokenizer, settings.max_length)
        architecture = {
            "vocabulary_size": tokenizer.get_vocab_size(),
            "embedding_size": settings.embedding_size,
            "widths": list(settings.widths),
            "filters": settings.filters,
            "dropout": settings.dropout,
            "padding": PADDING,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            network = build(architecture, len(train.labels))
        network.output.bias.data = prior_logits(train.targets, train.task)
        classifier = TextClassifier(tokenizer, PADDING, network, list(train.labels), train.task, architecture)
        self._classifier = classifier
        rates = dict.fromkeys((name for name, _ in network.named_parameters()), settings.learning_rate)
        fit_classifier(classifier, rates, train, val, settings, context)

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        return self._classifier.predict_proba(texts)

    def explain(self, texts: Sequence[str]) -> list[list[Evidence]]:
        """The five words that speak most for each label with a score of .1 or more; weights are in log-odds."""
        from ratchet.neural.attribution import attribute

        classifier = self._classifier.trained()
        embedding = classifier.network.get_submodule("embedding")
        return [[Evidence(*each) for each in shares] for shares in attribute(classifier, embedding, texts)]

    @property
    def num_parameters(self) -> int:
        return self._classifier.num_parameters

    @property
    def size_bytes(self) -> int:
        return self._classifier.size_bytes

    def save(self, directory: Path) -> None:
        self._classifier.save(directory)

    def export(self, directory: Path, precision: ExportPrecision) -> None:
        self._classifier.export(directory, precision)

    @classmethod
    def load(cls, directory: Path) -> Self:
        from ratchet.neural.loading import load_saved_or_exported

        tagger = cls.__new__(cls)
        tagger._classifier = load_saved_or_exported(directory, "ratchet.models.cnn_network")
        return tagger
