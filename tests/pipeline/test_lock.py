"""Two dvc.lock files are the same where they must be, and may differ where machines do."""

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ratchet.errors import UserError
from ratchet.pipeline.lock import lock_differences, read_lock
from ratchet.pipeline.plan import PipelineConfig, stage_names

STAGES = stage_names(PipelineConfig())


def files(*paths: str) -> list[dict[str, Any]]:
    return [{"path": path, "hash": "md5", "md5": f"{path} as it was", "size": 1} for path in paths]


LOCK: dict[str, Any] = {
    "config": {
        "cmd": "ratchet pipeline config",
        "deps": files("conf", "src/ratchet"),
        "params": {"params.yaml": {"baseline": "rule", "models": ["rule"], "overrides": []}},
        "outs": files("build/config", "build/code"),
    },
    "prepare": {
        "cmd": "ratchet pipeline prepare",
        "deps": files("data/sample", "data/behaviour", "build/code/prepare.json"),
        "params": {"build/config/data.yaml": {"data": {"name": "sample", "filter": {"min_records": 1}}}},
        "outs": files("build/data"),
    },
    "split@0": {
        "cmd": "ratchet pipeline split repeat=0",
        "deps": files("build/data"),
        "outs": files("build/splits/0.json"),
    },
    "train@rule-0": {
        "cmd": "ratchet pipeline train model=rule repeat=0",
        "deps": files("build/data", "build/splits/0.json", "build/code/model/rule.json", "requirements.lock"),
        "params": {"build/config/model/rule.yaml": {"seed": 0, "threads": None}},
        "outs": files("build/runs/sample/rule/0"),
    },
    "compare": {
        "cmd": "ratchet pipeline compare",
        "deps": files("build/runs/sample", "build/code/compare.json"),
        "outs": files("build/comparison.json", "build/metrics.json", "build/plots"),
    },
    "gate": {"cmd": "ratchet pipeline gate", "deps": files("build/runs/sample"), "outs": files("build/verdict.json")},
    "report": {"cmd": "ratchet pipeline report", "deps": files("build/verdict.md"), "outs": files("build/report.md")},
}


def found(stages: dict[str, Any], *, same_python: bool = True) -> list[str]:
    return list(lock_differences(LOCK, stages, STAGES, same_python=same_python))


def changed(stage: str, kind: str, path: str) -> dict[str, Any]:
    """The lock with another hash of that file."""
    stages = copy.deepcopy(LOCK)
    [entry] = [each for each in stages[stage][kind] if each["path"] == path]
    entry["md5"] = "another"
    return stages


def test_a_lock_is_what_it_is() -> None:
    assert found(copy.deepcopy(LOCK)) == []
    assert found(copy.deepcopy(LOCK), same_python=False) == []


TOLD = [
    ("config", "deps", "conf"),
    ("config", "deps", "src/ratchet"),
    ("config", "outs", "build/config"),
    ("prepare", "deps", "data/sample"),
    ("prepare", "outs", "build/data"),
    ("split@0", "outs", "build/splits/0.json"),
    ("train@rule-0", "deps", "build/data"),
    ("train@rule-0", "deps", "requirements.lock"),
]


@pytest.mark.parametrize("same_python", [True, False])
@pytest.mark.parametrize(("stage", "kind", "path"), TOLD, ids=str)
def test_inputs_and_what_is_the_same_everywhere_are_told_by_stage_and_path(
    stage: str, kind: str, path: str, same_python: bool
) -> None:
    assert found(changed(stage, kind, path), same_python=same_python) == [
        f"{stage}: {path} is not what it is in the lock"
    ]


@pytest.mark.parametrize(
    ("stage", "kind", "path"),
    [
        ("train@rule-0", "outs", "build/runs/sample/rule/0"),
        ("compare", "deps", "build/runs/sample"),
        ("compare", "outs", "build/comparison.json"),
        ("compare", "outs", "build/metrics.json"),
        ("compare", "outs", "build/plots"),
        ("gate", "outs", "build/verdict.json"),
        ("report", "deps", "build/verdict.md"),
        ("report", "outs", "build/report.md"),
    ],
    ids=str,
)
def test_runs_and_what_is_made_of_them_hold_times_and_are_not_compared(stage: str, kind: str, path: str) -> None:
    assert found(changed(stage, kind, path)) == []


@pytest.mark.parametrize(
    ("stage", "kind", "path"),
    [
        ("config", "outs", "build/code"),
        ("prepare", "deps", "build/code/prepare.json"),
        ("train@rule-0", "deps", "build/code/model/rule.json"),
    ],
    ids=str,
)
def test_fingerprints_of_code_are_compared_on_the_same_minor_version_of_python(
    stage: str, kind: str, path: str
) -> None:
    stages = changed(stage, kind, path)
    assert found(stages, same_python=False) == []
    assert found(stages) == [f"{stage}: {path} is not what it is in the lock"]


def test_a_directory_that_begins_like_one_of_ours_is_not_ours() -> None:
    before = {"gate": {"cmd": "x", "deps": files("build-tools", "build/database")}}
    now = copy.deepcopy(before)
    for each in now["gate"]["deps"]:
        each["md5"] = "another"
    assert list(lock_differences(before, now, ["gate"], same_python=True)) == [
        "gate: build-tools is not what it is in the lock"
    ]


def test_a_command_is_told() -> None:
    stages = copy.deepcopy(LOCK)
    stages["split@0"]["cmd"] = "ratchet pipeline split repeat=1"
    assert found(stages) == [
        "split@0: the command is 'ratchet pipeline split repeat=1', in the lock 'ratchet pipeline split repeat=0'"
    ]


def test_a_parameter_is_told_by_its_file_and_key() -> None:
    stages = copy.deepcopy(LOCK)
    stages["config"]["params"]["params.yaml"]["models"] = ["rule", "cnn"]
    stages["train@rule-0"]["params"]["build/config/model/rule.yaml"] = {"threads": None, "epochs": 3}
    assert found(stages) == [
        "config: params.yaml: models is ['rule', 'cnn'], in the lock ['rule']",
        "train@rule-0: build/config/model/rule.yaml: epochs is 3, in the lock None",
        "train@rule-0: build/config/model/rule.yaml: seed is None, in the lock 0",
    ]


def test_files_that_came_or_went_are_told() -> None:
    stages = copy.deepcopy(LOCK)
    stages["prepare"]["deps"] = files("data/other", "data/behaviour", "build/code/prepare.json")
    del stages["report"]["outs"]
    assert found(stages) == [
        "prepare: data/other is new",
        "prepare: data/sample is gone",
        "report: build/report.md is gone",
    ]


def test_stages_that_are_not_in_both_are_told_and_those_of_no_plan_are_not_looked_at() -> None:
    before, now = copy.deepcopy(LOCK), copy.deepcopy(LOCK)
    del before["gate"]
    del now["compare"]
    before["train@cnn-0"] = {"cmd": "ratchet pipeline train model=cnn repeat=0"}
    told = list(lock_differences(before, now, STAGES, same_python=True))
    assert told == ["compare: was not run", "gate: not in the lock"]


@given(data=st.data())
def test_whatever_is_compared_a_change_is_told_once(data: st.DataObject) -> None:
    changes = data.draw(st.lists(st.sampled_from(TOLD), unique=True))
    stages = copy.deepcopy(LOCK)
    for stage, kind, path in changes:
        for each in stages[stage][kind]:
            if each["path"] == path:
                each["md5"] = data.draw(st.text().filter(lambda text, was=each["md5"]: text != was))
    assert sorted(found(stages)) == sorted(
        f"{stage}: {path} is not what it is in the lock" for stage, _, path in changes
    )


def test_a_lock_is_read_as_dvc_writes_it() -> None:
    assert read_lock(yaml.safe_dump({"schema": "2.0", "stages": LOCK})) == LOCK


@pytest.mark.parametrize(
    "text",
    [
        *("", "stages: []", "- stages", "5", "schema: '2.0'", "stages:"),
        "<<<<<<< HEAD\nstages: {}\n=======\nstages: {}\n>>>>>>> branch\n",
        "stages: {",
        "stages: {\x00}",
    ],
    ids=repr,
)
def test_what_is_no_lock_is_said(text: str) -> None:
    with pytest.raises(UserError, match=r"dvc\.lock: not (a lock file|valid YAML)"):
        read_lock(text)
