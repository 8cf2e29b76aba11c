import json
from pathlib import Path

from tests.cli.conftest import Verb

from ratchet.config import help_of
from ratchet.models import settings_class
from ratchet.project import CONF


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


def test_misspelt_model_error_suggests_nearest_name(verb: Verb) -> None:
    code, out, err = verb("models", "transfomer")
    assert (code, out) == (2, "")
    assert "'transformer'" in err
    assert "unknown key" in verb("models", "rule", "fromat=json")[2]
