import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ratchet.config import (
    DataConfig,
    FileConfig,
    FilterConfig,
    LabelKind,
    LabelsConfig,
    RecordsConfig,
    RecordsLayout,
    SliceConfig,
    SliceKind,
    compose,
)
from ratchet.data.formats.rows import Row, Rows
from ratchet.data.prepared import prepare
from ratchet.data.problems import Problem, Report
from ratchet.data.records import Record, build_records
from ratchet.data.sources import Source
from ratchet.data.used_columns import list_used_columns
from ratchet.errors import UserError

MakeConfig = Callable[..., DataConfig]


def make_table(rows: list[dict[str, Any]], columns: list[str] | None = None, name: str = "file.csv") -> Rows:
    """Return rows from row 2 on, as those of a CSV file; without `columns`, as those of JSON."""
    return Rows(name, "row", columns or [], lambda: iter([Row(n, values) for n, values in enumerate(rows, start=2)]))


def build(
    config: DataConfig,
    rows: list[dict[str, Any]],
    names: list[str] | None = None,
    known: set[str] | None = None,
    report: Report | None = None,
) -> tuple[list[Record], list[Problem]]:
    return build_records([(Source("file.csv", Path("file.csv")), make_table(rows))], config, names, known, report)


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
    rows = [dict(zip(all_columns, values, strict=True)) for values in zip(*all_columns.values(), strict=True)]
    return build(make_config(**settings), rows, names, known)


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
    assert [problem for problem in problems if problem.outcome != "kept"] == []
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
    overrides = [f"records.path={path}", "text=[text]", "id=null", "created_at=null", "taxonomy=null"]
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
    records, _ = build(config, [{"text": "one", "labels": ["a"], "source": " web ", "part": "train", "other": "x"}])
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
        "records": RecordsConfig(path=str(tmp_path / "bad.jsonl")),
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
    columns = {"day": [date(2026, 2, 28)]}
    records, problems = build_from_columns(make_config, columns=columns, created_at="day", date_format="%d.%m.%Y")
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
    columns: dict[str, list[Any]] = {"title": ["\ud83d"], "text": ["\ude00 yes"], "labels": [["a"]]}
    records, _ = build_from_columns(make_config, columns=columns, text=["title", "text"], text_separator="")
    assert [record.text for record in records] == ["\U0001f600 yes"]


# --- one row per record and label -------------------------------------------------------------------------------------

JOINED = "rows joined with an earlier row of the record"
ROWS_KIND = LabelsConfig(column="labels", kind=LabelKind.rows)


def test_rows_of_one_record_are_joined_by_id(make_config: MakeConfig) -> None:
    rows = [
        {"key": 1, "text": "one", "labels": "b"},
        {"key": 2, "text": "two", "labels": "a"},
        {"key": 1, "text": "one", "labels": "a"},
        {"key": 1, "text": "one", "labels": ""},
    ]
    report = Report()
    records, problems = build(make_config(id="key", labels=ROWS_KIND), rows, report=report)
    assert [(record.id, record.labels) for record in records] == [("1", ("a", "b")), ("2", ("a",))]
    assert (problems, report.rows_read, report.filtered) == ([], 4, {JOINED: 2})


def test_rows_of_one_record_are_joined_by_text_without_an_id(make_config: MakeConfig) -> None:
    rows = [{"text": "one", "labels": "b"}, {"text": "one", "labels": "a"}, {"text": "two", "labels": "a"}]
    records, _ = build(make_config(labels=ROWS_KIND), rows)
    assert [(record.id, record.labels) for record in records] == [("2", ("a", "b")), ("4", ("a",))]


def test_one_id_with_two_texts_is_a_bad_row(make_config: MakeConfig) -> None:
    rows = [{"key": 1, "text": "one", "labels": "b"}, {"key": 1, "text": "two", "labels": "a"}]
    _, problems = build(make_config(id="key", labels=ROWS_KIND), rows)
    assert [(problem.kind, problem.place, problem.outcome) for problem in problems] == [
        ("duplicate id", "file.csv, row 3", "stops")
    ]


def test_joined_rows_have_one_label_where_each_record_has_one(make_config: MakeConfig) -> None:
    labels = LabelsConfig(column="labels", kind=LabelKind.rows, one=True)
    rows = [("1", "a"), ("1", "a"), ("2", "a"), ("2", "b"), ("3", ""), ("3", ""), ("4", ""), ("4", "b")]
    report = Report()
    config = make_config(id="key", labels=labels)
    records, problems = build(config, [{"key": k, "text": k, "labels": v} for k, v in rows], report=report)
    assert [(record.id, record.labels) for record in records] == [("1", ("a",)), ("2", ("a",)), ("4", ("b",))]
    assert sorted(problem.kind for problem in problems) == ["no label", "several labels"]
    assert report.rows_read == len(records) + len(problems) + report.filtered[JOINED]


@pytest.mark.parametrize("drop_bad_rows", [False, True])
def test_labels_in_several_rows_are_never_dropped(make_config: MakeConfig, drop_bad_rows: bool) -> None:
    rows = [{"key": 1, "text": "one", "labels": ["a"]}, {"key": 1, "text": "one", "labels": ["b"]}]
    with pytest.raises(UserError, match=r"data\.labels\.kind=rows") as caught:
        build(make_config(id="key", drop_bad_rows=drop_bad_rows), rows)
    assert "file.csv, row 3" in str(caught.value)
    assert "drop_bad_rows" not in str(caught.value)


def test_a_row_that_repeats_a_record_is_a_bad_row(make_config: MakeConfig) -> None:
    _, problems = build(make_config(id="key"), [{"key": 1, "text": "one", "labels": ["a"]}] * 2)
    assert [problem.kind for problem in problems] == ["duplicate id"]


# --- rows that are left out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"answer": "accept"}, ["0", "3"]),
        ({"answer": ["accept", "maybe"]}, ["0", "2", "3"]),
        ({"answer": "accept", "meta.done": True}, ["3"]),
        ({"meta.done": False}, ["0", "2"]),
        ({"score": 2}, ["1"]),
        ({"answer": ""}, ["4"]),
        ({"notes.ok": True}, ["0"]),
    ],
)
def test_rows_without_a_wanted_value_are_left_out_and_counted(
    make_config: MakeConfig, where: dict[str, Any], kept: list[str]
) -> None:
    rows: list[dict[str, Any]] = [
        {"answer": "accept", "meta": {"done": "False"}, "score": 1, "notes": [{"ok": True}, {"ok": True}]},
        {"answer": "reject", "meta": {"done": True}, "score": 2.0, "notes": [{"ok": True}, {"ok": False}]},
        {"answer": " maybe ", "meta": {"done": False}, "score": None, "notes": []},
        {"answer": "accept", "meta": {"done": "TRUE"}, "score": "3", "notes": None},
        {"answer": None, "meta": {}, "score": "nan"},
    ]
    rows = [{"key": str(n), "text": f"text {n}", "labels": ["a"], **row} for n, row in enumerate(rows)]
    report = Report()
    records, problems = build(make_config(id="key", filter=FilterConfig(where=where)), rows, report=report)
    assert [record.id for record in records] == kept
    assert problems == []
    assert sum(report.filtered.values()) == 5 - len(kept)
    assert all(column in " ".join(report.filtered) for column in where)


@pytest.mark.parametrize("wanted", ["n/a", "", ["", "n/a"]])
def test_a_wanted_value_that_means_missing_keeps_the_rows_without_a_value(make_config: MakeConfig, wanted: Any) -> None:
    answers = ["n/a", None, " n/a ", "accept"]
    rows = [{"key": str(n), "text": f"{n}", "labels": ["a"], "answer": answer} for n, answer in enumerate(answers)]
    records, _ = build(make_config(id="key", missing=["n/a"], filter=FilterConfig(where={"answer": wanted})), rows)
    assert [record.id for record in records] == ["0", "1", "2"]


def test_a_value_that_no_row_has_is_an_error_with_the_nearest(make_config: MakeConfig) -> None:
    rows = [{"text": f"{n}", "labels": ["a"], "answer": answer} for n, answer in enumerate(("accept", "reject"))]
    for wanted in ("acept", ["accept", "rejected"]):
        with pytest.raises(UserError, match=r"data\.filter\.where\.answer: .* did you mean '(accept|reject)'"):
            build(make_config(filter=FilterConfig(where={"answer": wanted})), rows)


@pytest.mark.parametrize("wanted", [{"a": 1}, [["a"]], []])
def test_a_wanted_value_that_is_no_text_is_refused(make_config: MakeConfig, wanted: Any) -> None:
    with pytest.raises(UserError, match=r"data\.filter\.where\.answer"):
        build(make_config(filter=FilterConfig(where={"answer": wanted})), [{"text": "a", "labels": []}])


def test_texts_that_mean_missing_count_as_empty_in_every_column(make_config: MakeConfig) -> None:
    config = make_config(
        id="key", created_at="day", missing=["NULL", "nan"], text=["title", "text"],
        slices={"by": SliceConfig(kind=SliceKind.column, column="source")},
    )  # fmt: skip
    row = {"key": "1", "title": "nan", "text": "one", "labels": ["NULL"], "day": "NULL", "source": "nan"}
    records, problems = build(config, [row, {**row, "key": "NULL"}, {**row, "key": "3", "text": " nan "}])
    assert [(r.text, r.labels, r.created_at, r.columns) for r in records] == [("one", (), None, {"source": ""})]
    assert [problem.kind for problem in problems] == ["no id", "empty text"]


# --- values that are not text, and columns with two roles -------------------------------------------------------------


@pytest.mark.parametrize("value", [{"$oid": "507f"}, ["x"], b"x", {}, []])
@pytest.mark.parametrize("column", ["key", "source", "part", "thread"])
def test_ids_and_slices_that_are_not_text_are_bad_rows(make_config: MakeConfig, column: str, value: Any) -> None:
    config = make_config(id="key", slices={"by": SliceConfig(kind=SliceKind.column, column="source")})
    config.split.column, config.split.group = "part", "thread"
    row = {"key": "1", "source": "web", "part": "train", "thread": "t", "text": "one", "labels": ["a"]}
    records, problems = build(config, [{**row, column: value}])
    assert records == []
    assert [problem.kind for problem in problems] == ["bad value"]
    assert problems[0].message.startswith(f"{column} must hold text")


@pytest.mark.parametrize(("column", "value"), [("key", "1\ud83d"), ("source", "web\x00"), ("thread", "a\nb")])
def test_ids_and_slices_that_cannot_be_written_are_bad_rows(make_config: MakeConfig, column: str, value: str) -> None:
    config = make_config(id="key", slices={"by": SliceConfig(kind=SliceKind.column, column="source")})
    config.split.group = "thread"
    _, problems = build(
        config, [{"key": "1", "source": "web", "thread": "t", "text": "one", "labels": ["a"], column: value}]
    )
    assert len(problems) == 1
    assert problems[0].message.startswith(f"{column} holds ")


@pytest.mark.parametrize(
    ("settings", "role"),
    [
        ({"text": ["title", "labels"]}, "labels is both text and answer"),
        ({"text": ["title", "key"], "id": "key"}, "key is both text and the id"),
        ({"text": ["day"], "created_at": "day"}, "day is both text and the date"),
        (
            {"text": ["title", "bug"], "labels": LabelsConfig(columns=["bug", "slow"], kind=LabelKind.columns)},
            "bug is both text and answer",
        ),
        ({"text": ["meta.tags"], "labels": LabelsConfig(column="meta.tags")}, "meta.tags is both text and answer"),
    ],
)
def test_a_text_that_holds_the_answer_is_refused(make_config: MakeConfig, settings: dict[str, Any], role: str) -> None:
    with pytest.raises(UserError, match=r"data\.text") as caught:
        build(make_config(**settings), [{"title": "one", "labels": "a", "key": 1, "day": "", "bug": 1, "slow": 0}])
    assert role in str(caught.value)


def test_a_misspelt_path_suggests_the_nearest_path(make_config: MakeConfig) -> None:
    rows = [{"data": {"text": "one"}, "labels": ["a"]}]
    with pytest.raises(UserError, match=r"no column 'data\.txt' \(data\.text\[0\]\); did you mean 'data\.text'"):
        build(make_config(text=["data.txt"]), rows)


def test_a_column_that_some_rows_lack_is_no_error(make_config: MakeConfig) -> None:
    rows = [{"text": "one", "labels": ["a"]}, {"text": "two", "labels": ["a"], "day": "2026-01-01"}]
    records, _ = build(make_config(created_at="day"), rows)
    assert [record.created_at for record in records] == [None, datetime(2026, 1, 1)]


def test_a_misspelt_column_of_a_table_is_named_before_its_rows_are_read(make_config: MakeConfig) -> None:
    table = Rows("file.csv", "row", ["text", "label"], lambda: pytest.fail("the rows were read"))
    with pytest.raises(UserError, match=r"'labels' \(data\.labels\.column\); did you mean 'label'"):
        build_records([(Source("file.csv", Path("file.csv")), table)], make_config(), None, None)


def test_used_columns_cover_every_key(make_config: MakeConfig) -> None:
    config = make_config(
        id="key", created_at="day", text=["title", "meta.text"], filter=FilterConfig(where={"answer": "accept"}),
        slices={"by": SliceConfig(kind=SliceKind.column, column="source")},
    )  # fmt: skip
    config.split.column, config.split.group = "part", "thread"
    used = {"title", "meta.text", "labels", "key", "day", "part", "thread", "source", "answer"}
    assert set(list_used_columns(config)) == used
    columns = LabelsConfig(columns=["bug", "slow"], kind=LabelKind.columns)
    assert list_used_columns(make_config(labels=columns)) == ["text", "bug", "slow"]
    folders = make_config(labels=LabelsConfig(), records=RecordsConfig(path="x", layout=RecordsLayout.directory))
    assert set(list_used_columns(folders)) == {"id", "text", "label"}


# --- unknown labels, texts in files -----------------------------------------------------------------------------------


def test_a_record_with_an_unknown_value_has_all_other_labels_unknown(make_config: MakeConfig) -> None:
    labels = LabelsConfig(column="labels", unknown=["?"])
    rows = [
        {"text": text, "labels": value} for text, value in (("1", ["a", "?"]), ("2", ["b"]), ("3", ["c"]), ("4", "?"))
    ]
    records, _ = build(make_config(labels=labels), rows)
    assert [(record.labels, record.unknown) for record in records] == [
        (("a",), ("b", "c")), (("b",), ()), (("c",), ()), ((), ("a", "b", "c")),
    ]  # fmt: skip


def test_unknown_cells_become_unknown_targets(make_config: MakeConfig) -> None:
    labels = LabelsConfig(columns=["a", "b"], kind=LabelKind.columns, unknown=["-1"])
    rows = [{"text": f"text {n}", "a": a, "b": b} for n, (a, b) in enumerate([(1, 0), (-1, 1), (0, -1), (1, 1)])]
    prepared = prepare(make_config(rows, labels=labels))
    assert prepared.targets.tolist() == [[1, 0], [0, 1], [0, 0], [1, 1]]
    assert prepared.known is not None
    assert prepared.known.tolist() == [[True, True], [False, True], [True, False], [True, True]]


def test_levels_give_parents_to_the_taxonomy(make_config: MakeConfig) -> None:
    rows = [{"text": f"text {n}", "labels": [label]} for n, label in enumerate(["a > b", "a > c", "a > b", "d"])]
    prepared = prepare(make_config(rows, labels=LabelsConfig(column="labels", levels=" > ")))
    assert prepared.labels == ["a", "a > b", "a > c", "d"]
    assert prepared.taxonomy.ancestors("a > b") == {"a"}


def test_texts_may_be_in_files_next_to_the_records(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/one.txt").write_text("\ufeffthe content", encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    names = [
        "texts/one.txt",
        "texts/two.txt",
        "../outside.txt",
        str(tmp_path / "texts/one.txt"),
        "latin.txt",
        "",
        "a\x00",
    ]
    rows = [{"text": name, "labels": ["a"]} for name in names]
    config = make_config(text_files=["text"])
    records, problems = build_records(
        [(Source("file.csv", tmp_path / "file.csv"), make_table(rows))], config, None, None
    )
    assert [record.text for record in records] == ["the content"]
    assert [problem.kind for problem in problems] == ["bad text file"] * 4 + ["empty text", "bad text file"]
    assert "texts/two.txt" in problems[0].message
    assert "directory of the records" in problems[1].message


# --- any table --------------------------------------------------------------------------------------------------------

CELLS = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.floats() | st.text(max_size=3) | st.binary(max_size=2)
    | st.sampled_from(["a", "b", "['a']", "a,b", '{"a": 1}', "a:0.9", "2026-01-01", "1", "accept", "[0, 1]"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
TABLES = st.lists(
    st.fixed_dictionaries(dict.fromkeys(("key", "text", "labels", "more", "day", "source", "answer"), CELLS)),
    max_size=6,
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=TABLES,
    kind=st.sampled_from(LabelKind),
    one=st.sampled_from([None, True]),
    has_id=st.booleans(),
    key=st.sampled_from([None, "a"]),
    where=st.sampled_from([{}, {"answer": ["accept", ""]}]),
)
def test_every_row_of_any_table_is_a_record_or_reported(
    make_config: MakeConfig,
    rows: list[dict[str, Any]],
    kind: LabelKind,
    one: bool | None,
    has_id: bool,
    key: str | None,
    where: dict[str, Any],
) -> None:
    columns = {"columns": ["labels", "more"]} if kind in (LabelKind.columns, LabelKind.names) else {"column": "labels"}
    config = make_config(
        id="key" if has_id else None, created_at="day", labels=LabelsConfig(kind=kind, one=one, key=key, **columns),
        slices={"by": SliceConfig(kind=SliceKind.column, column="source")}, filter=FilterConfig(where=where),
    )  # fmt: skip
    report = Report()
    try:
        records, problems = build(
            config, rows, ["a", "b"] if kind.name in ("indices", "binary") else None, report=report
        )
    except UserError:
        return
    bad = [problem for problem in problems if problem.outcome != "kept"]
    assert report.rows_read == len(rows) == len(records) + len(bad) + sum(report.filtered.values())
    written = {text for row in rows for value in row.values() for text in _list_texts(value)}
    for record in records:
        for text in (record.id, *record.labels, *record.columns.values()):
            text.encode("utf-8")
            if text[:1] in ("{", "[", "(") or text[:2] in ("b'", 'b"'):
                assert text in written, "a repr"


def _list_texts(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value.strip(), *(part.strip() for part in value.replace(":", ",").split(","))}
    items = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return {text for item in items for text in _list_texts(item)}
