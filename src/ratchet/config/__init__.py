"""Compose, check and describe configurations: dataclass schemas outside, plain values inside.

The only package that knows OmegaConf. All others get plain dataclasses. The names below are looked up at first use:
importing a schema loads neither Hydra nor OmegaConf.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratchet.config.composition import (
        compose as compose,
    )
    from ratchet.config.composition import (
        register as register,
    )
    from ratchet.config.composition import (
        to_config as to_config,
    )
    from ratchet.config.data_schema import (
        DataConfig as DataConfig,
    )
    from ratchet.config.data_schema import (
        DateStep as DateStep,
    )
    from ratchet.config.data_schema import (
        FileConfig as FileConfig,
    )
    from ratchet.config.data_schema import (
        FilterConfig as FilterConfig,
    )
    from ratchet.config.data_schema import (
        Format as Format,
    )
    from ratchet.config.data_schema import (
        LabelKind as LabelKind,
    )
    from ratchet.config.data_schema import (
        LabelsConfig as LabelsConfig,
    )
    from ratchet.config.data_schema import (
        SliceConfig as SliceConfig,
    )
    from ratchet.config.data_schema import (
        SliceKind as SliceKind,
    )
    from ratchet.config.data_schema import (
        SplitMethod as SplitMethod,
    )
    from ratchet.config.fields import (
        bounded as bounded,
    )
    from ratchet.config.fields import (
        choices_of as choices_of,
    )
    from ratchet.config.fields import (
        help_of as help_of,
    )
    from ratchet.config.identity import (
        config_hash as config_hash,
    )
    from ratchet.config.identity import (
        hashed as hashed,
    )
    from ratchet.config.identity import (
        plain as plain,
    )
    from ratchet.config.identity import (
        unhashed_keys as unhashed_keys,
    )
    from ratchet.config.messages import (
        COMPOSITION_ERRORS as COMPOSITION_ERRORS,
    )
    from ratchet.config.messages import (
        Origin as Origin,
    )
    from ratchet.config.messages import (
        explain as explain,
    )
    from ratchet.config.objective import (
        Objective as Objective,
    )
    from ratchet.config.objective import (
        compose_objective as compose_objective,
    )
    from ratchet.config.objective import (
        named_objectives as named_objectives,
    )
    from ratchet.config.objective_schema import (
        BehaviourFloors as BehaviourFloors,
    )
    from ratchet.config.objective_schema import (
        BudgetConfig as BudgetConfig,
    )
    from ratchet.config.objective_schema import (
        Metric as Metric,
    )
    from ratchet.config.objective_schema import (
        MinimumEvidence as MinimumEvidence,
    )
    from ratchet.config.objective_schema import (
        ObjectiveConfig as ObjectiveConfig,
    )
    from ratchet.config.options import (
        Setting as Setting,
    )
    from ratchet.config.options import (
        configs_of as configs_of,
    )
    from ratchet.config.options import (
        headline as headline,
    )
    from ratchet.config.options import (
        is_option as is_option,
    )
    from ratchet.config.options import (
        model_config as model_config,
    )
    from ratchet.config.options import (
        parse_options as parse_options,
    )
    from ratchet.config.options import (
        settings_in as settings_in,
    )
    from ratchet.config.options import (
        settings_of as settings_of,
    )
    from ratchet.config.options import (
        take_config_dir as take_config_dir,
    )
    from ratchet.config.options import (
        written as written,
    )
    from ratchet.config.saved import (
        dump as dump,
    )
    from ratchet.config.saved import (
        dump_plain as dump_plain,
    )
    from ratchet.config.saved import (
        load as load,
    )
    from ratchet.config.saved import (
        search_settings as search_settings,
    )
    from ratchet.config.schema import (
        Accelerator as Accelerator,
    )
    from ratchet.config.schema import (
        Average as Average,
    )
    from ratchet.config.schema import (
        CalibrationConfig as CalibrationConfig,
    )
    from ratchet.config.schema import (
        CalibrationMethod as CalibrationMethod,
    )
    from ratchet.config.schema import (
        Config as Config,
    )
    from ratchet.config.schema import (
        Cost as Cost,
    )
    from ratchet.config.schema import (
        EvaluationConfig as EvaluationConfig,
    )
    from ratchet.config.schema import (
        InvalidSetting as InvalidSetting,
    )
    from ratchet.config.schema import (
        ModelConfig as ModelConfig,
    )
    from ratchet.config.schema import (
        ParameterConfig as ParameterConfig,
    )
    from ratchet.config.schema import (
        Part as Part,
    )
    from ratchet.config.schema import (
        Precision as Precision,
    )
    from ratchet.config.schema import (
        SearchConfig as SearchConfig,
    )
    from ratchet.config.schema import (
        SplitConfig as SplitConfig,
    )
    from ratchet.config.schema import (
        ThresholdConfig as ThresholdConfig,
    )
    from ratchet.config.schema import (
        ThresholdMethod as ThresholdMethod,
    )
    from ratchet.config.schema import (
        TrackerConfig as TrackerConfig,
    )
    from ratchet.config.schema import (
        TrackerKind as TrackerKind,
    )
    from ratchet.config.schema import (
        TrackerMode as TrackerMode,
    )
    from ratchet.config.schema import (
        TrainerConfig as TrainerConfig,
    )

_MODULES = {
    "Accelerator": "ratchet.config.schema",
    "Average": "ratchet.config.schema",
    "BehaviourFloors": "ratchet.config.objective_schema",
    "BudgetConfig": "ratchet.config.objective_schema",
    "COMPOSITION_ERRORS": "ratchet.config.messages",
    "CalibrationConfig": "ratchet.config.schema",
    "CalibrationMethod": "ratchet.config.schema",
    "Config": "ratchet.config.schema",
    "Cost": "ratchet.config.schema",
    "DataConfig": "ratchet.config.data_schema",
    "DateStep": "ratchet.config.data_schema",
    "EvaluationConfig": "ratchet.config.schema",
    "FileConfig": "ratchet.config.data_schema",
    "FilterConfig": "ratchet.config.data_schema",
    "Format": "ratchet.config.data_schema",
    "InvalidSetting": "ratchet.config.schema",
    "LabelKind": "ratchet.config.data_schema",
    "LabelsConfig": "ratchet.config.data_schema",
    "Metric": "ratchet.config.objective_schema",
    "MinimumEvidence": "ratchet.config.objective_schema",
    "ModelConfig": "ratchet.config.schema",
    "Objective": "ratchet.config.objective",
    "ObjectiveConfig": "ratchet.config.objective_schema",
    "Origin": "ratchet.config.messages",
    "ParameterConfig": "ratchet.config.schema",
    "Part": "ratchet.config.schema",
    "Precision": "ratchet.config.schema",
    "SearchConfig": "ratchet.config.schema",
    "Setting": "ratchet.config.options",
    "SliceConfig": "ratchet.config.data_schema",
    "SliceKind": "ratchet.config.data_schema",
    "SplitConfig": "ratchet.config.schema",
    "SplitMethod": "ratchet.config.data_schema",
    "ThresholdConfig": "ratchet.config.schema",
    "ThresholdMethod": "ratchet.config.schema",
    "TrackerConfig": "ratchet.config.schema",
    "TrackerKind": "ratchet.config.schema",
    "TrackerMode": "ratchet.config.schema",
    "TrainerConfig": "ratchet.config.schema",
    "bounded": "ratchet.config.fields",
    "choices_of": "ratchet.config.fields",
    "compose": "ratchet.config.composition",
    "compose_objective": "ratchet.config.objective",
    "config_hash": "ratchet.config.identity",
    "configs_of": "ratchet.config.options",
    "dump": "ratchet.config.saved",
    "dump_plain": "ratchet.config.saved",
    "explain": "ratchet.config.messages",
    "hashed": "ratchet.config.identity",
    "headline": "ratchet.config.options",
    "help_of": "ratchet.config.fields",
    "is_option": "ratchet.config.options",
    "load": "ratchet.config.saved",
    "model_config": "ratchet.config.options",
    "named_objectives": "ratchet.config.objective",
    "parse_options": "ratchet.config.options",
    "plain": "ratchet.config.identity",
    "register": "ratchet.config.composition",
    "search_settings": "ratchet.config.saved",
    "settings_in": "ratchet.config.options",
    "settings_of": "ratchet.config.options",
    "take_config_dir": "ratchet.config.options",
    "to_config": "ratchet.config.composition",
    "unhashed_keys": "ratchet.config.identity",
    "written": "ratchet.config.options",
}  # name -> where it is defined; `ratchet.runs.code` follows names through this table, too


def __getattr__(name: str) -> Any:
    """Import the module of a public name at its first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value
