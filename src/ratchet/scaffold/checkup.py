"""Check a project and its machine, for `ratchet doctor`. Nothing is written, and nothing is fetched.

Errors that would stop a command are reported as problems, and the other checks continue.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from ratchet.config import Accelerator, Config, ModelConfig, TrackerKind, compose, register
from ratchet.config.options import summarise_models
from ratchet.errors import UserError
from ratchet.extras import MODULES
from ratchet.models import all_settings
from ratchet.neural.settings import NeuralSettings
from ratchet.pipeline.plan import PARAMS, PipelineConfig, read_pipeline
from ratchet.project import MARKER, VARIABLE, Project
from ratchet.scaffold.file_checks import (
    Survey,
    attempt,
    check_conf,
    check_configurations,
    check_models,
    check_params,
    check_written_by_init,
)
from ratchet.scaffold.machine_checks import Check, Status, check_machine
from ratchet.scaffold.planning import PIPELINE_FILE
from ratchet.scaffold.tool_checks import check_dvc, check_git, check_wandb
from ratchet.schema_versions import PROJECT_SCHEMA, read_marker


def run_checkup(project: Project | UserError) -> list[Check]:
    """Return the checks of a project, whose root is the working directory, and of its machine.

    Args:
        project: the current project; or why it cannot be used: then only the machine and the tools are checked.
    """
    if isinstance(project, UserError):
        root, remedy = Path.cwd(), f"correct {MARKER} or {VARIABLE}, or install the Ratchet that wrote the project"
        tools = [check_wandb(is_needed=False), check_git(root)]
        return [*check_machine({}, root), *tools, Check("project", Status.problem, str(project), remedy)]
    root = project.root
    with _reading_only():
        survey = read_project(project)
        config = survey.config if isinstance(survey.config, Config) else None
        needs_gpu = config is not None and config.trainer.accelerator is Accelerator.gpu
        needs_wandb = config is not None and config.tracker.kind is TrackerKind.wandb
        groups: dict[str, Callable[[], Iterable[Check]]] = {
            "machine": lambda: check_machine(list_needs(survey), root, needs_gpu=needs_gpu),
            "W&B": lambda: [check_wandb(is_needed=needs_wandb)],
            "git": lambda: [check_git(root)],
            "DVC": lambda: [check_dvc(root)],
            "project": lambda: check_project(project),
            "conf": lambda: check_conf(project),
            "configuration": lambda: check_configurations(survey),
            "models": lambda: check_models(survey),
            "params": lambda: check_params(survey),
            "init": lambda: check_written_by_init(survey),
        }
        return [check for name, run in groups.items() for check in _run_group(name, run)]


def _run_group(name: str, run: Callable[[], Iterable[Check]]) -> list[Check]:
    """Return the checks of a group; one problem instead if a file cannot be read."""
    try:
        return list(run())
    except (UserError, OSError) as error:
        return [Check(name, Status.problem, str(error), "correct what the message names, and check again")]


@contextmanager
def _reading_only() -> Iterator[None]:
    """Import the modules of a project without storing their bytecode; what they print goes to stderr."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.dont_write_bytecode = before


def read_project(project: Project) -> Survey:
    """Read the inputs that several checks share. The settings of its models are registered with Hydra."""
    settings = all_settings()
    register(settings)
    params = attempt(lambda: read_pipeline(PARAMS)) if PARAMS.exists() else None
    return Survey(project, settings, attempt(lambda: compose([])), params)


def list_needs(survey: Survey) -> dict[str, str]:
    """Return the extras that the project needs, with what needs them."""
    needs = {}
    if survey.uses_pipeline:
        needs["pipeline"] = PIPELINE_FILE.name
    if "ratchet pipeline report" in survey.stages:
        needs["report"] = PIPELINE_FILE.name
    if isinstance(survey.config, Config):
        tracker = survey.config.tracker.kind.name
        if tracker in MODULES:
            needs[tracker] = f"tracker={tracker}"
        if isinstance(survey.config.model, NeuralSettings):
            needs["neural"] = f"model={survey.config.model.name}"
    if isinstance(survey.params, PipelineConfig) and "neural" not in needs:
        modules = {summary.name: summary.module for summary in summarise_models()}
        neural = [name for name in survey.params.models if _is_neural(survey.settings.get(modules.get(name) or ""))]
        if neural:
            needs["neural"] = f"{PARAMS} ({', '.join(neural)})"
    return needs


def _is_neural(settings: type[ModelConfig] | UserError | None) -> bool:
    return isinstance(settings, type) and issubclass(settings, NeuralSettings)


# --- the project ------------------------------------------------------------------------------------------------------


def check_project(project: Project) -> Iterator[Check]:
    """Check the root of the project, the Ratchet that made it, and whether it is in another project."""
    root = project.root
    if not project.is_marked:
        seen = f"no {MARKER} in {root} or above: the working directory is used"
        yield Check("project", Status.note, seen, "`ratchet init` creates a project")
        return
    maker = read_marker(root / MARKER).get(PROJECT_SCHEMA.writer_key, "of unknown version")
    chosen = f", chosen by --project or {VARIABLE}" if os.environ.get(VARIABLE) else ""
    yield Check("project", Status.ok, f"{root}, made by Ratchet {maker}{chosen}")
    around = attempt(lambda: Project.find(root.parent))
    if isinstance(around, Project) and around.is_marked and not (root / ".git").exists():
        seen = f"is inside the project {around.root}, whose commands do not see it"
        yield Check("project", Status.note, seen, f"move it out of there, or remove its {MARKER}")
