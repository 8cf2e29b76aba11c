"""Tests of `ratchet models`, `ratchet models NAME` and `ratchet models check NAME`."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cli.conftest import Verb
from tests.commands import CONF, run_command

from ratchet.config import help_of
from ratchet.config.options import summarise_models
from ratchet.contract import CHECKS
from ratchet.models import settings_class

LIST_WITHOUT_MODULES = """
import json, sys
from ratchet.cli.main import main
assert main(["models", "format=json"]) == 0
print(json.dumps([name for name in sys.modules if ".models." in name and ".cli." not in name]))
"""
BASE_RATES = """\
import json
from dataclasses import dataclass

import numpy as np

from ratchet.config import ModelConfig
from ratchet.data.known import prepare_fit


@dataclass
class Settings(ModelConfig):
    pass


class Tagger:
    deterministic = True

    def __init__(self, settings):
        pass

    def fit(self, train, val, context):
        print("fitting")
        targets, known = prepare_fit(train.targets, train.known)
        self.use(np.average(targets, axis=0, weights=known).tolist())

    def use(self, shares):
        self.shares = shares
        self.num_parameters = self.size_bytes = len(shares)

    def predict_proba(self, texts):
        return np.tile(np.float32(self.shares) * np.float32(0.9), (len(texts), 1))

    def save(self, directory):
        (directory / "shares.json").write_text(json.dumps(self.shares))

    @classmethod
    def load(cls, directory):
        tagger = cls(None)
        tagger.use(json.loads((directory / "shares.json").read_text()))
        return tagger
"""
BASE_RATES_YAML = "# Base rates.\ndefaults: [base_mine, _self_]\nname: mine\ncomplexity: 1\n"
ABOVE_1 = BASE_RATES.replace("np.float32(0.9)", "np.float32(9)")


@pytest.fixture
def own_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return a function that writes a module `mine` and its YAML file to a project, the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RATCHET_PROJECT", raising=False)
    (tmp_path / "ratchet.yaml").touch()

    def write(module: str) -> Path:
        for name, content in (("models/mine.py", module), ("conf/model/mine.yaml", BASE_RATES_YAML)):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    """Return a directory for --config-dir, with an empty group of models."""
    (tmp_path / "more/model").mkdir(parents=True)
    return tmp_path / "more"


def test_models_are_described_and_sorted_by_complexity(verb: Verb) -> None:
    code, out, err = verb("models", "format=json")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert {row["model"] for row in rows} == {path.stem for path in (CONF / "model").glob("*.yaml")}
    assert [row["complexity"] for row in rows] == sorted(row["complexity"] for row in rows)
    assert {row["model"]: row["module"] for row in rows}["transformer_tiny"] == "transformer"
    assert all(row["what"].endswith(".") for row in rows)


def test_model_of_config_dir_is_listed(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    path = tmp_path / "model/mine.yaml"
    path.write_text("# My own.\ndefaults: [rule, _self_]\nname: mine\nmodule: rule\n", encoding="utf-8")
    code, out, _ = verb("models", "--config-dir", str(tmp_path), "format=md")
    assert code == 0
    assert "| mine | rule | 0 | My own. |" in out.splitlines()


def test_model_is_shown_with_its_settings(verb: Verb) -> None:
    code, out, err = verb("models", "regression")
    assert (code, err) == (0, "")
    assert out.startswith("regression (module regression, complexity 1): ")
    lines = out.splitlines()
    start = lines.index("  model.mention_weight=0.3")
    sentence = help_of(settings_class("regression"))["mention_weight"]
    assert " ".join(" ".join(lines[start + 1 : start + 4]).split()) == f"{sentence} float at least 0 and at most 10"
    content = json.loads(verb("models", "rule", "format=json")[1])
    assert content["settings"][0] == {
        "key": "stemming",
        "value": True,
        "kind": "false | true",
        "remark": help_of(settings_class("rule"))["stemming"],
    }
    assert "| model.stemming | true | false \\| true |" in verb("models", "rule", "format=md")[1]


def test_misspelt_action_error_suggests_check(verb: Verb) -> None:
    assert verb("models", "chek", "rule") == (2, "", "error: models chek: did you mean 'check'?\n")


def test_misspelt_model_error_suggests_nearest_name(verb: Verb) -> None:
    code, out, err = verb("models", "transfomer")
    assert (code, out) == (2, "")
    assert "'transformer'" in err
    assert "unknown key" in verb("models", "rule", "fromat=json")[2]


def test_list_imports_no_module_of_a_model(own_model: Callable[[str], Path]) -> None:
    project = own_model("raise RuntimeError('imported')\n")
    done = run_command(sys.executable, "-c", LIST_WITHOUT_MODULES, cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    *printed, imported = done.stdout.splitlines()
    assert json.loads(imported) == []
    assert "mine" in {row["model"] for row in json.loads("\n".join(printed))}


def test_list_follows_defaults_in_their_order(verb: Verb, config_dir: Path) -> None:
    for name, content in {
        "heir": "# An heir.\ndefaults: [/model/parent@_here_, _self_]\nname: heir\n",
        "parent": "defaults: [regression, _self_]\nname: parent\nmodule: regression\ncomplexity: 7\n",
        "overridden": "defaults: [_self_, parent]\nname: overridden\ncomplexity: 9\n",
    }.items():
        (config_dir / f"model/{name}.yaml").write_text(content, encoding="utf-8")
    rows = {row["model"]: row for row in json.loads(verb("models", f"--config-dir={config_dir}", "format=json")[1])}
    assert {rows[name]["module"] for name in ("heir", "parent", "overridden")} == {"regression"}
    assert [rows[name]["complexity"] for name in ("heir", "parent", "overridden")] == [7, 7, 7]
    for name in ("heir", "overridden"):  # Hydra composes the same
        out = json.loads(verb("models", name, f"--config-dir={config_dir}", "format=json")[1])
        assert (out["module"], out["complexity"]) == ("regression", 7)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name: mine\n  complexity: 1\n", ["mine.yaml, line 2", "not valid YAML"]),
        (b"name: mine\nname: yours\n", ["mine.yaml, line 2", "duplicate key"]),
        (b"name: \0", ["mine.yaml", "not valid YAML"]),
        (b"# \xff\n", ["mine.yaml", "not UTF-8"]),
        (b"- name\n", ["mine.yaml", "`complexity: 1`"]),
        (b"", ["mine.yaml", "name"]),
        (b"defaults: [base_rule, _self_]\nname: mine\nmodule: rule\n", ["mine.yaml", "model.complexity"]),
        (b"name: mine\ncomplexity: high\n", ["mine.yaml", "model.complexity", "high"]),
        (b"name: mine\ncomplexity: -1\n", ["mine.yaml", "model.complexity=-1", "at least 0"]),
        (b"defaults: [rul, _self_]\n", ["mine.yaml", "defaults", "'rule'"]),
        (b"defaults: [mine]\n", ["mine.yaml", "defaults", "itself"]),
        (b"name: ${oops\n", ["mine.yaml", "cannot be read", "${oops"]),
        (b"name: &a [*a]\n", ["mine.yaml", "cannot be read", "stands for a part of itself"]),
    ],
)
def test_broken_file_is_listed_with_its_problem(verb: Verb, config_dir: Path, content: bytes, words: list[str]) -> None:
    (config_dir / "model/mine.yaml").write_bytes(content)
    code, out, err = verb("models", f"--config-dir={config_dir}", "format=json")
    assert (code, err) == (0, "")
    *others, last = json.loads(out)
    assert last["model"] == "mine"
    assert (last["module"], last["complexity"]) == (None, None)
    assert len(others) == len(list((CONF / "model").glob("*.yaml")))
    assert not any(row["problem"] for row in others)
    table = verb("models", f"--config-dir={config_dir}", "format=md")[1]
    code, out, err = verb("models", "mine", f"--config-dir={config_dir}")
    assert (code, out) == (2, "")
    for word in words:
        assert word in last["problem"]
        assert word in table
        assert word in err


@settings(max_examples=30)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_file_is_listed(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    directory = tmp_path_factory.mktemp("any")
    (directory / "model").mkdir()
    (directory / "model/mine.yaml").write_bytes(content)
    assert "mine" in {summary.name for summary in summarise_models(directory)}


def test_comments_for_tools_are_no_description(verb: Verb, config_dir: Path) -> None:
    lines = "# @package _group_\n# yaml-language-server: $schema=../x.json\n# Mine.\nname: mine\ncomplexity: 3\n"
    (config_dir / "model/mine.yaml").write_text(lines, encoding="utf-8")
    rows = json.loads(verb("models", f"--config-dir={config_dir}", "format=json")[1])
    assert {row["model"]: row["what"] for row in rows}["mine"] == "Mine."


def test_broken_module_is_reported_with_its_line(verb: Verb, own_model: Callable[[str], Path]) -> None:
    own_model("import json\nraise RuntimeError('broken')\n")
    for arguments in (["mine"], ["check", "mine"]):
        code, out, err = verb("models", *arguments)
        assert (code, out) == (2, "")
        assert "models/mine.py, line 2" in err
    assert verb("models", "rule")[0] == 0, "other models keep working"


def test_check_of_correct_model_succeeds(verb: Verb, own_model: Callable[[str], Path]) -> None:
    project = own_model(BASE_RATES)
    before = sorted(project.rglob("*.json"))
    code, out, err = verb("models", "check", "mine")
    assert code == 0
    lines = out.splitlines()
    assert lines[:-2] == [f"ok       {check.name}" for check in CHECKS]
    assert lines[-1] == f"mine: {len(CHECKS)} ok"
    assert set(err.split()) == {"fitting"}, "what the model prints is not in the result"
    assert sorted(project.rglob("*.json")) == before


def test_check_explains_failures(verb: Verb, own_model: Callable[[str], Path]) -> None:
    own_model(ABOVE_1.replace("tagger.use(json", "0 / 0\n        tagger.use(json"))
    code, out, err = verb("models", "check", "mine", "format=json")
    assert code == 1
    assert set(err.split()) == {"fitting"}
    content = json.loads(out)
    assert content["model"] == "mine"
    rows = {row["check"]: row for row in content["checks"]}
    assert [row["check"] for row in content["checks"]] == [check.name for check in CHECKS]
    scores = rows["scores are float32 in [0, 1], multilabel"]
    assert scores["result"] == "failed"
    assert "predict_proba" in scores["explanation"]
    line = 1 + BASE_RATES.splitlines().index('        tagger.use(json.loads((directory / "shares.json").read_text()))')
    loading = rows["load restores what save wrote, multilabel"]
    assert loading["explanation"] == "ZeroDivisionError: division by zero"
    assert loading["location"] == f"models/mine.py, line {line}, in load"
    assert rows["saving twice writes the same bytes"]["result"] == "ok"
    code, out, _ = verb("models", "check", "mine")
    assert code == 1
    lines = out.splitlines()
    start = lines.index("failed   load restores what save wrote, multilabel")
    assert lines[start + 1 : start + 3] == [" " * 9 + loading["explanation"], " " * 9 + loading["location"]]
    failed = sum(row["result"] == "failed" for row in rows.values())
    assert f"{failed} failed" in lines[-1]
    code, out, _ = verb("models", "check", "mine", "format=md")
    assert code == 1
    assert f"| {loading['check']} | failed | {loading['explanation']} | {loading['location']} |" in out.splitlines()


def test_check_stops_where_the_model_cannot_be_fitted(verb: Verb, own_model: Callable[[str], Path]) -> None:
    own_model(BASE_RATES.replace('print("fitting")', "raise ValueError('no idea')"))
    code, out, _ = verb("models", "check", "mine")
    assert code == 1
    assert out.splitlines()[:2] == [f"failed   {CHECKS[0].name}", " " * 9 + "ValueError: no idea"]
    assert out.splitlines()[-1] == f"mine: 1 failed, {len(CHECKS) - 1} not run"


def test_missing_library_is_a_mistake_of_the_user(verb: Verb, own_model: Callable[[str], Path]) -> None:
    raising = "from ratchet.errors import UserError; raise UserError('mine needs torch')"
    own_model(BASE_RATES.replace('print("fitting")', raising))
    code, out, err = verb("models", "check", "mine")
    assert (code, out) == (2, "")
    assert "mine needs torch" in err


def test_check_wraps_explanations_in_a_terminal(
    verb: Verb, own_model: Callable[[str], Path], terminal: Callable[[int], None]
) -> None:
    own_model(ABOVE_1)
    terminal(70)
    code, out, _ = verb("models", "check", "mine")
    assert code == 1
    assert all(len(line) <= 70 for line in out.splitlines())


def test_check_of_unknown_model_suggests_nearest_name(verb: Verb) -> None:
    code, out, err = verb("models", "check", "regresion")
    assert (code, out) == (2, "")
    assert "'regression'" in err
    code, out, err = verb("models", "check")
    assert (code, out) == (2, "")
    assert "regression" in err
    assert "unknown key" in verb("models", "check", "rule", "fromat=json")[2]
