"""Suggest the key that a user meant by one that does not exist: its nearest name, or where another node has it."""

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, get_args

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
    wanted = key.rpartition(".")[2]
    usual = _NAMES_ELSEWHERE.get(wanted, wanted)
    if usual in names:
        return did_you_mean(usual, names)
    if not get_close_matches(wanted, names, n=1, cutoff=0.6):
        elsewhere = [other for other in _find_keys(usual) if other != key]
        if elsewhere:
            return f"did you mean {' or '.join(repr(other) for other in elsewhere)}?"
    return did_you_mean(wanted, names)


def _find_keys(name: str) -> list[str]:
    """Return the complete keys of a run that end in `name`, also if only another model has it."""
    keys = [key for key in _list_keys(Config) if key.rpartition(".")[2] == name]
    store = ConfigStore.instance()
    schemas: list[Any] = [OmegaConf.get_type(store.load(f"model/{entry}").node) for entry in store.list("model")]
    having = any(field.name == name for schema in schemas for field in fields(schema))
    if having and f"model.{name}" not in keys:
        keys.append(f"model.{name}")
    return keys


def _list_keys(schema: Any, prefix: str = "") -> Iterator[str]:
    for declared in fields(schema):
        kinds = [kind for kind in (declared.type, *get_args(declared.type)) if is_dataclass(kind)]
        yield f"{prefix}{declared.name}"
        if "dict" not in str(declared.type):  # the names in a mapping are free
            for kind in kinds:
                yield from _list_keys(kind, f"{prefix}{declared.name}.")
