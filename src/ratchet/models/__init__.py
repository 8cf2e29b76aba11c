"""The models: one light module each, discovered, never listed.

`models/<name>.py` defines `Settings` (a `ModelConfig`) and `Tagger`. A module `<name>_network.py` is the heavy half of
a neural model and is imported inside the light half's `fit` and `load`; `base` and names with a leading underscore
are not models. So a new model is a config, a module and, if neural, a network module.
"""

from importlib import import_module
from pkgutil import iter_modules

from ratchet.config import ModelConfig
from ratchet.taggers import Tagger


def model_modules() -> list[str]:
    """Return the names of the model modules, sorted."""
    names = (module.name for module in iter_modules(__path__))
    return sorted(
        name for name in names if name != "base" and not name.startswith("_") and not name.endswith("_network")
    )


def settings_class(module: str) -> type[ModelConfig]:
    """Return the settings dataclass of a model module."""
    settings: type[ModelConfig] = import_module(f"{__name__}.{module}").Settings
    return settings


def tagger_class(module: str) -> type[Tagger]:
    """Return the tagger class of a model module; `Tagger(settings)` is not fitted yet."""
    tagger: type[Tagger] = import_module(f"{__name__}.{module}").Tagger
    return tagger


def all_settings() -> dict[str, type[ModelConfig]]:
    """Return the settings dataclass of every model by module; Hydra needs them before it composes."""
    return {name: settings_class(name) for name in model_modules()}
