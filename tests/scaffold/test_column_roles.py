from pathlib import Path
from typing import Any

from tests.scaffold.ticket_files import find_comment, inspect_and_read, join_labels, make_rows, to_csv, write

from ratchet.config import SplitMethod
from ratchet.data import splits
from ratchet.scaffold.column_roles import PART_NAMES, profile_columns


def test_objects_are_opened_into_paths() -> None:
    rows: list[Any] = [{"channel": "web", "author": {"name": "Ann"}}, None, {"channel": "mail"}]
    columns = profile_columns({"meta": rows, "n": [1, 2, 3]})
    assert list(columns) == ["meta", "n", "meta.channel", "meta.author", "meta.author.name"]
    assert columns["meta.author.name"].values == ["Ann", None, None]


def test_scores_of_labels_are_not_opened() -> None:
    columns = profile_columns({"cats": [{"bug": 0.9, "slow": 0.1}] * 3, "size": [{"rows": 12, "columns": 3}] * 3})
    assert list(columns) == ["cats", "size", "size.rows", "size.columns"]


def test_given_split_is_used(tmp_path: Path) -> None:
    rows = join_labels(
        make_rows(
            part=lambda number: ["Train", "Train", "dev", "test"][number % 4],
            body=lambda number: " ".join(f"{number * factor % 991:05}" for factor in range(1, 9)) + " and so on",
        )
    )
    data, _, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert (data.split.method, data.split.column) == (SplitMethod.given, "part")
    assert "Train 30" in find_comment(inspection, "split")


def test_id_column_with_repeated_values_is_not_used(tmp_path: Path) -> None:
    rows = join_labels(make_rows(ticket=lambda number: f"T-{min(number, 58)}"))
    data, prepared, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert data.id is None
    assert len(prepared.records) == 60
    assert "record 60" in dict(inspection.findings)["id"]


def test_only_a_clearly_categorical_column_is_an_active_slice(tmp_path: Path) -> None:
    rows = join_labels(
        make_rows(channel=lambda number: ["web", "mail"][number % 2], agent=lambda number: f"agent {number % 11}")
    )
    data, _, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert {name: definition.column for name, definition in data.slices.items()} == {"channel": "channel"}
    assert "# agent: {kind: column, column: agent}" in inspection.yaml


def test_names_of_parts_are_those_that_a_given_split_reads() -> None:
    assert set(splits._NAMES) == PART_NAMES


def test_slice_does_not_replace_one_of_every_data_set(tmp_path: Path) -> None:
    rows = join_labels(make_rows(short_text=lambda number: ["web", "mail"][number % 2]))
    data, _, _ = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert list(data.slices) == ["short_text_column"]
