"""List the models (`ratchet models`), or the settings of one (`ratchet models NAME`)."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ratchet.cli.help import print_settings
from ratchet.config import (
    configs_of,
    headline,
    model_config,
    parse_options,
    plain,
    register,
    settings_of,
    take_config_dir,
    written,
)
from ratchet.models import all_settings
from ratchet.reporting.terminal import Format, print_json, print_table, print_text


@dataclass
class Options:
    """Options of `models`, in addition to a name and --config-dir."""

    format: Format = Format.table
    """Format of the printed result."""


def run(arguments: list[str]) -> int:
    """Run the verb `models`."""
    rest, config_dir = take_config_dir(arguments)
    names = [argument for argument in rest[:1] if "=" not in argument]
    options = parse_options(Options, rest[len(names) :])
    register(all_settings())
    if names:
        _show(names[0], config_dir, options.format)
    else:
        _list(config_dir, options.format)
    return 0


def _list(config_dir: Path | None, form: Format) -> None:
    paths = configs_of("model", config_dir)
    models = sorted(((model_config(name, config_dir), name) for name in paths), key=lambda model: model[0].complexity)
    rows: list[dict[str, Any]] = [
        {"model": name, "module": config.module, "complexity": config.complexity, "what": headline(paths[name])}
        for config, name in models
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
                "settings": [plain(setting) for setting in settings],
            }
        )
        return
    print_text(f"{name} (module {config.module}, complexity {config.complexity}): {what}", whole=form is Format.md)
    print()
    settings = [replace(setting, key=f"model.{setting.key}") for setting in settings]
    if form is Format.table:
        print_settings(settings)
        return
    rows = [
        {"key": setting.key, "default": written(setting.value), "may be": setting.kind, "what": setting.remark}
        for setting in settings
    ]
    print_table(rows, markdown=True, left=4)
