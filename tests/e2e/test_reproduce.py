"""Tests for `ratchet reproduce` in a scratch repository: it uses the recorded commit and changes, and cleans up."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.commands import git, run_command

RUN = "import sys; from ratchet.cli.main import main; sys.exit(main(sys.argv[1:]))"
FEW = "evaluation.resamples=100"


@pytest.fixture
def repository(project: Path, tmp_path: Path) -> Path:
    """Return a committed copy of the checkout's code and sample."""
    copy = tmp_path / "repository"
    for name in ("src", "conf", "data/sample", "data/behaviour"):
        shutil.copytree(project / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("ratchet.yaml", "train.py", "requirements.lock", "pyproject.toml", ".gitignore"):
        shutil.copy(project / name, copy)
    git(copy, "init", "--quiet")
    git(copy, "add", "-A")
    git(copy, "commit", "--quiet", "-m", "as it was")
    return copy


@pytest.fixture
def verb(repository: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run a command with the repository's own code: `verb("reproduce", "last")`."""
    return lambda *arguments: run_command(
        sys.executable, "-c", RUN, *arguments, cwd=repository, PYTHONPATH=str(repository / "src")
    )


def change_code(repository: Path) -> None:
    """Turn off the stemming of the rule, which changes its predictions."""
    path = repository / "src" / "ratchet" / "models" / "rule.py"
    text = path.read_text(encoding="utf-8")
    assert "stemming=self._stemming)" in text
    path.write_text(text.replace("stemming=self._stemming)", "stemming=False)"), encoding="utf-8")


@pytest.mark.parametrize("model", ["model=rule", "model=regression"])
def test_run_is_reproduced_after_later_commits(
    model: str, repository: Path, verb: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    assert verb("train", model, FEW, "split.seed=1").returncode == 0
    change_code(repository)
    git(repository, "commit", "--quiet", "-a", "-m", "another way")
    done = verb("reproduce", "last")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(": reproduced: all predictions are identical, bit for bit\n")
    assert len(git(repository, "worktree", "list").splitlines()) == 1, "the worktree was removed"
    assert git(repository, "status", "--porcelain") == ""


def test_uncommitted_changes_are_reproduced_from_the_record(
    repository: Path, verb: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    change_code(repository)
    (repository / "src" / "ratchet" / "new.py").write_text('"""New."""\n', encoding="utf-8")
    assert verb("train", FEW).returncode == 0
    git(repository, "checkout", "--quiet", "--", "src")
    (repository / "src" / "ratchet" / "new.py").unlink()
    done = verb("reproduce", "last", "keep=again")
    assert (done.returncode, done.stderr) == (0, "")
    [original] = repository.glob("runs/sample/rule/*")
    (repository / ".git" / "ratchet" / "diffs.jsonl").unlink()  # as if the run was made elsewhere
    done = verb("reproduce", "last")
    assert done.returncode == 2
    assert "code.diff changes src/ratchet/models/rule.py, src/ratchet/new.py." in done.stderr
    assert "trust=true" in done.stderr
    assert verb("reproduce", "last", "trust=true").returncode == 0
    reproduced = repository / "again"
    assert (reproduced / "code.diff").read_bytes() == (original / "code.diff").read_bytes()
    assert (reproduced / "metrics.json").read_bytes() == (original / "metrics.json").read_bytes()


def test_code_that_was_hidden_from_git_is_reproduced_from_a_subdirectory(
    repository: Path, verb: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    git(repository, "update-index", "--skip-worktree", "src/ratchet/models/rule.py")
    change_code(repository)
    assert verb("train", FEW).returncode == 0
    git(repository, "update-index", "--no-skip-worktree", "src/ratchet/models/rule.py")
    git(repository, "checkout", "--quiet", "--", "src")
    done = run_command(
        *(sys.executable, "-c", RUN, "reproduce", "last"), cwd=repository / "src", PYTHONPATH=str(repository / "src")
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_failed_reproduction_names_the_reason_and_no_file_that_is_gone(
    repository: Path, verb: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    assert verb("train", FEW).returncode == 0
    [path] = repository.glob("runs/sample/rule/*/config.yaml")
    path.write_text(path.read_text(encoding="utf-8").replace("projects.jsonl", "missing.jsonl"), encoding="utf-8")
    done = verb("reproduce", "last")
    assert done.returncode == 2
    assert "the reproduction failed: " in done.stderr
    assert "missing.jsonl: no such file" in done.stderr
    assert "/ratchet-" not in done.stderr
    assert "Traceback" not in done.stderr


def test_tracked_run_is_reproduced_without_its_tracker(
    repository: Path, verb: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    assert verb("train", FEW, "tracker=wandb").returncode == 0
    assert list(repository.glob("runs/sample/rule/*/wandb"))
    done = verb("reproduce", "last", "keep=again")
    assert (done.returncode, done.stderr) == (0, "")
    assert (repository / "again/metrics.json").is_file()
    assert not (repository / "again/wandb").exists()


def test_changed_data_are_reported_with_changed_metrics(
    repository: Path, verb: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    assert verb("train", FEW).returncode == 0
    path = repository / "data" / "sample" / "projects.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[20:]), encoding="utf-8")
    done = verb("reproduce", "last")
    assert done.returncode == 3
    assert "not reproduced: it was measured on other records" in done.stdout
    assert "- data: version " in done.stdout
    assert "test/f1_weighted" in done.stdout
    content = json.loads(verb("reproduce", "last", "format=json").stdout)
    assert (content["identical"], len(content["differences"])) == (False, 1)
    assert content["largest_change"] is None, "JSON has no infinity"


def test_changed_scores_are_reported_with_the_largest_change(
    repository: Path, verb: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    """A setting is changed in the stored configuration, so that it is not what was run."""
    assert verb("train", FEW).returncode == 0
    [path] = repository.glob("runs/sample/rule/*/config.yaml")
    path.write_text(path.read_text(encoding="utf-8").replace("stemming: true", "stemming: false"), encoding="utf-8")
    done = verb("reproduce", "last")
    assert done.returncode == 3
    assert "not reproduced: scores differ by up to 1" in done.stdout
    assert "- configuration: " in done.stdout


def test_run_that_cannot_be_reproduced_is_refused(
    repository: Path, verb: Callable[..., "subprocess.CompletedProcess[str]"]
) -> None:
    change_code(repository)
    assert verb("train", FEW).returncode == 0
    [path] = repository.glob("runs/sample/rule/*/record.json")
    record = json.loads(path.read_text(encoding="utf-8"))

    def get_refusal(git_state: dict[str, object], **fields: object) -> str:
        path.write_text(json.dumps({**record, **fields, "git": {**record["git"], **git_state}}), encoding="utf-8")
        done = verb("reproduce", "last")
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr

    assert "outside of git" in get_refusal({"commit": None})
    assert "is not in this repository" in get_refusal({"commit": "0" * 40})
    assert "too large" in get_refusal({"diff_complete": False})
    assert "code.diff" in get_refusal({"diff_sha256": "0" * 64})
    assert "failed" in get_refusal({}, status="failed")
    assert len(git(repository, "worktree", "list").splitlines()) == 1
