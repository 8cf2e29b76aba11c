"""Tests for data sets from their files to a comparison: unknown targets, given parts that leak, several files."""

import csv
import json
import random
from pathlib import Path

import polars as pl
import pytest
from tests.commands import run_program

TOPICS = {
    "billing": "invoice refund charge payment amount card",
    "login": "password account signin locked reset username",
    "shipping": "parcel delivery courier address tracking late",
}
Rows = list[dict[str, str]]


def make_rows(count: int, seed: int = 0) -> Rows:
    """Make texts with one or two topics, in a column for each: 1 or 0."""
    generator = random.Random(seed)
    rows = []
    for index in range(count):
        topics = generator.sample(list(TOPICS), 1 + (index % 4 == 0))
        words = [word for topic in topics for word in generator.sample(TOPICS[topic].split(), 3)]
        noise = ["".join(generator.choices("abcdefghij", k=5)) for _ in range(6)]
        rows.append(
            {"id": f"t{seed}-{index}", "text": " ".join([*words, *noise])}
            | {topic: str(int(topic in topics)) for topic in TOPICS}
        )
    return rows


def write_csv(path: Path, rows: Rows) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_config(directory: Path, *lines: str) -> None:
    path = directory / "mine" / "data" / "own.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = "labels: {kind: columns, columns: [billing, login, shipping], unknown: ['-1']}"
    path.write_text(
        "\n".join(["defaults: [base_data, _self_]", "name: own", "id: id", "text: [text]", columns, *lines]),
        encoding="utf-8",
    )


def run(directory: Path, *arguments: str) -> str:
    done = run_program(directory, "ratchet", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def train(directory: Path, model: str, *overrides: str) -> Path:
    """Train a model; return its run directory."""
    run(directory, "train", "--config-dir", "mine", "data=own", f"model={model}", *overrides)
    return max(directory.glob(f"runs/own/{model}/*"))


def test_unknown_targets_have_no_effect_from_the_file_to_the_comparison(tmp_path: Path) -> None:
    rows = make_rows(120)
    generator = random.Random(1)
    for row in rows:
        if generator.random() < 0.4:
            row[generator.choice(list(TOPICS))] = "-1"
    write_csv(tmp_path / "own.csv", rows)
    write_config(tmp_path, "records: {path: own.csv}")
    rule, regression = train(tmp_path, "rule"), train(tmp_path, "regression")

    value_of = {row["id"]: row for row in rows}
    predictions = pl.read_parquet(regression / "predictions" / "test.parquet")
    labels = json.loads((regression / "labels.json").read_text(encoding="utf-8"))
    for identifier, known in zip(predictions["id"], predictions["known"], strict=True):
        assert [bool(cell) for cell in known] == [value_of[identifier][label] != "-1" for label in labels]
    comparison = json.loads(run(tmp_path, "compare", "data=own", "format=json"))
    assert {row["name"] for row in comparison["candidates"]} == {rule.parent.name, regression.parent.name}
    assert "unknown" in run(tmp_path, "data", "describe", "--config-dir", "mine", "data=own")


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    """Return a directory with given parts that share three texts."""
    train_rows, test_rows = make_rows(80), make_rows(30, seed=1)
    for index in range(3):
        test_rows[index]["text"] = train_rows[index]["text"]
    write_csv(tmp_path / "train.csv", train_rows)
    write_csv(tmp_path / "test.csv", test_rows)
    write_config(tmp_path, "records: {train: train.csv, test: test.csv}", "split: {method: given}")
    return tmp_path


def test_given_parts_that_leak_stop_with_the_pairs_in_a_file(leaking: Path) -> None:
    done = run_program(leaking, "ratchet", "train", "--config-dir", "mine", "data=own")
    assert done.returncode == 2
    assert "split.leaks=drop_from_train" in done.stderr
    with (leaking / "runs" / "own" / "leaks.csv").open(encoding="utf-8") as file:
        pairs = list(csv.DictReader(file))
    assert {(pair["id1"], pair["id2"]) for pair in pairs} == {(f"t0-{index}", f"t1-{index}") for index in range(3)}


def test_leaks_are_dropped_from_train_or_measured_with_and_without(leaking: Path) -> None:
    dropped = train(leaking, "rule", "split.leaks=drop_from_train")
    split = json.loads((dropped / "split.json").read_text(encoding="utf-8"))
    assert {f"t0-{index}" for index in range(3)}.isdisjoint([*split["train"], *split["val"]])
    assert len(split["test"]) == 30
    reported = train(leaking, "rule", "split.leaks=report")
    metrics = json.loads((reported / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test/slices/leaked/records"] == 3
    assert metrics["test/slices/without_leaks/records"] == 27
    assert 0 <= metrics["test/slices/without_leaks/f1_weighted"] <= 1


def test_texts_in_files_are_read_by_training_predict_and_an_export(tmp_path: Path) -> None:
    rows = make_rows(60)
    write_csv(tmp_path / "plain.csv", rows)
    write_config(tmp_path, "records: {path: plain.csv}")
    train(tmp_path, "regression", "evaluate=val")
    run(tmp_path, "predict", "last", "input=plain.csv", "output=expected.csv")
    (tmp_path / "docs").mkdir()
    for row in rows:
        (tmp_path / "docs" / f"{row['id']}.txt").write_text(row["text"], encoding="utf-8")
        row["text"] = f"docs/{row['id']}.txt"
    write_csv(tmp_path / "own.csv", rows)
    write_config(tmp_path, "records: {path: own.csv}", "text_files: [text]")
    train(tmp_path, "regression", "evaluate=val")
    run(tmp_path, "export", "last", "out=exported")
    run(tmp_path, "predict", "last", "input=own.csv", "output=by-run.csv")
    run(tmp_path, "predict", "exported", "input=own.csv", "output=by-export.csv")
    expected, by_run, by_export = (
        pl.read_csv(tmp_path / f"{name}.csv")["predicted"].to_list() for name in ("expected", "by-run", "by-export")
    )
    assert expected == by_run == by_export
    assert len(set(expected)) > 2

    (tmp_path / "docs" / "t0-0.txt").unlink()
    done = run_program(tmp_path, "ratchet", "predict", "last", "input=own.csv", "output=other.csv")
    assert done.returncode == 2
    assert "t0-0.txt" in done.stderr
