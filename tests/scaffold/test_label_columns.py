from pathlib import Path
from typing import Any

import pytest
from tests.scaffold.label_drafts import LABELS, expect, make_rows, read_draft, read_labels, save, write_text

from ratchet.config import LabelKind
from ratchet.errors import UserError
from ratchet.scaffold.inspecting import inspect_file


@pytest.mark.parametrize(
    ("suffix", "yes", "no"),
    [
        (".csv", 1, 0),
        (".csv", "true", "false"),
        (".csv", "Yes", "No"),
        (".csv", "1.0", "0.0"),
        (".json", 1, 0),
        (".json", True, False),
        (".json", 1.0, 0.0),
    ],
)
def test_column_of_each_label_is_found(tmp_path: Path, suffix: str, yes: Any, no: Any) -> None:
    rows = make_rows(lambda labels: {label: yes if label in labels else no for label in LABELS})
    path = save(tmp_path, rows, suffix)
    for named in ({}, {"labels": ",".join(LABELS)}):
        data, prepared = read_draft(path, **named)
        assert (data.labels.kind, data.labels.columns) == (LabelKind.columns, list(LABELS))
        assert read_labels(prepared) == expect()


def test_columns_with_exactly_one_1_in_each_row_are_multi_class(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {label: int(label in labels) for label in LABELS}, one=True)
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.one is True
    assert read_labels(prepared) == expect(one=True)


def test_prefix_of_all_columns_is_removed(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {f"label_{name}": int(name in labels) for name in LABELS} | {"is_open": 1})
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.prefix == "label_"
    assert read_labels(prepared) == expect()


@pytest.mark.parametrize("unknown", ["-1", "", "?"])
def test_value_that_means_unknown_is_found(tmp_path: Path, unknown: str) -> None:
    rows = make_rows(lambda labels: {label: int(label in labels) for label in LABELS})
    rows[5]["export"] = unknown
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.unknown == [unknown]
    record = next(record for record in prepared.records if record.text == write_text(5))
    assert (record.labels, record.unknown) == ((), ("export",))


def test_columns_of_names_are_found(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"label1": labels[0], "label2": labels[1] if len(labels) > 1 else ""})
    path = save(tmp_path, rows, ".csv")
    for named in ({}, {"labels": "label1,label2"}):
        data, prepared = read_draft(path, **named)
        assert (data.labels.kind, data.labels.columns) == (LabelKind.names, ["label1", "label2"])
        assert read_labels(prepared) == expect()


def test_repeated_header_is_one_column_of_names(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"Labels": labels[0], "other": labels[1] if len(labels) > 1 else ""})
    path = save(tmp_path, rows, ".csv")
    path.write_text(path.read_text().replace("Labels,other", "Labels,Labels", 1), newline="")
    data, prepared = read_draft(path)
    assert (data.labels.kind, data.labels.column) == (LabelKind.names, "Labels")
    assert read_labels(prepared) == expect()


def test_column_with_a_comma_in_its_name_is_one_column(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topic, main": labels[0]}, one=True)
    data, prepared = read_draft(save(tmp_path, rows, ".csv"), labels="topic, main")
    assert data.labels.column == "topic, main"
    assert read_labels(prepared) == expect(one=True)


def test_flags_next_to_labels_are_only_an_alternative(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topic": labels[0], "is_open": len(labels) % 2, "is_new": 1}, one=True)
    inspection = inspect_file(save(tmp_path, rows, ".csv"))
    assert "labels: {column: topic, kind: single}" in inspection.yaml
    assert "# labels: {columns: [is_open, is_new], kind: columns" in inspection.yaml


def test_columns_of_several_kinds_are_refused(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topic": labels[0], "login": int("login" in labels)})
    with pytest.raises(UserError, match="column 'login' holds only 1 and 0"):
        inspect_file(save(tmp_path, rows, ".csv"), labels="topic,login")


def test_misspelt_column_among_several_gets_the_nearest_name(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {label: int(label in labels) for label in LABELS})
    with pytest.raises(UserError, match=r"'logn' \(labels\); did you mean 'login'"):
        inspect_file(save(tmp_path, rows, ".csv"), labels="billing,logn")
