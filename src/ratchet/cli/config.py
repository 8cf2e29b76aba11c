"""`ratchet config schema`: write the JSON schemas with which editors complete and check conf/ and params.yaml."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ratchet.config import parse_options
from ratchet.config.fields import located
from ratchet.config.json_schema import DIRECTORY, write_schemas
from ratchet.errors import UserError, did_you_mean
from ratchet.models import all_settings
from ratchet.pipeline.plan import PipelineConfig
from ratchet.project import current_project
from ratchet.reporting.terminal import Format, print_json, print_table, print_text


@dataclass
class SchemaOptions:
    """Options of `config schema`."""

    out: str | None = located(None)
    """Directory to write to; null is conf/.schema of the project."""
    format: Format = Format.table
    """Format of the printed result."""


ACTIONS = {"schema": SchemaOptions}


def run(arguments: list[str]) -> int:
    """Run the verb `config`."""
    if not arguments:
        raise UserError("config: which action? `ratchet config schema`")
    action, *rest = arguments
    if action not in ACTIONS:
        raise UserError(f"config {action}: {did_you_mean(action, ACTIONS)}")
    _write(rest)
    return 0


def _write(arguments: Sequence[str]) -> None:
    options = parse_options(SchemaOptions, arguments)
    settings = all_settings()
    paths = write_schemas(_find_directory(options.out), settings, PipelineConfig)
    rows = [{"schema": current_project().show(path), "describes": _read_title(path)} for path in paths]
    left_out = {name: str(error) for name, error in settings.items() if isinstance(error, UserError)}
    if options.format is Format.json:
        print_json({"schemas": rows, "left_out": left_out})
        return
    print_table(rows, markdown=options.format is Format.md, left=2, whole=["schema"])
    for name, error in left_out.items():
        print_text(f"model {name} has no schema: {error}", whole=options.format is Format.md)


def _find_directory(out: str | None) -> Path:
    if out is not None:
        return Path(out)
    conf = current_project().conf
    if not conf.is_dir():
        raise UserError(
            f"{conf}: no such directory: `ratchet init` creates a project; out=DIR writes the schemas elsewhere"
        )
    return conf / DIRECTORY


def _read_title(path: Path) -> str:
    return str(json.loads(path.read_text(encoding="utf-8"))["title"])
