"""Write files of tickets, inspect them, and read what the description reads."""

import csv
import io
import random
from pathlib import Path
from typing import Any

from tests.datasets import TOPICS

from ratchet.config import Config, DataConfig, compose
from ratchet.data.prepared import Prepared, prepare
from ratchet.scaffold.inspecting import Inspection, inspect_file

Row = dict[str, Any]


def make_rows(size: int = 60, **columns: Any) -> list[Row]:
    """Make rows with an id, a text and a list of labels; `columns` adds values, or functions of the row's number."""
    generator = random.Random(size)
    rows = []
    for number in range(size):
        names = list(TOPICS)
        labels = [names[number % 3]] if number % 4 else [names[number % 3], names[(number + 1) % 3]]
        words = [word for label in labels for word in generator.choices(TOPICS[label].split(), k=6)]
        row = {"ticket": f"T-{number}", "body": f"{' '.join(words)} number {number}", "topics": labels}
        rows.append(row | {name: value(number) if callable(value) else value for name, value in columns.items()})
    return rows


def join_labels(rows: list[Row], separator: str = ";") -> list[Row]:
    return [row | {"topics": separator.join(row["topics"])} for row in rows]


def keep_first_label(rows: list[Row]) -> list[Row]:
    return [row | {"topics": row["topics"][0]} for row in rows]


def to_csv(rows: list[Row], separator: str = ",", *, header: bool = True, **dialect: Any) -> str:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=separator, **dialect)
    if header:
        writer.writerow(rows[0])
    writer.writerows(row.values() for row in rows)
    return buffer.getvalue()


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def compose_yaml(inspection: Inspection, directory: Path) -> Config:
    """Compose the YAML text of an inspection, with its file where the text expects it."""
    (directory / "data").mkdir(exist_ok=True)
    (directory / "data" / f"{inspection.name}.yaml").write_text(inspection.yaml, encoding="utf-8")
    config = compose([f"data={inspection.name}"], directory)
    [(kept, source)] = inspection.copies.items()
    assert config.data.records.path == kept.as_posix() == f"data/{inspection.name}/{inspection.path.name}"
    config.data.records.path = str(source.resolve())
    return config


def read_back(inspection: Inspection, directory: Path) -> tuple[DataConfig, Prepared]:
    data = compose_yaml(inspection, directory).data
    return data, prepare(data)


def inspect_and_read(path: Path, **named: Any) -> tuple[DataConfig, Prepared, Inspection]:
    inspection = inspect_file(path, **named)
    return *read_back(inspection, path.parent), inspection


def find_comment(inspection: Inspection, key: str) -> str:
    """Return the line of a key, with its comment."""
    return next(line for line in inspection.yaml.splitlines() if line.startswith(f"{key}:"))
