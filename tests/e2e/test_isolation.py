"""Tests that a job writes the same files alone, after other jobs in one process, and in parallel to them."""

import re
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.commands import PROJECT, run_command

from ratchet.runs import StoredRun, find_runs

EXPERIMENTS = {
    "regression": "- override /model: regression",
    "cnn": "- override /model: cnn",
    "rule": "- override /model: rule",
    "failing": "- override /model: rule",
}
MORE = {
    "cnn": "model: {tokens: word, max_epochs: 2, filters: 16, teacher_share: 0.0}",
    "failing": "data: {filter: {min_records: 1000}}",
}
Done = CompletedProcess[str]


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory of configs with an experiment quick_NAME for every name in EXPERIMENTS."""
    directory = tmp_path_factory.mktemp("configs")
    (directory / "experiment").mkdir()
    for name, model in EXPERIMENTS.items():
        content = ["# @package _global_", "defaults:", f"  {model}", f"name: {name}", "evaluation: {resamples: 100}"]
        text = "\n".join([*content, MORE.get(name, "")])
        (directory / "experiment" / f"quick_{name}.yaml").write_text(text, encoding="utf-8")
    return directory


class CommandResult:
    """The output of a command, and the runs that it made."""

    def __init__(self, directory: Path, configs: Path, *arguments: str) -> None:
        command = [sys.executable, PROJECT / "train.py", *arguments, "--config-dir", configs]
        self.done: Done = run_command(*command, cwd=directory)
        self.runs: dict[str, StoredRun] = {run.record.name: run for run in find_runs(directory / "runs")}

    def files(self, name: str) -> dict[str, bytes]:
        """Return the files of a job that must not depend on other jobs."""
        path = self.runs[name].path
        kept = ("predictions/val.parquet", "predictions/test.parquet", "metrics.json", "history.csv", "thresholds.json")
        return {file: (path / file).read_bytes() for file in kept}

    def log(self, name: str) -> list[str]:
        """Return the messages of a run's log, without times and tracebacks."""
        lines = (self.runs[name].path / "log.txt").read_text().splitlines()
        messages = [re.sub(r"^[\d-]+ [\d:,]+ ", "", line) for line in lines if re.match(r"\d{4}-", line)]
        return [line for line in messages if "ratchet.tracking" not in line]


def select_experiments(*names: str) -> str:
    return f"experiment={','.join(f'quick_{name}' for name in names)}"


@pytest.fixture(scope="module")
def in_sequence(configs: Path, tmp_path_factory: pytest.TempPathFactory) -> CommandResult:
    """Run all four jobs one after the other, the network in the middle."""
    return CommandResult(
        tmp_path_factory.mktemp("basic"), configs, "-m", select_experiments(*EXPERIMENTS), "seed=1", "threads=1"
    )


@pytest.fixture(scope="module")
def by_joblib(configs: Path, tmp_path_factory: pytest.TempPathFactory) -> CommandResult:
    """Run the same jobs in parallel, tracked by W&B."""
    grid = (
        "-m",
        select_experiments(*EXPERIMENTS),
        "seed=1",
        "launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "tracker=wandb",
    )
    return CommandResult(tmp_path_factory.mktemp("joblib"), configs, *grid)


@pytest.fixture(scope="module")
def by_submitit(configs: Path, tmp_path_factory: pytest.TempPathFactory) -> CommandResult:
    """Run two of the jobs, each in a process of its own."""
    return CommandResult(
        tmp_path_factory.mktemp("submitit"),
        configs,
        "-m",
        select_experiments("rule", "failing"),
        "seed=1",
        "launcher=submitit_local",
    )


def test_job_in_a_grid_equals_the_job_alone(in_sequence: CommandResult, configs: Path, tmp_path: Path) -> None:
    """For a single run, a launcher only sets the number of threads."""
    alone = CommandResult(tmp_path, configs, "experiment=quick_cnn", "seed=1", "launcher=joblib")
    assert (alone.done.returncode, alone.done.stderr) == (0, "")
    assert alone.runs["cnn"].record.threads == 1
    assert alone.runs["cnn"].record.overrides == ["experiment=quick_cnn", "seed=1"]
    assert alone.files("cnn") == in_sequence.files("cnn")
    assert alone.log("cnn") == in_sequence.log("cnn")


@pytest.mark.parametrize("name", ["regression", "cnn", "rule"])
def test_parallel_job_equals_the_sequential_one(
    name: str, in_sequence: CommandResult, by_joblib: CommandResult
) -> None:
    assert by_joblib.files(name) == in_sequence.files(name)
    assert by_joblib.log(name) == in_sequence.log(name)
    assert len(list(by_joblib.runs[name].path.glob("wandb/offline-run-*"))) == 1


def test_job_in_its_own_process_equals_the_sequential_one(
    in_sequence: CommandResult, by_submitit: CommandResult
) -> None:
    assert by_submitit.files("rule") == in_sequence.files("rule")
    assert by_submitit.log("rule") == in_sequence.log("rule")


def test_output_of_a_sweep_does_not_depend_on_the_launcher(
    in_sequence: CommandResult, by_joblib: CommandResult, by_submitit: CommandResult
) -> None:
    for result, names in (
        (in_sequence, list(EXPERIMENTS)),
        (by_joblib, list(EXPERIMENTS)),
        (by_submitit, ["rule", "failing"]),
    ):
        assert result.done.returncode == 1
        lines = sorted(line for line in result.done.stdout.splitlines() if line.startswith("#"))
        assert [line.split(" seed=1")[0] for line in lines] == [
            f"#{number} experiment=quick_{name}" for number, name in enumerate(names[:-1])
        ]
        table = result.done.stdout.rstrip().split("\n\n")[-1].splitlines()
        assert [line.split()[0] for line in table[2:]] == [
            name for name in ("rule", "regression", "cnn") if name in names
        ]
        uploads = [line for line in result.done.stderr.splitlines() if line.startswith("wandb: ")]
        assert len(uploads) == (1 if result is by_joblib else 0), "only these jobs are tracked"
        progress, failure, summary = [line for line in result.done.stderr.splitlines() if line not in uploads]
        assert progress.startswith(f"#{len(names) - 1} experiment=quick_failing seed=1")
        assert failure.startswith("failed: experiment=quick_failing seed=1")
        assert summary == f"1 of {len(names)} runs did not finish"


def test_record_of_a_job_does_not_depend_on_the_launcher(
    in_sequence: CommandResult, by_joblib: CommandResult, by_submitit: CommandResult
) -> None:
    runs = [run for result in (in_sequence, by_joblib, by_submitit) for run in result.runs.values()]
    assert {run.record.threads for run in runs} == {1}
    assert not [override for run in runs for override in run.record.overrides if "launcher" in override]
    assert all(run.record.argv[0].endswith("train.py") for run in runs)
    assert len({run.record.config_hash for run in runs if run.record.name == "rule"}) == 1
