"""The pointers to the files of Made With ML, and a directory as DVC's remote for such files."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest
import yaml
from tests.commands import git, run_program

from ratchet.config import compose

NAMES = ("projects.json", "tags.json")


def pointer(project: Path, name: str) -> dict[str, dict[str, object]]:
    content = yaml.safe_load((project / f"data/madewithml/{name}.dvc").read_text(encoding="utf-8"))
    return {"meta": content["meta"], "out": content["outs"][0]}


@pytest.mark.parametrize("name", NAMES)
def test_a_pointer_names_the_source_that_the_configuration_names(name: str, project: Path) -> None:
    data = compose(["data=madewithml"]).data
    assert data.taxonomy is not None
    urls = {str(file.path).rpartition("/")[2]: file.url for file in (data.records, data.taxonomy)}
    assert pointer(project, name)["meta"]["source"] == urls[name]
    assert pointer(project, name)["out"]["path"] == name


@pytest.mark.parametrize("name", NAMES)
def test_a_pointer_has_the_size_and_the_hash_of_the_file(name: str, project: Path) -> None:
    if "MADEWITHML_DIR" not in os.environ:
        pytest.skip("MADEWITHML_DIR names no directory with the files")
    content = Path(os.environ["MADEWITHML_DIR"], name).read_bytes()
    out = pointer(project, name)["out"]
    assert (out["size"], out["md5"]) == (len(content), hashlib.md5(content).hexdigest())


@pytest.fixture
def shared(project: Path, tmp_path: Path) -> Path:
    """A clone without the files, whose remote is a directory that has them; the files are made up here."""
    first = tmp_path / "first"
    (first / "data/madewithml").mkdir(parents=True)
    for name in (".gitignore", ".dvcignore", ".dvc/config", ".dvc/.gitignore"):
        (first / name).parent.mkdir(exist_ok=True)
        shutil.copy(project / name, first / name)
    for name in NAMES:
        content = f'["{name}"]'.encode()
        (first / "data/madewithml" / name).write_bytes(content)
        text = (project / f"data/madewithml/{name}.dvc").read_text(encoding="utf-8")
        out = pointer(project, name)["out"]
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


def test_git_has_the_pointers_and_a_directory_the_files(shared: Path) -> None:
    assert sorted(path.name for path in shared.glob("data/madewithml/*")) == [f"{name}.dvc" for name in NAMES]
    done = run_program(shared, "dvc", "pull")
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        assert (shared / "data/madewithml" / name).read_text(encoding="utf-8") == f'["{name}"]'


def test_a_file_that_is_not_what_its_pointer_says_stops(shared: Path) -> None:
    for path in (shared.parent / "remote").rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            path.write_text("[]", encoding="utf-8")
    assert run_program(shared, "dvc", "pull").returncode != 0
    assert not list(shared.glob("data/madewithml/*.json"))
