"""Suggest the key that a user meant by one that does not exist: its nearest name, or where another node has it."""

from collections.abc import Iterable, Iterator
from dataclasses import Field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from ratchet.config.schema import Config
from ratchet.errors import did_you_mean

_NAMES_ELSEWHERE = {
    "lr": "learning_rate", "epochs": "max_epochs", "num_epochs": "max_epochs", "bs": "batch_size",
    "train_batch_size": "batch_size", "gradient_clip_val": "gradient_clip", "output_dir": "runs_dir",
    "random_state": "seed", "logger": "tracker", "dataset": "data",
}  # fmt: skip


def suggest_key(key: str, valid: Iterable[str]) -> str:
    """Return the end of a message about an unknown key: the key to set instead, or all names that are valid there.

    `key` is the complete key, such as `trainer.max_epochs`, and `valid` are the names in its node.
    """
    names = sorted(valid)
    node, _, wanted = key.rpartition(".")
    usual = _NAMES_ELSEWHERE.get(wanted, wanted)
    if usual in names:
        return did_you_mean(usual, names)
    if not get_close_matches(wanted, names, n=1, cutoff=0.6):
        models = _list_models_with(usual)
        if node == "model" and models:
            return f"only {', '.join(models)} have {usual!r} (model=NAME); {did_you_mean(wanted, names)}"
        elsewhere = [repr(other) for other in _list_keys(Config) if other.rpartition(".")[2] == usual]
        if models:
            elsewhere.append(f"'model.{usual}' (of {', '.join(models)})")
        if elsewhere:
            return f"did you mean {' or '.join(elsewhere)}?"
    return did_you_mean(wanted, names)


def _list_models_with(name: str) -> list[str]:
    """Return the models that have a setting of this name, unless all have it."""
    store = ConfigStore.instance()
    schemas: dict[str, Any] = {
        entry.removeprefix("base_").removesuffix(".yaml"): OmegaConf.get_type(store.load(f"model/{entry}").node)
        for entry in store.list("model")
    }
    having = [model for model, schema in schemas.items() if name in {field.name for field in fields(schema)}]
    return having if len(having) < len(schemas) else []


def find_field(key: str, schema: Any = Config) -> Field[Any] | None:
    """Return the declaration of a complete key, such as `data.filter.where`; None if the schema has none."""
    name, _, rest = key.partition(".")
    declared = next((field for field in fields(schema) if field.name == name), None)
    if not rest or declared is None:
        return declared
    kinds = [kind for kind in (declared.type, *get_args(declared.type)) if is_dataclass(kind)]
    return find_field(rest, kinds[0]) if kinds and not is_mapping(declared) else None


def is_mapping(declared: Field[Any]) -> bool:
    """Return whether a field holds entries with names of the user's choice, such as the slices of a data set."""
    return any(get_origin(kind) is dict for kind in (declared.type, *get_args(declared.type)))


def _list_keys(schema: Any, prefix: str = "") -> Iterator[str]:
    for declared in fields(schema):
        kinds = [kind for kind in (declared.type, *get_args(declared.type)) if is_dataclass(kind)]
        yield f"{prefix}{declared.name}"
        if not is_mapping(declared):
            for kind in kinds:
                yield from _list_keys(kind, f"{prefix}{declared.name}.")
