"""`ratchet models` lists the models that there are, `ratchet models NAME` what can be set of one."""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ratchet.config import (
    configs_of,
    headline,
    model_config,
    parse_options,
    plain,
    register,
    settings_of,
    take_config_dir,
)
from ratchet.models import all_settings
from ratchet.reporting.terminal import Format, print_json, print_table, print_text


@dataclass
class Options:
    """Arguments of `models` besides a name and --config-dir."""

    format: Format = Format.table
    """How the result is printed."""


def run(arguments: list[str]) -> int:
    """The verb `models`."""
    rest, config_dir = take_config_dir(arguments)
    names = [each for each in rest[:1] if "=" not in each]
    options = parse_options(Options, rest[len(names) :])
    register(all_settings())
    if names:
        _show(names[0], config_dir, options.format)
    else:
        _list(config_dir, options.format)
    return 0


def _list(config_dir: Path | None, form: Format) -> None:
    paths = configs_of("model", config_dir)
    found = sorted(((model_config(name, config_dir), name) for name in paths), key=lambda each: each[0].complexity)
    rows: list[dict[str, Any]] = [
        {"model": name, "module": config.module, "complexity": config.complexity, "what": headline(paths[name])}
        for config, name in found
    ]
    if form is Format.json:
        print_json(rows)
    else:
        shown = [{key: str(value) for key, value in row.items()} for row in rows]
        print_table(shown, markdown=form is Format.md, left=4)


def _show(name: str, config_dir: Path | None, form: Format) -> None:
    config, settings = model_config(name, config_dir), settings_of(name, config_dir)
    what = headline(configs_of("model", config_dir)[name])
    if form is Format.json:
        print_json(
            {
                "model": name,
                "module": config.module,
                "complexity": config.complexity,
                "what": what,
                "settings": [plain(each) for each in settings],
            }
        )
        return
    print_text(f"{name} (module {config.module}, complexity {config.complexity}): {what}", whole=form is Format.md)
    print()
    rows = [
        {"key": f"model.{each.key}", "default": _written(each.value), "may be": each.kind, "what": each.remark}
        for each in settings
    ]
    print_table(rows, markdown=form is Format.md, left=4, whole=("key",))


def _written(value: Any) -> str:
    """As one would write it on a command line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return value.name
    return "null" if value is None else str(value)
