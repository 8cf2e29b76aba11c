"""What changed between a run and its parent, by group; several groups at once are warned of."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.comparison.test_evidence import copy_run, of_name, rewrite, trained_on_the_sample

from ratchet.comparison import changes as module
from ratchet.comparison.changes import changes_between, warning_of
from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.runs.stored import read_run

Made = Callable[..., StoredRun]


@pytest.fixture
def runs_dir(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A copy, to change."""
    return Path(shutil.copytree(trained_on_the_sample(tmp_path_factory.getbasetemp()), tmp_path / "runs"))


@pytest.fixture
def parent(runs_dir: Path) -> StoredRun:
    """As made by a checkout without changes, whatever state this one is in."""
    run = of_name(runs_dir, "regression")[0]
    (run.path / "code.diff").unlink(missing_ok=True)
    rewrite(run.path, git=code("c" * 40))
    return read_run(run.path)


@pytest.fixture
def child(parent: StoredRun) -> Made:
    """`child({"model.C": 5}, lock_hash="other")`: a run like its parent but for these settings and fields."""

    def make(settings: dict[str, Any] | None = None, **fields: Any) -> StoredRun:
        run = copy_run(parent, "child", parent=parent.record.id, **fields)
        content = yaml.safe_load((run.path / "config.yaml").read_text())
        for key, value in (settings or {}).items():
            node = content
            *groups, last = key.split(".")
            for group in groups:
                node = node[group]
            node[last] = value
        (run.path / "config.yaml").write_text(yaml.safe_dump(content))
        return run

    return make


def test_the_same_again_changes_nothing(parent: StoredRun, child: Made) -> None:
    assert changes_between(child(), parent) == {}
    assert warning_of({}) is None


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"model.C": 5.0}, {"model": ["model.C: 1.5 -> 5.0"]}),
        ({"model.char_ngrams": None}, {"model": ["model.char_ngrams: [3, 5] -> None"]}),
        ({"data.encoding": "latin-1"}, {"data": ["data.encoding: utf-8 -> latin-1"]}),
        ({"split.test": 0.3}, {"data": ["split.test: 0.2 -> 0.3"]}),
        ({"threshold.method": "per_label"}, {"training": ["threshold.method: tuned -> per_label"]}),
        ({"trainer.precision": "bfloat16"}, {"training": ["trainer.precision: float32 -> bfloat16"]}),
        ({"seed": 7, "split.seed": 7, "name": "other", "threads": 9, "hypothesis": "x", "trainer.progress_bar": 0}, {}),
        ({"evaluation.k": [2], "data.slices": {}, "runs_dir": "elsewhere", "model.name": "other"}, {}),
    ],
    ids=lambda value: " ".join(value) or "nothing",
)
def test_settings_are_told_by_group(
    settings: dict[str, Any], changed: dict[str, list[str]], parent: StoredRun, child: Made
) -> None:
    assert changes_between(child(settings), parent) == changed


def test_settings_that_only_one_of_them_has_are_told(parent: StoredRun, child: Made) -> None:
    run = child({"model.new": 1})
    assert changes_between(run, parent) == {"model": ["model.new: not there -> 1"]}
    assert changes_between(parent, run) == {"model": ["model.new: 1 -> not there"]}


def test_another_model_is_told_by_its_name_alone(runs_dir: Path) -> None:
    rule, regression = of_name(runs_dir, "rule")[0], of_name(runs_dir, "regression")[0]
    assert changes_between(regression, rule) == {"model": ["rule -> regression"]}


def test_other_records_are_a_change_of_the_data(parent: StoredRun, child: Made) -> None:
    assert changes_between(child(dataset_version="other"), parent) == {
        "data": ["other records or labels (dataset version)"]
    }


def test_another_lock_is_told_with_the_versions_that_differ(parent: StoredRun, child: Made) -> None:
    packages = {**parent.record.packages, "numpy": "0.1", "added": "2.0"}
    before = parent.record.packages["numpy"]
    assert changes_between(child(lock_hash="other", packages=packages), parent) == {
        "lock": ["requirements.lock", "added - -> 2.0", f"numpy {before} -> 0.1"]
    }


def test_a_long_list_is_cut_and_counted(parent: StoredRun, child: Made) -> None:
    packages = {f"package-{number}": "1" for number in range(9)} | dict(parent.record.packages)
    [items] = changes_between(child(lock_hash="other", packages=packages), parent).values()
    *shown, rest = items
    told = re.fullmatch(r"and (\d+) more", rest)
    assert told
    assert len(shown) + int(told[1]) == 10, "the lock and nine versions"
    assert len(shown) < 9


def code(commit: str | None, diff: str | None = None) -> dict[str, Any]:
    return {"commit": commit, "dirty": diff is not None, "diff_sha256": diff}


def test_code_that_is_not_in_git_cannot_be_compared(runs_dir: Path, parent: StoredRun, child: Made) -> None:
    run = child(git=code(None))
    assert changes_between(run, parent) == {"code": ["one of the two was not in git"]}
    rewrite(parent.path, git=code(None))
    assert changes_between(run, read_run(parent.path)) == {}, "nothing is known to differ"


def test_commits_that_are_not_here_are_named(parent: StoredRun, child: Made) -> None:
    before, after = "a" * 40, "b" * 40
    rewrite(parent.path, git=code(before))
    assert changes_between(child(git=code(after)), read_run(parent.path)) == {
        "code": ["commit aaaaaaaa -> bbbbbbbb (not both are here to compare)"]
    }


def test_code_is_told_by_the_files_that_train(
    parent: StoredRun, child: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what was committed in between; documents, and what only reads runs, change none."""
    repository = tmp_path / "repository"
    (repository / "src" / "ratchet" / "cli").mkdir(parents=True)

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", *who, *arguments], cwd=repository, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    commits = []
    git("init", "-q")
    for text in ("one", "two"):
        for name in ("src/model.py", "src/ratchet/cli/show.py", "train.py", "README.md"):
            (repository / name).write_text(text)
        git("add", ".")
        git("commit", "-qm", text)
        commits.append(git("rev-parse", "HEAD"))
    monkeypatch.setattr(module, "PROJECT", repository)
    rewrite(parent.path, git=code(commits[0]))
    run = child(git=code(commits[1], "of the diff"))
    (run.path / "code.diff").write_text("diff --git a/src/neural.py b/src/neural.py\ndiff --git a/docs b/docs\n")
    found = changes_between(run, read_run(parent.path))
    assert found == {"code": ["src/model.py", "src/neural.py", "train.py"]}


def test_several_groups_at_once_are_warned_of(parent: StoredRun, child: Made) -> None:
    assert warning_of({"model": ["C"]}) is None
    two = warning_of({"model": ["C"], "code": ["train.py"]})
    assert two == "model and code changed at once: the effect cannot be put down to one of them"
    found = changes_between(child({"model.C": 5.0, "split.test": 0.3}, lock_hash="other"), parent)
    assert list(found) == ["model", "data", "lock"]
    assert warning_of(found) == ("model, data and lock changed at once: the effect cannot be put down to one of them")


def test_a_configuration_that_cannot_be_read_is_told(parent: StoredRun, child: Made) -> None:
    for text in ("{", "just text", None):
        run = child()
        path = run.path / "config.yaml"
        path.unlink() if text is None else path.write_text(text)
        with pytest.raises(UserError, match="not a run's configuration"):
            changes_between(run, parent)
        shutil.rmtree(run.path)
