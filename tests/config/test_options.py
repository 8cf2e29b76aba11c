from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import pytest

from ratchet.config import (
    bounded,
    configs_of,
    headline,
    help_of,
    is_option,
    parse_options,
    settings_of,
    take_config_dir,
)
from ratchet.errors import UserError
from ratchet.lexical.features import LexicalSettings
from ratchet.models import settings_class


class Colour(Enum):
    red = "red"
    green = "green"


@dataclass
class Options:
    name: str = "n"
    count: int = 1
    share: float = 0.5
    yes: bool = False
    colour: Colour = Colour.red
    items: list[str] = field(default_factory=lambda: ["a"])
    limit: str | None = None


def test_no_arguments_give_the_defaults() -> None:
    assert parse_options(Options, []) == Options()


def test_values_are_converted_to_field_types() -> None:
    arguments = ["name=x", "count=3", "share=1", "yes=true", "colour=green", "items=[b,c]", "limit=7"]
    assert parse_options(Options, arguments) == Options("x", 3, 1.0, True, Colour.green, ["b", "c"], "7")


def test_last_value_of_a_key_wins() -> None:
    assert parse_options(Options, ["count=1", "count=2"]).count == 2


@pytest.mark.parametrize(
    "text",
    ["26e551", "012345", "yes", "see #12 of it", "deadline: friday", "costs ${5", "[a", "{", "null", "a\u2028b", ""],
)
def test_text_is_taken_literally(text: str) -> None:
    """Reasons and ids of runs must not be parsed as YAML or numbers."""
    assert parse_options(Options, [f"name={text}"]).name == text
    assert parse_options(Options, [f"limit={text}"]).limit == (None if text == "null" else text)


def test_quotes_around_a_complete_text_are_removed() -> None:
    assert parse_options(Options, ["name='a b'"]).name == "a b"
    assert parse_options(Options, ['name="a"']).name == "a"
    assert parse_options(Options, ["name='a\""]).name == "'a\""


def test_out_of_range_value_error_names_the_limit() -> None:
    @dataclass
    class Bounded:
        resamples: int = bounded(1000, low=100)

    with pytest.raises(UserError, match=r"resamples=0\b.*\b100\b"):
        parse_options(Bounded, ["resamples=0"])


def test_value_may_contain_an_equals_sign() -> None:
    assert parse_options(Options, ["name=a=b"]).name == "a=b"


def test_default_lists_are_not_shared_between_calls() -> None:
    parse_options(Options, []).items.append("b")
    assert parse_options(Options, []).items == ["a"]


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("nmae=x", ["nmae=x", "'nmae'", "'name'"]),
        ("zzz=1", ["'zzz'", "valid:", "colour, count"]),
        ("count", ["'count'", "key=value", "keys: name, count"]),
        ("count=many", ["count=many", "'many'", "Integer"]),
        ("share=half", ["share=half", "'half'"]),
        ("yes=perhaps", ["yes=perhaps", "bool"]),
        ("colour=gren", ["colour=gren", "'green'"]),
        ("items=b", ["items=b", "list"]),
        ("count=null", ["count=null"]),
        ("count.x=1", ["count.x=1", "count"]),
        ("items=[a", ["items=[a"]),
        ("count=${nope}", ["count=${nope}"]),
        ("=1", ["=1"]),
    ],
)
def test_wrong_argument_error_explains_the_mistake(argument: str, parts: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        parse_options(Options, ["limit=1", argument])
    for part in ["command line", *parts]:
        assert part in str(caught.value)


def test_error_lists_no_keys_for_a_verb_without_options() -> None:
    @dataclass
    class NoOptions:
        pass

    with pytest.raises(UserError, match="keys: none"):
        parse_options(NoOptions, ["x"])


@pytest.mark.parametrize("flag", ["--config-dir", "-cd"])
def test_config_directory_is_removed_from_the_arguments(flag: str, tmp_path: Path) -> None:
    assert take_config_dir(["data=x", flag, str(tmp_path), "seed=1"]) == (["data=x", "seed=1"], tmp_path)
    assert take_config_dir([f"{flag}={tmp_path}", "seed=1"]) == (["seed=1"], tmp_path)


def test_arguments_without_config_directory_are_unchanged() -> None:
    arguments = ["data=x", "-m", "hydra.searchpath=[a]"]
    assert take_config_dir(arguments) == (arguments, None)


def test_missing_config_directory_is_named_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--config-dir .*nowhere"):
        take_config_dir(["--config-dir", str(tmp_path / "nowhere")])


def test_file_is_rejected_as_config_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="no such directory"):
        take_config_dir([f"--config-dir={tmp_path / 'file'}"])


@pytest.mark.parametrize("arguments", [["--config-dir"], ["--config-dir="], ["-cd"]])
def test_empty_config_directory_name_is_rejected(arguments: list[str]) -> None:
    """`Path("")` is the working directory, which the user did not name."""
    with pytest.raises(UserError, match="--config-dir"):
        take_config_dir(arguments)


def test_run_directory_is_not_mistaken_for_an_option() -> None:
    for argument, expected in (
        ("text=a", True),
        ("data.text=a", True),
        ("20260101T000000Z-abcdef", False),
        ("runs/a=b/x", False),
        ("/tmp/a=b", False),
        ("./a=b", False),
    ):
        assert is_option(argument) is expected, argument


USER_MODEL = """\
# Rules that do not stem.
# More of it.
defaults: [rule, _self_]
name: mine
module: rule
stemming: false  # as it is written
"""


@pytest.fixture
def user_config_dir(tmp_path: Path) -> Path:
    """Return a user's directory of configurations with two models."""
    (tmp_path / "model/deep").mkdir(parents=True)
    (tmp_path / "model/mine.yaml").write_text(USER_MODEL, encoding="utf-8")
    (tmp_path / "model/deep/bare.yaml").write_text("name: bare\n", encoding="utf-8")
    return tmp_path


def test_configs_are_found_in_nested_and_user_directories(user_config_dir: Path) -> None:
    configs = configs_of("model", user_config_dir)
    assert list(configs) == sorted(configs)
    assert {"rule", "cnn", "mine", "deep/bare"} <= configs.keys()
    assert configs_of("model").keys() == configs.keys() - {"mine", "deep/bare"}


def test_headline_is_the_first_comment_of_the_file(user_config_dir: Path) -> None:
    paths = configs_of("model", user_config_dir)
    assert headline(paths["mine"]) == "Rules that do not stem."
    assert headline(paths["deep/bare"]) == ""
    assert headline(configs_of("experiment")["rule_exact"]).startswith("Effect of stemming"), "not the @package line"


def test_setting_has_its_value_range_and_help() -> None:
    settings = {setting.key: setting for setting in settings_of("cnn")}
    assert not {"name", "module", "complexity"} & settings.keys()
    assert list(settings)[:3] == ["tokens", "encoder", "vocabulary_size"], "settings of the model itself come first"
    dropout, tokens, lexical = settings["dropout"], settings["tokens"], settings["lexical.C"]
    assert (dropout.value, dropout.kind) == (0.5, "float at least 0 and at most 0.95")
    assert tokens.kind == "pretrained | character | word | subword"
    assert (lexical.value, lexical.kind) == (1.5, "float above 0 and at most 1000")
    assert [tokens.remark, lexical.remark] == [help_of(settings_class("cnn"))["tokens"], help_of(LexicalSettings)["C"]]


def test_user_model_settings_combine_file_values_and_module_help(user_config_dir: Path) -> None:
    settings = {setting.key: setting for setting in settings_of("mine", user_config_dir)}
    assert settings["stemming"].value is False
    assert settings["parents"].remark == help_of(settings_class("rule"))["parents"]


def test_unknown_model_error_suggests_the_nearest() -> None:
    with pytest.raises(UserError, match="'regression'"):
        settings_of("regresion")
