import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.scaffold.label_drafts import (
    LABELS,
    SIZE,
    Row,
    choose_labels,
    compose_draft,
    expect,
    read_draft,
    read_labels,
    save,
    write_text,
)

from ratchet.config import LabelKind
from ratchet.data.prepared import prepare
from ratchet.errors import UserError
from ratchet.scaffold.inspecting import inspect_file


def leave_out(*numbers: int, one: bool = False) -> dict[str, set[str]]:
    """Return the labels of all texts except those of these numbers."""
    return {text: names for text, names in expect(one=one).items() if text not in map(write_text, numbers)}


def make_records(write: Callable[[int, list[str]], Row], size: int = SIZE) -> list[Row]:
    return [write(number, choose_labels(number)) for number in range(size)]


# --- Label Studio -----------------------------------------------------------------------------------------------------
def answer(labels: list[str], *, cancelled: bool = False) -> Row:
    value = {"choices": labels}
    result = [{"from_name": "topic", "to_name": "text", "type": "choices", "value": value}] if labels else []
    return {"id": 7, "was_cancelled": cancelled, "result": result, "completed_by": 1, "lead_time": 4.5}


def make_task(number: int, labels: list[str], **changed: Any) -> Row:
    task = {
        "id": number + 100,
        "data": {"text": write_text(number), "channel": ["web", "mail"][number % 2]},
        "annotations": [answer(labels)],
        "predictions": [],
        "created_at": "2026-03-01T10:00:00Z",
        "project": 3,
    }
    return task | changed


def make_row(suffix: str) -> Callable[[int, list[str]], Row]:
    """Return a function that makes a row of Label Studio's CSV or JSON_MIN."""

    def write(number: int, labels: list[str]) -> Row:
        choice = labels[0] if len(labels) == 1 else {"choices": labels}
        return {
            "id": number,
            "text": write_text(number),
            "topic": json.dumps(choice) if suffix == ".csv" and isinstance(choice, dict) else choice,
            "annotation_id": number + 500,
            "annotator": 1,
            "lead_time": 3.5,
        }

    return write


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_label_studio_writes_one_choice_as_a_word_and_several_as_an_object(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path, make_records(make_row(suffix)), suffix)
    data, prepared = read_draft(path)
    assert (data.labels.kind, data.labels.key, data.id) == (LabelKind.list, "choices", "id")
    assert read_labels(prepared) == expect()
    assert read_labels(read_draft(path, labels="topic")[1]) == expect()


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_rows_of_one_label_studio_task_are_joined_by_a_named_rule(tmp_path: Path, suffix: str) -> None:
    rows = make_records(make_row(suffix))
    rows.append(rows[1] | {"topic": "billing", "annotation_id": 900, "annotator": 2})
    path = save(tmp_path, rows, suffix)
    data, prepared = read_draft(path)
    assert data.labels.kind is LabelKind.rows
    assert read_labels(prepared) == expect() | {write_text(1): {*choose_labels(1), "billing"}}
    assert "has the labels of all its rows" in inspect_file(path).yaml


def test_label_studio_tasks_have_their_text_and_labels_below_keys(tmp_path: Path) -> None:
    path = save(tmp_path, make_records(make_task), ".json")
    data, prepared = read_draft(path)
    assert (data.text, data.id, data.created_at) == (["data.text"], "id", None)
    assert data.labels.column == "annotations.result.value.choices"
    assert read_labels(prepared) == expect()


def test_cancelled_and_missing_annotations_of_label_studio_are_left_out_and_counted(tmp_path: Path) -> None:
    tasks = make_records(make_task)
    tasks[0]["annotations"] = []
    tasks[1]["annotations"] = [answer(["billing"], cancelled=True)]
    tasks[2]["annotations"] = [answer(["billing"]), answer([], cancelled=True)]
    path = save(tmp_path, tasks, ".json")
    data, prepared = read_draft(path)
    assert data.filter.where == {"annotations.was_cancelled": False}
    assert sum(prepared.report.filtered.values()) == 3
    assert read_labels(prepared) == leave_out(0, 1, 2)
    assert "left out: 1 task without an annotation and 2 tasks with a cancelled annotation" in inspect_file(path).yaml


@pytest.mark.parametrize("number", [0, 2])
def test_counts_of_zero_label_studio_tasks_are_not_written(tmp_path: Path, number: int) -> None:
    tasks = make_records(make_task)
    for task in tasks:
        task["annotations"][0]["was_cancelled"] = False
    for task in tasks[:number]:
        task["annotations"] = [answer(["billing"], cancelled=True)]
    comment = dict(inspect_file(save(tmp_path, tasks, ".json")).findings)["filter"]
    assert "without an annotation" not in comment
    assert "0 " not in comment
    assert comment.startswith("left out: 2 tasks with a cancelled" if number else "left out: tasks with a cancelled")


def test_left_out_argilla_records_are_named_by_their_status(tmp_path: Path) -> None:
    rows = make_records(lambda number, labels: make_argilla(number, labels))
    for row in rows:
        row["status"] = "completed"
    for row in rows[:3]:
        row["status"] = "pending"
    comment = dict(inspect_file(save(tmp_path, rows, ".json")).findings)["filter"]
    assert comment == "left out: 3 records with another status than completed"


def test_two_annotations_of_a_label_studio_task_are_joined_by_a_named_rule(tmp_path: Path) -> None:
    tasks = make_records(make_task)
    tasks[1]["annotations"].append(answer(["billing"]))
    path = save(tmp_path, tasks, ".json")
    _, prepared = read_draft(path)
    assert read_labels(prepared)[write_text(1)] == {*choose_labels(1), "billing"}
    assert "1 task with several annotations: a record has the labels of all" in " ".join(
        inspect_file(path).yaml.replace("\n# ", " ").split()
    )


def test_one_choice_in_each_label_studio_task_is_multi_class(tmp_path: Path) -> None:
    tasks = [make_task(number, choose_labels(number)[:1]) for number in range(SIZE)]
    data, prepared = read_draft(save(tmp_path, tasks, ".json"))
    assert (data.labels.one, prepared.task.name) == (True, "multiclass")
    assert read_labels(prepared) == expect(one=True)
    tasks[1]["annotations"].append(answer(["billing"]))
    path = save(tmp_path, tasks, ".json")
    assert read_draft(path)[0].labels.one is None
    assert "to stop at the 1 tasks whose annotations differ" in inspect_file(path).yaml


def test_label_studio_answers_to_several_questions_are_refused(tmp_path: Path) -> None:
    tasks = make_records(make_task)
    for task in tasks:
        task["annotations"][0]["result"].append(
            {"from_name": "mood", "type": "choices", "value": {"choices": ["calm"]}}
        )
    with pytest.raises(UserError, match=r"mood, topic.*JSON_MIN"):
        inspect_file(save(tmp_path, tasks, ".json"))


def test_label_studio_spans_are_refused(tmp_path: Path) -> None:
    span = {"from_name": "label", "type": "labels", "value": {"start": 0, "end": 4, "labels": ["LOC"]}}
    tasks = make_records(lambda number, labels: make_task(number, [], annotations=[answer([]) | {"result": [span]}]))
    with pytest.raises(UserError, match="without choices"):
        inspect_file(save(tmp_path, tasks, ".json"))


# --- Prodigy ----------------------------------------------------------------------------------------------------------
def test_prodigy_options_that_were_accepted_are_labels(tmp_path: Path) -> None:
    def write(number: int, labels: list[str]) -> Row:
        return {
            "text": write_text(number),
            "options": [{"id": label, "text": label.title()} for label in LABELS],
            "accept": labels,
            "answer": "reject" if number == 3 else "ignore" if number == 4 else "accept",
            "_input_hash": number,
            "_task_hash": -number,
            "_view_id": "choice",
        }

    path = save(tmp_path, make_records(write), ".jsonl")
    data, prepared = read_draft(path)
    assert (data.labels.column, data.labels.kind, data.filter.where) == ("accept", LabelKind.list, {"answer": "accept"})
    assert read_labels(prepared) == leave_out(3, 4)
    inspection = inspect_file(path)
    assert "1 with reject and 1 with ignore" in inspection.yaml
    assert "rare labels" not in dict(inspection.findings)


def test_prodigy_questions_about_one_label_count_if_they_were_accepted(tmp_path: Path) -> None:
    rows = [
        {"text": write_text(number), "label": label, "answer": "accept" if label in choose_labels(number) else "reject"}
        for number in range(SIZE)
        for label in LABELS
    ]
    data, prepared = read_draft(save(tmp_path, rows, ".jsonl"))
    assert (data.labels.column, data.labels.kind) == ("label", LabelKind.rows)
    assert read_labels(prepared) == expect()


def test_prodigy_answers_with_one_label_per_text_are_multi_class(tmp_path: Path) -> None:
    rows = make_records(
        lambda number, labels: {
            "text": write_text(number),
            "label": labels[0],
            "_view_id": "classification",
            "answer": ["accept", "accept", "accept", "ignore"][number % 4],
        },
        size=2 * SIZE,
    )
    data, prepared = read_draft(save(tmp_path, rows, ".jsonl"))
    assert data.labels.kind is LabelKind.single
    assert len(prepared.records) == 3 * SIZE // 2


def test_prodigy_spans_are_refused(tmp_path: Path) -> None:
    rows = make_records(lambda number, _: {"text": write_text(number), "spans": [{"start": 0}], "answer": "accept"})
    with pytest.raises(UserError, match="spans"):
        inspect_file(save(tmp_path, rows, ".jsonl"))


# --- doccano ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("text", "label"), [("text", "label"), ("data", "label"), ("text", "labels")])
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_doccano_writes_lists_of_labels(tmp_path: Path, suffix: str, text: str, label: str) -> None:
    rows = make_records(lambda number, names: {"id": number, text: write_text(number), label: names, "Comments": []})
    data, prepared = read_draft(save(tmp_path, rows, suffix))
    assert (data.text, data.labels.column, data.labels.kind) == ([text], label, LabelKind.list)
    assert read_labels(prepared) == expect()


def test_doccano_rows_without_approval_are_left_out(tmp_path: Path) -> None:
    def write(number: int, labels: list[str]) -> Row:
        return {"id": number, "text": write_text(number), "label": labels, "Approved": number not in (3, 4)}

    data, prepared = read_draft(save(tmp_path, make_records(write), ".jsonl"))
    assert data.filter.where == {"Approved": True}
    assert read_labels(prepared) == leave_out(3, 4)


def test_doccano_rows_are_kept_if_few_are_approved(tmp_path: Path) -> None:
    def write(number: int, labels: list[str]) -> Row:
        return {"id": number, "text": write_text(number), "label": labels, "Approved": number in (3, 4)}

    path = save(tmp_path, make_records(write), ".jsonl")
    assert not read_draft(path)[0].filter.where
    assert "# filter: {where: {Approved: true}}" in inspect_file(path).yaml


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_doccano_spans_are_refused(tmp_path: Path, suffix: str) -> None:
    rows = make_records(lambda number, names: {"id": number, "text": write_text(number), "label": [[0, 5, names[0]]]})
    with pytest.raises(UserError, match="spans"):
        inspect_file(save(tmp_path, rows, suffix))
    for row in rows:
        row |= {"label": [], "entities": [{"label": "LOC", "start_offset": 0, "end_offset": 4}], "Comments": []}
    with pytest.raises(UserError, match="entities"):
        inspect_file(save(tmp_path, rows, suffix))


# --- Argilla ----------------------------------------------------------------------------------------------------------
def make_argilla(number: int, labels: list[str], *, one: bool = False) -> Row:
    value = labels[0] if one else labels
    return {
        "id": f"r{number}",
        "status": "completed",
        "fields": {"text": write_text(number)},
        "metadata": {"source": ["web", "mail"][number % 2]},
        "suggestions": {"topic": {"value": "login", "score": 0.4, "agent": "a-model"}},
        "responses": {"topic": [{"value": value, "user_id": "u1"}]},
        "vectors": {},
    }


@pytest.mark.parametrize("one", [True, False])
def test_argilla_responses_are_labels(tmp_path: Path, one: bool) -> None:
    rows = make_records(lambda number, labels: make_argilla(number, labels, one=one))
    rows[3] |= {"status": "pending", "responses": {}}
    data, prepared = read_draft(save(tmp_path, rows, ".json"))
    assert (data.text, data.labels.column) == (["fields.text"], "responses.topic.value")
    assert (data.filter.where, data.labels.one) == ({"status": "completed"}, True if one else None)
    assert read_labels(prepared) == leave_out(3, one=one)


def test_argilla_suggestions_are_used_without_a_response(tmp_path: Path) -> None:
    def write(number: int, labels: list[str]) -> Row:
        suggestions = {"topic": {"value": labels[0], "score": 0.8, "agent": "a-model"}}
        return make_argilla(number, labels) | {"responses": {}, "suggestions": suggestions, "status": "pending"}

    path = save(tmp_path, make_records(write), ".json")
    data, prepared = read_draft(path)
    assert data.labels.column == "suggestions.topic.value"
    assert read_labels(prepared) == expect(one=True)
    assert "no record has a response of a person" in inspect_file(path).yaml


def test_argilla_answers_to_several_questions_are_listed(tmp_path: Path) -> None:
    def write(number: int, labels: list[str]) -> Row:
        row = make_argilla(number, labels)
        row["responses"]["mood"] = [{"value": ["calm", "angry"][number % 2], "user_id": "u1"}]
        return row

    path = save(tmp_path, make_records(write), ".json")
    with pytest.raises(UserError, match=r"labels=responses\.topic\.value, labels=responses\.mood\.value"):
        inspect_file(path)
    _, prepared = read_draft(path, labels="responses.topic.value")
    assert read_labels(prepared) == expect()


# --- spaCy ------------------------------------------------------------------------------------------------------------
def to_cats(labels: list[str]) -> Row:
    return {label: float(label in labels) for label in LABELS}


def test_spacy_categories_are_scores(tmp_path: Path) -> None:
    rows = make_records(lambda number, labels: {"text": write_text(number), "cats": to_cats(labels), "entities": []})
    data, prepared = read_draft(save(tmp_path, rows, ".jsonl"))
    assert (data.labels.column, data.labels.kind) == ("cats", LabelKind.scores)
    assert read_labels(prepared) == expect()


def test_spacy_pairs_of_text_and_categories_are_read(tmp_path: Path) -> None:
    rows = [[write_text(number), {"cats": to_cats(choose_labels(number))}] for number in range(SIZE)]
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    inspection = inspect_file(path)
    prepared = prepare(compose_draft(inspection, tmp_path, path))
    assert read_labels(prepared) == expect()


# --- other files ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "extra",
    [
        {"answer": "yes"},
        {"Comments": "none"},
        {"annotator": "ann", "lead_time": 3},
        {"annotations": [{"note": "a"}]},
        {"fields": {"a": "b"}},
        {"data": {"a": 1}},
        {"cats": "two"},
    ],
)
def test_column_called_as_one_of_a_tool_is_no_export(tmp_path: Path, extra: Row) -> None:
    rows = make_records(lambda number, labels: {"body": write_text(number), "topics": labels} | extra)
    data, prepared = read_draft(save(tmp_path, rows, ".jsonl"))
    assert (data.text, data.labels.column, data.filter.where) == (["body"], "topics", {})
    assert read_labels(prepared) == expect()
