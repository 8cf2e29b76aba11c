"""Define the settings that every network has, and check the devices they ask for."""

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar

from ratchet.config import Accelerator, InvalidSetting, ModelConfig, TrainerConfig, bounded
from ratchet.errors import UserError
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
    """Training of a network, in epochs over the train texts.

    `max_length`: tokens of a text; the rest is cut off. `patience`: epochs without a better validation metric until
    training stops. `warmup`: the share of all steps in which the learning rate rises; then it falls linearly to 0.
    `gradient_clip`: the largest norm of a gradient. `imbalance` chooses between a weight of (negatives / positives) **
    `pos_weight_power` for positives and the focal loss with `focal_gamma`; counts are those of train.

    A lexical classifier with the `lexical` settings may teach the network: each training target is mixed, with a weight
    of `teacher_share`, with the classifier's score from a fit without that text. It may also join the final ensemble:
    log-odds are averaged, its own with a weight of `lexical_share`.
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
    """Return the configured number of processes; by default one for each GPU, and at least one."""
    return max(1, available_gpus()) if trainer.devices is None else trainer.devices


def check_devices(trainer: TrainerConfig) -> None:
    """Refuse a fit whose processes would have to share a GPU.

    Raises:
        UserError: there are fewer GPUs than processes.
    """
    wanted = number_of_processes(trainer)
    if trainer.accelerator is Accelerator.gpu and wanted > 1 and wanted > available_gpus():
        raise UserError(
            f"trainer.devices={wanted}: torch finds {available_gpus()} GPUs on this machine, and each process needs "
            "one of its own: set fewer, or trainer=ddp_cpu"
        )
