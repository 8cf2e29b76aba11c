"""Tests for commands in a project: where they run, paths in a subdirectory, and the line about replaced files."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.cli.conftest import Verb
from tests.commands import read_files
from tests.own_projects import keep_registered, model_yaml, write_project

from ratchet.cli import locating
from ratchet.cli.help import find_options
from ratchet.cli.locating import describe_replaced, enter_project
from ratchet.project import VARIABLE


@pytest.fixture(autouse=True)
def _keep_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Restore the models of the process, its working directory, its project, and its log, which `--info` turns on."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.chdir(tmp_path)
    with keep_registered():
        yield


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_project(tmp_path / "project")
    (root / "sub").mkdir()
    return root


def enter_from(start: Path, *arguments: str, verb: str = "train") -> list[str]:
    start.mkdir(parents=True, exist_ok=True)
    os.chdir(start)
    return enter_project(arguments, [options for options in find_options(verb).values() if options])


def test_command_runs_in_the_root(root: Path) -> None:
    assert enter_from(root / "sub", "model=rule", "seed=1") == ["model=rule", "seed=1"]
    assert Path.cwd() == root


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("data.records.path=x.csv", "data.records.path=sub/x.csv"),
        ("+data.behaviour.path=../b.yaml", "+data.behaviour.path=b.yaml"),
        ("data.records.path='x y.csv'", "data.records.path='sub/x y.csv'"),
        ('data.records.path="x.csv"', 'data.records.path="sub/x.csv"'),
        ("data.records.path=größe.csv", "data.records.path='sub/größe.csv'"),
        ("data.records.path=it's.csv", 'data.records.path="sub/it\'s.csv"'),
        ("data.records.path=a.csv,'b, c.csv',/d.csv", "data.records.path=sub/a.csv,'sub/b, c.csv',/d.csv"),
        ("data.records.path=choice(a.csv, b.csv)", "data.records.path=choice(sub/a.csv, sub/b.csv)"),
        ("data.records.path=https://example.org/x.csv", "data.records.path=https://example.org/x.csv"),
        ("data.records.path=~/x.csv", "data.records.path=~/x.csv"),
        ("data.records.path=/x.csv", "data.records.path=/x.csv"),
        ("data.records.path=null", "data.records.path=null"),
        ("runs_dir=here", "runs_dir=sub/here"),
        ("run_dir=../there", "run_dir=there"),
        ("promotions_dir=.", "promotions_dir=sub"),
        ("--config-dir=more", "--config-dir=sub/more"),
        ("-cd=more", "-cd=sub/more"),
        ("resume=last", "resume=last"),
        ("resume=20260101T000000Z-abcdef", "resume=20260101T000000Z-abcdef"),
        ("hypothesis=a/b.csv", "hypothesis=a/b.csv"),
        ("model.encoder=sentence-transformers/all", "model.encoder=sentence-transformers/all"),
    ],
)
def test_paths_of_train_are_those_of_the_working_directory(given: str, expected: str, root: Path) -> None:
    assert enter_from(root / "sub", given) == [expected]


@pytest.mark.parametrize(
    ("verb", "given", "expected"),
    [
        ("predict", ["last", "input=x.csv", "output=../y, z.csv"], ["last", "input=sub/x.csv", "output='y, z.csv'"]),
        ("export", ["last", "out=x"], ["last", "out=sub/x"]),
        ("report", ["out=a,b.html"], ["out='sub/a,b.html'"]),
        ("reproduce", ["last", "keep=kept"], ["last", "keep=sub/kept"]),
        ("gate", ["verdict=v.json"], ["verdict=sub/v.json"]),
        ("evaluate", ["last", "data.records.path=x.csv"], ["last", "data.records.path=sub/x.csv"]),
        ("explain", ["last", "text=see /x.csv"], ["last", "text=see /x.csv"]),
        ("compare", ["--config-dir", "more", "baseline=rule"], ["--config-dir", "sub/more", "baseline=rule"]),
        ("runs", ["list", "runs_dir=../runs"], ["list", "runs_dir=runs"]),
    ],
)
def test_paths_of_verbs_are_those_of_the_working_directory(
    verb: str, given: list[str], expected: list[str], root: Path
) -> None:
    assert enter_from(root / "sub", *given, verb=verb) == expected


def test_existing_file_is_one_path_whatever_its_name(root: Path) -> None:
    for name in ("a,b.csv", "mine (1)"):
        (root / "sub" / name).touch()
    assert enter_from(root / "sub", "data.records.path='a,b.csv'") == ["data.records.path='sub/a,b.csv'"]
    assert enter_from(root / "sub", "data.records.path=a,b.csv") == ["data.records.path='sub/a,b.csv'"]
    assert enter_from(root / "sub", "model.encoder=mine (1)") == ["model.encoder='sub/mine (1)'"]


@pytest.mark.parametrize("marker", ["record.json", "manifest.json"])
def test_directory_of_a_run_or_an_export_is_located(marker: str, root: Path) -> None:
    for name in ("run", "a=b"):
        (root / "sub" / name / "in").mkdir(parents=True)
        (root / "sub" / name / "in" / marker).touch()
    assert enter_from(root / "sub", "run/in", verb="predict") == ["sub/run/in"]
    assert enter_from(root / "sub" / "a=b", "in", verb="predict") == ["./sub/a=b/in"], "it is no key=value"


def test_words_stay_words_beside_files_of_their_names(root: Path) -> None:
    (root / "sub").mkdir(exist_ok=True)
    for name in ("list", "rule", "last", "log.jsonl"):
        (root / "sub" / name).touch()
    assert enter_from(root / "sub", "list", "rule", "last", "-m", verb="runs") == ["list", "rule", "last", "-m"]
    assert enter_from(root / "sub", "log.jsonl", verb="predict") == ["sub/log.jsonl"], "a log of promotions"


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0\r\n$"), min_size=1, max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_path_in_a_directory_of_any_name_is_one_value_of_hydra(tmp_path: Path, name: str) -> None:
    root, start = tmp_path, tmp_path / name
    [argument] = locating._relocate(["data.records.path=x.csv"], set(), {"data.records.path"}, start, root)
    assume(not {"'", '"'} <= set(name))
    parsed = OverridesParser.create().parse_override(argument)
    assert not parsed.is_sweep_override()
    assert parsed.value() == os.path.relpath(start / "x.csv", root)


def test_project_is_named_by_an_option(root: Path, tmp_path: Path) -> None:
    for flags in (["--project", "project"], ["--project=project"], [f"--project={root}/sub/.."]):
        os.environ[VARIABLE] = ""
        assert enter_from(tmp_path, "model=rule", *flags, "runs_dir=r") == ["model=rule", "runs_dir=../r"]
        assert Path.cwd() == root
        assert os.environ[VARIABLE] == str(root), "child processes work in it, too"


def test_relative_project_of_the_environment_stays_the_same(root: Path, tmp_path: Path) -> None:
    os.environ[VARIABLE] = "project"
    enter_from(tmp_path)
    assert (Path.cwd(), os.environ[VARIABLE]) == (root, str(root))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--project", "nowhere"], ["--project nowhere", "no such directory"]),
        (["--project", "project/ratchet.yaml"], ["--project project/ratchet.yaml", "no such directory"]),
        (["--project", "project/sub"], ["--project project/sub", "not a project", "ratchet init"]),
        (["--project="], ["--project needs a directory"]),
    ],
)
@pytest.mark.parametrize("verb_first", [True, False])
def test_option_that_names_no_project_is_refused(
    verb_first: bool, arguments: list[str], parts: list[str], root: Path, tmp_path: Path, verb: Verb
) -> None:
    before = read_files(tmp_path)
    code, out, err = verb("models", *arguments) if verb_first else verb(*arguments, "models")
    assert (code, out) == (2, "")
    assert all(part in err for part in ["command line: ", *parts])
    assert os.environ[VARIABLE] == ""
    assert read_files(tmp_path) == before


def test_variable_that_names_no_project_is_refused(tmp_path: Path, verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere"))
    for arguments in (["train", "model=rule"], ["models"], ["runs", "list"]):
        code, out, err = verb(*arguments)
        assert (code, out) == (2, "")
        assert f"{VARIABLE}={tmp_path}/nowhere: no such directory" in err
    assert read_files(tmp_path) == {}


def test_option_may_be_before_the_verb_or_without_one(root: Path, verb: Verb) -> None:
    write_project(root, {"conf/model/own.yaml": model_yaml("own", "rule")})
    expected = verb("models", "--project", "project")
    os.chdir(root.parent)
    assert verb("--project", "project", "models") == expected
    assert "own" in expected[1]
    for arguments in (["--project", "project"], ["--project=project"], ["--project"]):
        code, out, _ = verb(*arguments)
        assert code == 0
        assert "usage: ratchet VERB" in out


def test_replaced_configurations_of_read_groups_are_named(root: Path) -> None:
    os.chdir(root)
    assert describe_replaced(["model", "data"]) is None
    write_project(
        root,
        {"conf/model/rule.yaml": "", "conf/model/own.yaml": "", "conf/data/sample.yaml": "", "conf/config.yaml": ""},
    )
    both = describe_replaced(["model", "data"])
    assert both is not None
    assert both.startswith("conf: data/sample.yaml, model/rule.yaml replace ")
    one = describe_replaced(["data"])
    assert one is not None
    assert one.startswith("conf: data/sample.yaml replaces ")
    assert describe_replaced(["objective"]) is None


@pytest.mark.parametrize(
    ("arguments", "is_said"),
    [
        (["train", "--cfg", "job"], True),
        (["compare", "baseline=absent"], False),
        (["runs", "list"], False),
    ],
)
def test_replaced_files_are_said_once_on_stderr(arguments: list[str], is_said: bool, root: Path, verb: Verb) -> None:
    write_project(root, {"conf/model/rule.yaml": model_yaml("rule")})
    os.chdir(root)
    _, out, err = verb(*arguments)
    assert err.count("model/rule.yaml") == int(is_said)
    assert "replaces" not in out


def test_nothing_is_said_if_nothing_is_replaced(root: Path, verb: Verb) -> None:
    write_project(root, {"conf/model/own.yaml": model_yaml("own", "rule"), "conf/config.yaml": "seed: 1"})
    os.chdir(root)
    code, out, err = verb("train", "--cfg", "job", "--package", "seed")
    assert (code, out.strip(), err) == (0, "1", "")


def test_search_path_is_shown_in_its_order(root: Path, tmp_path: Path, verb: Verb) -> None:
    (root / "conf").mkdir()
    (tmp_path / "more").mkdir()
    os.chdir(root / "sub")
    code, out, err = verb("train", "--config-dir", "../../more", "--info", "searchpath")
    assert (code, err) == (0, "")
    rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in out.splitlines() if "file://" in line]
    assert rows[:2] == [["command-line", f"file://{tmp_path}/more"], ["project", f"file://{root}/conf"]]
    assert rows[2][0] == "main"
