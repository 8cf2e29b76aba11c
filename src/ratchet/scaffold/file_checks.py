"""Check the files of a project: conf/, models/, params.yaml, and what `ratchet init` would write differently today."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from ratchet.config import Config, DataConfig, compose, compose_objective
from ratchet.config.directories import list_configs, list_replaced
from ratchet.config.json_schema import DIRECTORY
from ratchet.config.options import summarise_models
from ratchet.data.sources import PARTS, locate
from ratchet.errors import UserError, did_you_mean
from ratchet.models import own_modules, settings_class, tagger_class
from ratchet.pipeline.plan import PARAMS, PipelineConfig
from ratchet.project import CHECKOUT, MARKER, PACKAGED, Project
from ratchet.scaffold.inspecting import Inspection, list_locations
from ratchet.scaffold.machine_checks import Check, Status
from ratchet.scaffold.planning import (
    GITIGNORE,
    PIPELINE_FILE,
    REQUIREMENTS,
    SAMPLE,
    SHIM,
    ModelSettings,
    encode_text,
    plan_project,
)

Value = TypeVar("Value")

_WORKFLOWS = Path(".github", "workflows")
_OWNED = (SHIM, PIPELINE_FILE, Path(MARKER), GITIGNORE, REQUIREMENTS)  # what init writes and users rarely change
_SCHEMAS = Path("conf", DIRECTORY)


@dataclass(frozen=True)
class Survey:
    """The input of several checks: the configuration, params.yaml (None without one), the settings of the models."""

    project: Project
    settings: ModelSettings
    config: Config | UserError
    params: PipelineConfig | UserError | None

    @property
    def uses_pipeline(self) -> bool:
        """Return whether dvc.yaml has stages of Ratchet."""
        return "ratchet pipeline" in self.stages

    @property
    def stages(self) -> str:
        """Return the text of dvc.yaml."""
        path = self.project.root / PIPELINE_FILE
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() and os.access(path, os.R_OK) else ""


def attempt(action: Callable[[], Value]) -> Value | UserError:
    """Return the value of an action, or the error about a user's mistake that it raises."""
    try:
        return action()
    except UserError as error:
        return error


# --- conf/ ------------------------------------------------------------------------------------------------------------


def check_conf(project: Project) -> Iterator[Check]:
    """Report the directories of configurations in their order, and files there that are never read."""
    directories = [project.show(directory) for directory in project.conf_directories()]
    replaced = list_replaced()
    seen = ", then ".join(directories)
    if replaced:
        seen += f"; replaces {', '.join(replaced)} of the last"
    yield Check("conf", Status.ok, seen)
    if not project.conf.is_dir():
        return
    groups = _list_packaged_groups()
    for directory in sorted(path for path in project.conf.iterdir() if path.is_dir() and path.name[0] not in "._"):
        if directory.name not in groups:
            seen = f"{project.show(directory)}: Ratchet has no such group"
            remedy = f"rename it, if it is misspelt; {did_you_mean(directory.name, groups)}"
            yield Check("conf", Status.note, seen, remedy)
        for path in sorted(directory.rglob("*.yml")):
            seen = f"{project.show(path)}: is not read, because of its suffix"
            yield Check("conf", Status.note, seen, f"rename it to {path.stem}.yaml")


def _list_packaged_groups() -> list[str]:
    return sorted(path.name for path in (PACKAGED / "conf").iterdir() if path.is_dir() and path.name[0] != ".")


def check_configurations(survey: Survey) -> Iterator[Check]:
    """Check that each configuration of the project composes, and that the files of its data sets exist."""
    known = {str(error) for error in survey.settings.values() if isinstance(error, UserError)}  # see check_models
    errors: dict[str, str] = {}  # a file that others include has one line
    data: dict[str, DataConfig] = {}
    if isinstance(survey.config, UserError):
        errors[str(survey.config)] = "correct the file: without it, no command can compose a configuration"
    else:
        data[survey.config.data.name] = survey.config.data
    options = list(_iterate_own(survey.project))
    for group, option in options:
        composed = attempt(partial(_compose_option, group, option))
        if isinstance(composed, UserError):
            errors.setdefault(str(composed), f"correct the file; until then, only {group}={option} fails")
        elif isinstance(composed, Config) and group == "data":
            data[composed.data.name] = composed.data
    missing = [line for config in data.values() for line in _iterate_missing_files(survey.project, config)]
    for message, remedy in errors.items():
        if message not in known:
            yield Check("configuration", Status.problem, message, remedy)
    for seen, remedy in missing:
        yield Check("data", Status.problem, seen, remedy)
    if not errors:
        own = f", and {len(options)} of {len(options)} in conf/ of the project" if options else ""
        yield Check("configuration", Status.ok, f"the default composes{own}")
    if data and not missing:
        yield Check("data", Status.ok, f"the files of {', '.join(sorted(data))}")


def _iterate_own(project: Project) -> Iterator[tuple[str, str]]:
    """Yield the group and the name of the options in conf/ of the project, unless that is the packaged one."""
    if not project.conf.is_dir() or project.conf.resolve() == (PACKAGED / "conf").resolve():
        return
    for group in _list_packaged_groups():
        for path in sorted((project.conf / group).rglob("*.yaml")):
            yield group, path.relative_to(project.conf / group).with_suffix("").as_posix()


def _compose_option(group: str, option: str) -> object:
    quoted = option if re.fullmatch(r"[\w./-]+", option) else f"'{option}'"
    return compose_objective([f"objective={quoted}"]) if group == "objective" else compose([f"{group}={quoted}"])


def _iterate_missing_files(project: Project, data: DataConfig) -> Iterator[tuple[str, str]]:
    """Yield what is missing of a data set, with the remedy. A file with a URL is fetched at its first use."""
    files = {"records": data.records, "taxonomy": data.taxonomy, "labels.names": data.labels.names}
    files |= {"labels.file": data.labels.file, "behaviour": data.behaviour}
    paths = {f"{key}.path": file.path for key, file in files.items() if file is not None and file.url is None}
    paths |= {f"records.{part}": getattr(data.records, part) for part in PARTS}
    for key, path in paths.items():
        if path is None or "://" in path or locate(path) is not None:
            continue
        is_tracked = (project.root / f"{path}.dvc").is_file()
        remedy = f"`dvc pull {path}.dvc`" if is_tracked else f"put the file there, or correct {key}"
        yield f"data set {data.name}: {key}: {path} does not exist", remedy


# --- models/ and params.yaml ------------------------------------------------------------------------------------------


def check_models(survey: Survey) -> Iterator[Check]:
    """Check that each model module of the project can be imported, and that a configuration uses it."""
    modules = own_modules()
    used = {summary.module for summary in summarise_models()}
    usable = []
    for name in modules:
        error = attempt(partial(_import_model, name))
        if isinstance(error, UserError):
            remedy = f"correct the module; until then, only models of module {name} fail"
            yield Check("model", Status.problem, str(error), remedy)
        elif name not in used:
            seen = f"models/{name}.py: no configuration in conf/model uses it"
            remedy = f"write conf/model/{name}.yaml, with `defaults: [base_{name}, _self_]`, name and complexity"
            yield Check("model", Status.note, seen, f"{remedy}; or put an underscore before the name of a helper")
        else:
            usable.append(name)
    if usable or not modules:
        yield Check("models", Status.ok, f"{', '.join(usable)} of the project" if usable else "those of Ratchet")


def _import_model(name: str) -> None:
    settings_class(name)
    tagger_class(name)


def check_params(survey: Survey) -> Iterator[Check]:
    """Check params.yaml: its keys and values, and that the configurations that it names exist."""
    params = survey.params
    if params is None or not (survey.project.is_marked or survey.uses_pipeline):  # DVC and Kedro have such a file, too
        return
    if isinstance(params, UserError):
        yield Check("params", Status.problem, str(params), f"correct {PARAMS}, which `dvc repro` reads")
        return
    chosen = [("data", [params.data]), ("model", params.models), ("objective", [params.objective])]
    unknown = [
        (f"conf/{group}/{name}.yaml", did_you_mean(name, list_configs(group)))
        for group, names in chosen
        for name in names
        if name not in list_configs(group)
    ]
    for file, near in unknown:
        yield Check("params", Status.problem, f"{PARAMS}: there is no {file}", f"correct the name; {near}")
    if not unknown:
        runs = len(params.models) * len(params.repeats)
        yield Check("params", Status.ok, f"{runs} runs: {', '.join(params.models)} on {params.data}")


# --- what init writes -------------------------------------------------------------------------------------------------


def check_written_by_init(survey: Survey) -> Iterator[Check]:
    """Compare files of the project with those that `ratchet init` writes today. Users may have changed them."""
    root = survey.project.root
    if not survey.project.is_marked or root == CHECKOUT:
        return
    planned = _plan_today(survey)
    owned = [path for path in planned if path in _OWNED or path.is_relative_to(_WORKFLOWS)]
    states = {path: _compare(root / path, planned[path]) for path in owned}
    unequal = [f"{path.as_posix()} {state}" for path, state in states.items() if state != "equal"]
    if unequal:
        seen = f"differs from what init writes today: {', '.join(unequal)}"
        remedy = "none is needed if you changed them; else compare with those of `ratchet init` in an empty directory"
        yield Check("init", Status.note, seen, remedy)
    else:
        yield Check("init", Status.ok, f"{len(owned)} files as init writes them today")
    schemas = {path: content for path, content in planned.items() if path.is_relative_to(_SCHEMAS)}
    old = [path for path, content in schemas.items() if _compare(root / path, content) != "equal"]
    if old:
        seen = f"{len(old)} of {len(schemas)} files in {_SCHEMAS.as_posix()} are missing or out of date"
        yield Check("editor", Status.note, seen, "`ratchet config schema`")
    else:
        yield Check("editor", Status.ok, f"{len(schemas)} schemas, up to date")


def _plan_today(survey: Survey) -> Mapping[Path, str | bytes]:
    """Return what init writes today for the data set of the project."""
    root = survey.project.root
    name = survey.params.data if isinstance(survey.params, PipelineConfig) else SAMPLE
    inspection = None
    if (root / "conf" / "data" / f"{name}.yaml").is_file():
        composed = attempt(lambda: compose([f"data={name}"]))
        if isinstance(composed, Config):  # the CI workflow looks for the records of an own data set
            locations = list_locations(composed.data.records)
            inspection = Inspection(name, Path(name), "", [], 0, is_multiclass=False, locations=locations)
    return plan_project(root, inspection, data=name, model_settings=survey.settings)


def _compare(path: Path, content: str | bytes) -> str:
    if not path.is_file():
        return "(missing)"
    # Git may have converted the ends of lines.
    present, wanted = (text.replace(b"\r\n", b"\n") for text in (path.read_bytes(), encode_text(content)))
    return "equal" if present == wanted else "(different)"
