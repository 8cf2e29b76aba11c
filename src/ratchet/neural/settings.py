"""The settings that every network has: how long it is trained, how fast, and what is done about rare labels."""

from dataclasses import dataclass, field
from enum import Enum

from ratchet.config import InvalidSetting, ModelConfig, bounded
from ratchet.lexical.settings import LexicalSettings, check_lexical


class Imbalance(Enum):
    """What is done about labels on few texts: nothing, heavier positives, or the focal loss."""

    none = "none"
    pos_weight = "pos_weight"
    focal = "focal"


class Tokens(Enum):
    """What a text is cut into: sub-words of a pretrained encoder, or a vocabulary learnt from the train texts."""

    pretrained = "pretrained"
    character = "character"
    word = "word"
    subword = "subword"


class ExportPrecision(Enum):
    """The numbers that the large matrix products of an exported network are made of."""

    float32 = "float32"
    int8 = "int8"


@dataclass
class NeuralSettings(ModelConfig):
    """Training of a network, in epochs over the train texts.

    `max_length`: tokens of a text, what is beyond them is cut off. `patience`: epochs without a better validation
    metric until training stops. `warmup`: the share of all steps over which the learning rate rises; then it falls to
    0, linearly. `gradient_clip`: the largest norm of a gradient. Positives weigh (negatives / positives) **
    `pos_weight_power`, or easy decisions are played down by `focal_gamma`, as `imbalance` says; counts are train's.

    A lexical classifier of the `lexical` settings may teach the network: `teacher_share` of each training target is the
    score that it gives the text, left out of its own fit. And it may have a say in the end: log-odds are averaged, its
    own with a weight of `lexical_share`.
    """

    max_length: int = bounded(low=1)
    batch_size: int = bounded(low=1)
    max_epochs: int = bounded(low=1)
    patience: int = bounded(low=1)
    learning_rate: float = bounded(above=0)
    weight_decay: float = bounded(low=0)
    warmup: float = bounded(low=0, high=1)
    gradient_clip: float = bounded(1.0, above=0)
    imbalance: Imbalance = Imbalance.pos_weight
    pos_weight_power: float = bounded(0.5, low=0, high=1)
    focal_gamma: float = bounded(2.0, low=0)
    teacher_share: float = bounded(0.0, low=0, high=1)
    lexical_share: float = bounded(0.0, low=0, high=1)
    lexical: LexicalSettings = field(default_factory=LexicalSettings)

    def __post_init__(self) -> None:
        check_lexical(self.lexical, "lexical.")
        if self.lexical != LexicalSettings() and not (self.teacher_share or self.lexical_share):
            remedy = "changes nothing unless model.teacher_share or model.lexical_share is above 0"
            raise InvalidSetting("lexical", vars(self.lexical), remedy)
