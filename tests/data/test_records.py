import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ratchet.config import (
    DataConfig,
    FileConfig,
    FilterConfig,
    LabelKind,
    LabelsConfig,
    SliceConfig,
    SliceKind,
    compose,
)
from ratchet.data.prepared import prepare
from ratchet.data.reading import Problem, Table
from ratchet.data.records import Record, build_records
from ratchet.errors import UserError

MakeConfig = Callable[..., DataConfig]


def make_table(**columns: list[Any]) -> Table:
    size = len(next(iter(columns.values())))
    return Table("file.csv", "row", list(range(2, size + 2)), columns, [])


def build_from_columns(
    make_config: MakeConfig,
    *,
    names: list[str] | None = None,
    known: set[str] | None = None,
    columns: dict[str, list[Any]],
    **settings: Any,
) -> tuple[list[Record], list[Problem]]:
    size = len(next(iter(columns.values())))
    all_columns = {"text": [f"text {index}" for index in range(size)], "labels": [["a"]] * size, **columns}
    return build_records(make_table(**all_columns), make_config(**settings), names, known)


def build_problem(make_config: MakeConfig, **arguments: Any) -> Problem:
    """Return the only problem of a table with one row."""
    records, problems = build_from_columns(make_config, **arguments)
    assert records == []
    assert len(problems) == 1
    assert problems[0].place == "file.csv, row 2"
    return problems[0]


# --- labels -----------------------------------------------------------------------------------------------------------


def make_labels_config(kind: LabelKind, **settings: Any) -> LabelsConfig:
    return LabelsConfig(column="labels", kind=kind, **settings)


@pytest.mark.parametrize(
    ("config", "value", "expected"),
    [
        (make_labels_config(LabelKind.list), ["b", "a"], ("a", "b")),
        (make_labels_config(LabelKind.list), [" a ", "a", "", None], ("a",)),
        (make_labels_config(LabelKind.list), [2021, 7.0], ("2021", "7")),
        (make_labels_config(LabelKind.list), [], ()),
        (make_labels_config(LabelKind.list), None, ()),
        (make_labels_config(LabelKind.separated), "b, a,,b", ("a", "b")),
        (make_labels_config(LabelKind.separated, separator="|"), "b|c, d", ("b", "c, d")),
        (make_labels_config(LabelKind.separated), "", ()),
        (make_labels_config(LabelKind.separated), None, ()),
        (make_labels_config(LabelKind.separated), ["a", "b"], ("a", "b")),
        (make_labels_config(LabelKind.indices), [2, 0], ("audio", "vision")),
        (make_labels_config(LabelKind.indices), "2, 0", ("audio", "vision")),
        (make_labels_config(LabelKind.indices), 1, ("graphs",)),
        (make_labels_config(LabelKind.indices), [], ()),
        (make_labels_config(LabelKind.single), " one label, with a comma ", ("one label, with a comma",)),
        (make_labels_config(LabelKind.single), 3, ("3",)),
    ],
)
def test_labels_are_read_as_configured_sorted_and_unique(
    make_config: MakeConfig, config: LabelsConfig, value: Any, expected: tuple[str, ...]
) -> None:
    records, problems = build_from_columns(
        make_config, columns={"labels": [value]}, labels=config, names=["audio", "graphs", "vision"]
    )
    assert problems == []
    assert records[0].labels == expected


@pytest.mark.parametrize(("kind", "value"), [(LabelKind.list, "a,b"), (LabelKind.list, 3), (LabelKind.separated, 3)])
def test_wrong_label_kind_error_names_column_and_setting(make_config: MakeConfig, kind: LabelKind, value: Any) -> None:
    problem = build_problem(make_config, columns={"labels": [value]}, labels=make_labels_config(kind))
    assert problem.kind == "bad labels"
    assert problem.message.startswith("labels ")
    assert str(value) in problem.message
    assert "data.labels.kind" in problem.message


@pytest.mark.parametrize("value", ["", "  ", None, float("nan")])
def test_missing_single_label_is_a_problem(make_config: MakeConfig, value: Any) -> None:
    problem = build_problem(make_config, columns={"labels": [value]}, labels=make_labels_config(LabelKind.single))
    assert problem.kind == "no label"


@pytest.mark.parametrize("value", [3, -1, "x", None, 1.5, float("inf"), float("nan")])
def test_invalid_label_index_is_an_unknown_label(make_config: MakeConfig, value: Any) -> None:
    problem = build_problem(
        make_config,
        columns={"labels": [[0, value]]},
        labels=make_labels_config(LabelKind.indices),
        names=["a", "b", "c"],
    )
    assert problem.kind == "unknown label"
    assert str(value) in problem.message
    assert "file" in problem.message


def test_unknown_label_error_suggests_the_nearest_label(make_config: MakeConfig) -> None:
    problem = build_problem(make_config, columns={"labels": [["graphs", "visoin"]]}, known={"graphs", "vision"})
    assert problem.kind == "unknown label"
    assert problem.outcome == "stops"
    assert "'visoin'" in problem.message
    assert "'vision'" in problem.message


def test_empty_separator_is_rejected(make_config: MakeConfig) -> None:
    path = make_config([{"text": "one", "labels": "a"}]).records.path
    overrides = ["records.path=" + path, "text=[text]", "id=null", "created_at=null", "taxonomy=null"]
    overrides += ["labels.column=labels", "labels.kind=separated", "labels.separator=''"]
    with pytest.raises(UserError, match="separator"):
        prepare(compose([f"data.{override}" for override in overrides]).data)


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("title", "body", "expected"),
    [
        ("Title", "Body.", "Title | Body."),
        ("Title", None, "Title"),
        ("", "Body.", "Body."),
        (1.0, float("nan"), "1"),
        (" Title\n", "Body.", " Title\n | Body."),
    ],
)
def test_text_is_joined_from_non_empty_columns(make_config: MakeConfig, title: Any, body: Any, expected: str) -> None:
    columns = {"title": [title], "body": [body]}
    records, _ = build_from_columns(make_config, columns=columns, text=["title", "body"], text_separator=" | ")
    assert records[0].text == expected


@pytest.mark.parametrize("drop_bad_rows", [False, True])
@pytest.mark.parametrize("empty", ["", None, " \n", float("nan")])
def test_empty_text_is_always_dropped_and_reported(make_config: MakeConfig, drop_bad_rows: bool, empty: Any) -> None:
    problem = build_problem(make_config, columns={"text": [empty]}, drop_bad_rows=drop_bad_rows)
    assert (problem.kind, problem.outcome) == ("empty text", "dropped")
    assert "text" in problem.message


def test_empty_texts_are_counted_in_the_report(make_config: MakeConfig) -> None:
    rows = [{"text": text, "labels": ["a"]} for text in ("one", "", "two", " ", "three")]
    prepared = prepare(make_config(rows))
    assert [record.text for record in prepared.records] == ["one", "two", "three"]
    assert prepared.report.count_problems()["empty text", "dropped"] == 2
    assert prepared.report.rows_read == 5


# --- ids and columns --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "expected"), [(7, "7"), (7.0, "7"), (" x ", "x"), ("007", "007"), (0.5, "0.5")])
def test_id_is_converted_to_text(make_config: MakeConfig, value: Any, expected: str) -> None:
    records, _ = build_from_columns(make_config, columns={"key": [value]}, id="key")
    assert records[0].id == expected


def test_row_number_is_the_default_id(make_config: MakeConfig) -> None:
    records, _ = build_from_columns(make_config, columns={"text": ["one", "two"]})
    assert [(record.id, record.place) for record in records] == [("2", "file.csv, row 2"), ("3", "file.csv, row 3")]


@pytest.mark.parametrize("value", ["", None, " "])
def test_missing_id_is_a_problem(make_config: MakeConfig, value: Any) -> None:
    problem = build_problem(make_config, columns={"key": [value]}, id="key")
    assert problem.kind == "no id"
    assert "key" in problem.message


def test_duplicate_id_error_names_both_rows(make_config: MakeConfig) -> None:
    records, problems = build_from_columns(make_config, columns={"key": ["x", "y", "x", 1, "1"]}, id="key")
    assert [record.id for record in records] == ["x", "y", "1"]
    assert [(problem.kind, problem.place) for problem in problems] == [
        ("duplicate id", "file.csv, row 4"),
        ("duplicate id", "file.csv, row 6"),
    ]
    assert "'x'" in problems[0].message
    assert "file.csv, row 2" in problems[0].message


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"text": ["titel"]}, "data.text[0]"),
        ({"text": ["title", "titel"]}, "data.text[1]"),
        ({"labels": LabelsConfig(column="titel")}, "data.labels.column"),
        ({"id": "titel"}, "data.id"),
        ({"created_at": "titel"}, "data.created_at"),
        ({"slices": {"x": SliceConfig(kind=SliceKind.column, column="titel")}}, "data.slices"),
    ],
)
def test_missing_column_error_names_key_and_nearest_column(
    make_config: MakeConfig, settings: dict[str, Any], key: str
) -> None:
    with pytest.raises(UserError) as caught:
        build_from_columns(make_config, columns={"title": ["one"]}, **settings)
    message = str(caught.value)
    assert "file.csv" in message
    assert key in message
    assert "'titel'" in message
    assert "'title'" in message


def test_columns_for_slices_and_given_splits_are_kept(make_config: MakeConfig) -> None:
    slices = {
        "by_source": SliceConfig(kind=SliceKind.column, column="source"),
        "short": SliceConfig(kind=SliceKind.short_text, max_words=3),
    }
    config = make_config(slices=slices)
    config.split.column = "part"
    table = make_table(text=["one"], labels=[["a"]], source=[" web "], part=["train"], other=["x"])
    records, _ = build_records(table, config, None, None)
    assert records[0].columns == {"source": "web", "part": "train"}


# --- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-02-28", datetime(2026, 2, 28)),
        ("2026-02-28 13:45:10", datetime(2026, 2, 28, 13, 45, 10)),
        (" 2026-02-28T13:45 ", datetime(2026, 2, 28, 13, 45)),
        ("2026-02-28T13:45:00Z", datetime(2026, 2, 28, 13, 45)),
        ("2026-02-28T01:00:00+02:00", datetime(2026, 2, 27, 23)),
        ("2026-02-28T23:30:00-05:30", datetime(2026, 3, 1, 5)),
        (datetime(2026, 2, 28, 13, 45), datetime(2026, 2, 28, 13, 45)),
        (datetime(2026, 2, 28, 13, tzinfo=UTC), datetime(2026, 2, 28, 13)),
        (datetime(2026, 2, 28, 1, tzinfo=timezone(timedelta(hours=2))), datetime(2026, 2, 27, 23)),
        (date(2026, 2, 28), datetime(2026, 2, 28)),
        (None, None),
        ("", None),
        (float("nan"), None),
    ],
)
def test_dates_are_converted_to_utc_without_timezone(
    make_config: MakeConfig, value: Any, expected: datetime | None
) -> None:
    records, problems = build_from_columns(make_config, columns={"day": [value]}, created_at="day")
    assert problems == []
    assert records[0].created_at == expected


@pytest.mark.parametrize(
    ("date_format", "value", "expected"),
    [
        ("%d.%m.%Y", "03.02.2026", datetime(2026, 2, 3)),
        ("%m/%d/%Y %H:%M", "02/03/2026 14:30", datetime(2026, 2, 3, 14, 30)),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-02-03T01:00:00+0200", datetime(2026, 2, 2, 23)),
    ],
)
def test_configured_date_format_is_used(
    make_config: MakeConfig, date_format: str, value: str, expected: datetime
) -> None:
    records, _ = build_from_columns(make_config, columns={"day": [value]}, created_at="day", date_format=date_format)
    assert records[0].created_at == expected


@pytest.mark.parametrize(
    ("date_format", "value", "expected"),
    [(None, "03.02.2026", "ISO 8601"), (None, "2026-02-30", "ISO 8601"), ("%d.%m.%Y", "2026-02-03", "%d.%m.%Y")],
)
def test_bad_date_error_names_value_and_expected_format(
    make_config: MakeConfig, date_format: str | None, value: str, expected: str
) -> None:
    problem = build_problem(make_config, columns={"day": [value]}, created_at="day", date_format=date_format)
    assert problem.kind == "bad date"
    assert value in problem.message
    assert expected in problem.message
    assert "data.date_format" in problem.message


@pytest.mark.parametrize("value", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
def test_date_without_utc_equivalent_is_a_bad_date(make_config: MakeConfig, value: str) -> None:
    problem = build_problem(make_config, columns={"day": [value]}, created_at="day")
    assert problem.kind == "bad date"
    assert value in problem.message


# --- many bad rows ----------------------------------------------------------------------------------------------------

GOOD = {"key": "1", "text": "one", "labels": ["a"], "day": "2026-01-01"}
BAD = {
    "broken line": '{"key": "2", "text": "cut',
    "duplicate id": {**GOOD, "text": "two"},
    "bad labels": {**GOOD, "key": "3", "labels": "a"},
    "bad date": {**GOOD, "key": "4", "day": "yesterday"},
    "no id": {**GOOD, "key": ""},
    "unknown label": {**GOOD, "key": "5", "labels": ["b"]},
}


@pytest.fixture
def bad_file(tmp_path: Path) -> dict[str, Any]:
    """Return the settings of a file with a valid row in line 1, followed by one row of each kind of BAD."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in (GOOD, *BAD.values())]
    (tmp_path / "bad.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "labels.txt").write_text("a\n", encoding="utf-8")
    return {
        "records": FileConfig(path=str(tmp_path / "bad.jsonl")),
        "labels": LabelsConfig(column="labels", names=FileConfig(path=str(tmp_path / "labels.txt"))),
        "id": "key",
        "created_at": "day",
    }


def test_all_bad_rows_are_listed_in_one_error(make_config: MakeConfig, bad_file: dict[str, Any]) -> None:
    with pytest.raises(UserError) as caught:
        prepare(make_config(**bad_file))
    message = str(caught.value)
    assert f"{len(BAD)} bad rows" in message
    for line in range(2, len(BAD) + 2):
        assert f"bad.jsonl, line {line}: " in message
    assert "data.drop_bad_rows=true" in message


def test_bad_rows_can_be_dropped_and_are_counted(make_config: MakeConfig, bad_file: dict[str, Any]) -> None:
    prepared = prepare(make_config(**bad_file, drop_bad_rows=True))
    assert [record.text for record in prepared.records] == ["one"]
    dropped = {
        kind: count for (kind, outcome), count in prepared.report.count_problems().items() if outcome == "dropped"
    }
    assert dropped == dict.fromkeys(BAD, 1)
    assert prepared.report.rows_read == len(BAD) + 1


def test_list_is_rejected_as_text(make_config: MakeConfig) -> None:
    problem = build_problem(make_config, columns={"text": [["a", "b"]]})
    assert problem.kind == "bad text"
    assert "list" in problem.message


def test_date_without_time_becomes_midnight(make_config: MakeConfig) -> None:
    settings = {"created_at": "day", "date_format": "%d.%m.%Y"}
    records, problems = build_from_columns(make_config, columns={"day": [date(2026, 2, 28)]}, **settings)
    assert problems == []
    assert records[0].created_at == datetime(2026, 2, 28)


def test_boolean_is_rejected_as_label_index(make_config: MakeConfig) -> None:
    problem = build_problem(
        make_config,
        names=["a", "b"],
        columns={"labels": [[True]]},
        labels=LabelsConfig(column="labels", kind=LabelKind.indices),
    )
    assert problem.kind == "unknown label"


def test_excluded_label_may_be_unknown(make_config: MakeConfig) -> None:
    records, problems = build_from_columns(
        make_config, known={"a"}, columns={"labels": [["a", "misc"]]}, filter=FilterConfig(exclude=["misc"])
    )
    assert problems == []
    assert records[0].labels == ("a", "misc")


def test_adjacent_surrogates_are_merged_to_one_character(make_config: MakeConfig) -> None:
    """This happens if a title and a description are joined without a separator."""
    columns = {"title": ["\ud83d"], "text": ["\ude00 yes"], "labels": [["a"]]}
    records, _ = build_from_columns(make_config, columns=columns, text=["title", "text"], text_separator="")
    assert [record.text for record in records] == ["\U0001f600 yes"]
