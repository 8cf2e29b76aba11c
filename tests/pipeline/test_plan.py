"""Tests for params.yaml: it is checked like any other configuration."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ratchet.cli.pipeline import _ACTIONS
from ratchet.errors import UserError
from ratchet.pipeline import plan
from ratchet.pipeline.plan import FROZEN, PipelineConfig, read_pipeline, run_directories, run_directory

VALID = PipelineConfig(
    data="madewithml",
    models=["rule", "cnn"],
    repeats=[0, 3],
    baseline="rule",
    objective="strict",
    overrides=["evaluate=val"],
)
KEYS = st.sampled_from(sorted(vars(VALID))) | st.text(max_size=5)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates() | st.binary(max_size=3)
)
JUNK = st.recursive(
    LEAVES | st.sampled_from(["rule", "???", "${data}", "${", "cnn"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "params.yaml"


def test_plan_of_the_project_is_valid(project: Path) -> None:
    plan = read_pipeline(project / "params.yaml")
    assert plan.baseline in plan.models
    assert set(yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))) == set(vars(plan))


def test_plan_is_read_from_its_file(path: Path) -> None:
    path.write_text(yaml.safe_dump(vars(VALID)), encoding="utf-8")
    assert read_pipeline(path) == VALID


@pytest.mark.parametrize("text", ["", "# nothing\n", "models: [rule]\n"])
def test_omitted_keys_have_defaults(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
    assert read_pipeline(path) == PipelineConfig()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("model: [rule]", ["'model'", "'models'"]),
        ("repeat: 3", ["'repeat'", "'repeats'"]),
        ("models: 3", ["models"]),
        ("models: {rule: 1}", ["models"]),
        ("models:", ["models"]),
        ("models: [[rule]]", ["models", "name"]),
        ("overrides: [[]]", ["overrides", "key=value"]),
        ("data:", ["data"]),
        ("data: [sample]", ["data"]),
        ("repeats: [one]", ["repeats[0]", "'one'"]),
        ("repeats: [0.5]", ["repeats[0]", "0.5"]),
        ("repeats: [[1]]", ["repeats"]),
        ("repeats: 3", ["repeats"]),
        ("models: ${repeats}", ["models"]),
        ("models: []", ["models"]),
        ("repeats: []", ["repeats"]),
        ("models: [rule, cnn, rule]", ["models: ", "rule"]),
        ("repeats: [0, 1, 1]", ["repeats: 1 occurs twice"]),
        ("repeats: [1, -2]", ["repeats: ", "-2", "4294967295"]),
        ("repeats: [4294967296]", ["repeats", "4294967296"]),
        ("models: [regression]\nbaseline: regresion", ["baseline: regresion", "'regression'"]),
        ("models: [cnn]", ["baseline: rule", "cnn"]),
        ("data: ${nothing}", ["data", "nothing"]),
        ("models: [rule", ["line 1", "not valid YAML"]),
        ("data: a\ndata: b", ["line 2", "data"]),
        ("data: \x00", ["#x0000"]),
        ("a: &x [*x]", []),
        ("- models", []),
        ("rule", ["'rule'"]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_invalid_plan_error_names_file_and_key(text: str, parts: list[str], path: Path) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_pipeline(path)
    for part in (path.name, *parts):
        assert part in str(caught.value)
    assert ": : " not in str(caught.value), "an empty key is not shown"


@pytest.mark.parametrize("text", ["5", "2.5", "true", "2026-01-01"])
def test_scalar_plan_error_names_the_file(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"params\.yaml: ") as caught:
        read_pipeline(path)
    assert "None" not in str(caught.value)


def test_unreadable_file_raises_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"params\.yaml: .*No such file"):
        read_pipeline(tmp_path / "params.yaml")
    with pytest.raises(UserError, match="Is a directory"):
        read_pipeline(tmp_path)
    (tmp_path / "params.yaml").write_bytes(b"data: \xff\n")
    with pytest.raises(UserError, match=r"params\.yaml: .*UTF-8"):
        read_pipeline(tmp_path / "params.yaml")


@settings(deadline=None, max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.dictionaries(KEYS, JUNK, max_size=4) | JUNK)
@example(content={"repeats": [[1]]})
@example(content={"models": {"a": 1}})
def test_any_content_is_a_valid_plan_or_raises_user_error(content: Any, path: Path) -> None:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        plan = read_pipeline(path)
    except UserError:
        return
    assert plan.models
    assert len({*plan.models}) == len(plan.models)
    assert min(plan.repeats) >= 0
    assert len({*plan.repeats}) == len(plan.repeats)
    assert plan.baseline in plan.models
    assert all(isinstance(value, str) for value in (*plan.models, *plan.overrides, plan.data, plan.objective))


@pytest.fixture(scope="module")
def stages(project: Path) -> dict[str, dict[str, object]]:
    content: dict[str, dict[str, object]] = yaml.safe_load((project / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return content


def test_every_run_of_the_plan_is_a_dvc_stage(project: Path, tmp_path: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(project / name, tmp_path / name)
    program = Path(sys.executable).with_name("dvc")
    for command in (["init", "--no-scm", "--quiet"], ["stage", "list", "--name-only"]):
        done = subprocess.run([program, *command], cwd=tmp_path, capture_output=True, text=True, check=True)
    plan = read_pipeline(tmp_path / "params.yaml")
    repeated = [f"split@{repeat}" for repeat in plan.repeats]
    trained = [f"train@{path.parent.name}-{path.name}" for path in run_directories(plan)]
    assert sorted(done.stdout.split()) == sorted(
        ["config", "prepare", *repeated, *trained, "compare", "gate", "report"]
    )


def test_every_stage_depends_on_the_frozen_configuration(stages: dict[str, dict[str, object]]) -> None:
    assert FROZEN.as_posix() in list(stages["config"]["outs"])  # type: ignore[call-overload]
    for name, stage in stages.items():
        assert name == "config" or FROZEN.as_posix() in list(stage["deps"]), name  # type: ignore[call-overload]


def test_every_stage_runs_the_action_of_its_name(stages: dict[str, dict[str, object]]) -> None:
    for name, stage in stages.items():
        program, verb, action, *_ = str(stage["cmd"]).split()
        assert (program, verb, action) == ("ratchet", "pipeline", name)
        assert action in _ACTIONS


def _list_paths(entry: str | dict[str, object]) -> list[str]:
    return [entry] if isinstance(entry, str) else list(entry)


def test_declared_outputs_match_paths_in_the_code(stages: dict[str, dict[str, object]]) -> None:
    declared = {
        name: {path for entry in [*stage["outs"], *stage.get("metrics", [])] for path in _list_paths(entry)}  # type: ignore[misc]
        for name, stage in stages.items()
    }
    paths = {
        "config": {plan.FROZEN, plan.CONFIG / "data.yaml", plan.CONFIG / "model", plan.PACKAGES},
        "prepare": {plan.DATA},
        "split": {plan.SPLITS / "${item.repeat}.json"},
        "train": {run_directory("${data}", "${item.model}", 0).parent / "${item.repeat}"},
        "compare": {plan.COMPARISON, plan.LEADERBOARD, plan.PLOTS, plan.METRICS},
        "gate": {plan.VERDICT, plan.VERDICT_TEXT, plan.REVIEW},
        "report": {plan.PAGE, plan.REPORT, plan.PICTURES},
    }
    assert declared == {name: {path.as_posix() for path in outputs} for name, outputs in paths.items()}


def test_every_run_has_its_own_directory() -> None:
    plan = PipelineConfig(data="own", models=["rule", "cnn"], repeats=[0, 1])
    directories = [path.as_posix() for path in run_directories(plan)]
    assert directories == [f"build/runs/own/{model}/{repeat}" for model in ("rule", "cnn") for repeat in (0, 1)]
