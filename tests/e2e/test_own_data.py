"""Tests for custom data: a file of records and one YAML file, in every format of records."""

import csv
import gzip
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from tests.commands import Command

from ratchet.config import compose
from ratchet.data.prepared import prepare

TOPICS = {
    "billing": "invoice refund charge payment amount card",
    "login": "password account signin locked reset username",
    "shipping": "parcel delivery courier address tracking late",
}
SIZE = 90


@dataclass
class Ticket:
    """A record as a help desk would have it."""

    id: str
    subject: str
    body: str
    topics: list[str]
    opened: date
    source: str
    part: str


def make_tickets() -> list[Ticket]:
    """Make texts from which topics can be learnt. Every second one names its topics; no two are near duplicates."""
    generator = random.Random(0)
    made = []
    for index in range(SIZE):
        first = list(TOPICS)[index % 3]
        second = list(TOPICS)[(index + 1) % 3]
        topics = [first, second] if index % 6 == 0 else [first]
        words = [word for topic in topics for word in generator.sample(TOPICS[topic].split(), 4)]
        noise = ["".join(generator.choices("abcdefghij", k=5)) for _ in range(6)]
        named_topics = topics if index % 2 == 0 else []
        made.append(
            Ticket(
                id=f"t{index:03d}",
                subject=" ".join(named_topics + words[:2]),
                body=" ".join(words[2:] + noise),
                topics=topics,
                opened=date(2026, 1, 1) + timedelta(days=generator.randrange(300)),
                source=("mail", "forum")[index % 2],
                part=("train", "train", "train", "validation", "test")[generator.randrange(5)],
            )
        )
    return made


TICKETS = make_tickets()
HEAD = "defaults: [base_data, _self_]\nname: own\nid: id\ntext: [subject, body]\n"


def make_row(ticket: Ticket) -> dict[str, Any]:
    return {"id": ticket.id, "subject": ticket.subject, "body": ticket.body, "opened": ticket.opened.isoformat()} | {
        "source": ticket.source,
        "part": ticket.part,
    }


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ",", *, header: bool = True) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter)
        if header:
            writer.writerow(rows[0])
        writer.writerows(row.values() for row in rows)


def separated_csv(directory: Path) -> str:
    write_csv(directory / "own.csv", [make_row(ticket) | {"topics": "; ".join(ticket.topics)} for ticket in TICKETS])
    return HEAD + 'records: {path: own.csv}\nlabels: {column: topics, kind: separated, separator: ";"}\n'


def tsv_without_header(directory: Path) -> str:
    rows = [make_row(ticket) | {"topics": ",".join(ticket.topics)} for ticket in TICKETS]
    write_csv(directory / "own.tsv", rows, "\t", header=False)
    return (
        HEAD + "records: {path: own.tsv}\nheader: false\n"
        "column_names: [id, subject, body, opened, source, part, topics]\nlabels: {column: topics, kind: separated}\n"
    )


def json_list(directory: Path) -> str:
    rows = [make_row(ticket) | {"topics": ticket.topics} for ticket in TICKETS]
    (directory / "own.json").write_text(json.dumps(rows), encoding="utf-8")
    return HEAD + "records: {path: own.json}\nlabels: {column: topics}\n"


def jsonl(directory: Path) -> str:
    lines = [json.dumps(make_row(ticket) | {"topics": ticket.topics}) for ticket in TICKETS]
    (directory / "own.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return HEAD + "records: {path: own.jsonl}\nlabels: {column: topics, kind: list}\n"


def parquet(directory: Path) -> str:
    pl.DataFrame([make_row(ticket) | {"topics": ticket.topics} for ticket in TICKETS]).write_parquet(
        directory / "own.parquet"
    )
    return HEAD + "records: {path: own.parquet}\nlabels: {column: topics, kind: list}\n"


def indices(directory: Path) -> str:
    names = list(TOPICS)
    lines = [
        json.dumps(make_row(ticket) | {"topics": [names.index(topic) for topic in ticket.topics]}) for ticket in TICKETS
    ]
    (directory / "own.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (directory / "topics.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
    return HEAD + "records: {path: own.jsonl}\nlabels: {column: topics, kind: indices, names: {path: topics.txt}}\n"


def another_encoding_and_suffix(directory: Path) -> str:
    rows = [
        make_row(ticket) | {"topics": "|".join(ticket.topics), "subject": f"{ticket.subject} für"} for ticket in TICKETS
    ]
    write_csv(directory / "own.txt", rows)
    path = directory / "own.txt"
    path.write_bytes(path.read_text(encoding="utf-8").encode("cp1252"))
    return (
        HEAD + "records: {path: own.txt}\nformat: csv\nencoding: cp1252\n"
        'labels: {column: topics, kind: separated, separator: "|"}\n'
    )


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def a_column_for_each_label(directory: Path) -> str:
    rows = [make_row(ticket) | {topic: int(topic in ticket.topics) for topic in TOPICS} for ticket in TICKETS]
    write_csv(directory / "own.csv", rows)
    return HEAD + "records: {path: own.csv}\nlabels: {columns: [billing, login, shipping], kind: columns}\n"


def columns_of_names(directory: Path) -> str:
    rows = [make_row(ticket) | dict(zip(("one", "two"), [*ticket.topics, ""], strict=False)) for ticket in TICKETS]
    write_csv(directory / "own.csv", rows)
    return HEAD + "records: {path: own.csv}\nlabels: {columns: [one, two], kind: names}\n"


def a_row_for_each_label(directory: Path) -> str:
    rows = [make_row(ticket) | {"topic": topic} for ticket in TICKETS for topic in ticket.topics]
    write_csv(directory / "own.csv", rows)
    return HEAD + "records: {path: own.csv}\nlabels: {column: topic, kind: rows}\n"


def scores_of_labels(directory: Path) -> str:
    write_jsonl(
        directory / "own.jsonl",
        (
            make_row(ticket) | {"cats": {topic: 0.9 if topic in ticket.topics else 0.2 for topic in TOPICS}}
            for ticket in TICKETS
        ),
    )
    return HEAD + "records: {path: own.jsonl}\nlabels: {column: cats, kind: scores}\n"


def vectors_in_cells(directory: Path) -> str:
    rows = [make_row(ticket) | {"topics": str([int(topic in ticket.topics) for topic in TOPICS])} for ticket in TICKETS]
    write_csv(directory / "own.csv", rows)
    (directory / "topics.json").write_text(json.dumps(dict(enumerate(TOPICS))), encoding="utf-8")
    return HEAD + "records: {path: own.csv}\nlabels: {column: topics, kind: binary, names: {path: topics.json}}\n"


def semicolons_below_a_title(directory: Path) -> str:
    path = directory / "own.csv"
    write_csv(path, [make_row(ticket) | {"topics": ", ".join(ticket.topics)} for ticket in TICKETS], ";")
    path.write_text("Tickets of the shop\nof 2026\n\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    return HEAD + 'records: {path: own.csv}\nseparator: ";"\nskip_rows: 3\nlabels: {column: topics, kind: separated}\n'


def compressed_parts(directory: Path) -> str:
    parts = directory / "parts"
    parts.mkdir()
    for number in range(3):
        rows = [make_row(ticket) | {"topics": ticket.topics} for ticket in TICKETS[number::3]]
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
        (parts / f"{number}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    return HEAD.replace("id: id\n", "") + 'records: {path: "parts/*.jsonl.gz"}\nlabels: {column: topics}\n'


def excel(directory: Path) -> str:
    workbook = openpyxl.Workbook()
    sheet = workbook.create_sheet("May")
    sheet.append([*make_row(TICKETS[0]), "topics"])
    for ticket in TICKETS:
        sheet.append([*make_row(ticket).values(), "|".join(ticket.topics)])
    workbook.save(directory / "own.xlsx")
    return HEAD + 'records: {path: own.xlsx, sheet: May}\nlabels: {column: topics, kind: separated, separator: "|"}\n'


def sqlite(directory: Path) -> str:
    with closing(sqlite3.connect(directory / "own.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE tickets (id, subject, body)")
        connection.execute("CREATE TABLE topics (ticket, topic)")
        for ticket in TICKETS:
            connection.execute("INSERT INTO tickets VALUES (?, ?, ?)", (ticket.id, ticket.subject, ticket.body))
            connection.executemany("INSERT INTO topics VALUES (?, ?)", [(ticket.id, name) for name in ticket.topics])
    return HEAD + (
        "records:\n  path: own.sqlite\n  query: SELECT id, subject, body, group_concat(topic, ';') AS topics"
        " FROM tickets JOIN topics ON ticket = id GROUP BY id\n"
        'labels: {column: topics, kind: separated, separator: ";"}\n'
    )


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], None]:
    """Configure the data set `own` in a directory outside the checkout: `write(yaml)`."""

    def write_config(text: str) -> None:
        path = tmp_path / "mine" / "data" / "own.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text, encoding="utf-8")

    return write_config


def read_only_run(directory: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, list[str]], list[str]]:
    """Return record, metrics, parts and labels of the only run."""
    (path,) = (file.parent for file in directory.glob("runs/own/*/*/record.json"))
    record, metrics, split, labels = (
        json.loads((path / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("record", "metrics", "split", "labels")
    )
    assert record["status"] == "finished"
    return record, metrics, {part: split[part] for part in ("train", "val", "test")}, labels


def train_rule(train: Command, directory: Path, task: str) -> dict[str, Any]:
    """Train the rule model on all tickets, check that it was the `task` with all topics, and return the metrics."""
    done = train("--config-dir", "mine", "data=own", "model=rule")
    assert (done.returncode, done.stderr) == (0, "")
    record, metrics, parts, labels = read_only_run(directory)
    assert (record["task"], labels) == (task, list(TOPICS))
    assert sum(map(len, parts.values())) == SIZE
    return metrics


@pytest.mark.parametrize(
    ("make", "model"),
    [
        (separated_csv, "regression"),
        (tsv_without_header, "rule"),
        (json_list, "rule"),
        (jsonl, "regression"),
        (parquet, "rule"),
        (indices, "regression"),
        (another_encoding_and_suffix, "rule"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_multilabel_data_are_read_in_every_format(
    make: Callable[[Path], str],
    model: str,
    write: Callable[[str], None],
    train: Command,
    ratchet: Command,
    tmp_path: Path,
) -> None:
    write(make(tmp_path))

    described = ratchet("data", "describe", "--config-dir", "mine", "data=own", "format=json")
    assert (described.returncode, described.stderr) == (0, "")
    description = json.loads(described.stdout)
    assert (description["records"], description["rows_read"], description["task"]) == (SIZE, SIZE, "multilabel")
    counts = Counter(topic for ticket in TICKETS for topic in ticket.topics)
    assert {label: sum(parts.values()) for label, parts in description["label_counts"].items()} == counts
    assert description["problems"] == []

    done = train("--config-dir", "mine", "data=own", f"model={model}")
    assert (done.returncode, done.stderr) == (0, "")
    record, metrics, parts, labels = read_only_run(tmp_path)
    assert labels == list(TOPICS)
    assert record["task"] == "multilabel"
    assert record["dataset_version"] == description["dataset_version"]
    assert record["split_hash"] == description["split_hash"]
    assert sorted(identifier for ids in parts.values() for identifier in ids) == [ticket.id for ticket in TICKETS]
    topics_of = {ticket.id: ticket.topics for ticket in TICKETS}
    true = sum(len(topics_of[identifier]) for identifier in parts["test"]) / len(parts["test"])
    assert metrics["test/labels_per_record_true"] == pytest.approx(true)
    if model == "regression":
        assert metrics["test/f1_weighted"] > 0.85, "every topic has its own words"
    else:
        assert metrics["test/precision_weighted"] > 0.99, "texts name only their own topics"
        assert 0.2 < metrics["test/recall_weighted"] < 0.8, "only half of the texts name their topics"


@pytest.mark.parametrize(
    "make",
    [
        a_column_for_each_label,
        columns_of_names,
        a_row_for_each_label,
        scores_of_labels,
        vectors_in_cells,
        semicolons_below_a_title,
        compressed_parts,
        excel,
        sqlite,
    ],
)
def test_labels_of_every_layout_are_measured(
    make: Callable[[Path], str], write: Callable[[str], None], train: Command, tmp_path: Path
) -> None:
    write(make(tmp_path))
    metrics = train_rule(train, tmp_path, "multilabel")
    assert metrics["test/precision_weighted"] > 0.99, "texts name only their own topics"
    assert 0.2 < metrics["test/recall_weighted"] < 0.8, "only half of the texts name their topics"


def class_by_its_number(directory: Path) -> str:
    names = list(TOPICS)
    write_csv(
        directory / "own.csv",
        [make_row(ticket) | {"topic": str(names.index(ticket.topics[0]) + 1)} for ticket in TICKETS],
    )
    (directory / "topics.txt").write_text("".join(f"{number}\t{name}\n" for number, name in enumerate(names, 1)))
    return (
        HEAD + "records: {path: own.csv}\n"
        "labels: {column: topic, kind: indices, one: true, first: 1, names: {path: topics.txt}}\n"
    )


def directory_for_each_class(directory: Path) -> str:
    for ticket in TICKETS:
        path = directory / "mails" / ticket.topics[0] / f"{ticket.id}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{ticket.subject}\n\n{ticket.body}\n", encoding="utf-8")
    return (
        "defaults: [base_data, _self_]\nname: own\ntext: [text]\n"
        "records: {path: mails, layout: directory}\nlabels: {column: label, kind: single}\n"
    )


def part_for_each_file(directory: Path) -> str:
    rows = [make_row(ticket) | {"topic": ticket.topics[0]} for ticket in TICKETS]
    write_csv(directory / "train.csv", rows[:60])
    write_csv(directory / "test.csv", rows[60:])
    return (
        HEAD + "records: {train: train.csv, test: test.csv}\nsplit: {method: given}\n"
        "labels: {column: topic, kind: single}\n"
    )


@pytest.mark.parametrize("make", [class_by_its_number, directory_for_each_class, part_for_each_file])
def test_one_label_of_every_layout_is_measured(
    make: Callable[[Path], str], write: Callable[[str], None], train: Command, tmp_path: Path
) -> None:
    write(make(tmp_path))
    metrics = train_rule(train, tmp_path, "multiclass")
    assert metrics["test/labels_per_record_predicted"] == 1.0
    assert metrics["test/f1_weighted"] > 0.4, "half of the texts name their topic"


@pytest.mark.parametrize("model", ["rule", "regression"])
def test_unknown_targets_are_neither_learned_nor_measured(
    model: str, write: Callable[[str], None], train: Command, ratchet: Command, tmp_path: Path
) -> None:
    """Every third record was not checked for shipping: what it says about shipping counts nowhere."""
    rows = [make_row(ticket) | {topic: int(topic in ticket.topics) for topic in TOPICS} for ticket in TICKETS]
    for row in rows[::3]:
        row["shipping"] = -1
    write_csv(tmp_path / "own.csv", rows)
    write(
        HEAD + "records: {path: own.csv}\n"
        'labels: {columns: [billing, login, shipping], kind: columns, unknown: ["-1"]}\n'
    )
    described = ratchet("data", "describe", "--config-dir", "mine", "data=own", "format=json")
    assert json.loads(described.stdout)["unknown"] == {"billing": 0, "login": 0, "shipping": pytest.approx(1 / 3)}
    done = train("--config-dir", "mine", "data=own", f"model={model}")
    assert (done.returncode, done.stderr) == (0, "")
    _, metrics, parts, _ = read_only_run(tmp_path)
    tested = set(parts["test"])
    known = [row for row in rows if row["id"] in tested and row["shipping"] != -1]
    assert metrics["test/labels/shipping/support"] == sum(row["shipping"] for row in known)


def test_leaks_of_given_parts_are_reported_as_slices(
    write: Callable[[str], None], train: Command, tmp_path: Path
) -> None:
    rows = [make_row(ticket) | {"topics": ",".join(ticket.topics)} for ticket in TICKETS]
    for row, first in zip(rows[60:63], rows, strict=False):  # three texts of test are in train, too
        row["subject"], row["body"] = first["subject"], first["body"]
    write_csv(tmp_path / "train.csv", rows[:60])
    write_csv(tmp_path / "test.csv", rows[60:])
    keys = HEAD + "records: {train: train.csv, test: test.csv}\nlabels: {column: topics, kind: separated}\n"
    write(keys + "split: {method: given, leaks: report}\n")

    done = train("--config-dir", "mine", "data=own")
    assert done.returncode == 0, done.stderr
    _, metrics, _, _ = read_only_run(tmp_path)
    stopped = train("--config-dir", "mine", "data=own", "data.split.leaks=stop")

    assert stopped.returncode == 2
    assert "split.leaks=drop_from_train" in stopped.stderr
    assert metrics["test/slices/leaked/records"] == 3
    assert metrics["test/slices/without_leaks/records"] == len(rows) - 60 - 3
    with (tmp_path / "runs/own/leaks.csv").open(encoding="utf-8") as file:
        assert {row["id2"] for row in csv.DictReader(file)} >= {row["id"] for row in rows[60:63]}


def test_equal_records_have_one_version_in_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    versions = set()
    for make in (separated_csv, tsv_without_header, json_list, jsonl, parquet, indices):
        (tmp_path / "mine" / "data").mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / "data" / "own.yaml").write_text(make(tmp_path), encoding="utf-8")
        versions.add(prepare(compose(["data=own"], Path("mine")).data).version)
    assert len(versions) == 1


@pytest.mark.parametrize("model", ["rule", "regression"])
def test_data_with_single_labels_are_multiclass(
    model: str, write: Callable[[str], None], train: Command, tmp_path: Path
) -> None:
    write_csv(tmp_path / "own.csv", [make_row(ticket) | {"topic": ticket.topics[0]} for ticket in TICKETS])
    write(HEAD + "records: {path: own.csv}\nlabels: {column: topic, kind: single}\n")
    done = train("--config-dir", "mine", "data=own", f"model={model}")
    assert (done.returncode, done.stderr) == (0, "")
    record, metrics, _, labels = read_only_run(tmp_path)
    assert (record["task"], labels) == ("multiclass", list(TOPICS))
    assert metrics["test/labels_per_record_true"] == metrics["test/labels_per_record_predicted"] == 1.0
    if model == "regression":
        assert metrics["test/f1_weighted"] > 0.7


def test_given_parts_are_kept(write: Callable[[str], None], train: Command, tmp_path: Path) -> None:
    write(separated_csv(tmp_path) + "split: {method: given, column: part}\n")
    done = train("--config-dir", "mine", "data=own")
    assert (done.returncode, done.stderr) == (0, "")
    _, _, parts, _ = read_only_run(tmp_path)
    for part, written in (("train", "train"), ("val", "validation"), ("test", "test")):
        assert parts[part] == [ticket.id for ticket in TICKETS if ticket.part == written]


def test_missing_part_is_sampled_from_train(write: Callable[[str], None], train: Command, tmp_path: Path) -> None:
    rows = [make_row(ticket) | {"topics": ticket.topics[0]} for ticket in TICKETS]
    for record in rows:
        record["part"] = "train" if record["part"] != "test" else "test"
    write_csv(tmp_path / "own.csv", rows)
    write(
        HEAD + "records: {path: own.csv}\nlabels: {column: topics, kind: separated}\n"
        "split: {method: given, column: part, val: 0.2}\n"
    )
    done = train("--config-dir", "mine", "data=own")
    assert (done.returncode, done.stderr) == (0, "")
    _, _, parts, _ = read_only_run(tmp_path)
    assert parts["test"] == [record["id"] for record in rows if record["part"] == "test"]
    assert len(parts["val"]) == pytest.approx(0.2 * SIZE, abs=1)


def test_temporal_split_tests_on_the_newest_records(
    write: Callable[[str], None], train: Command, tmp_path: Path
) -> None:
    rows = [
        make_row(ticket) | {"topics": ",".join(ticket.topics), "opened": f"{ticket.opened:%d.%m.%Y}"}
        for ticket in TICKETS
    ]
    write_csv(tmp_path / "own.csv", rows)
    write(
        HEAD + "records: {path: own.csv}\nlabels: {column: topics, kind: separated}\n"
        'created_at: opened\ndate_format: "%d.%m.%Y"\nsplit: {method: temporal, val: 0.2, test: 0.2}\n'
    )
    done = train("--config-dir", "mine", "data=own", "model=regression")
    assert (done.returncode, done.stderr) == (0, "")
    _, metrics, parts, _ = read_only_run(tmp_path)
    opened = {ticket.id: ticket.opened for ticket in TICKETS}
    days = {part: [opened[identifier] for identifier in ids] for part, ids in parts.items()}
    assert {part: len(ids) for part, ids in parts.items()} == {"train": 54, "val": 18, "test": 18}
    assert max(days["train"]) <= min(days["val"])
    assert max(days["val"]) <= min(days["test"])
    quarters = Counter(f"{day.year}-Q{(day.month + 2) // 3}" for day in days["test"])
    assert {quarter: metrics[f"test/slices/date={quarter}/records"] for quarter in quarters} == quarters


def test_custom_slices_are_measured(write: Callable[[str], None], train: Command, tmp_path: Path) -> None:
    slices = "slices:\n  source: {kind: column, column: source}\n  both: {kind: labels, labels: [billing, login]}\n"
    write(jsonl(tmp_path) + slices)
    done = train("--config-dir", "mine", "data=own")
    assert (done.returncode, done.stderr) == (0, "")
    _, metrics, parts, _ = read_only_run(tmp_path)
    test = [ticket for ticket in TICKETS if ticket.id in set(parts["test"])]
    for source, count in Counter(ticket.source for ticket in test).items():
        assert metrics[f"test/slices/source={source}/records"] == count
        assert f"source={source}" in done.stdout
    both = sum({"billing", "login"} <= set(ticket.topics) for ticket in test)
    assert metrics.get("test/slices/both/records", 0) == both


def test_custom_taxonomy_improves_the_rule(write: Callable[[str], None], train: Command, tmp_path: Path) -> None:
    taxonomy = [{"tag": topic, "aliases": words.split()} for topic, words in TOPICS.items()]
    (tmp_path / "topics.json").write_text(json.dumps(taxonomy), encoding="utf-8")
    write(json_list(tmp_path) + "taxonomy: {path: topics.json}\n")
    done = train("--config-dir", "mine", "data=own")
    assert (done.returncode, done.stderr) == (0, "")
    _, metrics, _, _ = read_only_run(tmp_path)
    assert metrics["test/f1_weighted"] > 0.99


def test_bad_rows_stop_a_run_unless_they_are_dropped(
    write: Callable[[str], None], train: Command, ratchet: Command, tmp_path: Path
) -> None:
    write(jsonl(tmp_path))
    path = tmp_path / "own.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + '\n{"id": "t000", "body": "x", "topics": []}\n{"id"\n', "utf-8")
    done = train("--config-dir", "mine", "data=own")
    assert done.returncode == 2
    for part in ("2 bad rows", f"line {SIZE + 1}", f"line {SIZE + 2}", "data.drop_bad_rows=true"):
        assert part in done.stderr
    done = ratchet("data", "describe", "--config-dir", "mine", "data=own", "data.drop_bad_rows=true", "format=json")
    description = json.loads(done.stdout)
    assert description["records"] == SIZE
    assert {
        problem["kind"]: problem["count"] for problem in description["problems"] if problem["outcome"] == "dropped"
    } == {
        "broken line": 1,
        "duplicate id": 1,
    }


def test_custom_data_can_be_used_in_a_grid_and_evaluated(
    write: Callable[[str], None], train: Command, ratchet: Command, tmp_path: Path
) -> None:
    write(separated_csv(tmp_path))
    done = train("--config-dir", "mine", "-m", "data=own", "model=rule,regression")
    assert (done.returncode, done.stderr) == (0, "")
    assert "own, test:" in done.stdout
    done = ratchet("evaluate", "last", "--config-dir", "mine")
    assert (done.returncode, done.stderr) == (0, "")
    (evaluated,) = tmp_path.glob("runs/own/regression/*/evaluations/*/metrics.json")
    trained = json.loads((evaluated.parents[2] / "metrics.json").read_text())
    assert json.loads(evaluated.read_text()).items() <= trained.items()


def test_sample_stays_the_default_with_custom_data(
    write: Callable[[str], None], train: Command, tmp_path: Path
) -> None:
    write(jsonl(tmp_path))
    done = train("--config-dir", "mine", "model=rule")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("rule on sample")
