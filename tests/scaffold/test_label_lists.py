import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.scaffold.label_drafts import (
    LABELS,
    check_labels,
    expect,
    make_rows,
    read_draft,
    read_labels,
    save,
    to_scores,
)

from ratchet.config import LabelKind
from ratchet.errors import UserError
from ratchet.scaffold.inspecting import inspect_file


def to_numpy(labels: list[str]) -> str:
    return f"[{' '.join(map(repr, labels))}]"


@pytest.mark.parametrize(
    ("suffix", "write", "kind"),
    [
        (".jsonl", list, LabelKind.list),
        (".csv", json.dumps, LabelKind.list),
        (".csv", str, LabelKind.list),
        (".csv", tuple, LabelKind.list),
        (".csv", to_numpy, LabelKind.list),
        (".csv", lambda labels: f"array({labels}, dtype=object)", LabelKind.list),
        (".jsonl", lambda labels: [f"__label__{label}" for label in labels], LabelKind.list),
        (".json", to_scores, LabelKind.scores),
        (".csv", lambda labels: json.dumps(to_scores(labels)), LabelKind.scores),
        (".csv", lambda labels: str(to_scores(labels)), LabelKind.scores),
        (".json", lambda labels: {label: label in labels for label in LABELS}, LabelKind.scores),
        (".json", lambda labels: [{"id": len(label), "name": label} for label in labels], LabelKind.list),
        (".csv", lambda labels: json.dumps([{"slug": label, "n": 4} for label in labels]), LabelKind.list),
        (".json", lambda labels: {"topics": labels}, LabelKind.list),
        (".json", lambda labels: labels if len(labels) > 1 else labels[0], LabelKind.names),
    ],
)
def test_lists_and_objects_of_labels_are_read(
    tmp_path: Path, suffix: str, write: Callable[[list[str]], Any], kind: LabelKind
) -> None:
    path = save(tmp_path, make_rows(lambda labels: {"topics": write(labels)}), suffix)
    for named in ({}, {"labels": "topics"}):
        check_labels(path, kind, **named)


@pytest.mark.parametrize(
    ("suffix", "write", "kind"),
    [
        (".json", lambda label: {"id": len(label), "name": label}, LabelKind.single),
        (".csv", lambda label: json.dumps({"name": label}), LabelKind.single),
        (".json", lambda label: to_scores([label]), LabelKind.scores),
    ],
)
def test_one_object_per_record_is_multi_class(
    tmp_path: Path, suffix: str, write: Callable[[str], Any], kind: LabelKind
) -> None:
    path = save(tmp_path, make_rows(lambda labels: {"topic": write(labels[0])}, one=True), suffix)
    assert check_labels(path, kind, one=True).task.name == "multiclass"
    assert inspect_file(path).is_multiclass


def test_path_into_objects_is_the_column_of_the_labels(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"meta": {"tags": labels, "source": "mail"}})
    data, prepared = read_draft(save(tmp_path, rows, ".jsonl"))
    assert data.labels.column == "meta.tags"
    assert read_labels(prepared) == expect()


def test_path_into_a_list_can_be_named(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"reviews": [{"verdict": {"tags": labels}}]})
    data, prepared = read_draft(save(tmp_path, rows, ".jsonl"), labels="reviews.verdict.tags")
    assert data.labels.kind is LabelKind.list
    assert read_labels(prepared) == expect()


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda labels: [[0, 5, label] for label in labels], "spans"),
        (lambda labels: [{"start": 0, "end": 5, "label": label} for label in labels], "spans"),
        (lambda labels: [[label] for label in labels], "lists of lists"),
        (lambda labels: [{"id": len(label)} for label in labels], "none of their keys"),
    ],
)
def test_lists_and_objects_that_no_key_reads_are_refused(
    tmp_path: Path, write: Callable[[list[str]], Any], message: str
) -> None:
    path = save(tmp_path, make_rows(lambda labels: {"topics": write(labels)}), ".json")
    with pytest.raises(UserError, match=message):
        inspect_file(path, labels="topics")
