"""Tests for stage `config`: frozen configurations equal composed ones, on files that the pipeline watches."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from tests.commands import CONF, read_files
from tests.encoder_directories import write_encoder
from tests.own_projects import CONSTANT, keep_registered, write_project

from ratchet.config import Config, compose, compose_objective, config_hash, load, plain
from ratchet.errors import UserError
from ratchet.models import all_settings
from ratchet.pipeline import freeze as frozen
from ratchet.pipeline.data_stages import load_data
from ratchet.pipeline.decision_stages import load_objective
from ratchet.pipeline.freeze import explain_stale_models, freeze
from ratchet.pipeline.plan import PipelineConfig
from ratchet.project import VARIABLE

Freeze = Callable[..., None]
TRANSFORMER = (CONF / "model" / "transformer.yaml").read_text().replace("all-MiniLM-L6-v2 ", "encoder ")


@pytest.fixture
def freeze_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Freeze:
    """Run the stage in the working directory: `freeze_here(models=["rule"])`."""
    monkeypatch.chdir(tmp_path)
    return lambda **plan: freeze(replace(PipelineConfig(), **plan))


def load_frozen_config(model: str) -> Config:
    return load(Path("build", "config", "model", f"{model}.yaml"), all_settings())


def read_all_text(directory: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in Path("build", directory).rglob("*.*"))


@pytest.mark.parametrize("data", ["sample", "madewithml"])
def test_frozen_configuration_equals_the_composed_one(data: str, freeze_here: Freeze) -> None:
    overrides = ["threshold.method=per_label", "evaluate=val"]
    freeze_here(data=data, models=["rule", "regression", "cnn"], overrides=overrides)
    for model in ("rule", "regression", "cnn"):
        expected, actual = compose([f"data={data}", f"model={model}", *overrides]), load_frozen_config(model)
        assert config_hash(actual) == config_hash(expected)
        assert actual.name == model
        for key in ("model", "split", "trainer", "calibration", "threshold", "evaluation", "evaluate", "parent"):
            assert getattr(actual, key) == getattr(expected, key)
        assert actual.run_dir is None


def test_data_split_and_objective_load_back(freeze_here: Freeze) -> None:
    freeze_here(data="madewithml", objective="strict", overrides=["split.test=0.3"])
    data, split = load_data(Path("build/config/data.yaml"))
    config = load_frozen_config("rule")
    assert (data, split) == (config.data, config.split)
    assert split.test == 0.3
    objective, expected = load_objective(Path("build/config/objective.yaml")), compose_objective(["objective=strict"])
    assert objective == expected
    assert objective.hash == expected.hash


@pytest.mark.parametrize("text", ["1e3", "0x10", "no", "2020-01-01", "~", "a: b", " x ", "ü\u2028\x85", r"\${x}"])
def test_any_text_survives_freezing(text: str, freeze_here: Freeze) -> None:
    override = f"data.filter.exclude=['{text}']"
    freeze_here(overrides=[override])
    expected = compose([override]).data.filter.exclude
    assert load_frozen_config("rule").data.filter.exclude == expected
    assert load_data(Path("build/config/data.yaml"))[0].filter.exclude == expected


def test_encoder_replaced_in_place_changes_what_training_depends_on(freeze_here: Freeze, tmp_path: Path) -> None:
    def read() -> tuple[str, str]:
        freeze_here(models=["rule", "transformer"], overrides=[])
        return Path("build/code/model/rule.json").read_text(), Path("build/code/model/transformer.json").read_text()

    conf = tmp_path / "conf" / "model"
    conf.mkdir(parents=True)
    (tmp_path / "ratchet.yaml").touch()
    (conf / "transformer.yaml").write_text(TRANSFORMER)
    write_encoder(tmp_path / "encoder")
    rule, transformer = read()
    assert "model.encoder" in transformer
    assert read() == (rule, transformer)
    write_encoder(tmp_path / "encoder", b"\0\0\0\1")
    assert read()[0] == rule
    assert read()[1] != transformer


def test_frozen_model_has_its_own_name(freeze_here: Freeze) -> None:
    freeze_here(models=["rule", "regression"])
    assert [load_frozen_config(model).name for model in ("rule", "regression")] == ["rule", "regression"]


def test_test_accesses_are_counted_in_the_default_runs_dir(freeze_here: Freeze) -> None:
    freeze_here()
    assert load_frozen_config("rule").runs_dir == "runs"


@pytest.mark.parametrize("data", ["sample", "madewithml"])
def test_frozen_files_are_those_that_the_pipeline_watches(data: str, freeze_here: Freeze) -> None:
    freeze_here(data=data)
    config, _ = load_data(Path("build/config/data.yaml"))
    assert config.taxonomy is not None
    for file, original in zip((config.records, config.taxonomy), ("projects", "tags"), strict=True):
        assert Path(str(file.path)).parent == Path("data", data)
        assert Path(str(file.path)).stem == original
        assert file.url is None
    assert (config.records.sha256 is not None) == (data == "madewithml"), "a configured sha256 is kept"


def test_local_data_directory_is_not_frozen(
    freeze_here: Freeze, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze_here(data="madewithml")
    before = read_all_text("config")
    monkeypatch.setenv("MADEWITHML_DIR", str(tmp_path / "secret"))
    freeze_here(data="madewithml")
    assert read_all_text("config") == before
    assert "secret" not in before


def test_no_absolute_path_is_frozen(freeze_here: Freeze, project: Path) -> None:
    freeze_here(data="madewithml", models=["rule", "transformer"])
    assert str(project) not in read_all_text("config")
    assert str(Path.cwd()) not in read_all_text("config")


def test_every_stage_before_predictions_has_its_code(freeze_here: Freeze) -> None:
    freeze_here(models=["rule", "regression"])
    files = {path.relative_to("build/code").as_posix() for path in Path("build/code").rglob("*.json")}
    assert files == {"prepare.json", "split.json", "model/rule.json", "model/regression.json"}
    names = [line.split()[0] for line in json.loads(Path("build/code/model/rule.json").read_text())]
    assert {"train_run", "train", "NameMatcher"} <= set(names)
    assert not [name for name in names if "." in name or ":" in name], "moving a definition must not change the file"


def test_unchanged_files_are_not_rewritten(freeze_here: Freeze) -> None:
    freeze_here()
    before = {path: path.stat().st_mtime_ns for path in Path("build").rglob("*") if path.is_file()}
    assert len(before) > 6
    freeze_here()
    assert {path: path.stat().st_mtime_ns for path in Path("build").rglob("*") if path.is_file()} == before


OUTPUTS = {
    "compare": ["build/comparison.json", "build/leaderboard.md", "build/metrics.json", "build/plots/ladder.csv"],
    "gate": ["build/verdict.json", "build/verdict.md", "build/review.json"],
    "report": ["build/report.html", "build/report.md", "build/pictures/ladder.svg"],
}


@pytest.mark.parametrize(
    ("plan", "stale"),
    [
        ({}, []),
        ({"baseline": "regression"}, ["compare"]),
        ({"objective": "strict"}, ["gate", "report"]),
        ({"repeats": [0, 1]}, ["compare", "gate", "report"]),
    ],
    ids=str,
)
def test_outputs_of_another_plan_are_deleted(freeze_here: Freeze, plan: dict[str, object], stale: list[str]) -> None:
    models = ["rule", "regression"]
    freeze_here(models=models)
    for path in (Path(name) for names in OUTPUTS.values() for name in names):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("made before")
    freeze_here(**{"models": models, **plan})
    for stage, names in OUTPUTS.items():
        assert [Path(name).exists() for name in names] == [stage not in stale] * len(names), stage


def test_outputs_of_other_code_are_deleted(freeze_here: Freeze, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_here()
    Path("build/verdict.json").write_text("made before")
    Path("build/comparison.json").write_text("made before")
    hashes = frozen.definitions_of

    def change_gate_hash(roots: list[str], *sources: object) -> dict[str, str]:
        return {**hashes(roots, *sources), **({"gate": "other"} if any("judge_runs" in root for root in roots) else {})}

    monkeypatch.setattr(frozen, "definitions_of", change_gate_hash)
    freeze_here()
    assert (Path("build/verdict.json").exists(), Path("build/comparison.json").exists()) == (False, True)


def test_freeze_is_deterministic(freeze_here: Freeze) -> None:
    freeze_here(models=["rule", "regression"])
    before = read_all_text("config")
    freeze_here(models=["rule", "regression"])
    assert read_all_text("config") == before


def test_frozen_models_differ_only_in_model_and_name(freeze_here: Freeze) -> None:
    freeze_here(models=["rule", "regression"])
    rule, regression = (
        yaml.safe_load(Path(f"build/config/model/{m}.yaml").read_text()) for m in ("rule", "regression")
    )
    assert rule["model"] == plain(compose(["model=rule"]).model)
    assert {key for key in rule if rule[key] != regression[key]} == {"model", "name"}


@pytest.mark.parametrize(
    ("plan", "parts"),
    [
        ({"models": ["rul"]}, ["model=rul", "did you mean 'rule'?"]),
        ({"data": "sampel"}, ["data=sampel", "did you mean 'sample'?"]),
        ({"objective": "strct"}, ["objective=strct", "did you mean 'strict'?"]),
        ({"overrides": ["evalute=val"]}, ["'evalute'", "did you mean 'evaluate'?"]),
        ({"overrides": ["split.test=2"]}, ["split.test=2", "out of range"]),
        ({"overrides": ["threshold.method=tund"]}, ["threshold.method=tund", "did you mean 'tuned'?"]),
        ({"overrides": ["evaluate"]}, ["evaluate"]),
        ({"overrides": ["run_dir=here"]}, ["params.yaml", "overrides", "run_dir", "remove the override"]),
        ({"overrides": ["resume=last"]}, ["params.yaml", "overrides", "resume", "remove the override"]),
        ({"overrides": ["sweep_id=x"]}, ["params.yaml", "overrides", "sweep_id", "remove the override"]),
        (
            {"overrides": ["data.behaviour.path=elsewhere/b.yaml"]},
            ["elsewhere/b.yaml", "data/sample/", "data/behaviour/"],
        ),
        ({"overrides": ["data.behaviour.path=data/other/b.yaml"]}, ["data/other/b.yaml", "put the file there"]),
        # outputs in dvc.yaml are named after `data` and `models` of params.yaml: a stage would write elsewhere
        ({"overrides": ["data=madewithml"]}, ["overrides", "data"]),
        ({"overrides": ["model=regression"]}, ["overrides", "model"]),
        ({"overrides": ["data.name=other"]}, ["data.name"]),
    ],
    ids=str,
)
def test_invalid_plan_is_refused_before_writing(plan: dict[str, object], parts: list[str], freeze_here: Freeze) -> None:
    with pytest.raises(UserError) as caught:
        freeze_here(**plan)
    for part in parts:
        assert part in str(caught.value)
    assert not Path("build").exists()


def test_behavioural_tests_may_be_in_the_data_directory(freeze_here: Freeze) -> None:
    freeze_here(overrides=["data.behaviour.path=data/sample/b.yaml"])
    behaviour = load_data(Path("build/config/data.yaml"))[0].behaviour
    assert behaviour is not None
    assert behaviour.path == "data/sample/b.yaml"


def test_taxonomy_and_behavioural_tests_are_optional(freeze_here: Freeze) -> None:
    freeze_here(overrides=["data.taxonomy=null", "data.behaviour=null", "data.labels.names=null"])
    data, _ = load_data(Path("build/config/data.yaml"))
    assert (data.taxonomy, data.behaviour, data.labels.names) == (None, None, None)


def test_versions_of_libraries_are_frozen(freeze_here: Freeze) -> None:
    """A project has no lock file of its own: a new scikit-learn must train its models again."""
    freeze_here()
    versions = json.loads(Path("build/packages.json").read_text())
    assert versions["scikit-learn"] == version("scikit-learn")
    assert not {"ratchet", "ratchet-ml"} & versions.keys(), "its code is hashed, a new version need not change it"


def test_new_library_changes_only_its_file(freeze_here: Freeze, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_here()
    before = read_files(Path("build"))
    monkeypatch.setattr(frozen, "read_library_versions", lambda: {"scikit-learn": "99.0"})
    freeze_here()
    after = read_files(Path("build"))
    assert {name for name in after if after[name] != before.get(name)} == {"packages.json"}


def test_own_model_is_frozen_with_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")
    code = []
    for name, helper in (("first", "def base():\n    return 0.0\n"), ("second", "def base():\n    return 0.5\n")):
        model = CONSTANT.replace("import numpy as np\n", "import numpy as np\n\nfrom ..features import base\n")
        model = model.replace("+ self._shift", "+ self._shift + base()")
        monkeypatch.chdir(write_project(tmp_path / name, {"features.py": helper}, {"constant": model}))
        with keep_registered():
            freeze(replace(PipelineConfig(), models=["rule", "constant"]))
            assert load_frozen_config("constant").model.name == "constant"
        code.append({model: Path(f"build/code/model/{model}.json").read_text() for model in ("rule", "constant")})
        assert str(tmp_path) not in code[-1]["constant"]
    assert code[0]["rule"] == code[1]["rule"]
    assert set(json.loads(code[0]["constant"])) ^ set(json.loads(code[1]["constant"])), "the helper is part of it"


def lock_stages(models: Sequence[str], **settings: object) -> None:
    """Write dvc.lock as DVC does after training these models; `settings` replace top-level keys of configurations."""
    stages = {}
    for model in models:
        config, code = Path(f"build/config/model/{model}.yaml"), Path(f"build/code/model/{model}.json")
        deps = [
            {"path": path.as_posix(), "md5": hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}
            for path in (code, Path("build/packages.json"))
        ]
        content = {**yaml.safe_load(config.read_text(encoding="utf-8")), **settings}
        stages[f"train@{model}-0"] = {"deps": deps, "params": {config.as_posix(): content}}
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": stages}), encoding="utf-8")


def test_changed_settings_of_models_are_explained(freeze_here: Freeze) -> None:
    freeze_here(models=["rule", "regression"])
    lock_stages(["rule", "regression"])
    plan = PipelineConfig(models=["rule", "regression", "cnn"], repeats=[0, 1, 2])
    freeze_here(models=plan.models)
    assert explain_stale_models(plan) == [], "cnn was never trained, so nothing of it is out of date"
    changed = replace(plan, overrides=["evaluate=val"])
    freeze_here(models=plan.models, overrides=changed.overrides)
    assert explain_stale_models(changed) == [
        "out of date: rule, regression (6 runs): evaluate: test -> val",
        "(overrides in params.yaml apply to every model; conf/model/<model>.yaml changes one)",
    ]
    of_one = replace(plan, models=["regression"], overrides=["model.C=0.5"])
    freeze_here(models=of_one.models, overrides=of_one.overrides)
    assert explain_stale_models(of_one) == ["out of date: regression (3 runs): model.C: 1.5 -> 0.5"]


def test_changed_code_and_packages_are_explained(freeze_here: Freeze) -> None:
    plan = PipelineConfig(models=["rule"])
    freeze_here(models=["rule"])
    lock_stages(["rule"])
    for path in ("build/code/model/rule.json", "build/packages.json"):
        Path(path).write_text("{}")
    assert explain_stale_models(plan) == ["out of date: rule (1 run): its code; versions of packages"]


@pytest.mark.parametrize("content", [None, "", "stages: [", "stages: {}", "[]"])
def test_lock_that_cannot_be_read_explains_nothing(content: str | None, freeze_here: Freeze) -> None:
    freeze_here(models=["rule"])
    if content is not None:
        Path("dvc.lock").write_text(content)
    assert explain_stale_models(PipelineConfig()) == []


def test_number_that_dvc_writes_in_another_way_is_no_change(freeze_here: Freeze) -> None:
    freeze_here(models=["cnn"])
    model = yaml.safe_load(Path("build/config/model/cnn.yaml").read_text(encoding="utf-8"))["model"]
    lock_stages(["cnn"], model={**model, "learning_rate": "2e-3"})
    assert explain_stale_models(PipelineConfig(models=["cnn"], baseline="cnn")) == []
