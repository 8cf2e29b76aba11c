"""Tests for `dvc repro` in scratch repositories: the stages that a change re-runs, and the results at the end."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.commands import PATH, PROGRAMS, git, run_command, run_program
from tests.e2e.fifth_model import CONFIG as NEW_CONFIG
from tests.e2e.fifth_model import MODULE as NEW_MODULE

COPIED = ("src", "conf", "data/sample", "data/behaviour", ".dvc/plots")
FILES = (
    "pyproject.toml",
    ".gitignore",
    ".dvcignore",
    "dvc.yaml",
    ".dvc/config",
    ".dvc/.gitignore",
)

PREPARE, SPLIT, RULE, CNN = {"prepare"}, {"split@0"}, {"train@rule-0"}, {"train@cnn-0"}
READ = {"compare", "gate", "report"}
QUICK, TRAINED = PREPARE | SPLIT, RULE | CNN
ALL = PREPARE | SPLIT | RULE | CNN | READ
NONE: set[str] = set()


class Change(NamedTuple):
    """Replace `old` by `new` in a file, or append `new` if `old` is empty; `runs` are the stages that must run then."""

    what: str
    file: str
    old: str
    new: str
    runs: set[str]


COMMENT = "\n# why\n"
SCIPY = "Metadata-Version: 2.1\nName: scipy\nVersion: 9.9\n"
CHANGES = [
    Change("a comment in a model's configuration", "conf/model/cnn.yaml", "", COMMENT, NONE),
    Change("a setting of a model", "conf/model/cnn.yaml", "dropout: 0.5", "dropout: 0.4", CNN | READ),
    Change("a setting of a model that is not run", "conf/model/regression.yaml", "C: 1.5", "C: 5.0", NONE),
    Change("the default model", "conf/config.yaml", "- model: rule", "- model: regression", NONE),
    Change("a setting of all models", "conf/config.yaml", "average: weighted", "average: micro", ALL - PREPARE - SPLIT),
    Change("a comment in a model's code", "src/ratchet/models/cnn.py", "", COMMENT, NONE),
    Change("a model's code", "src/ratchet/models/cnn.py", "", "\n\nUNUSED = 1\n", CNN | READ),
    Change(
        "a network's code",
        "src/ratchet/models/cnn_network.py",
        "from torch.nn import functional\n",
        "from torch.nn import functional\n\nprint(end='')\n",
        CNN | READ,
    ),
    Change("another model's code", "src/ratchet/models/rule.py", "", "\n\nUNUSED = 1\n", RULE | READ),
    Change(
        "the code of a run",
        "src/ratchet/training.py",
        "seed_everything(config.seed)",
        "seed_everything(int(config.seed))",
        RULE | CNN | READ,
    ),
    Change("code that no stage uses", "src/ratchet/training.py", "", "\n\nUNUSED = 1\n", NONE),
    Change(
        "the code of the comparison, same results",
        "src/ratchet/statistics/permutation.py",
        "[test.compute_p_values(resamples)",
        "[test.compute_p_values(int(resamples))",
        {"compare"},  # its results are the same, so the report is not written again
    ),
    Change(
        "the code of the gate",
        "src/ratchet/objective/gate.py",
        "    candidates = evidence.candidates\n",
        "    candidates = list(evidence.candidates)\n",
        {"gate", "report"},
    ),
    Change("the look of the page", "src/ratchet/reporting/page/page.css", "", "\n", {"report"}),
    Change("the code of a verb", "src/ratchet/cli/promote.py", "", "\n\nUNUSED = 1\n", NONE),
    Change("the space around records", "data/sample/projects.jsonl", '{"id"', '{ "id"', PREPARE),
    Change("a word of a record", "data/sample/projects.jsonl", "Skat against myself", "Skat at night", ALL),
    Change("words about the data", "data/sample/README.md", "", "More.\n", PREPARE),
    Change("a comment in behavioural tests", "data/behaviour/sample.yaml", "", COMMENT, PREPARE),
    Change("a behavioural test", "data/behaviour/sample.yaml", "another verb", "a verb", ALL - SPLIT),
    Change("a slice of the data set", "conf/data/sample.yaml", "max_words: 30", "max_words: 25", ALL - SPLIT),
    Change("the share of test records", "conf/data/sample.yaml", "test: 0.2}", "test: 0.25}", ALL),
    Change("a comment in the objective", "conf/objective/default.yaml", "", COMMENT, NONE),
    Change("its margin", "conf/objective/default.yaml", "margin: 0.03", "margin: 0.02", {"gate", "report"}),
    Change("its metric", "conf/objective/default.yaml", "metric: f1_weighted", "metric: f1_macro", READ),
    Change("another objective", "conf/objective/strict.yaml", "0.02", "0.01", {"gate", "report"}),
    Change("a package", "src/scipy-9.9.dist-info/METADATA", "", SCIPY, RULE | CNN | READ),  # found before the real one
    Change("the baseline", "params.yaml", "baseline: rule", "baseline: cnn", {"compare", "report"}),
]

HARMLESS = [change for change in CHANGES if change.runs <= PREPARE]
# Each suite run executes FEW (and a setting of a model, by `dvc exp run`); `.ci/run --full` executes all changes.
FEW = {"a word of a record", "its margin"}
SOME = {
    *("a setting of all models", "a network's code", "the code of the comparison, same results"),
    *("a slice of the data set", "the baseline"),
}  # of the others, each suite run checks one of each kind with `dvc status`
FOR_REAL = [change for change in CHANGES if change.what in FEW or "EVERY_CHANGE_FOR_REAL" in os.environ]


def describe(change: Change) -> str:
    return change.what


def copy_checkout(project: Path, directory: Path) -> Path:
    """Copy the parts of the checkout that the pipeline needs, with a small plan and one epoch of the network."""
    for name in COPIED:
        shutil.copytree(project / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(project / name, directory / name)
    shutil.copy(project / "params.yaml", directory)
    edit(directory / "params.yaml", "[rule, regression, cnn, transformer]", "[rule, cnn]")
    edit(directory / "params.yaml", "[0, 1, 2]", "[0]")
    edit(directory / "conf/model/cnn.yaml", "max_epochs: 20", "max_epochs: 1")
    edit(directory / "conf/model/cnn.yaml", "tokens: pretrained", "tokens: word")
    edit(directory / "conf/config.yaml", "resamples: 1000", "resamples: 100")
    return directory


def edit(path: Path, old: str, new: str) -> None:
    path.parent.mkdir(exist_ok=True)
    text = path.read_text(encoding="utf-8") if old or path.exists() else ""
    assert old in text, (path, old)
    path.write_text(text.replace(old, new) if old else text + new, encoding="utf-8")


def reproduce(directory: Path) -> set[str]:
    """Run `dvc repro`; return the stages that ran, without `config`, which always runs."""
    # Without PYTHONPATH each stage starts Python twice: it imports the checkout, then runs this directory's code.
    source = str(directory / "src")
    done = run_command(PROGRAMS / "dvc", "repro", cwd=directory, PATH=PATH, PYTHONPATH=source)
    assert done.returncode == 0, done.stdout + done.stderr
    stages = set(re.findall(r"Running stage '(.+?)':", done.stdout))
    assert "config" in stages
    return stages - {"config"}


def read_results(directory: Path) -> dict[str, bytes]:
    """Return predictions and metrics of all runs."""
    paths = [*directory.glob("build/runs/*/*/*/predictions/*"), *directory.glob("build/runs/*/*/*/metrics.json")]
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def stop(process: "subprocess.Popen[str]") -> None:
    """Kill a process and all processes that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture(scope="module")
def scratch(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository whose pipeline was run once and committed with its locks."""
    directory = copy_checkout(project, tmp_path_factory.mktemp("pipeline"))
    git(directory, "init", "--quiet")
    git(directory, "config", "user.name", "n")
    git(directory, "config", "user.email", "e@e")
    git(directory, "add", "-A")
    git(directory, "commit", "--quiet", "-m", "before it was run")
    assert reproduce(directory) == ALL
    assert run_program(directory, "ratchet", "pipeline", "lock").returncode == 0
    git(directory, "add", "-A")
    git(directory, "commit", "--quiet", "-m", "as it was")
    return directory


@pytest.fixture(autouse=True)
def _restore_scratch(request: pytest.FixtureRequest) -> Iterator[None]:
    """Restore the repository after a test that failed half-way."""
    yield
    if "scratch" in request.fixturenames:
        scratch = request.getfixturevalue("scratch")
        if git(scratch, "status", "--porcelain"):
            git(scratch, "reset", "--hard", "--quiet")
            git(scratch, "clean", "-fdq")
            assert reproduce(scratch) <= READ


def restore(scratch: Path) -> None:
    git(scratch, "checkout", "--quiet", "--", "src", "conf", "data", "params.yaml")
    git(scratch, "clean", "-fdq", "--", "src")
    assert reproduce(scratch) <= READ, "slow stages are restored from the cache, not run again"
    assert git(scratch, "status", "--porcelain") == "", "the lock is unchanged"


@pytest.mark.parametrize("change", FOR_REAL, ids=describe)
def test_change_reruns_exactly_the_affected_stages(change: Change, scratch: Path) -> None:
    edit(scratch / change.file, change.old, change.new)
    assert reproduce(scratch) == change.runs
    restore(scratch)


@pytest.mark.parametrize(
    "change", [change for change in CHANGES if change.what in SOME and change not in FOR_REAL], ids=describe
)
def test_change_makes_exactly_the_affected_stages_stale(change: Change, scratch: Path) -> None:
    """Run the quick stages, and ask DVC about the others: nothing is trained."""
    edit(scratch / change.file, change.old, change.new)
    done = run_program(scratch, "dvc", "repro", "config", *sorted(QUICK))
    assert set(re.findall(r"Running stage '(.+?)':", done.stdout)) - {"config"} == change.runs & QUICK
    stale = set(json.loads(run_program(scratch, "dvc", "status", "--json").stdout)) - {"config"}
    assert stale & TRAINED == change.runs & TRAINED
    # `report` waits for the outputs of `compare` and `gate`, which `config` has deleted; they may come back unchanged
    waiting = {"report"} if change.runs & {"compare", "gate"} else NONE
    assert stale <= change.runs | waiting
    if not stale & TRAINED:  # else the comparison becomes stale only when the new runs exist
        assert stale & {"compare", "gate"} == change.runs & {"compare", "gate"}
    restore(scratch)


def test_harmless_changes_rerun_only_prepare(scratch: Path) -> None:
    """Make all harmless changes at once: comments and spaces in all kinds of files, unused settings and unused code."""
    assert len(HARMLESS) > 8
    for change in HARMLESS:
        edit(scratch / change.file, change.old, change.new)
    assert reproduce(scratch) == PREPARE
    restore(scratch)


def test_documented_table_of_changes_matches(project: Path) -> None:
    text = (project / "docs" / "pipeline.md").read_text(encoding="utf-8")
    for change in CHANGES:
        shown = [name.partition("@")[0] for name in sorted(change.runs)]
        row = next((line for line in text.splitlines() if line.startswith(f"| {change.what} |")), "")
        cells = [cell.strip() for cell in row.split("|")[3:-1]]
        columns = ("prepare", "split", "train@rule-0", "train@cnn-0", "compare", "gate", "report")
        assert cells == ["x" if name in change.runs or name in shown else "" for name in columns], change.what


def test_new_model_joins_with_one_word_in_the_plan(scratch: Path) -> None:
    added = {"conf/model/majority.yaml": NEW_CONFIG, "src/ratchet/models/majority.py": NEW_MODULE}
    for name, text in added.items():
        (scratch / name).write_text(text, encoding="utf-8")
    edit(scratch / "params.yaml", "[rule, cnn]", "[rule, cnn, majority]")
    assert reproduce(scratch) == {"train@majority-0"} | READ
    assert list(json.loads((scratch / "build/metrics.json").read_text())) == ["majority", "rule", "cnn"]
    shutil.rmtree(scratch / "build/runs/sample/majority")


def test_exit_codes_of_pipeline_check_and_gate(scratch: Path) -> None:
    done = run_program(scratch, "ratchet", "pipeline", "check")
    assert done.returncode == 0, done.stdout
    assert "results.lock.json of HEAD (predictions bit for bit" in done.stdout
    assert run_program(scratch, "ratchet", "pipeline", "check", "against=HEAD~1").returncode == 2
    done = run_program(scratch, "ratchet", "gate", "--check")
    assert done.returncode == 3, "one repeat is too little evidence"
    assert done.stdout.startswith("sample: too little evidence: ")
    assert done.stdout.strip() in (scratch / "build/report.md").read_text(encoding="utf-8")


def test_clone_trains_nothing_if_inputs_of_predictions_are_unchanged(scratch: Path, tmp_path: Path) -> None:
    """Changes of the gate and the objective and moved definitions leave dvc.lock up to date."""
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(scratch), str(clone))
    edit(clone / "conf/objective/default.yaml", "margin: 0.03", "margin: 0.02")
    edit(clone / "src/ratchet/objective/gate.py", "", "\n\nUNUSED = 1\n")
    source = clone / "src/ratchet/evaluation/cost.py"
    source.rename(source.with_name("expense.py"))
    for path in (clone / "src").rglob("*.py"):
        path.write_text(
            path.read_text("utf-8").replace("ratchet.evaluation.cost", "ratchet.evaluation.expense"), "utf-8"
        )
    done = run_program(clone, "dvc", "repro", "--allow-missing")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"Running stage '(.+?)':", done.stdout) == ["config"]
    assert git(clone, "diff", "--name-only", "dvc.lock") == ""


def test_run_of_the_pipeline_can_be_reproduced(scratch: Path) -> None:
    arguments = ("-m", "ratchet", "reproduce", "build/runs/sample/rule/0")
    done = run_command(sys.executable, *arguments, cwd=scratch, PYTHONPATH=str(scratch / "src"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_dvc_experiment_runs_the_code_of_its_copy(scratch: Path) -> None:
    done = run_program(
        scratch, "dvc", "exp", "run", "--temp", "--name", "less", "-S", "conf/model/cnn.yaml:dropout=0.1"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(re.findall(r"Running stage '(.+?)':", done.stdout)) == {"config"} | CNN | READ
    params = json.loads(run_program(scratch, "dvc", "params", "diff", "HEAD", "less", "--json").stdout)
    dropout = params["build/config/model/cnn.yaml"]["model.dropout"]
    assert (dropout["old"], dropout["new"]) == (0.5, 0.1)
    metrics = json.loads(run_program(scratch, "dvc", "metrics", "diff", "HEAD", "less", "--json").stdout)
    assert set(metrics["build/metrics.json"]) <= {f"cnn.{key}" for key in ("f1_weighted", "difference", "low", "high")}
    assert metrics["build/metrics.json"], "another dropout changes the metrics"
    assert git(scratch, "status", "--porcelain") == ""


@pytest.mark.thorough
def test_killed_pipeline_resumes(project: Path, scratch: Path, tmp_path: Path) -> None:
    copy = copy_checkout(project, tmp_path / "copy")
    git(copy, "init", "--quiet")
    command, environment = [PROGRAMS / "dvc", "repro"], {**os.environ, "PATH": PATH}
    for stage in ("prepare", "train@cnn-0"):
        process = subprocess.Popen(
            command, cwd=copy, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert process.stdout is not None
        assert any(f"'{stage}'" in line for line in process.stdout)
        time.sleep(2)
        stop(process)
    assert reproduce(copy) >= CNN | READ
    assert read_results(copy) == read_results(scratch)


OWN = """\
# Tickets.
defaults: [base_data, _self_]
name: tickets
records: {path: /from/elsewhere/tickets.csv}
text: [subject]
labels: {column: topics, kind: separated, separator: ";"}
"""


@pytest.mark.thorough
def test_pipeline_runs_without_git_on_custom_data(project: Path, tmp_path: Path) -> None:
    copy = copy_checkout(project, tmp_path / "copy")
    edit(copy / "params.yaml", "[rule, cnn]", "[rule]")
    edit(copy / "params.yaml", "data: sample", "data: tickets")
    (copy / "conf/data/tickets.yaml").write_text(OWN, encoding="utf-8")
    (copy / "data/tickets").mkdir()
    generator = random.Random(0)
    words = [" ".join(f"{generator.randrange(10**6)}" for _ in range(8)) for _ in range(80)]  # no two texts are alike
    rows = [f"{topic} {text},{topic}" for text, topic in zip(words, ("login", "billing") * 40, strict=True)]
    (copy / "data/tickets/tickets.csv").write_text("\n".join(["subject,topics", *rows]), encoding="utf-8")
    assert run_program(copy, "dvc", "config", "--local", "core.no_scm", "true").returncode == 0
    assert reproduce(copy) == ALL - CNN
    assert reproduce(copy) == NONE
    assert (copy / "build/report.md").read_text(encoding="utf-8").startswith("# tickets: ")


def test_unknown_model_in_the_plan_suggests_nearest_name(project: Path, tmp_path: Path) -> None:
    copy = copy_checkout(project, tmp_path / "copy")
    git(copy, "init", "--quiet")
    edit(copy / "params.yaml", "[rule, cnn]", "[rule, cnm]")
    done = run_program(copy, "dvc", "repro")
    assert done.returncode != 0
    assert all(part in done.stderr for part in ("error: params.yaml", "model=cnm", "conf/model/cnm.yaml", "'cnn'"))
    assert "Traceback" not in done.stderr
