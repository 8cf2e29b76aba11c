import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.scaffold.label_drafts import (
    LABELS,
    Row,
    expect,
    make_rows,
    read_draft,
    read_labels,
    save,
)

from ratchet.config import LabelKind
from ratchet.errors import UserError
from ratchet.scaffold.inspecting import inspect_file


def to_vector(labels: list[str]) -> list[int]:
    return [int(label in labels) for label in LABELS]


@pytest.mark.parametrize(
    ("name", "content", "first"),
    [
        ("labels.txt", "\n".join(LABELS), 0),
        ("classes.txt", "\n".join(LABELS), 1),
        ("label_names.json", json.dumps(LABELS), 0),
        ("cases_labels.txt", "".join(f"{number}\t{name}\n" for number, name in enumerate(LABELS, start=1)), 1),
        ("config.json", json.dumps({"id2label": dict(enumerate(LABELS))}), 0),
    ],
)
@pytest.mark.parametrize("one", [True, False])
def test_numbers_are_named_by_the_label_file_next_to_the_data(
    tmp_path: Path, name: str, content: str, first: int, one: bool
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")

    def write(labels: list[str]) -> Row:
        numbers = [LABELS.index(label) + first for label in labels]
        return {"topics": numbers[0] if one else numbers}

    data, prepared = read_draft(save(tmp_path, make_rows(write, one=one), ".json"))
    assert (data.labels.kind, data.labels.first, data.labels.one) == (LabelKind.indices, first, True if one else None)
    assert data.labels.names is not None
    assert Path(str(data.labels.names.path)).name == name
    assert read_labels(prepared) == expect(one=one)


def test_separated_numbers_are_named(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    rows = make_rows(lambda labels: {"topics": ";".join(str(LABELS.index(label)) for label in labels)})
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert (data.labels.kind, data.labels.separator) == (LabelKind.indices, ";")
    assert read_labels(prepared) == expect()


def test_numbers_without_a_label_file_are_labels(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("one\ntwo\n", encoding="utf-8")  # too short for the number 3
    rows = make_rows(lambda labels: {"label": LABELS.index(labels[0]) + 1}, one=True)
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.kind is LabelKind.single
    assert prepared.labels == ["1", "2", "3"]


def test_rating_is_no_index(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topic": labels[0], "stars": len(labels[0])}, one=True)
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.column == "topic"
    assert read_labels(prepared) == expect(one=True)


@pytest.mark.parametrize(
    ("suffix", "write"),
    [
        (".json", to_vector),
        (".json", lambda labels: [bool(value) for value in to_vector(labels)]),
        (".csv", lambda labels: str(to_vector(labels))),
        (".csv", lambda labels: str(to_vector(labels)).replace(",", "")),
        (".csv", lambda labels: " ".join(map(str, to_vector(labels)))),
        (".csv", lambda labels: "".join(map(str, to_vector(labels)))),
        (".csv", lambda labels: str([float(value) for value in to_vector(labels)])),
    ],
)
def test_vectors_need_a_label_file_of_their_length(
    tmp_path: Path, suffix: str, write: Callable[[list[str]], Any]
) -> None:
    path = save(tmp_path, make_rows(lambda labels: {"topics": write(labels)}), suffix)
    (tmp_path / "classes.txt").write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"data\.labels\.names\.path"):
        inspect_file(path, labels="topics")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    data, prepared = read_draft(path, labels="topics")
    assert data.labels.kind is LabelKind.binary
    assert read_labels(prepared) == expect()
