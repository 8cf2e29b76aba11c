"""Write small files of labelled texts, inspect them, and read what the description reads."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ratchet.config import DataConfig, LabelKind, compose
from ratchet.data.prepared import Prepared, prepare
from ratchet.scaffold.inspecting import Inspection, inspect_file

LABELS = ("billing", "login", "export")
WORDS = (
    *("amber", "anvil", "basil", "cedar", "delta", "ember", "fjord", "gable", "heron"),
    *("inlet", "jetty", "kayak", "lemon", "maple", "nylon", "olive", "plaza"),
)
SIZE = 36
Row = dict[str, Any]


def choose_labels(number: int) -> list[str]:
    """Return one label or two, so that each occurs often."""
    return [LABELS[number % 3], *([LABELS[(number + 1) % 3]] if number % 4 == 0 else [])]


def write_text(number: int) -> str:
    return " ".join(WORDS[(number * step + step) % len(WORDS)] for step in (1, 3, 5, 7, 11)) + f" case {number}"


def to_scores(labels: list[str]) -> dict[str, float]:
    """Return a score for each label, high for those given."""
    return {label: 0.9 if label in labels else 0.1 for label in LABELS}


def make_rows(write: Callable[[list[str]], Row], *, one: bool = False) -> list[Row]:
    chosen = [choose_labels(number)[: 1 if one else None] for number in range(SIZE)]
    return [{"body": write_text(number), **write(labels)} for number, labels in enumerate(chosen)]


def expect(*, one: bool = False) -> dict[str, set[str]]:
    return {write_text(number): set(choose_labels(number)[: 1 if one else None]) for number in range(SIZE)}


def save(directory: Path, rows: Sequence[Row], suffix: str) -> Path:
    path = directory / f"cases{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    else:
        buffer = io.StringIO(newline="")
        writer = csv.DictWriter(buffer, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(buffer.getvalue(), encoding="utf-8", newline="")
    return path


def compose_draft(inspection: Inspection, directory: Path, path: Path) -> DataConfig:
    """Compose what an inspection writes, with its files where they are."""
    (directory / "data").mkdir(exist_ok=True)
    (directory / "data" / f"{inspection.name}.yaml").write_text(inspection.yaml, encoding="utf-8")
    data = compose([f"data={inspection.name}"], directory).data
    data.records.path = str(path)
    if data.labels.names is not None and data.labels.names.path is not None:
        assert Path(data.labels.names.path) in inspection.copies, "the project needs a copy of the label file"
        data.labels.names.path = str(inspection.copies[Path(data.labels.names.path)])
    return data


def read_draft(path: Path, **named: Any) -> tuple[DataConfig, Prepared]:
    inspection = inspect_file(path, **named)
    data = compose_draft(inspection, path.parent, path)
    prepared = prepare(data)
    assert not any(mark in label for label in prepared.labels for mark in "[]{}'\"")
    return data, prepared


def check_labels(path: Path, kind: LabelKind, *, one: bool = False, **named: Any) -> Prepared:
    """Check that the description of a file has this kind of labels, and reads those of `expect`."""
    data, prepared = read_draft(path, **named)
    assert data.labels.kind is kind
    assert read_labels(prepared) == expect(one=one)
    return prepared


def read_labels(prepared: Prepared) -> dict[str, set[str]]:
    return {record.text: set(record.labels) for record in prepared.records}
