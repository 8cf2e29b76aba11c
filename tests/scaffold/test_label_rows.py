from pathlib import Path

import pytest
from tests.scaffold.label_drafts import (
    SIZE,
    choose_labels,
    expect,
    make_rows,
    read_draft,
    read_labels,
    save,
    write_text,
)

from ratchet.config import LabelKind


@pytest.mark.parametrize("has_id", [True, False])
def test_one_row_per_label_is_joined(tmp_path: Path, has_id: bool) -> None:
    rows = [
        {**({"ticket_id": f"T{number}"} if has_id else {}), "body": write_text(number), "topic": label}
        for number in range(SIZE)
        for label in choose_labels(number)
    ]
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert (data.labels.kind, data.id) == (LabelKind.rows, "ticket_id" if has_id else None)
    assert read_labels(prepared) == expect()


def test_repeated_text_with_the_same_label_is_no_divided_record(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topic": labels[0]}, one=True)
    data, _ = read_draft(save(tmp_path, [*rows, *rows[:12]], ".csv"))
    assert data.labels.kind is LabelKind.single


def test_id_of_a_customer_joins_no_rows(tmp_path: Path) -> None:
    rows = [
        {"customer_id": f"C{number % 5}", **row}
        for number, row in enumerate(make_rows(lambda labels: {"topic": labels[0]}, one=True))
    ]
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert (data.id, data.labels.kind) == (None, LabelKind.single)
    assert len(prepared.records) == SIZE
