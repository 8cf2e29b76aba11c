"""Tests for data whose texts hardly ever name a label: the baseline stays sensible, and commands say how often."""

import json
import random
from pathlib import Path

import pytest
from tests.commands import Command

CONFIG = """
defaults: [base_data, _self_]
name: own
records: {path: own.csv}
text: [text]
labels: {column: topic, kind: single}
"""
WORDS = {"crash": "exception abort stack dump", "slow": "seconds wait lag timeout", "ugly": "colour font icon border"}
NAMED = 20  # records whose text names the label


@pytest.fixture
def config_dir(tmp_path: Path) -> str:
    """Write 160 records, four in five of them `slow`, and return their directory of configurations."""
    draw = random.Random(0)
    rows = ["text,topic"]
    for number in range(160):
        topic = ("crash", "slow", "slow", "slow", "slow", "ugly", "slow", "slow", "slow", "slow")[number % 10]
        noise = ["".join(draw.choices("abcdefghij", k=6)) for _ in range(6)]
        named = [topic] if number < NAMED else []
        rows.append(f"{' '.join(draw.sample(WORDS[topic].split(), 2) + noise + named)},{topic}")
    (tmp_path / "own.csv").write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "mine/data").mkdir(parents=True)
    (tmp_path / "mine/data/own.yaml").write_text(CONFIG, encoding="utf-8")
    return "mine"


def test_most_frequent_class_is_predicted_and_every_command_says_how_often(
    config_dir: str, train: Command, ratchet: Command, tmp_path: Path
) -> None:
    described = ratchet("data", "describe", "--config-dir", config_dir, "data=own")
    trained = train("--config-dir", config_dir, "data=own", "model=rule")
    compared = ratchet("compare")

    assert [done.returncode for done in (described, trained, compared)] == [0, 0, 0], trained.stderr + compared.stderr
    [line] = [line for line in described.stdout.splitlines() if line.startswith("no rule fires")]
    assert f"on {160 - NAMED} records" in line
    assert "suggest-taxonomy" in line
    [path] = tmp_path.glob("runs/own/rule/*/metrics.json")
    metrics = json.loads(path.read_text(encoding="utf-8"))
    assert metrics["test/f1_weighted"] > 0.65, "that of the most frequent class, not of the first in the alphabet"
    record = json.loads((path.parent / "record.json").read_text(encoding="utf-8"))
    share = f"{record['without_rule']['test']} of "
    for done in (trained, compared):
        [line] = [line for line in done.stdout.splitlines() if "no rule fires" in line]
        assert share in line
