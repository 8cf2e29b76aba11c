"""Tests for arguments of `train` that Hydra knows and Ratchet does not use, and for settings written as flags."""

from pathlib import Path

import pytest
from tests.cli.conftest import Verb
from tests.commands import Command

import ratchet
from ratchet.cli.arguments import check_arguments
from ratchet.errors import UserError


@pytest.mark.parametrize(
    ("argument", "remedies"),
    [
        ("hydra.run.dir=out/mine", ["run_dir=", "runs_dir="]),
        ("++hydra.run.dir=out/mine", ["run_dir=", "runs_dir="]),
        ("hydra.sweep.dir=out/grid", ["runs_dir="]),
        ("hydra.sweep.subdir=${hydra.job.num}", ["runs_dir="]),
        ("hydra.output_subdir=.hydra", ["config.yaml"]),
        ("hydra.job.chdir=true", ["run_dir="]),
        ("hydra.job.name=mine", ["name="]),
        ("hydra.job_logging.root.level=DEBUG", ["log.txt"]),
        ("hydra/job_logging=colorlog", ["log.txt"]),
        ("hydra/hydra_logging=colorlog", ["log.txt"]),
        ("hydra/sweeper=optuna", ["sweep="]),
        ("+hydra.sweeper.params.seed=range(1,3)", ["-m"]),
        ("hydra/launcher=joblib", ["launcher="]),
    ],
)
def test_key_of_hydra_without_effect_is_refused_with_ours(argument: str, remedies: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        check_arguments(["model=rule", argument])
    assert f"command line, {argument}" in str(refused.value)
    assert [remedy for remedy in remedies if remedy not in str(refused.value)] == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "regression"], "model=regression"),
        (["--model=regression"], "model=regression"),
        (["-model=regression"], "model=regression"),
        (["--model.C=2"], "model.C=2"),
        (["--runs-dir", "here"], "runs_dir=here"),
        (["--seed", "-m"], "seed=..."),
        (["--learning-rate", "0.1"], "'model.learning_rate'"),
        (["--lr=0.1"], "'model.learning_rate'"),
        (["--epochs", "3"], "'model.max_epochs'"),
        (["--multi-run"], "'--multirun'"),
        (["--something-else"], "train --help"),
        (["--multirun=true"], "without a value"),
    ],
)
def test_setting_written_as_a_flag_is_refused_with_its_form(arguments: list[str], expected: str) -> None:
    with pytest.raises(UserError) as refused:
        check_arguments(arguments)
    assert f"command line, {arguments[0]}: " in str(refused.value)
    assert expected in str(refused.value)


@pytest.mark.parametrize("argument", ["~seed", "~trainer", "~trainer.devices", "~model.C", "~data.split", "~launcher"])
def test_removal_of_a_setting_is_refused(argument: str) -> None:
    with pytest.raises(UserError, match=argument):
        check_arguments([argument])


@pytest.mark.parametrize("argument", ["~data.filter.where", "~data.slices", "~evaluation.slices"])
def test_removal_of_a_whole_mapping_names_that_of_an_entry(argument: str) -> None:
    with pytest.raises(UserError, match=rf"{argument}\.NAME"):
        check_arguments([argument])


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["model=rule", "+data.behaviour.path=x.yaml", "++seed=1"],
        ["-m", "seed=1,2", "hydra.launcher.n_jobs=2", "hydra.launcher.mem_gb=16"],
        ["--multirun", "sweep=regression"],
        ["--cfg", "job", "--package", "model", "--resolve"],
        ["--cfg=job", "-p", "hydra.launcher"],
        ["--info", "--config-dir", "mine"],
        ["-h"],
        ["~evaluation.slices.date", "~data.slices.terse", "~sweep.space.C"],
        ["hypothesis='hydra.run.dir=out'", "seed=-1"],
    ],
    ids=" ".join,
)
def test_arguments_with_an_effect_are_accepted(arguments: list[str]) -> None:
    check_arguments(arguments)


@pytest.mark.parametrize("command", [["train", "--version"], ["--version"], ["-V"]])
def test_version_is_that_of_ratchet(command: list[str], verb: Verb) -> None:
    code, out, err = verb(*command)
    assert (code, err) == (0, "")
    assert out.startswith(f"Ratchet {ratchet.__version__} ")


def test_refused_directory_of_hydra_is_not_made(train: Command, tmp_path: Path) -> None:
    done = train("hydra.run.dir=out/mine", "data=sample")
    assert (done.returncode, done.stdout) == (2, "")
    assert "run_dir=" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_directory_of_hydra_in_a_file_is_refused(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.yaml").write_text("hydra: {run: {dir: out}}\n")
    with pytest.raises(SystemExit) as stopped:  # Hydra has started
        verb("train", "--config-dir", "mine", "model=rule", "data=sample")
    assert stopped.value.code == 2
    assert not (tmp_path / "runs").exists()
