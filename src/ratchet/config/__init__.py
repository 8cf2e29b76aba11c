"""Configuration: dataclass schemas, composed and checked by Hydra at the door, plain values inside.

The only package that knows OmegaConf. Everything else gets plain dataclasses.
"""

from ratchet.config.compose import compose, register, to_config
from ratchet.config.data_schema import (
    DataConfig,
    DateStep,
    FileConfig,
    FilterConfig,
    Format,
    LabelKind,
    LabelsConfig,
    SliceConfig,
    SliceKind,
    SplitMethod,
)
from ratchet.config.fields import bounded
from ratchet.config.frozen import load_data, load_objective
from ratchet.config.messages import COMPOSITION_ERRORS, CONF, PROJECT, Origin, explain
from ratchet.config.objective import Objective, compose_objective, named_objectives
from ratchet.config.objective_schema import BehaviourFloors, BudgetConfig, Metric, MinimumEvidence, ObjectiveConfig
from ratchet.config.options import is_option, parse_options, take_config_dir
from ratchet.config.pipeline import PipelineConfig, read_pipeline
from ratchet.config.schema import (
    Accelerator,
    Average,
    CalibrationConfig,
    CalibrationMethod,
    Config,
    EvaluationConfig,
    InvalidSetting,
    ModelConfig,
    Part,
    Precision,
    SplitConfig,
    ThresholdConfig,
    ThresholdMethod,
    TrainerConfig,
)
from ratchet.config.storing import config_hash, dump, dump_plain, load, plain, unhashed_keys
from ratchet.config.tracker_schema import TrackerConfig, TrackerKind, TrackerMode

__all__ = [
    "COMPOSITION_ERRORS",
    "CONF",
    "PROJECT",
    "Accelerator",
    "Average",
    "BehaviourFloors",
    "BudgetConfig",
    "CalibrationConfig",
    "CalibrationMethod",
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
    "Metric",
    "MinimumEvidence",
    "ModelConfig",
    "Objective",
    "ObjectiveConfig",
    "Origin",
    "Part",
    "PipelineConfig",
    "Precision",
    "SliceConfig",
    "SliceKind",
    "SplitConfig",
    "SplitMethod",
    "ThresholdConfig",
    "ThresholdMethod",
    "TrackerConfig",
    "TrackerKind",
    "TrackerMode",
    "TrainerConfig",
    "bounded",
    "compose",
    "compose_objective",
    "config_hash",
    "dump",
    "dump_plain",
    "explain",
    "is_option",
    "load",
    "load_data",
    "load_objective",
    "named_objectives",
    "parse_options",
    "plain",
    "read_pipeline",
    "register",
    "take_config_dir",
    "to_config",
    "unhashed_keys",
]
