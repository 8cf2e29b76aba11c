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
from ratchet.config.describing import Setting, choices_of, configs_of, headline, model_config, settings_of
from ratchet.config.fields import bounded
from ratchet.config.frozen import load_data, load_objective, search_settings
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
from ratchet.config.search_schema import Cost, ParameterConfig, SearchConfig
from ratchet.config.storing import config_hash, dump, dump_plain, hashed, load, plain, unhashed_keys
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
    "Cost",
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
    "ParameterConfig",
    "Part",
    "PipelineConfig",
    "Precision",
    "SearchConfig",
    "Setting",
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
    "choices_of",
    "compose",
    "compose_objective",
    "config_hash",
    "configs_of",
    "dump",
    "dump_plain",
    "explain",
    "hashed",
    "headline",
    "is_option",
    "load",
    "load_data",
    "load_objective",
    "model_config",
    "named_objectives",
    "parse_options",
    "plain",
    "read_pipeline",
    "register",
    "search_settings",
    "settings_of",
    "take_config_dir",
    "to_config",
    "unhashed_keys",
]
