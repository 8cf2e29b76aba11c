from pathlib import Path

import pytest

from ratchet.config import configs_of, headline, settings_of
from ratchet.config.data_schema import SplitMethod
from ratchet.config.fields import bounded, choices_of, range_in_words, type_in_words
from ratchet.errors import UserError

OWN = """\
# Rules that do not stem.
# More of it.
defaults: [rule, _self_]
name: mine
module: rule
stemming: false  # as it is written
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A further directory of configurations, with a model."""
    (tmp_path / "model/deep").mkdir(parents=True)
    (tmp_path / "model/mine.yaml").write_text(OWN, encoding="utf-8")
    (tmp_path / "model/deep/bare.yaml").write_text("name: bare\n", encoding="utf-8")
    return tmp_path


def test_configs_are_found_however_deep_and_wherever_they_are(own: Path) -> None:
    found = configs_of("model", own)
    assert list(found) == sorted(found)
    assert {"rule", "cnn", "mine", "deep/bare"} <= found.keys()
    assert configs_of("model").keys() == found.keys() - {"mine", "deep/bare"}


def test_a_headline_is_the_first_comment_of_what_is_in_the_file(own: Path) -> None:
    paths = configs_of("model", own)
    assert headline(paths["mine"]) == "Rules that do not stem."
    assert headline(paths["deep/bare"]) == ""
    assert headline(configs_of("experiment")["rule_exact"]).startswith("What stemming brings"), "not its @package"


def test_a_setting_has_its_value_its_range_and_its_remark() -> None:
    settings = {each.key: each for each in settings_of("cnn")}
    assert not {"name", "module", "complexity"} & settings.keys()
    assert list(settings)[:3] == ["tokens", "encoder", "vocabulary_size"], "as in the file"
    dropout, tokens, lexical = settings["dropout"], settings["tokens"], settings["lexical.C"]
    assert (dropout.value, dropout.kind) == (0.5, "float at least 0 and at most 0.95")
    assert tokens.kind == "pretrained | character | word | subword"
    assert tokens.remark.startswith("sub-words of the encoder")
    assert (lexical.value, lexical.kind, lexical.remark) == (1.5, "float above 0 and at most 1000", "")


def test_remarks_are_inherited_with_the_values(own: Path) -> None:
    settings = {each.key: each for each in settings_of("mine", own)}
    assert (settings["stemming"].value, settings["stemming"].remark) == (False, "as it is written")
    assert settings["parents"].remark == "a label that fires brings its parents with it"


def test_a_model_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(UserError, match="'regression'"):
        settings_of("regresion")


def test_choices_are_those_of_enumerations_and_truth_values() -> None:
    assert choices_of(SplitMethod) == [each.name for each in SplitMethod]
    assert choices_of(bool | None) == ["false", "true", "null"]
    assert choices_of(int) == choices_of(str | None) == choices_of(list[int]) == []
    assert [type_in_words(kind) for kind in (int, list[int] | None)] == ["int", "list[int] | null"]


def test_a_range_is_said_as_it_was_declared() -> None:
    assert range_in_words({"low": 0, "high": None, "above": None}) == "at least 0"
    assert range_in_words(bounded(1, above=0, high=2).metadata) == "above 0 and at most 2"
    assert range_in_words({}) == ""
