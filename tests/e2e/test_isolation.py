"""A job gives the same files alone, between others in one process, and in a process beside others."""

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
    """Experiments quick_regression, quick_cnn, quick_rule, and quick_failing, in a directory of configs."""
    directory = tmp_path_factory.mktemp("configs")
    (directory / "experiment").mkdir()
    for name, model in EXPERIMENTS.items():
        content = ["# @package _global_", "defaults:", f"  {model}", f"name: {name}", "evaluation: {resamples: 100}"]
        text = "\n".join([*content, MORE.get(name, "")])
        (directory / "experiment" / f"quick_{name}.yaml").write_text(text, encoding="utf-8")
    return directory


class Ran:
    """What a command printed, and the runs that it made."""

    def __init__(self, directory: Path, configs: Path, *arguments: str) -> None:
        command = [sys.executable, PROJECT / "train.py", *arguments, "--config-dir", configs]
        self.done: Done = run_command(*command, cwd=directory)
        self.runs: dict[str, StoredRun] = {run.record.name: run for run in find_runs(directory / "runs")}

    def files(self, name: str) -> dict[str, bytes]:
        """What a job leaves that must not hang on what ran beside it."""
        path = self.runs[name].path
        kept = ("predictions/val.parquet", "predictions/test.parquet", "metrics.json", "history.csv", "thresholds.json")
        return {each: (path / each).read_bytes() for each in kept}

    def log(self, name: str) -> list[str]:
        """The messages of a run's log, without times and the trace of a failure."""
        lines = (self.runs[name].path / "log.txt").read_text().splitlines()
        messages = [re.sub(r"^[\d-]+ [\d:,]+ ", "", line) for line in lines if re.match(r"\d{4}-", line)]
        return [line for line in messages if "ratchet.tracking" not in line]


def experiments(*names: str) -> str:
    return f"experiment={','.join(f'quick_{name}' for name in names)}"


@pytest.fixture(scope="module")
def in_sequence(configs: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """All four, one after the other, the network in the middle."""
    return Ran(tmp_path_factory.mktemp("basic"), configs, "-m", experiments(*EXPERIMENTS), "seed=1", "threads=1")


@pytest.fixture(scope="module")
def by_joblib(configs: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The same, side by side, and told to W&B."""
    grid = ("-m", experiments(*EXPERIMENTS), "seed=1", "launcher=joblib", "hydra.launcher.n_jobs=2", "tracker=wandb")
    return Ran(tmp_path_factory.mktemp("joblib"), configs, *grid)


@pytest.fixture(scope="module")
def by_submitit(configs: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Two of them, each in a process of its own."""
    return Ran(
        tmp_path_factory.mktemp("submitit"),
        configs,
        "-m",
        experiments("rule", "failing"),
        "seed=1",
        "launcher=submitit_local",
    )


def test_a_job_between_others_gives_what_it_gives_alone(in_sequence: Ran, configs: Path, tmp_path: Path) -> None:
    """A launcher is nothing to a single run but the threads it sets."""
    alone = Ran(tmp_path, configs, "experiment=quick_cnn", "seed=1", "launcher=joblib")
    assert (alone.done.returncode, alone.done.stderr) == (0, "")
    assert alone.runs["cnn"].record.threads == 1
    assert alone.runs["cnn"].record.overrides == ["experiment=quick_cnn", "seed=1"]
    assert alone.files("cnn") == in_sequence.files("cnn")
    assert alone.log("cnn") == in_sequence.log("cnn")


@pytest.mark.parametrize("name", ["regression", "cnn", "rule"])
def test_a_job_beside_others_gives_what_it_gives_in_sequence(name: str, in_sequence: Ran, by_joblib: Ran) -> None:
    assert by_joblib.files(name) == in_sequence.files(name)
    assert by_joblib.log(name) == in_sequence.log(name)
    assert len(list(by_joblib.runs[name].path.glob("wandb/offline-run-*"))) == 1


def test_a_job_in_a_process_of_its_own_gives_the_same(in_sequence: Ran, by_submitit: Ran) -> None:
    assert by_submitit.files("rule") == in_sequence.files("rule")
    assert by_submitit.log("rule") == in_sequence.log("rule")


def test_a_sweep_says_the_same_whatever_ran_its_jobs(in_sequence: Ran, by_joblib: Ran, by_submitit: Ran) -> None:
    for ran, names in (
        (in_sequence, list(EXPERIMENTS)),
        (by_joblib, list(EXPERIMENTS)),
        (by_submitit, ["rule", "failing"]),
    ):
        assert ran.done.returncode == 1
        lines = sorted(line for line in ran.done.stdout.splitlines() if line.startswith("#"))
        assert [line.split(" seed=1")[0] for line in lines] == [
            f"#{number} experiment=quick_{name}" for number, name in enumerate(names[:-1])
        ]
        table = ran.done.stdout.rstrip().split("\n\n")[-1].splitlines()
        assert [line.split()[0] for line in table[2:]] == [
            name for name in ("rule", "regression", "cnn") if name in names
        ]
        at_once, told, counted = ran.done.stderr.splitlines()
        assert at_once.startswith(f"#{len(names) - 1} experiment=quick_failing seed=1")
        assert told.startswith("failed: experiment=quick_failing seed=1")
        assert counted == f"1 of {len(names)} runs did not finish"


def test_the_record_of_a_job_does_not_tell_the_launcher(in_sequence: Ran, by_joblib: Ran, by_submitit: Ran) -> None:
    runs = [run for ran in (in_sequence, by_joblib, by_submitit) for run in ran.runs.values()]
    assert {run.record.threads for run in runs} == {1}
    assert not [each for run in runs for each in run.record.overrides if "launcher" in each]
    assert all(run.record.argv[0].endswith("train.py") for run in runs)
    assert len({run.record.config_hash for run in runs if run.record.name == "rule"}) == 1
