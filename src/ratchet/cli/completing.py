"""What may stand where on the command line of `ratchet`: found in the verbs and their options, never listed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from ratchet.cli.main import VERBS, actions_of
from ratchet.cli.selecting import SelectingOptions
from ratchet.config import CONF, Config, choices_of, configs_of
from ratchet.models import all_settings

SHELLS = ("bash", "zsh", "fish")
_OVERRIDES = ("train", "evaluate", "data describe", "data fetch")  # what takes overrides of the configuration


@dataclass
class Place:
    """What may follow `ratchet VERB` or `ratchet VERB ACTION`: words, and keys with their values (none: any text)."""

    words: list[str] = field(default_factory=list)
    keys: dict[str, list[str]] = field(default_factory=dict)
    takes_run: bool = False


def places() -> dict[str, Place]:
    """Every place by the words that lead to it: "" before a verb, then `runs`, `runs show`, and so on."""
    found = {"": Place([*VERBS, "help"])}
    further = {"train": ["-m"], "gate": ["--check"], "models": configs_of("model"), "completion": SHELLS}
    for verb, said in VERBS.items():
        actions = actions_of(verb)
        named = [action for action in actions if action]
        alone = _place(verb, actions.get(""))
        alone.words += [*named, *further.get(verb, [])]
        if not named:
            alone.takes_run = bool(re.search(r"\bRUN\b", said))
            alone.keys |= {key: alone.keys.get(key, []) for key in re.findall(r"(\w+)=", said)}
        found[verb] = alone
        for action in named:
            place = found[f"{verb} {action}"] = _place(f"{verb} {action}", actions[action])
            place.takes_run = f"{action} RUN" in said
    return found


def _place(words: str, options: type | None) -> Place:
    keys = {each.name: choices_of(each.type) for each in fields(options)} if options else {}
    if options is not None and issubclass(options, SelectingOptions):
        keys["objective"] = []
    if words in _OVERRIDES:
        keys |= dict(_keys_of(Config)) if words == "train" else {}
        keys |= {path.name: [] for path in CONF.iterdir() if path.is_dir() and path.name != "objective"}
    return Place(["--help", *["--config-dir"] * (words in _OVERRIDES)], keys)


def _keys_of(schema: type, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """The keys of a configuration with dots between its nodes; those of `model` are the settings of all models."""
    for each in fields(schema):
        key = f"{prefix}{each.name}"
        if key == "model":
            for settings in all_settings().values():
                yield from _keys_of(settings, "model.")
        elif is_dataclass(each.type):
            yield from _keys_of(_class(each.type), f"{key}.")
        elif key != "sweep_id":  # a grid's own
            yield key, choices_of(each.type)


def _class(kind: Any) -> type:
    assert isinstance(kind, type)
    return kind
