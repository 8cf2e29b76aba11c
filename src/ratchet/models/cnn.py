"""A convolutional network over a pretrained encoder's sub-words, or over tokens learnt from train alone (PyTorch)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ratchet.config import InvalidSetting, bounded
from ratchet.data.dataset import Dataset
from ratchet.data.progress import report_step
from ratchet.neural.encoder_files import list_encoder_files
from ratchet.neural.settings import NeuralSettings, Tokens
from ratchet.taggers import Evidence, ExportPrecision, FitContext, Scores

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

    from ratchet.neural.ensemble import AveragedClassifier


@dataclass
class Settings(NeuralSettings):
    """The settings of the convolutional network.

    With pretrained tokens, the sub-words and embeddings of `encoder` are used and tuned.
    """

    tokens: Tokens = Tokens.word
    """Tokens of a text: sub-words of the encoder, or learnt from the train texts."""
    encoder: str = "all-MiniLM-L6-v2"
    """Encoder whose sub-words and embeddings are used with pretrained tokens: a directory or a name on the hub."""
    vocabulary_size: int = bounded(20_000, low=2)
    """Largest number of learnt tokens."""
    min_count: int = bounded(1, low=1)
    """Smallest number of occurrences of a learnt token in train."""
    embedding_size: int = bounded(128, low=1)
    """Length of the embeddings of learnt tokens."""
    widths: list[int] = field(default_factory=lambda: [1, 2, 3])
    """Numbers of neighbouring tokens that a convolution sees, one convolution each."""
    filters: int = bounded(128, low=1)
    """Number of patterns of each convolution."""
    dropout: float = bounded(0.5, low=0, high=0.95)
    """Share of the features that are dropped while training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.widths, list) and (not self.widths or min(self.widths) < 1):
            raise InvalidSetting("widths", self.widths, "must be widths of at least 1, as [1, 2, 3]")

    def input_files(self) -> dict[str, Path]:
        return list_encoder_files(self.encoder if self.tokens is Tokens.pretrained else None)


class Tagger:
    """Embeddings, parallel convolutions, maximum over the text, one linear layer."""

    deterministic = False
    _classifier: "AveragedClassifier"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        report_step("loading torch and Lightning")
        from ratchet.models.cnn_network import initial
        from ratchet.neural.ensemble import AveragedClassifier, learn_lexical
        from ratchet.neural.fitting import fit_classifier
        from ratchet.neural.losses import prior_logits
        from ratchet.neural.text_classifier import TextClassifier
        from ratchet.neural.tokens import token_ids

        settings = self._settings
        tokenizer, padding, embeddings = self._tokens(train.texts)
        architecture = {
            "vocabulary_size": tokenizer.get_vocab_size(),
            "embedding_size": settings.embedding_size if embeddings is None else embeddings.shape[1],
            "widths": list(settings.widths),
            "filters": settings.filters,
            "dropout": settings.dropout,
            "padding": padding,
        }
        bias = prior_logits(train.targets, train.task, train.known)
        network = initial(architecture, bias=bias, seed=context.seed)
        if embeddings is not None:
            network.tune(embeddings, token_ids(tokenizer, train.texts, padding))
        classifier = TextClassifier(tokenizer, padding, network, list(train.labels), train.task, architecture)
        rates = dict.fromkeys((name for name, _ in network.named_parameters()), settings.learning_rate)
        lexical, targets = learn_lexical(train, settings)
        fit_classifier(classifier, rates, train, val, settings, context, targets)
        network.merge()
        self._classifier = AveragedClassifier(classifier, lexical, settings.lexical_share)

    def _tokens(self, texts: Sequence[str]) -> "tuple[Tokenizer, int, Tensor | None]":
        """Return the tokenizer, its padding token, and its pretrained embeddings, if there are any."""
        from ratchet.neural.tokens import PADDING, learn_tokenizer, limit_length

        settings = self._settings
        if settings.tokens is Tokens.pretrained:
            from ratchet.neural.encoders import pretrained_embeddings

            report_step(f"loading the encoder {settings.encoder}")
            return pretrained_embeddings(settings.encoder, settings.max_length)
        tokenizer = learn_tokenizer(
            texts, settings.tokens, vocabulary_size=settings.vocabulary_size, min_count=settings.min_count
        )
        limit_length(tokenizer, settings.max_length)
        return tokenizer, PADDING, None

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        return self._classifier.predict_proba(texts)

    def explain(self, texts: Sequence[str]) -> list[list[Evidence]]:
        """Return the five strongest words of each label with a score of at least .1; weights are in log-odds."""
        from ratchet.neural.attribution import attribute

        network = self._classifier.network.trained()
        of_network = attribute(network, network.network.get_submodule("embedding"), texts)
        return [[Evidence(*share) for share in shares] for shares in self._classifier.explain(texts, of_network)]

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
        from ratchet.neural.ensemble import load_averaged

        tagger = cls.__new__(cls)
        tagger._classifier = load_averaged(directory, "ratchet.models.cnn_network")
        return tagger
