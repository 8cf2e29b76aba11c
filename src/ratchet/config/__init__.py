"""Compose, check and describe configurations: dataclass schemas outside, plain values inside.

The only package that knows OmegaConf. All others get plain dataclasses. The names below are looked up at first use:
importing a schema loads neither Hydra nor OmegaConf.
"""

# ruff: noqa: I001 (one import statement a module: the rule would split them)

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratchet.config.composition import (
        compose as compose,
        compose_jobs as compose_jobs,
        register as register,
        to_config as to_config,
    )
    from ratchet.config.data_schema import (
        DataConfig as DataConfig,
        DateStep as DateStep,
        Duplicates as Duplicates,
        FileConfig as FileConfig,
        FilterConfig as FilterConfig,
        Format as Format,
        LabelKind as LabelKind,
        LabelsConfig as LabelsConfig,
        Leaks as Leaks,
        RecordsConfig as RecordsConfig,
        RecordsLayout as RecordsLayout,
        SliceConfig as SliceConfig,
        SliceKind as SliceKind,
        SplitMethod as SplitMethod,
    )
    from ratchet.config.fields import (
        Setting as Setting,
        bounded as bounded,
        choices_of as choices_of,
        help_of as help_of,
        located as located,
        settings_in as settings_in,
        written as written,
    )
    from ratchet.config.identity import (
        config_hash as config_hash,
        hash_inputs as hash_inputs,
        hashed as hashed,
        plain as plain,
        unhashed_keys as unhashed_keys,
    )
    from ratchet.config.messages import (
        COMPOSITION_ERRORS as COMPOSITION_ERRORS,
        Origin as Origin,
        explain as explain,
    )
    from ratchet.config.objective import (
        Objective as Objective,
        compose_objective as compose_objective,
        named_objectives as named_objectives,
    )
    from ratchet.config.objective_schema import (
        BehaviourFloors as BehaviourFloors,
        BudgetConfig as BudgetConfig,
        Metric as Metric,
        MinimumEvidence as MinimumEvidence,
        ObjectiveConfig as ObjectiveConfig,
    )
    from ratchet.config.options import (
        configs_of as configs_of,
        headline as headline,
        is_option as is_option,
        model_config as model_config,
        parse_options as parse_options,
        settings_of as settings_of,
        take_config_dir as take_config_dir,
    )
    from ratchet.config.saved import (
        dump as dump,
        dump_plain as dump_plain,
        load as load,
        search_settings as search_settings,
    )
    from ratchet.config.schema import (
        Accelerator as Accelerator,
        Average as Average,
        CalibrationConfig as CalibrationConfig,
        CalibrationMethod as CalibrationMethod,
        Config as Config,
        Cost as Cost,
        EvaluationConfig as EvaluationConfig,
        InvalidSetting as InvalidSetting,
        ModelConfig as ModelConfig,
        ParameterConfig as ParameterConfig,
        Part as Part,
        Precision as Precision,
        SearchConfig as SearchConfig,
        SplitConfig as SplitConfig,
        ThresholdConfig as ThresholdConfig,
        ThresholdMethod as ThresholdMethod,
        TrackerConfig as TrackerConfig,
        TrackerKind as TrackerKind,
        TrackerMode as TrackerMode,
        TrainerConfig as TrainerConfig,
        require_model_packages as require_model_packages,
        require_packages as require_packages,
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
    "Duplicates": "ratchet.config.data_schema",
    "EvaluationConfig": "ratchet.config.schema",
    "FileConfig": "ratchet.config.data_schema",
    "FilterConfig": "ratchet.config.data_schema",
    "Format": "ratchet.config.data_schema",
    "InvalidSetting": "ratchet.config.schema",
    "LabelKind": "ratchet.config.data_schema",
    "LabelsConfig": "ratchet.config.data_schema",
    "Leaks": "ratchet.config.data_schema",
    "Metric": "ratchet.config.objective_schema",
    "MinimumEvidence": "ratchet.config.objective_schema",
    "ModelConfig": "ratchet.config.schema",
    "Objective": "ratchet.config.objective",
    "ObjectiveConfig": "ratchet.config.objective_schema",
    "Origin": "ratchet.config.messages",
    "ParameterConfig": "ratchet.config.schema",
    "Part": "ratchet.config.schema",
    "Precision": "ratchet.config.schema",
    "RecordsConfig": "ratchet.config.data_schema",
    "RecordsLayout": "ratchet.config.data_schema",
    "SearchConfig": "ratchet.config.schema",
    "Setting": "ratchet.config.fields",
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
    "compose_jobs": "ratchet.config.composition",
    "compose_objective": "ratchet.config.objective",
    "config_hash": "ratchet.config.identity",
    "configs_of": "ratchet.config.options",
    "dump": "ratchet.config.saved",
    "dump_plain": "ratchet.config.saved",
    "explain": "ratchet.config.messages",
    "hash_inputs": "ratchet.config.identity",
    "hashed": "ratchet.config.identity",
    "headline": "ratchet.config.options",
    "help_of": "ratchet.config.fields",
    "is_option": "ratchet.config.options",
    "load": "ratchet.config.saved",
    "located": "ratchet.config.fields",
    "model_config": "ratchet.config.options",
    "named_objectives": "ratchet.config.objective",
    "parse_options": "ratchet.config.options",
    "plain": "ratchet.config.identity",
    "register": "ratchet.config.composition",
    "require_model_packages": "ratchet.config.schema",
    "require_packages": "ratchet.config.schema",
    "search_settings": "ratchet.config.saved",
    "settings_in": "ratchet.config.fields",
    "settings_of": "ratchet.config.options",
    "take_config_dir": "ratchet.config.options",
    "to_config": "ratchet.config.composition",
    "unhashed_keys": "ratchet.config.identity",
    "written": "ratchet.config.fields",
}  # name -> where it is defined; `ratchet.runs.code` follows names through this table, too


def __getattr__(name: str) -> Any:
    """Import the module of a public name at its first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value
