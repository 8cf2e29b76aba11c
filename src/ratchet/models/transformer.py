"""A Hugging Face encoder, all-MiniLM-L6-v2 unless set otherwise, fine-tuned with one linear layer on top (PyTorch)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ratchet.config import InvalidSetting, bounded
from ratchet.data.dataset import Dataset
from ratchet.data.progress import report_step
from ratchet.neural.encoder_files import list_encoder_files
from ratchet.neural.settings import NeuralSettings
from ratchet.taggers import Evidence, ExportPrecision, FitContext, Scores

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

    from ratchet.neural.ensemble import AveragedClassifier


class Pooling(Enum):
    """The representation of a text: the mean over its tokens, or the first one."""

    mean = "mean"
    first = "first"


@dataclass
class RandomEncoder:
    """The size of an encoder without pretraining."""

    layers: int = bounded(2, low=1)
    """Number of layers."""
    hidden_size: int = bounded(32, low=1)
    """Length of the vectors between layers; a multiple of the number of heads."""
    heads: int = bounded(2, low=1)
    """Number of attention heads of a layer."""
    vocabulary_size: int = bounded(2000, low=2)
    """Largest number of sub-words, learnt from the train texts."""


@dataclass
class Settings(NeuralSettings):
    """The settings of the fine-tuned encoder."""

    encoder: str | None = "all-MiniLM-L6-v2"
    """Pretrained encoder: a directory or a name on the hub; null uses a random one."""
    random: RandomEncoder = field(default_factory=RandomEncoder)
    """Size of a random encoder."""
    pooling: Pooling = Pooling.mean
    """Vector that represents a text: the mean over its tokens, or its first token."""
    dropout: float = bounded(0.1, low=0, high=0.95)
    """Share of the features that are dropped while training."""
    head_learning_rate: float = bounded(above=0)
    """Learning rate of the new layer on top; learning_rate is that of the encoder's last layer."""
    layer_decay: float = bounded(1.0, above=0, high=1)
    """Factor of the learning rate from one layer to the layer below it."""
    freeze_embeddings: bool = False
    """Whether the embeddings of the encoder stay as they are."""
    freeze_layers: int = bounded(0, low=0)
    """Number of lowest layers that stay as they are, together with the embeddings."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.encoder is not None and self.random != RandomEncoder():
            raise InvalidSetting("random", vars(self.random), "is the size of a random encoder: set model.encoder=null")
        if self.random.hidden_size % self.random.heads:
            raise InvalidSetting("random.hidden_size", self.random.hidden_size, "must be a multiple of random.heads")

    def input_files(self) -> dict[str, Path]:
        return list_encoder_files(self.encoder)


class Tagger:
    """Encoder, pooling, one linear layer; everything that is not frozen is trained."""

    deterministic = False
    _classifier: "AveragedClassifier"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        report_step("loading torch and Lightning")
        from ratchet.models.transformer_network import describe, freeze, initial, learning_rates
        from ratchet.neural.ensemble import AveragedClassifier, learn_lexical
        from ratchet.neural.fitting import fit_classifier
        from ratchet.neural.losses import prior_logits
        from ratchet.neural.text_classifier import TextClassifier

        settings = self._settings
        encoder, tokenizer, padding = self._encoder(train.texts, context.seed)
        pooling, dropout = settings.pooling.value, settings.dropout
        bias = prior_logits(train.targets, train.task, train.known)
        network = initial(encoder, pooling=pooling, dropout=dropout, bias=bias, seed=context.seed)
        freeze(network, settings.freeze_layers, embeddings=settings.freeze_embeddings)
        architecture = describe(encoder, pooling=pooling, dropout=dropout)
        classifier = TextClassifier(tokenizer, padding, network, list(train.labels), train.task, architecture)
        rates = learning_rates(
            network,
            learning_rate=settings.learning_rate,
            head_learning_rate=settings.head_learning_rate,
            layer_decay=settings.layer_decay,
        )
        lexical, targets = learn_lexical(train, settings)
        fit_classifier(classifier, rates, train, val, settings, context, targets)
        self._classifier = AveragedClassifier(classifier, lexical, settings.lexical_share)

    def _encoder(self, texts: Sequence[str], seed: int) -> "tuple[PreTrainedModel, Tokenizer, int]":
        from ratchet.neural.encoders import pretrained, random_encoder

        settings, random = self._settings, self._settings.random
        if settings.encoder is not None:
            report_step(f"loading the encoder {settings.encoder}")
            return pretrained(settings.encoder, settings.max_length)
        return random_encoder(
            texts,
            layers=random.layers,
            hidden_size=random.hidden_size,
            heads=random.heads,
            vocabulary_size=random.vocabulary_size,
            max_length=settings.max_length,
            seed=seed,
        )

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        return self._classifier.predict_proba(texts)

    def explain(self, texts: Sequence[str]) -> list[list[Evidence]]:
        """Return the five strongest words of each label with a score of at least .1; weights are in log-odds."""
        from ratchet.models.transformer_network import token_embeddings
        from ratchet.neural.attribution import attribute

        network = self._classifier.network.trained()
        of_network = attribute(network, token_embeddings(network.network), texts)
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
        tagger._classifier = load_averaged(directory, "ratchet.models.transformer_network")
        return tagger
