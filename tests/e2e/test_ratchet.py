"""Tests for the first commands of docs/comparison.md on the sample, from a grid to a promotion, and for wrong use."""

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from tests.commands import run_command


def read_documented_commands(project: Path) -> list[list[str]]:
    """Return the commands of the first block, changed to the sample and the two quick models."""
    text = (project / "docs" / "comparison.md").read_text(encoding="utf-8")
    block = re.findall(r"^```\n(.*?)^```", text, flags=re.M | re.S)[0]
    commands = [re.split(r" {2,}", line)[0] for line in block.splitlines()]
    small = (command.replace("madewithml", "sample").replace(",cnn,transformer", "") for command in commands)
    return [shlex.split(command) for command in small]


def test_documented_commands_lead_to_a_promotion(project: Path, tmp_path: Path) -> None:
    ratchet = str(Path(sys.executable).with_name("ratchet"))
    outputs = []
    for program, *arguments in read_documented_commands(project):
        training = program != "ratchet"
        start = [sys.executable, str(project / arguments.pop(0))] if training else [ratchet]
        few = "evaluation.resamples=100" if training else "resamples=1000"  # the verdicts do not depend on it
        done = run_command(*start, *arguments, few, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), (arguments, done.stderr)
        assert "\r" not in done.stdout, "no progress bar"
        outputs.append(done.stdout)
    grid, compared, gate, review, promoted = outputs
    assert re.search(r"^regression +5 ", grid, flags=re.M)
    assert re.search(r"^regression +better than rule$", compared, flags=re.M)
    assert gate.startswith("sample: regression ships: ")
    assert review.startswith("sample: under default regression ships")
    assert "promoted regression (gate: ships)" in promoted
    [line] = (tmp_path / "promotions" / "sample.jsonl").read_text(encoding="utf-8").splitlines()
    decision = json.loads(line)
    assert (decision["name"], decision["forced"], len(decision["runs"])) == ("regression", False, 5)
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "promotions"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gate", "data=nowhere"], 2, "no runs in runs"),
        (["gate", "objective=strct"], 2, "'strict'"),
        (["compare"], 2, "no runs in runs"),
        (["promote", "show"], 2, "nothing was promoted yet"),
        (["objective"], 2, "ratchet objective review"),
    ],
)
def test_wrong_use_exits_with_code_2_without_traceback(
    arguments: list[str], code: int, message: str, tmp_path: Path
) -> None:
    done = run_command(Path(sys.executable).with_name("ratchet"), *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
