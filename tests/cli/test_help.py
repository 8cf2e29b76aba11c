"""Tests for help: it is complete, fits 80 columns and costs little more than importing Hydra."""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Verb
from tests.commands import CONF, PROJECT
from tests.conftest import run_command

from ratchet.cli.help import VERBS, find_options
from ratchet.cli.main import main
from ratchet.config import settings_in
from ratchet.models import settings_class

HEAVY = {"torch", "polars", "sklearn", "transformers", "pytorch_lightning", "wandb", "optuna"}
KEYED = [verb for verb in VERBS if verb != "train"]
REQUIRED: dict[str, Any] = {  # settings of a network that have no default
    **{"max_length": 1, "batch_size": 1, "max_epochs": 1, "patience": 1},
    **{"learning_rate": 1.0, "weight_decay": 0.0, "warmup": 0.0},
}


def unwrap(out: str) -> str:
    """Return the output on one line, without its wrapping."""
    return " ".join(out.split())


@pytest.mark.parametrize("verb", KEYED)
@pytest.mark.parametrize("arguments", [["-h"], ["last", "--help"]], ids=" ".join)
def test_help_of_every_verb_describes_all_keys(
    verb: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([verb, *arguments]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith(f"usage: ratchet {verb}")
    assert all(len(line) <= 80 for line in captured.out.splitlines())
    text = unwrap(captured.out)
    assert VERBS[verb].sentence in text
    for example in VERBS[verb].examples:
        assert example in captured.out
    for options in find_options(verb).values():
        for setting in settings_in(options):
            assert f" {setting.key}=" in text
            assert f"{setting.remark} {setting.kind}" in text


@pytest.mark.parametrize("verb", KEYED)
def test_described_actions_match_existing_actions(verb: str) -> None:
    described, existing = VERBS[verb].actions, find_options(verb)
    assert set(existing) <= set(described)
    assert set(described) - {""} <= set(existing), "every described action exists"
    for action in set(described) - {""}:
        assert re.fullmatch(r"[A-Z].*\.", described[action].sentence)
    assert re.fullmatch(r"[A-Z].*\.", VERBS[verb].sentence)
    assert VERBS[verb].examples


def test_help_of_action_describes_only_its_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "prune", "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: ratchet runs prune [key=value ...]\n")
    assert "older_than_days=" in out
    assert "ladder=" not in out


def test_help_shows_defaults_and_allowed_values(capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", "--help"])
    out = capsys.readouterr().out
    keys = re.findall(r"^  (\w+)=(\S+)", out, re.MULTILINE)
    assert keys == [("precision", "float32"), ("out", "null"), ("replace", "false"), ("runs_dir", "runs")]
    assert "float32 | int8" in out


def test_help_of_train_describes_groups_and_chosen_settings(verb: Verb) -> None:
    code, out, err = verb("train", "model=cnn", "seed=7", "--help")
    assert (code, err) == (0, "")
    assert all(len(line) <= 80 for line in out.splitlines())
    lines, text = out.splitlines(), unwrap(out)
    groups = {path.name for path in CONF.iterdir() if path.is_dir()} - {"objective"}
    offered = text.partition("group=option:")[2].partition("key=value:")[0]
    assert groups == set(re.findall(r"(\w+)=", offered))
    assert "cnn | regression | rule | transformer | transformer_tiny" in offered
    assert "base_" not in offered
    for chosen in ("model=cnn", "trainer=cpu", "seed=7"):
        assert any(line.startswith(f"  {chosen} ") for line in lines)
    for setting in settings_in(settings_class("cnn")(name="cnn", complexity=0, **REQUIRED), "model."):
        assert f" {setting.key}=" in text
        assert setting.remark in text
    assert "model.stemming" not in text
    assert "model.max_epochs=20" in text, "the composed value, not the declared default"


def test_help_of_multirun_describes_first_value(verb: Verb) -> None:
    code, out, err = verb("train", "-m", "model=rule,cnn", "seed=0,1", "threshold.value=interval(0.1,0.9)", "-h")
    assert (code, err) == (0, "")
    assert "model.stemming=" in out
    assert "model.filters=" not in out


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("model=cn", "did you mean 'cnn'?"),
        ("model.stemming=7x", "model.stemming"),
        ("sed=1", "did you mean 'seed'?"),
    ],
)
def test_invalid_argument_next_to_help_is_reported(argument: str, message: str, verb: Verb) -> None:
    code, out, err = verb("train", argument, "--help")
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("arguments", [["train", "--help"], ["runs", "--help"], ["compare", "-h"], ["models", "-h"]])
def test_help_imports_no_heavy_packages(arguments: list[str], tmp_path: Path) -> None:
    process = run_command(sys.executable, "-X", "importtime", "-m", "ratchet", *arguments, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    imported = {name.partition(".")[0] for name in re.findall(r"\| +([\w.]+)$", process.stderr, flags=re.MULTILINE)}
    assert "ratchet" in imported
    assert not imported & HEAVY


def measure_cpu_seconds(*command: str | Path, directory: Path) -> float:
    """Return the CPU time of a command. Unlike its duration, it does not depend on other processes."""
    before = os.times()
    assert run_command(*command, cwd=directory).returncode == 0
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


@pytest.mark.skipif(os.name == "nt", reason="Windows does not report the CPU time of child processes")
def test_help_of_train_costs_little_more_than_hydra(tmp_path: Path) -> None:
    help_seconds, import_seconds = [], []
    for _ in range(3):  # alternate and take the minimum: other processes share the caches
        import_seconds.append(measure_cpu_seconds(sys.executable, "-c", "import hydra", directory=tmp_path))
        help_seconds.append(measure_cpu_seconds(sys.executable, PROJECT / "train.py", "--help", directory=tmp_path))
    assert min(help_seconds) <= 1.5 * min(import_seconds) + 1
