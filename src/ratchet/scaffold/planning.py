"""Plan the files of a new project: their paths and contents, from the templates and what is installed."""

import os
import shlex
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.config import ModelConfig
from ratchet.errors import UserError
from ratchet.extras import MODULES, has_modules, requirement_of_ratchet
from ratchet.project import MARKER, PACKAGED
from ratchet.schema_versions import PROJECT_SCHEMA, ratchet_version

if TYPE_CHECKING:
    from ratchet.scaffold.inspecting import Inspection

TEMPLATE = Path(__file__).parent / "template"  # *_yaml.txt: DVC and Ratchet would take the real names for theirs
SAMPLE = "sample"  # the data set that the package brings
PIPELINE_FILE = Path("dvc.yaml")
PARAMS = Path("params.yaml")
GITIGNORE = Path(".gitignore")
SHIM = Path("train.py")
REQUIREMENTS = Path("requirements.txt")
EXAMPLE = "neighbours"
_EXAMPLE_FILES = (Path("models", f"{EXAMPLE}.py"), Path("conf", "model", f"{EXAMPLE}.yaml"))
_BEHAVIOUR = Path("data", "behaviour")
_SAMPLE_FILES = (Path("data", SAMPLE, "projects.jsonl"), Path("data", SAMPLE, "tags.json"), _BEHAVIOUR / "sample.yaml")
_PYTHON = "3.12"  # of the CI workflow

ModelSettings = Mapping[str, type[ModelConfig] | UserError]


@dataclass(frozen=True)
class Plan:
    """The files of a new project. Paths are relative to its root.

    `files` has the content of new files, and of .gitignore with the lines that it lacks; `copies` the file that a new
    one is copied from; `existing` lists what exists and stays as it is.
    """

    files: Mapping[Path, str | bytes]
    copies: Mapping[Path, Path]
    existing: tuple[Path, ...]


def plan_project(
    root: Path,
    inspection: "Inspection | None" = None,
    *,
    data: str | None = None,
    model_settings: ModelSettings | None = None,
) -> dict[Path, str | bytes]:
    """Return the files that `ratchet init` writes today, by their paths relative to `root`, without the records.

    .gitignore has its present lines and those that it lacks. Files that exist are included.

    Args:
        root: the directory of the project, which need not exist.
        inspection: of the data file; None for a data set that the project or the package has.
        data: the name of the data set, by default that of the inspection, or the sample.
        model_settings: the settings of every model that gets a schema, by default those of the package and of the
            example.
    """
    data = data or (inspection.name if inspection else SAMPLE)
    has_behaviour = data == SAMPLE or (root / _BEHAVIOUR).is_dir()
    has_pipeline = has_modules(*MODULES["pipeline"])
    fill = partial(_fill, root, data=data)
    files: dict[Path, str | bytes] = {
        Path(MARKER): fill(
            "ratchet_yaml.txt", key=PROJECT_SCHEMA.key, schema=str(PROJECT_SCHEMA.version), version=ratchet_version()
        ),
        Path("conf", "config.yaml"): fill("config.yaml", path=Path("conf", "config.yaml")),
        _EXAMPLE_FILES[1]: fill("model.yaml"),
        _EXAMPLE_FILES[0]: fill(f"models/{EXAMPLE}.py"),
        PARAMS: fill("params_yaml.txt", path=PARAMS),
        SHIM: fill("train.py"),
        Path("notebooks", "01_ladder.ipynb"): fill("ladder.ipynb"),
        Path("README.md"): _make_readme(root, data, has_pipeline=has_pipeline),
        REQUIREMENTS: _make_requirements(),
        Path(".github", "workflows", "ratchet.yml"): _make_workflow(root, data, inspection, has_pipeline=has_pipeline),
        GITIGNORE: extend_gitignore(root / GITIGNORE, fill("gitignore")),
    }
    if inspection is not None:
        files[Path("conf", "data", f"{data}.yaml")] = inspection.yaml
    if has_pipeline:
        stages = fill("dvc_yaml.txt")
        files[PIPELINE_FILE] = stages if has_behaviour else stages.replace(f"      - {_BEHAVIOUR.as_posix()}\n", "")
    files |= _make_schemas(model_settings if model_settings is not None else _list_settings())
    return dict(sorted(files.items()))


def plan_creation(root: Path, inspection: "Inspection | None") -> Plan:
    """Return what `ratchet init` writes into `root`, where some files may exist.

    Raises:
        UserError: data/<name>/ has another file with a name of the records.
    """
    files = plan_project(root, inspection)
    if (root / _EXAMPLE_FILES[0]).exists():  # the settings of the example would not be those of that module
        files.pop(_EXAMPLE_FILES[1])
    copies = {path: PACKAGED / path for path in _SAMPLE_FILES}
    if inspection is not None:
        copies = dict(inspection.copies)
    existing = [path for path in (*files, *copies) if path != GITIGNORE and os.path.lexists(root / path)]
    for path in existing:
        if path in copies and not _is_same(root / path, copies[path]):
            raise UserError(
                f"{root / path}: exists, with another content than {copies[path]}, which would be copied there: move "
                "it, or choose another name with name="
            )
    if _read_text(root / GITIGNORE) == files[GITIGNORE]:
        del files[GITIGNORE]
    return Plan(
        {path: content for path, content in files.items() if path not in existing},
        {path: source for path, source in copies.items() if path not in existing},
        tuple(sorted(existing)),
    )


def plan_pipeline(root: Path, data: str) -> Plan:
    """Return what adds the pipeline to a project that was made without DVC."""
    files = plan_project(root, data=data)
    wanted = {path: files[path] for path in (PIPELINE_FILE, PARAMS)}
    return Plan({path: text for path, text in wanted.items() if not (root / path).exists()}, {}, ())


def extend_gitignore(path: Path, wanted: str) -> str:
    """Return the content of a .gitignore, which need not exist, with the lines of `wanted` that it lacks at its end."""
    present = _read_text(path)
    if present is None:
        return wanted
    lines = {line.strip() for line in present.splitlines()}
    missing = [line for line in wanted.splitlines() if not line.startswith("#") and line not in lines]
    if not missing:
        return present
    newline = "\r\n" if "\r\n" in present else "\n"
    gap = "" if not present or present.endswith("\n") else newline
    return present + gap + newline.join(["# Ratchet", *missing, ""])


def _read_text(path: Path) -> str | None:
    """Return the content of a file, whatever its encoding; None if there is none. `encode_text` reverses it."""
    return path.read_bytes().decode("utf-8", "surrogateescape") if path.is_file() else None


def encode_text(content: str | bytes) -> bytes:
    """Return the bytes of a planned file."""
    return content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")


def _fill(root: Path, name: str, *, path: Path | None = None, **values: str) -> str:
    """Return a template with its `@key@` replaced; `@schema@` is the reference to the schema of the file `path`."""
    from ratchet.config.json_schema import schema_reference

    if path is not None:
        values["schema"] = schema_reference(root / path, root / "conf")
    text = (TEMPLATE / name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _make_readme(root: Path, data: str, *, has_pipeline: bool) -> str:
    third = "`ratchet gate` | Decide which model ships, and explain why."
    if has_pipeline:
        third = "`dvc repro` | Run what is out of date: every model on three splits, the gate, the report."
    return _fill(root, "README.md", data=data, third=third)


def make_requirement() -> str:
    """Return the line of requirements.txt that installs Ratchet with what the project needs."""
    requirement = requirement_of_ratchet(["pipeline", "report"] if has_modules(*MODULES["pipeline"]) else [])
    path = requirement.removeprefix("-e ")
    return requirement if path == requirement else f"-e {shlex.quote(path)}"


def _make_requirements() -> str:
    requirement = make_requirement()
    is_local = requirement.startswith("-e ") or "file:" in requirement
    note = (
        "# This is a location on one computer: CI cannot install it. Put the wheel of Ratchet into this directory and\n"
        "# name it here, as ./FILE, or name its URL or a commit.\n"
    )
    return _fill(Path(), "requirements.txt", note=note if is_local else "", requirement=requirement)


def _make_workflow(root: Path, data: str, inspection: "Inspection | None", *, has_pipeline: bool) -> str:
    steps = "workflow_pipeline.yml" if has_pipeline else "workflow_train.yml"
    fetch = f"ratchet data fetch data={data}"
    if inspection is not None:
        fetch = "\n          ".join(_write_fetch(path, has_pipeline) for path in inspection.locations)
    content = _fill(root, steps, fetch=f"|\n          {fetch}").rstrip("\n")
    return _fill(root, "workflow.yml", python=_PYTHON, steps=content)


def _write_fetch(path: Path, has_pipeline: bool) -> str:
    """Return the command that gets a file or directory of the records unless it is there."""
    missing = f"dvc pull {shlex.quote(f'{path.as_posix()}.dvc')}"
    if not has_pipeline:
        missing = "{ echo 'README.md describes how CI gets the records'; exit 1; }"
    return f"test -e {shlex.quote(path.as_posix())} || {missing}"


def _list_settings() -> ModelSettings:
    """Return the settings of the models of the package and of the example."""
    from ratchet.models import packaged_modules
    from ratchet.project_modules import import_project_module

    settings = {name: import_module(f"ratchet.models.{name}").Settings for name in packaged_modules()}
    return {**settings, EXAMPLE: import_project_module(TEMPLATE, "models", EXAMPLE).Settings}


def _make_schemas(model_settings: ModelSettings) -> dict[Path, str | bytes]:
    from ratchet.config.json_schema import DIRECTORY, write_schemas
    from ratchet.pipeline.plan import PipelineConfig

    with tempfile.TemporaryDirectory() as name:
        paths = write_schemas(Path(name), model_settings, PipelineConfig)
        return {Path("conf", DIRECTORY, path.relative_to(name)): path.read_bytes() for path in paths}


def _is_same(path: Path, other: Path) -> bool:
    return path.is_file() and (path.samefile(other) or path.read_bytes() == other.read_bytes())
