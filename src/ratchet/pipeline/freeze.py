"""Run the stage `config`: write down what the other stages depend on, so that DVC sees what changed.

A stage of DVC depends on files. If those were conf/ and src/ themselves, a comment would train everything again; if
they were a list of some of their files, a forgotten one would leave stale results. This stage always runs, and rewrites
a file only if its content changed:

- build/config: the composed configuration of each model, of the data set and of the objectives.
- build/code: the definitions that `prepare`, `split` and each model use, with their hashes (`ratchet.runs.code`), and
  the hashes of the files that a model's settings name, such as an encoder.
- build/packages.json: the versions of the installed libraries that results depend on.
- build/frozen: never changes; it only makes the other stages wait for this one.

The code and objectives of the stages that only read runs are not dependencies: otherwise every commit that changes a
table would change dvc.lock. If they changed since the outputs were written, this stage deletes the outputs, and DVC
writes them again.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ratchet.comparison.lineage import flatten, list_differences
from ratchet.config import (
    Config,
    DataConfig,
    compose,
    compose_objective,
    dump,
    dump_plain,
    hash_inputs,
    named_objectives,
    plain,
    register,
)
from ratchet.data.watched import list_watched_files
from ratchet.errors import UserError
from ratchet.files import write_text
from ratchet.models import all_settings
from ratchet.pipeline.plan import (
    CODE,
    COMPARISON,
    CONFIG,
    FROZEN,
    LEADERBOARD,
    METRICS,
    OBJECTIVES,
    PACKAGES,
    PAGE,
    PARAMS,
    PICTURES,
    PLOTS,
    READERS,
    READINGS,
    REPORT,
    REVIEW,
    VERDICT,
    VERDICT_TEXT,
    PipelineConfig,
)
from ratchet.project import current_project
from ratchet.runs.code import code_sources, definitions_of, hash_definitions, model_roots
from ratchet.runs.provenance import read_library_versions

LOCK = Path("dvc.lock")
_MOST_CHANGES = 5  # settings that a line names
_log = logging.getLogger(__name__)

_TRAIN = "ratchet.pipeline.train_stage"
_PREPARING = {
    "prepare": "ratchet.pipeline.data_stages:prepare_data",
    "split": "ratchet.pipeline.data_stages:split_data",
}
# The stages that only read runs: the code and the outputs of each.
_READING = {
    "compare": (["ratchet.pipeline.decision_stages:compare_runs"], [COMPARISON, LEADERBOARD, METRICS, PLOTS]),
    "gate": (["ratchet.pipeline.decision_stages:judge_runs"], [VERDICT, VERDICT_TEXT, REVIEW]),
    "report": (["ratchet.pipeline.report_stage"], [PAGE, REPORT, PICTURES]),
}
_OF_THE_PAGE = Path(__file__).parents[1] / "reporting" / "page"  # files that no import names: style, scripts, template
_NOT_TO_OVERRIDE = {
    *("data", "data.name", "model", "model.name", "name", "seed", "split.seed"),
    *("run_dir", "runs_dir", "resume", "sweep_id"),
}


def freeze(plan: PipelineConfig) -> None:
    """Write build/config and build/code; delete outputs of `compare`, `gate` and `report` that are out of date.

    Raises:
        UserError: a model, a data set or an objective that does not exist, a wrong key or value, a file of behavioural
            tests that the pipeline does not watch.
    """
    register(all_settings())
    try:
        configs = {model: _compose_model(plan, model) for model in plan.models}
        objective = compose_objective([f"objective={plan.objective}"])
    except UserError as error:  # the overrides came from params.yaml, not from a command line
        raise UserError(str(error).replace("command line, ", f"{PARAMS}, ", 1)) from error
    first = configs[plan.models[0]]
    for model, config in configs.items():
        _write(CONFIG / "model" / f"{model}.yaml", dump(config))
        roots = (_TRAIN, *model_roots(config.model.module))
        _write(CODE / "model" / f"{model}.json", _list_definitions(*roots, inputs=hash_inputs(config)))
    _write(CONFIG / "data.yaml", dump_plain({"data": plain(first.data), "split": plain(first.split)}))
    _write(CONFIG / "objective.yaml", dump_plain({"name": objective.name, "objective": plain(objective.settings)}))
    for name, settings in named_objectives().items():
        _write(OBJECTIVES / f"{name}.yaml", dump_plain({"name": name, "objective": plain(settings)}))
    for stage, root in _PREPARING.items():
        _write(CODE / f"{stage}.json", _list_definitions(root))
    _write(PACKAGES, json.dumps(read_library_versions(), indent=1) + "\n")
    _delete_stale_outputs(plan, objective.settings.metric.name)
    _write(FROZEN, "See build/config and build/code.\n")


def explain_stale_models(plan: PipelineConfig) -> list[str]:
    """Return which models are out of date, and what changed since dvc.lock was written; one line per change.

    A change that the user meant for one model may affect all. Models that dvc.lock does not have were never trained.
    """
    stages = _read_locked_stages()
    stale: dict[str, list[str]] = {}
    for model in plan.models:
        stage = stages.get(f"train@{model}-{plan.repeats[0]}")
        changes = _list_changes(model, stage) if stage else []
        if changes:
            stale.setdefault("; ".join(changes), []).append(model)
    lines = []
    for words, models in stale.items():
        count = len(models) * len(plan.repeats)
        lines.append(f"out of date: {', '.join(models)} ({count} run{'s' if count > 1 else ''}): {words}")
    if plan.overrides and len([model for models in stale.values() for model in models]) > 1:
        lines.append(f"(overrides in {PARAMS} apply to every model; conf/model/<model>.yaml changes one)")
    return lines


def _read_locked_stages() -> dict[str, Any]:
    """Return the stages of dvc.lock; none if it cannot be read, which DVC reports."""
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return dict(yaml.load(LOCK.read_text(encoding="utf-8"), Loader=loader)["stages"])
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError):
        return {}


def _list_changes(model: str, stage: dict[str, Any]) -> list[str]:
    """Return what a model depends on that is not as in its stage of dvc.lock: settings, code, packages."""
    path = CONFIG / "model" / f"{model}.yaml"
    before = stage.get("params", {}).get(path.as_posix(), {})
    after = yaml.safe_load(path.read_text(encoding="utf-8"))
    changes = [
        f"{key}: {old} -> {new}"
        for key, old, new in list_differences(dict(flatten(before, "")), dict(flatten(after, "")))
        if not _is_same_number(old, new)
    ]
    if len(changes) > _MOST_CHANGES:
        changes[_MOST_CHANGES:] = [f"{len(changes) - _MOST_CHANGES} more settings"]
    hashes = {dependency["path"]: dependency.get("md5") for dependency in stage.get("deps", [])}
    for file, what in ((CODE / "model" / f"{model}.json", "its code"), (PACKAGES, "versions of packages")):
        if hashes.get(file.as_posix()) != hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest():
            changes.append(what)
    return changes


def _is_same_number(one: object, other: object) -> bool:
    """Return whether two values are one number: DVC writes `1e-05`, which YAML 1.1 reads as text."""
    try:
        return float(str(one)) == float(str(other))
    except ValueError:
        return False


def _list_definitions(*roots: str, inputs: Mapping[str, str] | None = None) -> str:
    """Return the definitions as JSON, by name and without their modules: a definition that moves changes nothing.

    `inputs` are the hashes of files that settings of a model name, which DVC sees when they are replaced in place.
    """
    definitions = definitions_of(roots, code_sources(current_project().root))
    hashes = {f"{key.partition(':')[2]} {value}" for key, value in definitions.items()}
    hashes |= {f"{setting} {value}" for setting, value in (inputs or {}).items()}
    return json.dumps(sorted(hashes), indent=1) + "\n"


def _delete_stale_outputs(plan: PipelineConfig, metric: str) -> None:
    now = {stage: _hash_reading_stage(stage, plan, metric) for stage in _READING}
    try:
        before = json.loads(READERS.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {}
    for stage, (_, outputs) in _READING.items():
        if before.get(stage) != now[stage]:
            for path in outputs:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    _write(READERS, json.dumps(now, indent=1) + "\n")


def _hash_reading_stage(stage: str, plan: PipelineConfig, metric: str) -> str:
    """Hash everything except the runs that determines the outputs of a stage."""
    roots, _ = _READING[stage]
    facts: list[object] = [hash_definitions(definitions_of(roots)), plan.data, plan.models, plan.repeats]
    files: list[Path] = []
    if stage == "compare":
        facts += [plan.baseline, metric]
    else:
        files += [CONFIG / "objective.yaml", *sorted(OBJECTIVES.glob("*.yaml"))]
    if stage == "report":
        files += sorted(path for path in _OF_THE_PAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    facts += [[path.name, hashlib.sha256(path.read_bytes()).hexdigest()] for path in files]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _compose_model(plan: PipelineConfig, model: str) -> Config:
    """Compose the configuration of a model; its data files are those that the pipeline watches."""
    for override in plan.overrides:
        if override.lstrip("+~").partition("=")[0] in _NOT_TO_OVERRIDE:
            raise UserError(f"params.yaml: overrides: {override}: the pipeline sets this key: remove the override")
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
        UserError: two of them have the same name, or the behavioural tests are in another directory.
    """
    for file in list_watched_files(data):
        file.point_to_target()  # a missing file is an error, not a download that DVC does not see
    if data.text_files:
        _log.warning(
            "data.text_files: the pipeline watches data/%s/, not the files that %s names elsewhere: put them there, or "
            "run the stage prepare again when one changes (`dvc repro -f prepare`)",
            data.name,
            ", ".join(data.text_files),
        )
    if data.behaviour is not None and data.behaviour.path is not None:
        data.behaviour.url = None
        if Path(data.behaviour.path).parent.as_posix() not in (f"data/{data.name}", "data/behaviour"):
            raise UserError(
                f"conf/data/{data.name}.yaml: behaviour: {data.behaviour.path}: the pipeline watches data/{data.name}/ "
                "and data/behaviour/: put the file there"
            )


def _write(path: Path, text: str) -> None:
    """Write `path` unless it has this content already, so that its modification time stays the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(path, text)
