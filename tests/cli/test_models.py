import json
from pathlib import Path

from tests.cli.conftest import Verb

from ratchet.config import help_of
from ratchet.models import settings_class
from ratchet.project import CONF


def test_every_model_is_listed_with_what_it_is_the_simplest_first(verb: Verb) -> None:
    code, out, err = verb("models", "format=json")
    assert (code, err) == (0, "")
    listed = json.loads(out)
    assert {each["model"] for each in listed} == {path.stem for path in (CONF / "model").glob("*.yaml")}
    assert [each["complexity"] for each in listed] == sorted(each["complexity"] for each in listed)
    assert {each["model"]: each["module"] for each in listed}["transformer_tiny"] == "transformer"
    assert all(each["what"].endswith(".") for each in listed)


def test_a_model_of_ones_own_is_among_them(verb: Verb, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    path = tmp_path / "model/mine.yaml"
    path.write_text("# My own.\ndefaults: [rule, _self_]\nname: mine\nmodule: rule\n", encoding="utf-8")
    code, out, _ = verb("models", "--config-dir", str(tmp_path), "format=md")
    assert code == 0
    assert "| mine | rule | 0 | My own. |" in out.splitlines()


def test_one_is_shown_with_all_that_can_be_set(verb: Verb) -> None:
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


def test_a_misspelt_name_gets_the_nearest(verb: Verb) -> None:
    code, out, err = verb("models", "transfomer")
    assert (code, out) == (2, "")
    assert "'transformer'" in err
    assert "unknown key" in verb("models", "rule", "fromat=json")[2]
