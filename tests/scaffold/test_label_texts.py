from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.scaffold.label_drafts import SIZE, check_labels, make_rows, read_draft, save, to_scores

from ratchet.config import LabelKind
from ratchet.errors import UserError
from ratchet.scaffold.inspecting import inspect_file


@pytest.mark.parametrize(
    ("suffix", "write", "kind"),
    [
        (".csv", ";".join, LabelKind.separated),
        (".csv", " | ".join, LabelKind.separated),
        (".csv", lambda labels: " ".join(f"__label__{label}" for label in labels), LabelKind.separated),
        (".csv", lambda labels: ";".join(f"{k}:{v}" for k, v in to_scores(labels).items()), LabelKind.scores),
        (".csv", lambda labels: ", ".join(f"{k}: {v}" for k, v in to_scores(labels).items()), LabelKind.scores),
    ],
)
def test_labels_in_texts_are_read(
    tmp_path: Path, suffix: str, write: Callable[[list[str]], Any], kind: LabelKind
) -> None:
    path = save(tmp_path, make_rows(lambda labels: {"topics": write(labels)}), suffix)
    for named in ({}, {"labels": "topics"}):
        check_labels(path, kind, **named)


@pytest.mark.parametrize(
    ("suffix", "write", "kind"),
    [
        (".csv", str, LabelKind.single),
        (".csv", lambda label: f"__label__{label}", LabelKind.single),
    ],
)
def test_one_label_per_text_is_multi_class(
    tmp_path: Path, suffix: str, write: Callable[[str], Any], kind: LabelKind
) -> None:
    path = save(tmp_path, make_rows(lambda labels: {"topic": write(labels[0])}, one=True), suffix)
    assert check_labels(path, kind, one=True).task.name == "multiclass"
    assert inspect_file(path).is_multiclass


def test_labels_with_commas_stay_whole(tmp_path: Path) -> None:
    names = {"billing": "Bills, invoices", "login": "Login", "export": "Export (CSV, Excel)"}
    rows = make_rows(lambda labels: {"topic": names[labels[0]]}, one=True)
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.kind is LabelKind.single
    assert prepared.labels == sorted(names.values())


def test_text_with_json_in_it_is_text(tmp_path: Path) -> None:
    rows = [row | {"body": f'{row["body"]} {{"a": [1, 2]}}'} for row in make_rows(lambda ls: {"topic": ls[0]})]
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert (data.text, data.labels.kind) == (["body"], LabelKind.single)
    assert len(prepared.records) == SIZE


def test_clock_times_are_no_scores(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topic": {"billing": "10:30", "login": "11:45", "export": "12:00"}[labels[0]]})
    data, _ = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.kind is LabelKind.single


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda labels: f"[{', '.join(labels)}]", "neither as JSON nor as Python"),
        (lambda labels: "".join(f"<{label}>" for label in labels), "angle brackets"),
    ],
)
def test_notations_that_no_key_reads_are_refused(
    tmp_path: Path, write: Callable[[list[str]], Any], message: str
) -> None:
    path = save(tmp_path, make_rows(lambda labels: {"topics": write(labels)}), ".json")
    with pytest.raises(UserError, match=message):
        inspect_file(path, labels="topics")
