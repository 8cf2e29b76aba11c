"""Configuration: dataclass schemas, composed and checked by Hydra at the door, plain values inside.

The only package that knows OmegaConf. Everything else gets the dataclasses of `ratchet.config.schema`.
"""

from ratchet.config.compose import compose, register, to_config
from ratchet.config.messages import COMPOSITION_ERRORS, CONF, PROJECT, Origin, explain
from ratchet.config.options import parse_options, take_config_dir
from ratchet.config.schema import (
    Average,
    Config,
    DataConfig,
    DateStep,
    EvaluationConfig,
    FileConfig,
    FilterConfig,
    Format,
    InvalidSetting,
    LabelKind,
    LabelsConfig,
    ModelConfig,
    Part,
    SliceConfig,
    SliceKind,
    SplitConfig,
    SplitMethod,
    ThresholdConfig,
    ThresholdMethod,
    bounded,
)
from ratchet.config.storing import config_hash, dump, load, plain

__all__ = [
    "COMPOSITION_ERRORS",
    "CONF",
    "PROJECT",
    "Average",
    "Config",
    "DataConfig",
    "DateStep",
    "EvaluationConfig",
    "FileConfig",
    "FilterConfig",
    "Format",
    "InvalidSetting",
    "LabelKind",
    "LabelsConfig",
    "ModelConfig",
    "Origin",
    "Part",
    "SliceConfig",
    "SliceKind",
    "SplitConfig",
    "SplitMethod",
    "ThresholdConfig",
    "ThresholdMethod",
    "bounded",
    "compose",
    "config_hash",
    "dump",
    "explain",
    "load",
    "parse_options",
    "plain",
    "register",
    "take_config_dir",
    "to_config",
]
