"""Create a project: check the directory, inspect the data file, plan the files, write all of them or none."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.errors import UserError
from ratchet.extras import MODULES, has_modules, install_command
from ratchet.project import MARKER, PACKAGED, Project
from ratchet.scaffold.dvc_setup import choose_dvc_flags
from ratchet.scaffold.planning import (
    PARAMS,
    PIPELINE_FILE,
    REQUIREMENTS,
    SAMPLE,
    SHIM,
    TEMPLATE,
    Plan,
    make_requirement,
    plan_creation,
    plan_pipeline,
)
from ratchet.scaffold.writing import STAGING, recover, write_plan

if TYPE_CHECKING:
    from ratchet.scaffold.inspecting import Inspection

_OCCUPIED = ("conf", PARAMS.name, PIPELINE_FILE.name)  # Ratchet would use these, with another meaning


@dataclass(frozen=True)
class Created:
    """The result of `ratchet init`: the files that it wrote, or would write, into `root`, and its inspection."""

    root: Path
    data: str
    plan: Plan
    dvc_flags: list[str] | None
    inspection: "Inspection | None"
    recovered: bool

    @property
    def notes(self) -> list[str]:
        """Return what the user should know or do in addition to the next commands."""
        notes = []
        if self.recovered:
            notes.append("removed what an interrupted `ratchet init` had left")
        if not has_modules(*MODULES["pipeline"]):
            notes.append(
                f"no {PIPELINE_FILE}, because DVC is not installed: {install_command('pipeline')}; then `ratchet init` "
                "adds it"
            )
        elif not has_modules(*MODULES["report"]):
            notes.append(f"the last stage of {PIPELINE_FILE} writes a report, which needs {install_command('report')}")
        if REQUIREMENTS in self.plan.existing:
            notes.append(f"{REQUIREMENTS} must install Ratchet for CI, with this line: {make_requirement()}")
        return notes

    @property
    def next_commands(self) -> list[str]:
        """Return the next three commands. They need only what is installed."""
        has_pipeline, has_report = (has_modules(*MODULES[extra]) for extra in ("pipeline", "report"))
        last = "ratchet report" if has_report else "ratchet gate"
        return [
            f"{'python train.py' if self._has_shim else 'ratchet train'} -m model=rule,regression",
            "ratchet compare",
            "dvc repro" if has_pipeline and has_report else last,
        ]

    @property
    def _has_shim(self) -> bool:
        """Return whether train.py is that of the template: another one was left as it was."""
        path = self.root / SHIM
        return SHIM in self.plan.files or (path.is_file() and path.read_bytes() == (TEMPLATE / SHIM).read_bytes())


def create_project(
    directory: Path,
    *,
    data: Path | None = None,
    text: Sequence[str] = (),
    labels: str | None = None,
    name: str | None = None,
    id: str | None = None,
    header: bool | None = None,
    dry: bool = False,
) -> Created:
    """Create a project in a directory, which may have files already; return what was written.

    Args:
        directory: its root; it is created if it is missing.
        data: the file of the records, a directory, a pattern, or several files, separated by commas; None for the
            sample that the package brings.
        text: the columns of the text; empty to guess them.
        labels: the column of the labels; None to guess it.
        name: of the data set; None for that of the file.
        id: the column of the record's id; None to guess it.
        header: whether the first row of the file has the names of the columns; None to detect it.
        dry: write nothing.

    Raises:
        UserError: the directory is a project, is inside one, has conf/, params.yaml or dvc.yaml, or cannot be written;
            the data file or a column does not exist. Nothing is written then.
    """
    root = directory.expanduser().resolve()
    if data is None and (text or labels or name or id or header is not None):
        raise UserError("text, labels, name, id and header describe a data file: name it with data=FILE")
    if root.exists() and not root.is_dir():
        raise UserError(f"{root}: is a file: name a directory")
    has_leftovers = (root / STAGING).is_dir()
    if has_leftovers and dry:
        raise UserError(f"{root}: an interrupted `ratchet init` left files there; without dry=true, it removes them")
    recovered = has_leftovers and recover(root)
    if (root / MARKER).is_file() and data is None and _lacks_pipeline(root):
        return _add_pipeline(root, recovered=recovered, dry=dry)
    _check_free(root)
    inspection = _inspect(root, data, text, labels, name, id, header) if data is not None else None
    plan = plan_creation(root, inspection)
    flags = choose_dvc_flags(root) if PIPELINE_FILE in plan.files else None
    if not dry:
        write_plan(root, plan, flags)
    return Created(root, inspection.name if inspection else SAMPLE, plan, flags, inspection, recovered)


def _check_free(root: Path) -> None:
    around = Project.find(root)
    if around.is_marked and around.root == root:
        raise UserError(
            f"{root}: is a project already: `ratchet doctor` shows what today's init would write differently"
        )
    if around.is_marked:
        raise UserError(
            f"{root}: is inside the project {around.root} ({MARKER}): choose a directory outside of it, or work in "
            "that project, where a data set is a file in conf/data/"
        )
    occupied = [name for name in _OCCUPIED if os.path.lexists(root / name)]
    if occupied:
        raise UserError(
            f"{root}: has {' and '.join(occupied)} already, which Ratchet would read: move or rename, or create the "
            f"project in a subdirectory: ratchet init {root.name}/ratchet"
        )


def _inspect(
    root: Path,
    data: Path,
    text: Sequence[str],
    labels: str | None,
    name: str | None,
    id: str | None,
    header: bool | None,
) -> "Inspection":
    from ratchet.config.json_schema import schema_reference
    from ratchet.scaffold.inspecting import inspect_file

    conf = root / "conf"
    reference = schema_reference(conf / "data" / "new.yaml", conf)  # it names no data set
    inspection = inspect_file(data, text=text, labels=labels, name=name, id=id, header=header, schema_comment=reference)
    if (PACKAGED / "conf" / "data" / f"{inspection.name}.yaml").is_file():
        raise UserError(f"{data}: Ratchet brings a data set called {inspection.name}: choose another name with name=")
    return inspection


def _lacks_pipeline(root: Path) -> bool:
    return has_modules(*MODULES["pipeline"]) and not (root / PIPELINE_FILE).exists()


def _add_pipeline(root: Path, *, recovered: bool, dry: bool) -> Created:
    """Add dvc.yaml to a project that was made without DVC."""
    from ratchet.pipeline.plan import read_pipeline

    data = read_pipeline(root / PARAMS).data if (root / PARAMS).exists() else SAMPLE
    plan, flags = plan_pipeline(root, data), choose_dvc_flags(root)
    if not dry:
        write_plan(root, plan, flags)
    return Created(root, data, plan, flags, None, recovered)
