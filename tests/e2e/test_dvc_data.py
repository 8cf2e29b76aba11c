"""Tests for the DVC pointers to the files of Made With ML, and for a directory as DVC remote."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest
import yaml
from tests.commands import git, run_program

from ratchet.config import compose

NAMES = ("projects.json", "tags.json")


def read_pointer(project: Path, name: str) -> dict[str, dict[str, object]]:
    content = yaml.safe_load((project / f"data/madewithml/{name}.dvc").read_text(encoding="utf-8"))
    return {"meta": content["meta"], "out": content["outs"][0]}


@pytest.mark.parametrize("name", NAMES)
def test_pointer_and_configuration_name_the_same_source(name: str, project: Path) -> None:
    data = compose(["data=madewithml"]).data
    assert data.taxonomy is not None
    urls = {str(file.path).rpartition("/")[2]: file.url for file in (data.records, data.taxonomy)}
    assert read_pointer(project, name)["meta"]["source"] == urls[name]
    assert read_pointer(project, name)["out"]["path"] == name


@pytest.mark.parametrize("name", NAMES)
def test_pointer_has_size_and_hash_of_the_file(name: str, project: Path) -> None:
    if "MADEWITHML_DIR" not in os.environ:
        pytest.skip("MADEWITHML_DIR names no directory with the files")
    content = Path(os.environ["MADEWITHML_DIR"], name).read_bytes()
    out = read_pointer(project, name)["out"]
    assert (out["size"], out["md5"]) == (len(content), hashlib.md5(content).hexdigest())


@pytest.fixture
def shared(project: Path, tmp_path: Path) -> Path:
    """Return a clone without the files, whose DVC remote is a directory that has made-up files."""
    first = tmp_path / "first"
    (first / "data/madewithml").mkdir(parents=True)
    for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        (first / name).parent.mkdir(exist_ok=True)
        shutil.copy(project / name, first / name)
    for name in NAMES:
        content = f'["{name}"]'.encode()
        (first / "data/madewithml" / name).write_bytes(content)
        text = (project / f"data/madewithml/{name}.dvc").read_text(encoding="utf-8")
        out = read_pointer(project, name)["out"]
        text = text.replace(str(out["md5"]), hashlib.md5(content).hexdigest())
        text = text.replace(f"size: {out['size']}", f"size: {len(content)}")
        (first / f"data/madewithml/{name}.dvc").write_text(text, encoding="utf-8")
    git(first, "init", "--quiet")
    for command in (
        ("remote", "add", "-d", "team", str(tmp_path / "remote")),
        ("commit", "--force", *(f"data/madewithml/{name}.dvc" for name in NAMES)),
        ("push",),
    ):
        done = run_program(first, "dvc", *command)
        assert done.returncode == 0, done.stderr
    git(first, "add", "-A")
    git(first, "commit", "--quiet", "-m", "pointers")
    git(tmp_path, "clone", "--quiet", str(first), "second")
    return tmp_path / "second"


def test_dvc_pull_fetches_files_that_git_does_not_have(shared: Path) -> None:
    assert sorted(path.name for path in shared.glob("data/madewithml/*")) == [f"{name}.dvc" for name in NAMES]
    done = run_program(shared, "dvc", "pull")
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        assert (shared / "data/madewithml" / name).read_text(encoding="utf-8") == f'["{name}"]'


def test_dvc_pull_refuses_a_file_with_another_hash(shared: Path) -> None:
    for path in (shared.parent / "remote").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_text("[]", encoding="utf-8")
    assert run_program(shared, "dvc", "pull").returncode != 0
    assert not list(shared.glob("data/madewithml/*.json"))
