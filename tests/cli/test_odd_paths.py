"""Tests for projects in directories whose names hold characters with a meaning for Hydra, YAML, shells or URLs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Verb

from ratchet.cli.locating import enter_project
from ratchet.config import compose
from ratchet.errors import UserError

DATA = """
defaults: [base_data, _self_]
name: d
records: {{path: {path}}}
id: null
text: [text]
labels: {{column: label, kind: single}}
taxonomy: null
"""
ROWS = "text,label\n" + "".join(
    f"words of {index} {'abcdefghij'[index % 10] * 9},{'ab'[index % 2]}\n" for index in range(40)
)
ODD = [
    "größe 中文", "a=b", "a,b c", "it's", 'q"q', "#x", "a #b", "100%d", "[x]", "$HOME", "-dash", "{a}", "back\\slash",
    "~x", "(p)", "a:b", "a@b", "a*?", "new\nline",
]  # fmt: skip
ODD_IN_ONE_LINE = [name for name in ODD if "\n" not in name]  # YAML and Hydra read a line break as a space


@pytest.fixture
def make_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Return a function that makes a directory with a data set and its configuration, and works in it."""

    def make(directory: str, file: str) -> Path:
        root = tmp_path / directory
        (root / "mine" / "data").mkdir(parents=True)
        quoted = "'" + file.replace("'", "''") + "'"
        (root / "mine" / "data" / "d.yaml").write_text(DATA.format(path=quoted), encoding="utf-8")
        (root / file).write_text(ROWS, encoding="utf-8")
        monkeypatch.chdir(root)
        return root

    return make


@pytest.mark.parametrize("name", ODD)
def test_configuration_is_found_in_a_directory_of_any_name(name: str, make_project: Callable[[str, str], Path]) -> None:
    root = make_project(name, "a.csv")
    for directory in (Path("mine"), root / "mine"):
        config = compose(["data=d"], directory)
        assert config.data.records.path is not None
        assert (root / config.data.records.path).samefile(root / "a.csv")


@pytest.mark.parametrize("name", ["größe, 'a' = [b] #1 100%", "-a $HOME {b}"])
def test_commands_work_in_a_directory_of_any_name(
    name: str, make_project: Callable[[str, str], Path], verb: Verb
) -> None:
    root = make_project(name, f"{name}.csv")
    for command in (
        ["train", "-m", "data=d", "evaluate=val", "seed=1"],
        ["data", "describe", "data=d"],
        ["runs", "show", "last"],
    ):
        options = ["--config-dir", str(root / "mine")] if command[0] != "runs" else []
        code, _, err = verb(*command, *options)
        assert code == 0, err


@pytest.mark.parametrize("name", ODD_IN_ONE_LINE)
def test_data_file_of_any_name_is_described(name: str, make_project: Callable[[str, str], Path], verb: Verb) -> None:
    make_project("project", f"{name}.csv")
    code, out, err = verb("data", "describe", "--config-dir", "mine", "data=d")
    assert code == 0, err
    assert "40" in out


def test_directory_that_hydra_would_resolve_is_refused(make_project: Callable[[str, str], Path], verb: Verb) -> None:
    make_project("${x}", "a.csv")
    with pytest.raises(UserError, match=r"\$\{x\}"):
        compose(["data=d"], Path("mine"))
    code, _, err = verb("train", "--config-dir", "mine", "data=d")
    assert code == 2
    assert "rename it" in err


@pytest.mark.parametrize("name", ODD_IN_ONE_LINE)
def test_argument_of_a_subdirectory_of_any_name_is_rewritten(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ratchet.yaml").write_text("schema: 1\nratchet_version: 0.1.0\n")
    sub = tmp_path / name
    sub.mkdir()
    (sub / "x.csv").touch()
    monkeypatch.chdir(sub)
    [argument] = enter_project(["data.records.path=x.csv"])
    config = compose([argument])
    assert config.data.records.path is not None
    assert Path(config.data.records.path).samefile(sub / "x.csv")
