"""Write the files that the stages of a pipeline read."""

import shutil
from pathlib import Path

import pytest
from tests.commands import PROJECT
from tests.sample_runs import copy_run, find_named_runs, rewrite_record

from ratchet.pipeline import freeze as frozen
from ratchet.pipeline.freeze import freeze
from ratchet.pipeline.plan import RUNS, PipelineConfig, run_directory
from ratchet.runs.stored import read_run

PLAN = PipelineConfig(models=["rule", "regression"], repeats=[0, 1, 2])


def freeze_the_sample(directory: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
    """Copy the sample to `directory`, make it the working directory, and freeze the configurations of rule."""
    for name in ("sample", "behaviour"):
        shutil.copytree(PROJECT / "data" / name, directory / "data" / name)
    monkeypatch.chdir(directory)
    with monkeypatch.context() as patched:
        patched.setattr(frozen, "definitions_of", lambda roots, *_: dict.fromkeys(roots, "hash"))
        freeze(PipelineConfig(overrides=list(overrides)))


def lay_out(runs_dir: Path, monkeypatch: pytest.MonkeyPatch, plan: PipelineConfig = PLAN) -> None:
    """Copy runs to where the pipeline writes them, and freeze its configurations, in the working directory."""
    for model in plan.models:
        for run, repeat in zip(find_named_runs(runs_dir, model), plan.repeats, strict=True):
            shutil.copytree(run.path, run_directory("sample", model, repeat))
    with monkeypatch.context() as patched:
        patched.setattr(frozen, "definitions_of", lambda *_: {})
        freeze(plan)


def leave_behind(model: str) -> None:
    """Add runs of a model that is no longer in the plan."""
    for run in find_named_runs(RUNS, "regression"):
        copied = copy_run(run, f"{model}-{run.path.name}", name=model, config_hash=model, complexity=7)
        (RUNS / "sample" / model).mkdir(exist_ok=True)
        copied.path.rename(run_directory("sample", model, int(run.path.name)))
        copied.path.parent.rmdir()


def mark_as_measured_on_val() -> None:
    """Change all runs to what `overrides: [evaluate=val]` makes."""
    for run in (read_run(path.parent) for path in RUNS.glob("*/*/*/record.json")):
        rewrite_record(run.path, evaluate="val")
        (run.path / "predictions" / "test.parquet").unlink()
