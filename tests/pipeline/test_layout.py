"""What the code says of the stages is what dvc.yaml says."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ratchet.cli.pipeline import _ACTIONS
from ratchet.config import PipelineConfig, read_pipeline
from ratchet.pipeline import layout
from ratchet.pipeline.layout import run_directories, run_directory, stage_names


@pytest.fixture(scope="module")
def stages(project: Path) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return found


def test_stages_are_those_that_dvc_lists(project: Path, tmp_path: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(project / name, tmp_path / name)
    program = Path(sys.executable).with_name("dvc")
    for command in (["init", "--no-scm", "--quiet"], ["stage", "list", "--name-only"]):
        done = subprocess.run([program, *command], cwd=tmp_path, capture_output=True, text=True, check=True)
    plan = read_pipeline(tmp_path / "params.yaml")
    assert sorted(done.stdout.split()) == sorted(stage_names(plan))


def test_a_stage_is_named_once_and_follows_what_it_reads() -> None:
    plan = PipelineConfig(models=["rule", "cnn"], repeats=[0, 3])
    names = stage_names(plan)
    assert len(set(names)) == len(names)
    assert names == [
        *("config", "prepare", "split@0", "split@3"),
        *("train@rule-0", "train@rule-3", "train@cnn-0", "train@cnn-3"),
        *("compare", "gate", "report"),
    ]


def test_every_command_is_an_action_of_the_same_name(stages: dict[str, dict[str, object]]) -> None:
    for name, stage in stages.items():
        program, verb, action, *_ = str(stage["cmd"]).split()
        assert (program, verb, action) == ("ratchet", "pipeline", name)
        assert action in _ACTIONS


def test_outputs_are_where_the_code_writes_them(stages: dict[str, dict[str, object]]) -> None:
    declared = {name: {*stage["outs"], *stage.get("metrics", [])} for name, stage in stages.items()}  # type: ignore[misc]
    paths = {
        "config": {layout.CONFIG, layout.CODE},
        "prepare": {layout.DATA},
        "split": {layout.SPLITS / "${item.repeat}.json"},
        "train": {run_directory("${data}", "${item.model}", 0).parent / "${item.repeat}"},
        "compare": {layout.COMPARISON, layout.LEADERBOARD, layout.PLOTS, layout.METRICS},
        "gate": {layout.VERDICT, layout.VERDICT_TEXT, layout.REVIEW},
        "report": {layout.PAGE, layout.REPORT, layout.PICTURES},
    }
    assert declared == {name: {path.as_posix() for path in found} for name, found in paths.items()}


def test_every_run_has_a_directory_of_its_own() -> None:
    plan = PipelineConfig(data="own", models=["rule", "cnn"], repeats=[0, 1])
    found = [path.as_posix() for path in run_directories(plan)]
    assert found == [f"build/runs/own/{model}/{repeat}" for model in ("rule", "cnn") for repeat in (0, 1)]
