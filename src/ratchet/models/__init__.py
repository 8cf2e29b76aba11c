"""The models: one light module each, discovered, never listed. A project adds its own in its `models/` directory.

`models/<name>.py` defines `Settings` (a `ModelConfig`) and `Tagger`. A module `<name>_network.py` is the heavy half of
a neural model and is imported inside the light half's `fit` and `load`; `base` and names with a leading underscore
are not models. So a new model is a config, a module and, if neural, a network module. A model of the project replaces
one of the package that has the same name.
"""

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from ratchet.config import Config, ModelConfig, require_packages
from ratchet.errors import UserError, did_you_mean
from ratchet.project import current_project
from ratchet.taggers import Tagger


def packaged_modules() -> list[str]:
    """Return the names of the model modules of the package, sorted."""
    return sorted(module.name for module in iter_modules(__path__) if _is_model(module.name))


def own_modules() -> dict[str, Path]:
    """Return the files of the project's own model modules by name, sorted. Nothing is imported.

    Without `ratchet.yaml`, a directory `models` may belong to another program: it is not used.
    """
    if not current_project().is_marked:
        return {}
    return {path.stem: path for path in sorted(current_project().models.glob("*.py")) if _is_model(path.stem)}


def _is_model(name: str) -> bool:
    return name != "base" and not name.startswith("_") and not name.endswith("_network")


def model_modules() -> list[str]:
    """Return the names of the model modules of the package and of the project, sorted."""
    return sorted({*packaged_modules(), *own_modules()})


def settings_class(module: str) -> type[ModelConfig]:
    """Return the settings dataclass of a model module.

    Raises:
        UserError: a module of the project cannot be imported, or has no settings; names its file and line.
    """
    settings: type[ModelConfig] = _read_attribute(module, "Settings")
    return settings


def tagger_class(module: str) -> type[Tagger]:
    """Return the tagger class of a model module; `Tagger(settings)` is not fitted yet.

    Raises:
        UserError: a module of the project cannot be imported, or has no tagger; names its file and line.
    """
    tagger: type[Tagger] = _read_attribute(module, "Tagger")
    return tagger


def all_settings() -> dict[str, type[ModelConfig] | UserError]:
    """Return the settings dataclass of every model by module; Hydra needs them before it composes.

    For a module of the project that cannot be used, return the error, so that other models keep working.
    """
    settings: dict[str, type[ModelConfig] | UserError] = {}
    for name in model_modules():
        try:
            settings[name] = settings_class(name)
            tagger_class(name)
        except UserError as error:
            settings[name] = error
    return settings


def check_ready(config: Config, *, runs_here: bool = True) -> None:
    """Check that the packages, the devices and the files that a run needs are here, before anything is trained.

    With `runs_here` false, another machine trains: its devices are not checked.

    Raises:
        UserError: one is missing; names the setting and what to do.
    """
    require_packages(config)
    if runs_here and config.model.trains_in_epochs:
        from ratchet.neural.devices import check_devices  # here: a project without networks does not need it

        check_devices(config.trainer)
    config.model.input_files()


def _read_attribute(module: str, name: str) -> Any:
    imported = _import_model(module)
    if not hasattr(imported, name):
        raise UserError(f"models/{module}.py: has no class {name!r}: a model defines `Settings` and `Tagger`")
    value = getattr(imported, name)
    if name == "Settings" and not _is_settings(value):
        raise UserError(
            f"models/{module}.py: Settings must be a dataclass that derives from ratchet.config.ModelConfig"
        )
    return value


def _is_settings(value: Any) -> bool:
    """Return whether it is a dataclass of settings; without the decorator, a derived class would hide its new keys."""
    return isinstance(value, type) and issubclass(value, ModelConfig) and "__dataclass_params__" in vars(value)


def _import_model(module: str) -> ModuleType:
    if module not in own_modules():
        if module not in packaged_modules():  # a record may name any module
            raise UserError(f"{module!r} is no model; {did_you_mean(module, model_modules())}")
        return import_module(f"{__name__}.{module}")

    from ratchet.project_modules import import_project_module  # here: it installs a finder for a project's modules

    return import_project_module(current_project().root, "models", module)
