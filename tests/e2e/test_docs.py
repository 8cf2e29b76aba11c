"""Tests that run the code and the commands of the documentation; docs/own-data.md has its own."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

from tests.commands import Command, run_command


def _read_blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.M | re.S)


def _read_path_in_first_line(block: str) -> str:
    return block.split("\n", 1)[0].removeprefix("# ")


def _write_blocks(directory: Path, *blocks: str) -> None:
    for block in blocks:
        path = directory / _read_path_in_first_line(block)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block, encoding="utf-8")


def test_new_model_of_the_docs_trains_in_a_grid(project: Path, tmp_path: Path, ratchet: Command) -> None:
    page = project / "docs/new-model.md"
    _write_blocks(tmp_path, *_read_blocks(page, "python"), *_read_blocks(page, "yaml"))
    (tmp_path / "ratchet.yaml").write_text("schema: 1\n", encoding="utf-8")

    checked = ratchet("models", "check", "majority")
    trained = ratchet("train", "-m", "model=rule,majority")

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert trained.returncode == 0, trained.stderr
    assert re.search(r"^majority +1 +0\.\d{3}", trained.stdout, flags=re.M)
    [metrics] = tmp_path.glob("runs/sample/majority/*/metrics.json")
    assert "test/own/exact_match" in json.loads(metrics.read_text(encoding="utf-8"))


def test_chart_of_the_report_docs_is_drawn(project: Path, tmp_path: Path, sample_runs: Path) -> None:
    shutil.copytree(sample_runs, tmp_path / "runs")
    [block] = _read_blocks(project / "docs/report.md", "python")
    done = run_command(sys.executable, "-c", block, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    picture = (tmp_path / "ladder.svg").read_text(encoding="utf-8")
    assert all(text in picture for text in ("Where we are", "regression", "rule"))


def test_commands_of_the_predict_docs_label_a_file(
    project: Path, tmp_path: Path, sample_runs: Path, ratchet: Command
) -> None:
    shutil.copytree(sample_runs, tmp_path / "runs")
    (tmp_path / "texts.csv").write_text("title,description\nSpeech,with a GAN\n,\nA GAN,that draws\n")
    page = project / "docs/predict.md"
    commands = [shlex.split(line) for block in _read_blocks(page, "sh") for line in block.splitlines()]
    outputs = []
    for program, *arguments in commands:
        assert program == "ratchet"
        done = ratchet(*arguments)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        outputs.append(done.stdout)
    written = {"predictions.csv", "all.parquet", "titles.jsonl.gz"}
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "texts.csv", *written}
    [shown] = _read_blocks(page, "text")
    names = [re.split(r"  +", line)[0] for line in shown.splitlines()]
    assert names == [re.split(r"  +", line)[0] for line in outputs[0].splitlines()]
    assert json.loads(outputs[2])["rows"] == 3


def test_program_of_the_export_docs_prints_labels(
    project: Path, tmp_path: Path, train: Command, ratchet: Command
) -> None:
    assert train().returncode == 0
    exported = ratchet("export", "last", "out=tagger")
    assert (exported.returncode, exported.stderr) == (0, "")
    [block] = _read_blocks(project / "docs/export.md", "python")
    done = run_command(sys.executable, "-c", block, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    labels, scores = done.stdout.splitlines()
    assert labels == "[['audio', 'generative-models']]"
    assert scores.count(".") == 17, "a score for each label"
