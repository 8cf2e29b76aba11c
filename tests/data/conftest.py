"""Fixtures for the tests of ratchet.data: configurations of small files, and prepared data without a file."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ratchet.config import DataConfig, LabelsConfig, RecordsConfig
from ratchet.data.dataset import Task
from ratchet.data.prepared import Prepared, build_target_matrix
from ratchet.data.problems import Report
from ratchet.data.records import Record
from ratchet.data.taxonomy import Taxonomy

MakeConfig = Callable[..., DataConfig]
MakePrepared = Callable[..., Prepared]
_ALPHABET = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    """Return `make_config(rows, **settings)`: write rows with columns text and labels to JSONL, configure the file."""

    def make(rows: Sequence[Mapping[str, Any]] = (), **settings: Any) -> DataConfig:
        path = tmp_path / "records.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        defaults: dict[str, Any] = {
            "name": "small",
            "records": RecordsConfig(path=str(path)),
            "text": ["text"],
            "labels": LabelsConfig(column="labels"),
        }
        return DataConfig(**{**defaults, **settings})

    return make


@pytest.fixture(scope="session")
def make_prepared() -> MakePrepared:
    """Return `make_prepared([("a",), ("a", "b")])`: build prepared data with these labels and unlike texts."""

    def make(
        labels: list[tuple[str, ...]],
        *,
        texts: list[str] | None = None,
        dates: Sequence[datetime | None] | None = None,
        parts: list[str] | None = None,
        task: Task = Task.multilabel,
    ) -> Prepared:
        generator = np.random.default_rng(0)
        random_texts = ["".join(generator.choice(list(_ALPHABET), 40)) for _ in labels]
        records = [
            Record(
                id=f"{index:04d}",
                text=(texts or random_texts)[index],
                labels=record_labels,
                created_at=dates[index] if dates else None,
                columns={"part": parts[index]} if parts else {},
                place=f"file.csv, row {index + 1}",
            )
            for index, record_labels in enumerate(labels)
        ]
        names = sorted({label for record_labels in labels for label in record_labels})
        return Prepared(
            name="small",
            task=task,
            records=records,
            labels=names,
            targets=build_target_matrix(labels, names),
            taxonomy=Taxonomy.from_labels(names),
            version="0" * 64,
            report=Report(files=["file.csv"], rows_read=len(records)),
        )

    return make
