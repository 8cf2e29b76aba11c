"""Define the settings that every network has."""

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from ratchet.config import InvalidSetting, ModelConfig, TrainerConfig, bounded
from ratchet.lexical.features import LexicalSettings, check_lexical
from ratchet.machine import available_gpus


class Imbalance(Enum):
    """The treatment of labels with few texts: none, a higher weight of positives, or the focal loss."""

    none = "none"
    pos_weight = "pos_weight"
    focal = "focal"


class Tokens(Enum):
    """The tokens of a text: sub-words of a pretrained encoder, or a vocabulary learnt from the train texts."""

    pretrained = "pretrained"
    character = "character"
    word = "word"
    subword = "subword"


@dataclass
class NeuralSettings(ModelConfig):
    """The settings of every network: its training, and its use of the lexical model.

    Scores of the lexical model that serve as training targets are left out of its own fit. The ensemble averages
    log-odds.
    """

    trains_in_epochs: ClassVar[bool] = True
    extra: ClassVar[str | None] = "neural"

    max_length: int = bounded(low=1)
    """Largest number of tokens of a text; the rest is cut off."""
    batch_size: int = bounded(low=1)
    """Number of texts in a training step."""
    max_epochs: int = bounded(low=1)
    """Largest number of passes over the train records."""
    patience: int = bounded(low=1)
    """Number of epochs without a better validation metric after which training stops."""
    learning_rate: float = bounded(above=0)
    """Highest learning rate; it rises during the warm-up and then falls linearly to 0."""
    weight_decay: float = bounded(low=0)
    """Strength of the weight decay of AdamW."""
    warmup: float = bounded(low=0, high=1)
    """Share of all steps during which the learning rate rises."""
    gradient_clip: float = bounded(1.0, above=0)
    """Largest norm of a gradient."""
    imbalance: Imbalance = Imbalance.pos_weight
    """What is done for labels on few texts: nothing, heavier positives, or the focal loss."""
    pos_weight_power: float = bounded(0.5, low=0, high=1)
    """With pos_weight: positives weigh (negatives / positives) to this power, counted on train."""
    focal_gamma: float = bounded(2.0, low=0)
    """With focal: how strongly easy decisions are played down."""
    teacher_share: float = bounded(0.0, low=0, high=1)
    """Weight of the lexical model's scores in the training targets (distillation)."""
    lexical_share: float = bounded(0.0, low=0, high=1)
    """Weight of the lexical model in the final scores (ensemble)."""
    lexical: LexicalSettings = field(default_factory=LexicalSettings)
    """Settings of the lexical model that teaches or joins the network."""

    def __post_init__(self) -> None:
        check_lexical(self.lexical, "lexical.")
        if self.lexical != LexicalSettings() and not (self.teacher_share or self.lexical_share):
            remedy = "changes nothing unless model.teacher_share or model.lexical_share is above 0"
            raise InvalidSetting("lexical", vars(self.lexical), remedy)


def number_of_processes(trainer: TrainerConfig) -> int:
    """Return the configured number of processes; by default one for each GPU, and at least one."""
    return max(1, available_gpus()) if trainer.devices is None else trainer.devices
