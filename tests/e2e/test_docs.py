"""Tests that run the code and the commands of the documentation."""

import json
import random
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


def test_new_model_of_the_docs_trains_in_a_grid(project: Path, tmp_path: Path) -> None:
    for name in ("src", "conf", "data/sample", "data/behaviour"):
        shutil.copytree(project / name, tmp_path / name)
    shutil.copy(project / "train.py", tmp_path)
    for block in [
        *_read_blocks(project / "docs/new-model.md", "python"),
        *_read_blocks(project / "docs/new-model.md", "yaml"),
    ]:
        (tmp_path / _read_path_in_first_line(block)).write_text(block, encoding="utf-8")

    done = run_command(
        sys.executable, "train.py", "-m", "model=rule,majority", cwd=tmp_path, PYTHONPATH=str(tmp_path / "src")
    )

    assert done.returncode == 0, done.stderr
    assert re.search(r"^majority +1 +0\.\d{3}", done.stdout, flags=re.M)


def test_yaml_of_the_docs_reads_a_csv(project: Path, tmp_path: Path, train: Command, ratchet: Command) -> None:
    data, _, behaviour = _read_blocks(project / "docs/own-data.md", "yaml")
    (tmp_path / "mine/data").mkdir(parents=True)
    for block in (data, behaviour):
        (tmp_path / _read_path_in_first_line(block)).write_text(block, encoding="utf-8")
    rows = ["ticket,subject,body,topics"]
    draw = random.Random(0)
    login, billing = ["password", "account", "refused", "sign"], ["amount", "invoice", "charged", "agreed"]
    for number in range(80):
        words, labels = (login, "login") if number % 2 else (billing, "billing;invoice")
        noise = [f"{draw.randrange(10**6)}" for _ in range(8)]
        rows.append(f"t{number},{draw.choice(words)},{' '.join([*draw.sample(words, 3), *noise])},{labels}")
    (tmp_path / "tickets.csv").write_text("\n".join(rows), encoding="utf-8")

    described = ratchet("data", "describe", "--config-dir", "mine", "data=tickets", "format=json")
    behaving = "data.behaviour.path=mine/behaviour.yaml"
    trained = train("--config-dir", "mine", "data=tickets", "model=regression", behaving)

    assert described.returncode == 0, described.stderr
    assert json.loads(described.stdout)["records"] == 80
    assert set(json.loads(described.stdout)["label_counts"]) == {"login", "billing", "invoice"}
    assert trained.returncode == 0, trained.stderr
    [metrics] = tmp_path.glob("runs/tickets/regression/*/metrics.json")
    assert json.loads(metrics.read_text(encoding="utf-8"))["behaviour/cases"] == 3


def test_optional_keys_of_the_data_docs_exist(project: Path, tmp_path: Path, ratchet: Command) -> None:
    """All keys compose at once: the error is about the missing file, not about a key."""
    first, second, _ = _read_blocks(project / "docs/own-data.md", "yaml")
    path = tmp_path / "mine/data/tickets.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(first.replace("labels:", "drop_bad_rows: true\nlabels:") + second.replace("drop_bad_rows", "# "))

    done = ratchet("data", "describe", "--config-dir", "mine", "data=tickets")

    assert done.returncode == 2
    assert "tickets.csv: " in done.stderr


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
