"""Define the settings that every network has, and check the devices they ask for."""

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from ratchet.config import Accelerator, InvalidSetting, ModelConfig, TrainerConfig, bounded
from ratchet.errors import UserError
from ratchet.lexical.features import LexicalSettings, check_lexical
from ratchet.machine import available_gpus


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

    trains_in_epochs: ClassVar[bool] = True

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


def number_of_processes(trainer: TrainerConfig) -> int:
    """What the settings say; where they leave it open one for each GPU that is there, and at least one."""
    return max(1, available_gpus()) if trainer.devices is None else trainer.devices


def check_devices(trainer: TrainerConfig) -> None:
    """Stop where processes would have to share a GPU.

    Raises:
        UserError: several are wanted, and there are fewer GPUs.
    """
    wanted = number_of_processes(trainer)
    if trainer.accelerator is Accelerator.gpu and wanted > 1 and wanted > available_gpus():
        raise UserError(
            f"trainer.devices={wanted}: torch finds {available_gpus()} GPUs on this machine, and each process needs "
            "one of its own: set fewer, or trainer=ddp_cpu"
        )
