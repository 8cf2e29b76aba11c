"""Stage `config`: conf/ composed for each model, and fingerprints of the code, so that DVC sees what changed.

A stage of DVC depends on files. Were it conf/ and src/ themselves, a comment would train everything anew; were it a
list of some of their files, a forgotten one would leave stale results. What is written here is what counts.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratchet.config import (
    Config,
    DataConfig,
    compose,
    compose_objective,
    dump,
    dump_plain,
    named_objectives,
    plain,
    register,
)
from ratchet.data.sources import watched_files
from ratchet.errors import UserError
from ratchet.files import write_text
from ratchet.models import all_settings
from ratchet.pipeline.code import fingerprints
from ratchet.pipeline.plan import CODE, CONFIG, OBJECTIVES, PARAMS, READINGS, PipelineConfig

# What each stage runs. Those that print for people depend on the tables too.
_STAGES = {
    "prepare": ["ratchet.pipeline.data_stages"],
    "split": ["ratchet.pipeline.data_stages"],
    "compare": ["ratchet.pipeline.decision_stages", "ratchet.cli.compare_tables"],
    "gate": ["ratchet.pipeline.decision_stages", "ratchet.cli.gate"],
    "report": ["ratchet.pipeline.report_stage"],
}
_NOT_TO_OVERRIDE = {
    *("data", "data.name", "model", "model.name", "name", "seed", "split.seed"),
    *("run_dir", "runs_dir", "resume", "sweep_id"),
}


def freeze(plan: PipelineConfig) -> None:
    """Write build/config and build/code.

    Raises:
        UserError: a model, a data set or an objective that is not there, a wrong key or value, a file of behavioural
            tests that the pipeline does not watch.
    """
    register(all_settings())
    try:
        configs = {model: _composed(plan, model) for model in plan.models}
        objective = compose_objective([f"objective={plan.objective}"])
    except UserError as error:  # what was composed with came from there, and from no command line
        raise UserError(str(error).replace("command line, ", f"{PARAMS}, ", 1)) from error
    first = configs[plan.models[0]]
    for model, config in configs.items():
        _write(CONFIG / "model" / f"{model}.yaml", dump(config))
        modules = ["ratchet.pipeline.train_stage", f"ratchet.models.{config.model.module}"]
        _write(CODE / "model" / f"{model}.json", _json(fingerprints(modules)))
    _write(CONFIG / "data.yaml", dump_plain({"data": plain(first.data), "split": plain(first.split)}))
    _write(CONFIG / "objective.yaml", dump_plain({"name": objective.name, "objective": plain(objective.settings)}))
    for name, settings in named_objectives().items():
        _write(OBJECTIVES / f"{name}.yaml", dump_plain({"name": name, "objective": plain(settings)}))
    for stage, modules in _STAGES.items():
        _write(CODE / f"{stage}.json", _json(fingerprints(modules)))


def _composed(plan: PipelineConfig, model: str) -> Config:
    """The configuration of a model, on files that the pipeline watches."""
    for override in plan.overrides:
        if override.lstrip("+~").partition("=")[0] in _NOT_TO_OVERRIDE:
            raise UserError(f"params.yaml: overrides: {override}: that is the pipeline's to set: leave it out")
    config = compose([f"data={plan.data}", f"model={model}", *plan.overrides])
    if config.data.name != plan.data:
        raise UserError(
            f"conf/data/{plan.data}.yaml: name: {config.data.name} is not the file's name; the pipeline needs it to be"
        )
    config.name = model  # the same name that its directory has
    config.runs_dir = READINGS.as_posix()
    watch(config.data)
    return config


def watch(data: DataConfig) -> None:
    """Point the data set's files to data/<name>/, which is what the stage `prepare` depends on.

    Raises:
        UserError: two of them have the same name, or the behavioural tests stand in another directory.
    """
    for _, file, path in watched_files(data):
        file.path, file.url = path.as_posix(), None  # what is not there is not fetched behind the pipeline's back
    if data.behaviour is not None and data.behaviour.path is not None:
        data.behaviour.url = None
        if Path(data.behaviour.path).parent.as_posix() not in (f"data/{data.name}", "data/behaviour"):
            raise UserError(
                f"conf/data/{data.name}.yaml: behaviour: {data.behaviour.path}: the pipeline watches data/{data.name}/ "
                "and data/behaviour/: put the file there"
            )


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1) + "\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
