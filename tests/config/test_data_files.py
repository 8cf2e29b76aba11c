"""Tests for relative paths in a data set's YAML file: next to it, in the project's root, then in the packaged data."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.own_projects import write_project

from ratchet.config import compose
from ratchet.data.sources import read_file
from ratchet.errors import UserError
from ratchet.project import PACKAGED, VARIABLE

PACKAGED_FILE = "data/sample/tags.json"
Write = Callable[[dict[str, str]], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Return a function that writes files of the project in the working directory."""
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.chdir(write_project(tmp_path / "project"))
    return lambda files: write_project(tmp_path / "project", files)


def own_yaml(records: str, further: str = "labels: {column: l}\n") -> str:
    return f"defaults: [base_data, _self_]\nname: own\nid: id\ntext: [t]\nrecords: {{path: '{records}'}}\n{further}"


def read_records(config_dir: Path | None = None) -> str:
    return read_file(compose(["data=own"], config_dir).data.records, "records").data.decode()


def test_file_next_to_its_yaml_is_read(write: Write) -> None:
    root = write({"conf/data/own.yaml": own_yaml("own.csv"), "conf/data/own.csv": "beside"})
    data = compose(["data=own"]).data
    assert data.records.path == "conf/data/own.csv", "relative to the root, so that the project can be moved"
    assert read_records() == "beside"
    (root / "sub").mkdir()
    os.chdir(root / "sub")
    assert read_records() == "beside"


def test_every_file_of_a_data_set_is_found_next_to_its_yaml(write: Write) -> None:
    further = "taxonomy: {path: t.json}\nbehaviour: {path: ../b.yaml}\nlabels: {column: l, names: {path: n.txt}}\n"
    files = dict.fromkeys(("conf/data/t.json", "conf/b.yaml", "conf/data/n.txt", "r.csv"), "")
    write({"conf/data/own.yaml": own_yaml("r.csv", further), **files})
    data = compose(["data=own"]).data
    assert data.taxonomy is not None
    assert data.behaviour is not None
    assert data.labels.names is not None
    paths = (data.taxonomy.path, data.behaviour.path, data.labels.names.path, data.records.path)
    assert [os.path.normpath(str(path)) for path in paths] == [
        "conf/data/t.json",
        "conf/b.yaml",
        "conf/data/n.txt",
        "r.csv",
    ]


def test_inherited_path_is_next_to_the_file_that_sets_it(write: Write) -> None:
    write({"conf/data/own.yaml": "defaults: [parent, _self_]\nname: own\n"})
    write({"conf/data/parent.yaml": own_yaml("own.csv"), "conf/data/own.csv": "beside the parent"})
    assert read_records() == "beside the parent"


def test_file_next_to_an_experiment_or_in_config_dir_is_read(write: Write, tmp_path: Path) -> None:
    write(
        {
            "conf/data/own.yaml": own_yaml("absent.csv"),
            "conf/experiment/small.yaml": "# @package _global_\ndata: {records: {path: small.csv}}\n",
            "conf/experiment/small.csv": "small",
        }
    )
    (tmp_path / "more" / "data").mkdir(parents=True)
    (tmp_path / "more" / "data" / "own.yaml").write_text(own_yaml("own.csv"))
    (tmp_path / "more" / "data" / "own.csv").write_text("more")
    assert compose(["data=own", "experiment=small"]).data.records.path == "conf/experiment/small.csv"
    assert read_records(tmp_path / "more") == "more"


def test_root_is_next_then_the_package(write: Write) -> None:
    root = write({"conf/data/own.yaml": own_yaml("data/own.csv"), "data/own.csv": "root"})
    assert read_records() == "root"
    write({"conf/data/own.yaml": own_yaml(PACKAGED_FILE)})
    assert read_records() == (PACKAGED / PACKAGED_FILE).read_text(encoding="utf-8")
    (root / "data" / "own.csv").unlink()
    write({"conf/data/own.yaml": own_yaml("data/own.csv")})
    with pytest.raises(UserError, match=r"data/own\.csv: no such file"):
        read_records()


def test_path_of_the_command_line_is_not_next_to_a_yaml_file(write: Write) -> None:
    write({"conf/data/own.yaml": own_yaml("x.csv"), "conf/data/own.csv": "beside", "own.csv": "given"})
    config = compose(["data=own", "data.records.path=own.csv"])
    assert read_file(config.data.records, "records").data == b"given"


@pytest.mark.parametrize("other", ["root", "package"])
def test_same_path_with_other_content_is_refused(other: str, write: Write) -> None:
    path = "own.csv" if other == "root" else PACKAGED_FILE
    write({"conf/data/own.yaml": own_yaml(path), f"conf/data/{path}": "beside", "own.csv": "root"})
    with pytest.raises(UserError) as caught:
        compose(["data=own"])
    assert str(caught.value).startswith(f"conf/data/own.yaml: {path} is ambiguous: conf/data/{path} and ")


def test_same_path_with_same_content_is_read(write: Write) -> None:
    write({"conf/data/own.yaml": own_yaml("own.csv"), "conf/data/own.csv": "same", "own.csv": "same"})
    assert read_records() == "same"


def test_root_and_package_with_other_content_are_refused(write: Write) -> None:
    write({"conf/data/own.yaml": own_yaml(PACKAGED_FILE), PACKAGED_FILE: "[]"})
    with pytest.raises(UserError, match=rf"{PACKAGED_FILE}.*another content"):
        read_records()


@pytest.mark.parametrize("name", ["with spaces.csv", "größe.csv", "a=b, c (1).csv", "100%.csv"])
def test_file_may_have_any_name(name: str, write: Write) -> None:
    write({"conf/data/own.yaml": own_yaml(name), f"conf/data/{name}": "beside"})
    assert read_records() == "beside"
