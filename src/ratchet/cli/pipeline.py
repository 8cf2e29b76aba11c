"""`ratchet pipeline STAGE` runs a stage of dvc.yaml; `lock`, `check` and `diff` compare its results with a commit."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

import ratchet
from ratchet.cli.selecting import show_progress
from ratchet.config import bounded, parse_options
from ratchet.errors import UserError, did_you_mean
from ratchet.machine import end_with_process
from ratchet.pipeline.plan import PAGE, PARAMS, REPORT, read_pipeline
from ratchet.reporting.terminal import Format, print_blocks, print_json, print_table, print_text

Value = TypeVar("Value")
DIFFERENT = 3  # exit code of `check`: the results are not those of the commit


@dataclass
class NoOptions:
    """Stages that take everything from params.yaml."""


@dataclass
class SplitOptions:
    """Arguments of the stage `split`."""

    repeat: int | None = bounded(None, low=0)
    """Repeat to split for: its number is the seed of the split."""


@dataclass
class TrainOptions:
    """Arguments of the stage `train`."""

    model: str | None = None
    """Model to train, one of those in params.yaml."""
    repeat: int | None = bounded(None, low=0)
    """Repeat to train: its number is the seed of the split and of the training."""


@dataclass
class AgainstOptions:
    """Arguments of `check` and `diff`: a commit, a branch or a tag."""

    against: str = "HEAD"
    """Commit, branch or tag to compare with."""
    format: Format = Format.table
    """Format of the printed result."""


def run(arguments: list[str]) -> int:
    """Run the verb `pipeline`."""
    if not arguments:
        raise UserError(f"pipeline: which stage? {', '.join(_ACTIONS)}; `dvc repro` runs those that are out of date")
    action, *rest = arguments
    if action not in _ACTIONS:
        raise UserError(f"pipeline {action}: {did_you_mean(action, _ACTIONS)}")
    other = _find_local_code()
    if other is not None:
        return _run_local_code(other, arguments)
    _end_with_dvc()
    schema, do = _ACTIONS[action]
    return do(parse_options(schema, rest)) or 0


def _end_with_dvc() -> None:
    """End this stage when the process of DVC that started it, through a shell, was killed."""
    if "DVC_STAGE" not in os.environ:
        return
    for ancestor in psutil.Process().parents():
        with suppress(psutil.Error):
            if any(Path(argument).name == "dvc" for argument in ancestor.cmdline()[:3]):
                end_with_process(ancestor.pid, ancestor.create_time())
                return


def _require(value: Value | None, stage: str, name: str) -> Value:
    if value is None or value == "":
        raise UserError(f"pipeline {stage}: which {name}? {name}=...")
    return value


def _find_local_code() -> Path | None:
    """Return the package of the current checkout, or None if it is the one that was imported.

    DVC runs queued experiments in copies of the checkout; an editable install points to the checkout itself.
    """
    here = Path("src", "ratchet").resolve()
    there = Path(ratchet.__file__).resolve().parent
    return here.parent if (here / "__init__.py").is_file() and here != there else None


def _run_local_code(source: Path, arguments: list[str]) -> int:
    path = os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "ratchet", "pipeline", *arguments]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode


def _freeze(_: NoOptions) -> None:
    from ratchet.pipeline.freeze import explain_stale_models, freeze

    plan = read_pipeline(PARAMS)
    freeze(plan)
    for line in explain_stale_models(plan):
        print_text(line)


def _prepare(_: NoOptions) -> None:
    from ratchet.pipeline.data_stages import prepare_data

    print(prepare_data())


def _split(options: SplitOptions) -> None:
    from ratchet.pipeline.data_stages import split_data

    split_data(_require(options.repeat, "split", "repeat"))


def _train(options: TrainOptions) -> None:
    from ratchet.pipeline.train_stage import train_run
    from ratchet.reporting.run_details import print_job_line
    from ratchet.tracking import print_upload

    model, repeat = _require(options.model, "train", "model"), _require(options.repeat, "train", "repeat")
    path = train_run(model, repeat).path
    print_job_line(f"{model} {repeat}", path)
    print_upload([path])


def _compare(_: NoOptions) -> None:
    from ratchet.pipeline.decision_stages import compare_runs

    with show_progress() as bar:
        compare_runs(read_pipeline(PARAMS), bar)


def _judge(_: NoOptions) -> None:
    from ratchet.pipeline.decision_stages import judge_runs

    with show_progress() as bar:
        judge_runs(read_pipeline(PARAMS), bar("bootstrapping records"))


def _report(_: NoOptions) -> None:
    from ratchet.pipeline.report_stage import write_report

    print_blocks(write_report(read_pipeline(PARAMS)))
    print(f"{PAGE} contains all of it, {REPORT} the tables")


def _lock(_: NoOptions) -> None:
    from ratchet.pipeline.locks import RESULTS, read_results, write_results

    write_results(read_results(read_pipeline(PARAMS)))
    print(f"{RESULTS} written: commit it together with dvc.lock")


def _check(options: AgainstOptions) -> int:
    from ratchet.pipeline.locks import check

    checked = check(read_pipeline(PARAMS), options.against)
    for difference in checked.differences:
        print_text(difference)
    count = len(checked.differences)
    outcome = f"{count} difference{'s' if count > 1 else ''} from" if count else "as in"
    print_text(f"{outcome} results.lock.json of {options.against} ({checked.how})")
    if checked.differences:
        print_text("if they are intended: `dvc repro && ratchet pipeline lock`, and commit both files")
    return DIFFERENT if checked.differences else 0


def _print_changes(options: AgainstOptions) -> None:
    from ratchet.pipeline.locks import list_changes, read_committed_results, read_results

    rows = list_changes(read_committed_results(options.against), read_results(read_pipeline(PARAMS)))
    if options.format is Format.json:
        print_json(rows)
    elif rows:
        print_table(rows, markdown=options.format is Format.md, left=2)
    else:
        print(f"no metric differs from {options.against}")


_ACTIONS: dict[str, tuple[type[Any], Callable[[Any], int | None]]] = {
    "config": (NoOptions, _freeze),
    "prepare": (NoOptions, _prepare),
    "split": (SplitOptions, _split),
    "train": (TrainOptions, _train),
    "compare": (NoOptions, _compare),
    "gate": (NoOptions, _judge),
    "report": (NoOptions, _report),
    "lock": (NoOptions, _lock),
    "check": (AgainstOptions, _check),
    "diff": (AgainstOptions, _print_changes),
}
ACTIONS = {stage: schema for stage, (schema, _) in _ACTIONS.items()}
