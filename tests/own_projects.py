"""Write small projects with models of their own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from hydra.core.config_store import ConfigStore

from ratchet.config.messages import UNUSABLE_MODELS
from ratchet.project import MARKER

SETTINGS = """
from dataclasses import dataclass

from ratchet.config import ModelConfig


@dataclass
class Settings(ModelConfig):
    shift: float = 0.0
"""
CONSTANT = f"""
from typing import Self

import numpy as np
{SETTINGS}

class Tagger:
    deterministic = True
    num_parameters = 0
    size_bytes = 4

    def __init__(self, settings: Settings) -> None:
        self._shift = settings.shift
        self._rates = np.zeros(0, dtype=np.float32)

    def fit(self, train, val, context) -> None:
        self._rates = np.clip(train.targets.mean(axis=0) + self._shift, 0, 1).astype(np.float32)

    def predict_proba(self, texts):
        return np.tile(self._rates, (len(texts), 1))

    def save(self, directory) -> None:
        np.save(directory / "rates.npy", self._rates)

    @classmethod
    def load(cls, directory) -> Self:
        tagger = cls(Settings(name="constant", complexity=0))
        tagger._rates = np.load(directory / "rates.npy")
        return tagger
"""  # a model that scores each text with the frequencies of the labels


def model_yaml(name: str, module: str | None = None) -> str:
    """Return the configuration of a model: its module has the same name unless `module` is given."""
    module = module or name
    return f"# The model {name}.\ndefaults: ['base_{module}', _self_]\nname: {name}\nmodule: {module}\ncomplexity: 0\n"


def write_project(root: Path, files: Mapping[str, str] | None = None, models: Mapping[str, str] | None = None) -> Path:
    """Write a project with these files, and with the module and the configuration of each of `models`; return it."""
    modules = {f"models/{name}.py": text for name, text in (models or {}).items()}
    configs = {f"conf/model/{name}.yaml": model_yaml(name) for name in models or {}}
    for name, text in {MARKER: "schema: 1\nratchet: 0.1.0\n", **modules, **configs, **(files or {})}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


@contextmanager
def keep_registered() -> Iterator[None]:
    """Register the models from before the block with Hydra again at its end."""
    repository = ConfigStore.instance().repo
    models, unusable = repository["model"], dict(UNUSABLE_MODELS)
    try:
        yield
    finally:
        repository["model"] = models
        UNUSABLE_MODELS.clear()
        UNUSABLE_MODELS.update(unusable)
