"""Tests for `ratchet config schema`: where it writes, and what it prints."""

import json
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import Verb

from ratchet.project import MARKER, PACKAGED

OWN_MODEL = '''
from dataclasses import dataclass
from ratchet.config import ModelConfig, bounded

@dataclass
class Settings(ModelConfig):
    """Settings of my own."""

    strength: float = bounded(0.5, low=0, high=1)
    """How strong it is."""

class Tagger:
    pass
'''


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the root of an empty project, which is the working directory."""
    monkeypatch.delenv("RATCHET_PROJECT", raising=False)
    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "models").mkdir()
    (tmp_path / MARKER).write_bytes((PACKAGED / MARKER).read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def list_schemas(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*.json")}


def test_schemas_are_written_to_the_project(verb: Verb, root: Path) -> None:
    code, out, err = verb("config", "schema")
    assert (code, err) == (0, "")
    written = list_schemas(root / "conf/.schema")
    assert {"config.json", "data.json", "model.json", "model/rule.json", "params.json", "sweep.json"} <= written
    title, *lines = out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(f"conf/.schema/{name}" for name in written)
    start = title.index("describes")
    assert all(line[start - 1] == " " and line[start] != " " for line in lines), "the columns are aligned"
    before = {name: (root / "conf/.schema" / name).stat().st_mtime_ns for name in written}
    assert verb("config", "schema") == (0, out, "")
    assert {name: (root / "conf/.schema" / name).stat().st_mtime_ns for name in written} == before


def test_schemas_go_to_another_directory(verb: Verb, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "models")
    code, out, _ = verb("config", "schema", "out=here", "format=json")
    assert code == 0
    content = json.loads(out)
    assert {row["schema"] for row in content["schemas"]} == {
        f"models/here/{name}" for name in list_schemas(root / "models/here")
    }
    assert content["left_out"] == {}
    assert not (root / "conf/.schema").exists()
    assert "| models/here/data.json | conf/data/*.yaml |" in verb("config", "schema", "out=models/here", "format=md")[1]


def test_own_models_have_schemas_and_broken_ones_are_named(verb: Verb, root: Path) -> None:
    (root / "models/mine.py").write_text(OWN_MODEL, encoding="utf-8")
    (root / "models/broken.py").write_text("x = 1 / 0\n", encoding="utf-8")
    code, out, _ = verb("config", "schema")
    assert code == 0
    strength = json.loads((root / "conf/.schema/model/mine.json").read_text(encoding="utf-8"))["properties"]["strength"]
    assert strength["maximum"] == 1
    assert strength["description"].startswith("How strong it is.")
    assert not (root / "conf/.schema/model/broken.json").exists()
    assert any("broken" in line and "line 1" in line for line in out.splitlines())
    assert "broken" in json.loads(verb("config", "schema", "format=json")[1])["left_out"]


def test_directory_without_conf_is_refused(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RATCHET_PROJECT", raising=False)
    monkeypatch.chdir(tmp_path)
    code, out, err = verb("config", "schema")
    assert (code, out) == (2, "")
    assert "conf: no such directory" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "ratchet config schema"),
        (["shema"], "'schema'"),
        (["schema", "ot=here"], "'out'"),
        (["schema", "format=xml"], "format"),
        (["schema", "out=ratchet.yaml"], "ratchet.yaml"),
        pytest.param(
            ["schema", "out=/proc/x"], "/proc/x", marks=pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
        ),
    ],
)
def test_mistake_is_a_message_with_exit_code_2(verb: Verb, root: Path, arguments: list[str], word: str) -> None:
    code, out, err = verb("config", *arguments)
    assert (code, out) == (2, "")
    assert word in err
    assert not (root / "conf/.schema").exists()
