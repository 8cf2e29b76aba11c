"""Tests for adding a model: a new config and module are enough to train, save and compare it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.commands import HANG_SECONDS
from tests.e2e.fifth_model import CONFIG, MODULE

ADDED = {"conf/model/majority.yaml": CONFIG, "src/ratchet/models/majority.py": MODULE}
COPIED = (
    "src",
    "conf",
    "data/sample",
    "data/behaviour",
    "tests/contracts",
    "train.py",
    "pyproject.toml",
    "tests/conftest.py",
    "tests/commands.py",
    "tests/datasets.py",
    "tests/sample_runs.py",
)
WRITTEN_BY_TOOLS = ("__pycache__", ".pytest_cache", ".hypothesis")


def hash_files(checkout: Path) -> dict[str, str]:
    """Return the sha256 of every copied or added file by path, without files that Python and pytest write."""
    files = [path for name in COPIED for path in [checkout / name, *(checkout / name).rglob("*")] if path.is_file()]
    return {
        path.relative_to(checkout).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not set(WRITTEN_BY_TOOLS) & set(path.parts)
    }


@pytest.fixture(scope="module")
def plain_copy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Return a copy of the checkout, and the hashes of its files before a model is added."""
    project = Path(__file__).resolve().parents[2]
    directory = tmp_path_factory.mktemp("checkout")
    for name in COPIED:
        if (project / name).is_dir():
            shutil.copytree(project / name, directory / name, ignore=shutil.ignore_patterns(*WRITTEN_BY_TOOLS))
        else:
            (directory / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(project / name, directory / name)
    return directory, hash_files(directory)


@pytest.fixture(scope="module")
def checkout(plain_copy: tuple[Path, dict[str, str]]) -> Path:
    """Add one model to the copy; return its directory."""
    directory, _ = plain_copy
    for name, content in ADDED.items():
        assert not (directory / name).exists()
        (directory / name).write_text(content, encoding="utf-8")
    return directory


def run_python(checkout: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout / "src")},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=HANG_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def grid(checkout: Path) -> "subprocess.CompletedProcess[str]":
    return run_python(checkout, "train.py", "-m", "model=rule,majority", "evaluation.resamples=100")


def test_code_of_the_copy_is_run(checkout: Path) -> None:
    done = run_python(checkout, "-c", "import ratchet.models as m; print(m.__file__); print(*m.model_modules())")
    file, names = done.stdout.splitlines()
    assert Path(file).is_relative_to(checkout)
    assert "majority" in names.split()


def test_new_model_trains_in_a_grid(checkout: Path, grid: "subprocess.CompletedProcess[str]") -> None:
    assert grid.returncode == 0, grid.stdout + grid.stderr
    (run,) = (checkout / "runs" / "sample" / "majority").iterdir()
    record = json.loads((run / "record.json").read_text(encoding="utf-8"))
    assert (record["status"], record["model"], record["complexity"]) == ("finished", "majority", 0)
    assert record["deterministic"] is True
    labels = json.loads((run / "labels.json").read_text(encoding="utf-8"))
    assert record["num_parameters"] == len(labels)
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert 0 < metrics["test/f1_weighted"] < 0.5, "base rates score above zero, but low"
    shares = json.loads((run / "model" / "shares.json").read_text(encoding="utf-8"))
    counts = [record["train_label_counts"][label] for label in labels]
    assert shares == pytest.approx([count / (record["records"]["train"] + 1) for count in counts])
    assert "0,most_common," in (run / "history.csv").read_text(encoding="utf-8")


def test_table_lists_the_new_model(grid: "subprocess.CompletedProcess[str]") -> None:
    table = grid.stdout[grid.stdout.index("sample, test:") :]
    assert [line.split()[0] for line in table.splitlines()[1:] if line.strip()] == ["model", "majority", "rule"]


def test_settings_of_the_new_model_are_checked(checkout: Path) -> None:
    done = run_python(checkout, "train.py", "model=majority", "model.smothing=2")
    assert done.returncode == 2
    assert "smothing" in done.stderr
    assert "'smoothing'" in done.stderr
    done = run_python(checkout, "train.py", "model=majority", "model.smoothing=-1")
    assert done.returncode == 2
    assert "model.smoothing=-1" in done.stderr


def test_misspelt_name_suggests_the_new_model(checkout: Path) -> None:
    done = run_python(checkout, "train.py", "model=majorty")
    assert done.returncode == 2
    assert "'majority'" in done.stderr


@pytest.mark.usefixtures("grid")
def test_run_of_the_new_model_can_be_evaluated(checkout: Path) -> None:
    (run,) = (checkout / "runs" / "sample" / "majority").iterdir()
    verb = "import sys; from ratchet.cli.main import main; sys.exit(main(sys.argv[1:]))"
    evaluated = run_python(checkout, "-c", verb, "evaluate", str(run), "part=val")
    assert evaluated.returncode == 0, evaluated.stderr
    (evaluation,) = (run / "evaluations").iterdir()
    trained, repeated = (
        json.loads((directory / "metrics.json").read_text(encoding="utf-8")) for directory in (run, evaluation)
    )
    assert repeated["val/f1_weighted"] == trained["val/f1_weighted"]


def test_contract_suite_covers_the_new_model(checkout: Path) -> None:
    # A separate base directory, because two sessions that clean up a shared one disturb each other.
    own = f"--basetemp={checkout.parent / 'nested'}"
    done = run_python(checkout, "-m", "pytest", "tests/contracts", "-k", "majority or every_model", "-q", own)
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) >= 30


@pytest.mark.usefixtures("grid")
def test_no_other_file_was_changed(checkout: Path, plain_copy: tuple[Path, dict[str, str]]) -> None:
    _, before = plain_copy
    after = hash_files(checkout)
    assert {name for name in after if after[name] != before.get(name)} == ADDED.keys()
    assert before.keys() <= after.keys()
