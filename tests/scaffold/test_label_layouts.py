import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.scaffold.label_drafts import (
    LABELS,
    SIZE,
    Row,
    choose_labels,
    compose_draft,
    expect,
    make_rows,
    read_draft,
    read_labels,
    save,
    write_text,
)

from ratchet.config import LabelKind
from ratchet.data.labels import normalise_label
from ratchet.data.prepared import prepare
from ratchet.errors import UserError
from ratchet.scaffold.inspecting import inspect_file


def to_numpy(labels: list[str]) -> str:
    return f"[{' '.join(map(repr, labels))}]"


def to_scores(labels: list[str]) -> dict[str, float]:
    return {label: 0.9 if label in labels else 0.1 for label in LABELS}


def to_vector(labels: list[str]) -> list[int]:
    return [int(label in labels) for label in LABELS]


# --- one column -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("suffix", "write", "kind"),
    [
        (".jsonl", list, LabelKind.list),
        (".csv", json.dumps, LabelKind.list),
        (".csv", str, LabelKind.list),
        (".csv", tuple, LabelKind.list),
        (".csv", to_numpy, LabelKind.list),
        (".csv", lambda labels: f"array({labels}, dtype=object)", LabelKind.list),
        (".csv", ";".join, LabelKind.separated),
        (".csv", " | ".join, LabelKind.separated),
        (".csv", lambda labels: " ".join(f"__label__{label}" for label in labels), LabelKind.separated),
        (".jsonl", lambda labels: [f"__label__{label}" for label in labels], LabelKind.list),
        (".json", to_scores, LabelKind.scores),
        (".csv", lambda labels: json.dumps(to_scores(labels)), LabelKind.scores),
        (".csv", lambda labels: str(to_scores(labels)), LabelKind.scores),
        (".json", lambda labels: {label: label in labels for label in LABELS}, LabelKind.scores),
        (".csv", lambda labels: ";".join(f"{k}:{v}" for k, v in to_scores(labels).items()), LabelKind.scores),
        (".csv", lambda labels: ", ".join(f"{k}: {v}" for k, v in to_scores(labels).items()), LabelKind.scores),
        (".json", lambda labels: [{"id": len(label), "name": label} for label in labels], LabelKind.list),
        (".csv", lambda labels: json.dumps([{"slug": label, "n": 4} for label in labels]), LabelKind.list),
        (".json", lambda labels: {"topics": labels}, LabelKind.list),
        (".json", lambda labels: labels if len(labels) > 1 else labels[0], LabelKind.names),
    ],
)
def test_labels_of_one_column_are_read(
    tmp_path: Path, suffix: str, write: Callable[[list[str]], Any], kind: LabelKind
) -> None:
    path = save(tmp_path, make_rows(lambda labels: {"topics": write(labels)}), suffix)
    for named in ({}, {"labels": "topics"}):
        data, prepared = read_draft(path, **named)
        assert data.labels.kind is kind
        assert read_labels(prepared) == expect()


@pytest.mark.parametrize(
    ("suffix", "write", "kind"),
    [
        (".csv", str, LabelKind.single),
        (".csv", lambda label: f"__label__{label}", LabelKind.single),
        (".json", lambda label: {"id": len(label), "name": label}, LabelKind.single),
        (".csv", lambda label: json.dumps({"name": label}), LabelKind.single),
        (".json", lambda label: to_scores([label]), LabelKind.scores),
    ],
)
def test_one_label_per_record_is_multi_class(
    tmp_path: Path, suffix: str, write: Callable[[str], Any], kind: LabelKind
) -> None:
    path = save(tmp_path, make_rows(lambda labels: {"topic": write(labels[0])}, one=True), suffix)
    inspection = inspect_file(path)
    data, prepared = read_draft(path)
    assert (data.labels.kind, prepared.task.name) == (kind, "multiclass")
    assert inspection.is_multiclass
    assert read_labels(prepared) == expect(one=True)


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


@pytest.mark.parametrize("mark", [" > ", ">", "::", " -> "])
def test_levels_of_paths_are_labels_themselves(tmp_path: Path, mark: str) -> None:
    parent = {"billing": "shop", "login": "app", "export": "app"}
    rows = make_rows(lambda labels: {"topic": f"{parent[labels[0]]}{mark}{labels[0]}"}, one=True)
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.levels == mark
    assert read_labels(prepared) == {
        text: {parent[label], f"{parent[label]}{mark}{label}"}
        for text, labels in expect(one=True).items()
        for label in labels
    }
    assert prepared.taxonomy.parents[f"app{mark}login"] == ("app",)


def test_several_paths_of_a_record_keep_their_levels(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topics": ";".join(f"app > {label}" for label in labels)})
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert (data.labels.separator, data.labels.levels) == (";", " > ")
    assert read_labels(prepared) == {
        text: {"app", *(f"app > {label}" for label in labels)} for text, labels in expect().items()
    }


# --- numbers and vectors ----------------------------------------------------------------------------------------------
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


# --- several columns --------------------------------------------------------------------------------------------------
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


# --- false alarms -----------------------------------------------------------------------------------------------------
def test_labels_with_commas_stay_whole(tmp_path: Path) -> None:
    names = {"billing": "Bills, invoices", "login": "Login", "export": "Export (CSV, Excel)"}
    rows = make_rows(lambda labels: {"topic": names[labels[0]]}, one=True)
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.kind is LabelKind.single
    assert prepared.labels == sorted(names.values())


def test_rating_is_no_index(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topic": labels[0], "stars": len(labels[0])}, one=True)
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.column == "topic"
    assert read_labels(prepared) == expect(one=True)


def test_text_with_json_in_it_is_text(tmp_path: Path) -> None:
    rows = [row | {"body": f'{row["body"]} {{"a": [1, 2]}}'} for row in make_rows(lambda ls: {"topic": ls[0]})]
    data, prepared = read_draft(save(tmp_path, rows, ".csv"))
    assert (data.text, data.labels.kind) == (["body"], LabelKind.single)
    assert len(prepared.records) == SIZE


def test_flags_next_to_labels_are_only_an_alternative(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topic": labels[0], "is_open": len(labels) % 2, "is_new": 1}, one=True)
    inspection = inspect_file(save(tmp_path, rows, ".csv"))
    assert "labels: {column: topic, kind: single}" in inspection.yaml
    assert "# labels: {columns: [is_open, is_new], kind: columns" in inspection.yaml


def test_clock_times_are_no_scores(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topic": {"billing": "10:30", "login": "11:45", "export": "12:00"}[labels[0]]})
    data, _ = read_draft(save(tmp_path, rows, ".csv"))
    assert data.labels.kind is LabelKind.single


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


# --- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda labels: f"[{', '.join(labels)}]", "neither as JSON nor as Python"),
        (lambda labels: "".join(f"<{label}>" for label in labels), "angle brackets"),
        (lambda labels: [[0, 5, label] for label in labels], "spans"),
        (lambda labels: [{"start": 0, "end": 5, "label": label} for label in labels], "spans"),
        (lambda labels: [[label] for label in labels], "lists of lists"),
        (lambda labels: [{"id": len(label)} for label in labels], "none of their keys"),
    ],
)
def test_labels_that_no_key_reads_are_refused(tmp_path: Path, write: Callable[[list[str]], Any], message: str) -> None:
    path = save(tmp_path, make_rows(lambda labels: {"topics": write(labels)}), ".json")
    with pytest.raises(UserError, match=message):
        inspect_file(path, labels="topics")


def test_columns_of_several_kinds_are_refused(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {"topic": labels[0], "login": int("login" in labels)})
    with pytest.raises(UserError, match="column 'login' holds only 1 and 0"):
        inspect_file(save(tmp_path, rows, ".csv"), labels="topic,login")


def test_misspelt_column_among_several_gets_the_nearest_name(tmp_path: Path) -> None:
    rows = make_rows(lambda labels: {label: int(label in labels) for label in LABELS})
    with pytest.raises(UserError, match=r"'logn' \(labels\); did you mean 'login'"):
        inspect_file(save(tmp_path, rows, ".csv"), labels="billing,logn")


# --- any names --------------------------------------------------------------------------------------------------------
NAMES = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=8).map(normalise_label)


@settings(max_examples=25, deadline=None)
@given(
    names=st.lists(NAMES, min_size=3, max_size=3, unique_by=lambda name: name.casefold()),
    layout=st.sampled_from(["list", "text", "object", "columns"]),
)
def test_labels_of_any_names_are_these_names(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], layout: str
) -> None:
    directory = tmp_path_factory.mktemp("any")
    write: dict[str, Callable[[list[str]], Row]] = {
        "list": lambda labels: {"topics": [names[LABELS.index(label)] for label in labels]},
        "text": lambda labels: {"topics": json.dumps([names[LABELS.index(label)] for label in labels])},
        "object": lambda labels: {"topics": [{"name": names[LABELS.index(label)]} for label in labels]},
        "columns": lambda labels: {name: int(LABELS[index] in labels) for index, name in enumerate(names)},
    }
    path = save(directory, make_rows(write[layout]), ".json")
    inspection = inspect_file(path, labels=",".join(names) if layout == "columns" else "topics", text=["body"])
    prepared = prepare(compose_draft(inspection, directory, path))
    assert prepared.labels == sorted(names)
    assert len(prepared.records) == SIZE
