"""Tests for models of a project in whole commands: two files, then runs, grids, searches, exports and reproductions."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.commands import PROGRAMS, git, run_command
from tests.own_projects import CONSTANT, keep_registered, model_yaml, write_project

from ratchet.cli.main import main
from ratchet.project import VARIABLE
from ratchet.runs import find_runs
from ratchet.runs.stored import StoredRun

Verb = Callable[..., tuple[int, str, str]]
FEW = ("evaluation.resamples=100", "threads=1")
HELPED = CONSTANT.replace("import numpy as np\n", "import numpy as np\n\nfrom ..features import base\n").replace(
    "+ self._shift", "+ self._shift + base()"
)  # with a helper in the root
HELPER = "def base():\n    return 0.0\n"
SWEEP = """# @package _global_
defaults:
  - override /model: constant
  - override /hydra/sweeper: ratchet_search
evaluate: val
model: {shift: -1.0}
threshold: {method: fixed, value: 0.5}
sweep:
  trials: 4
  space:  # nearly all of it is better than the default, with which nothing is predicted
    model.shift: {low: -1.0, high: 9.0}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the root of a project with a model; the working directory is below it, with a copy of a few texts."""
    monkeypatch.setenv(VARIABLE, "")
    root = write_project(
        tmp_path / "größe, a",
        {"features.py": HELPER, "sub dir/texts.csv": "title,description\nA net,of words\nPictures,of cats\n"},
        {"constant": HELPED},
    )
    monkeypatch.chdir(root / "sub dir")
    with keep_registered():
        yield root


@pytest.fixture
def verb(root: Path, capsys: pytest.CaptureFixture[str]) -> Verb:
    """Return a function that runs a verb in the subdirectory, in this process: exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        os.chdir(root / "sub dir")  # commands change to the root
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as stop:  # Hydra's jobs end so
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def ratchet(root: Path, *arguments: str) -> "CompletedProcess[str]":
    """Run a command in the subdirectory, in its own process: modules of the project are imported again."""
    return run_command(PROGRAMS / "ratchet", *arguments, cwd=root / "sub dir")


def read_only_run(root: Path) -> StoredRun:
    [run] = find_runs(root / "runs")
    return run


def test_two_files_are_enough_from_training_to_comparison(root: Path, verb: Verb) -> None:
    code, _, err = verb("train", "-m", "model=rule,constant", *FEW)
    assert (code, err) == (0, "")
    assert {run.record.model for run in find_runs(root / "runs")} == {"rule", "constant"}
    assert not (root / "sub dir" / "runs").exists()
    code, out, err = verb("compare", "resamples=200")
    assert (code, err) == (0, "")
    assert {"rule", "constant"} <= set(out.split())


def test_run_of_an_own_model_is_evaluated_scored_and_exported(root: Path, verb: Verb) -> None:
    assert verb("train", "model=constant", "model.shift=0.1", *FEW)[0] == 0
    run = read_only_run(root)
    definitions = json.loads((run.path / "code.json").read_text())
    names = str(definitions)
    assert "project.models.constant:Tagger" in names
    assert "project.features:base" in names
    assert str(root) not in names, "the same code in another directory is the same"
    assert verb("evaluate", "last")[0] == 0
    assert verb("predict", "last", "input=texts.csv", "output=of_run.csv")[0] == 0
    assert verb("export", "last", "out=exported")[0] == 0
    assert verb("predict", "exported", "input=texts.csv", "output=of_export.csv")[0] == 0
    here = root / "sub dir"
    assert (here / "of_run.csv").read_bytes() == (here / "of_export.csv").read_bytes()


def test_grids_find_finished_runs_again_until_the_code_of_the_model_changes(root: Path, tmp_path: Path) -> None:
    write_project(root, {"conf/model/rule.yaml": model_yaml("rule")})
    more = tmp_path / "more" / "model"
    more.mkdir(parents=True)
    (more / "shifted.yaml").write_text(f"{model_yaml('shifted', 'constant')}shift: 0.2\n")
    grid = ["train", "-m", "--config-dir", "../../more", "model=rule,constant,shifted", *FEW]
    first = ratchet(root, *grid, "launcher=joblib")
    assert first.returncode == 0, first.stderr
    assert first.stderr == "conf: model/rule.yaml replaces the one that Ratchet brings\n"
    assert "done before" not in first.stdout

    (root / "features.py").write_text("# Another comment.\n" + HELPER)
    second = ratchet(root, *grid)
    assert (second.returncode, second.stdout.count("done before")) == (0, 3)

    (root / "features.py").write_text(HELPER.replace("0.0", "0.01"))
    third = ratchet(root, *grid, "launcher=submitit_local")
    assert (third.returncode, third.stderr) == (0, first.stderr)
    lines = [line for line in third.stdout.splitlines() if "done before" in line]
    assert len(lines) == 1
    assert "model=rule" in lines[0]


def test_search_of_an_own_model_writes_its_experiment_to_the_project(root: Path, verb: Verb) -> None:
    write_project(root, {"conf/sweep/constant.yaml": SWEEP})
    code, out, err = verb("train", "-m", "sweep=constant", *FEW)
    assert code == 0, err
    assert "conf/experiment/constant_tuned.yaml" in out
    assert len(find_runs(root / "runs")) == 4
    text = (root / "conf" / "experiment" / "constant_tuned.yaml").read_text(encoding="utf-8")
    assert "override /model: constant" in text


def test_stopped_run_is_resumed_with_its_own_code_only(root: Path, verb: Verb) -> None:
    stops = "        if os.path.exists('stop'):\n            raise KeyboardInterrupt\n        self._fit(*data)\n\n"
    code_that_stops = "import os\n" + HELPED.replace("    def fit(", f"    def fit(self, *data):\n{stops}    def _fit(")
    path = root / "models" / "constant.py"
    path.write_text(code_that_stops)
    (root / "stop").touch()
    stopped = ratchet(root, "train", "model=constant", *FEW)
    assert stopped.returncode == 130
    assert read_only_run(root).status == "interrupted"
    (root / "stop").unlink()

    path.write_text(HELPED)
    code, _, err = verb("train", "resume=last")
    assert (code, "the code changed since the run started: Tagger" in err) == (2, True), err
    assert read_only_run(root).status == "interrupted"

    path.write_text(code_that_stops)
    resumed = ratchet(root, "train", "resume=last")  # a process keeps the code that it began with
    assert resumed.returncode == 0, resumed.stderr
    assert read_only_run(root).status == "finished"


@pytest.mark.parametrize("is_below", [False, True], ids=["repository", "below a repository"])
def test_run_is_reproduced_with_its_own_code(is_below: bool, root: Path) -> None:
    """The second project has uncommitted changes, and git does not track what marks it."""
    repository = root.parent if is_below else root
    (root / ".gitignore").write_text("runs/\nratchet.yaml\n" if is_below else "runs/\n")
    git(repository, "init", "--quiet")
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "as it was")
    path = root / "features.py"
    if is_below:
        path.write_text(HELPER.replace("0.0", "0.125"))
    assert ratchet(root, "train", "model=constant", *FEW).returncode == 0
    assert read_only_run(root).record.git["dirty"] == is_below
    path.write_text(HELPER.replace("0.0", "0.25"))
    (root / "models" / "constant.py").write_text("raise RuntimeError('no longer')")
    done = ratchet(root, "reproduce", "last")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(": reproduced: all predictions are identical, bit for bit\n")
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_broken_model_is_reported_and_others_train(root: Path, verb: Verb) -> None:
    (root / "models" / "constant.py").write_text("\n\n1 / 0\n")
    for arguments in (["model=constant"], ["-m", "model=constant", "seed=0,1"], ["model=constant", "--help"]):
        code, out, err = verb("train", *arguments)
        assert (code, out) == (2, "")
        assert err.startswith("error: models/constant.py, line 3: ")
    assert not (root / "runs").exists(), "nothing is written"
    assert verb("train", "model=rule", *FEW)[0] == 0
    assert read_only_run(root).record.model == "rule"


def test_script_of_a_project_works_from_elsewhere(root: Path, tmp_path: Path) -> None:
    script = "import sys\nfrom pathlib import Path\nfrom ratchet.cli.train import main\n"
    (root / "train.py").write_text(f"{script}sys.exit(main(project=Path(__file__).parent))\n")
    done = run_command(sys.executable, root / "train.py", "model=constant", "runs_dir=mine", *FEW, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(find_runs(tmp_path / "mine")) == 1


@pytest.mark.parametrize(
    "arguments",
    [["models"], ["data", "list"], ["runs", "list"], ["completion", "bash"], ["--help"], ["train", "-h", "model=rule"]],
    ids=str,
)
def test_lists_import_no_model(arguments: list[str], root: Path, verb: Verb) -> None:
    (root / "models" / "constant.py").write_text("from pathlib import Path\nPath(__file__).with_name('seen').touch()\n")
    assert verb(*arguments)[0] == 0
    is_help_of_train = arguments[0] == "train"  # it shows the settings of a model
    assert (root / "models" / "seen").exists() == is_help_of_train
