import json
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.config import (
    DataConfig,
    FileConfig,
    FilterConfig,
    LabelKind,
    LabelsConfig,
    RecordsConfig,
    SliceConfig,
    SliceKind,
)
from ratchet.data.dataset import Task
from ratchet.data.prepared import Prepared, build_target_matrix, prepare
from ratchet.errors import UserError

MakeConfig = Callable[..., DataConfig]

# a: 4 records, b: 3, c: 2, d: 1
ROWS: list[dict[str, Any]] = [
    {"id": "5", "text": "first text", "labels": ["a", "b"], "day": "2026-01-01", "source": "web"},
    {"id": "1", "text": "second text", "labels": ["b", "a"], "day": "2026-01-02", "source": "web"},
    {"id": "4", "text": "third text", "labels": ["c", "b"], "day": "2026-01-03", "source": "mail"},
    {"id": "2", "text": "fourth text", "labels": ["a", "c", "d"], "day": None, "source": "mail"},
    {"id": "3", "text": "fifth text", "labels": ["a"], "day": "2026-01-05", "source": None},
    {"id": "6", "text": "sixth text", "labels": [], "day": "2026-01-06", "source": "web"},
]
COLUMNS: dict[str, Any] = {
    "id": "id",
    "created_at": "day",
    "slices": {"source": SliceConfig(kind=SliceKind.column, column="source")},
}


def write_taxonomy(tmp_path: Path, *labels: str) -> FileConfig:
    path = tmp_path / "tags.json"
    path.write_text(json.dumps([{"tag": label, "aliases": [f"alias of {label}"]} for label in labels]))
    return FileConfig(path=str(path))


def map_ids_to_labels(prepared: Prepared) -> dict[str, tuple[str, ...]]:
    return {record.id: record.labels for record in prepared.records}


def test_records_and_label_columns_are_sorted(make_config: MakeConfig) -> None:
    prepared = prepare(make_config(ROWS, **COLUMNS))
    assert [record.id for record in prepared.records] == ["1", "2", "3", "4", "5", "6"]
    assert prepared.labels == ["a", "b", "c", "d"]
    assert prepared.targets.tolist() == [
        [1, 1, 0, 0],
        [1, 0, 1, 1],
        [1, 0, 0, 0],
        [0, 1, 1, 0],
        [1, 1, 0, 0],
        [0, 0, 0, 0],
    ]
    assert prepared.name == "small"
    assert prepared.report.rows_read == 6


def test_select_returns_records_in_the_requested_order(make_config: MakeConfig) -> None:
    prepared = prepare(make_config(ROWS, **COLUMNS))
    part = prepared.select(["4", "1"])
    assert part.ids == ["4", "1"]
    assert part.texts == ["third text", "second text"]
    assert part.targets.tolist() == [[0, 1, 1, 0], [1, 1, 0, 0]]
    assert part.labels == prepared.labels
    assert part.task is prepared.task


def test_target_matrix_ignores_labels_without_a_column() -> None:
    matrix = build_target_matrix([("a", "x"), (), ("b", "a")], ["b", "a"])
    assert matrix.dtype == np.uint8
    assert matrix.tolist() == [[0, 1], [0, 0], [1, 1]]


# --- filters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "kept", "reasons"),
    [
        ({}, "abcd", {}),
        ({"exclude": ["b", "d"]}, "ac", {"b": "excluded", "d": "excluded"}),
        ({"min_records": 2}, "abc", {"d": "fewer than 2"}),
        ({"min_records": 3}, "ab", {"c": "fewer than 3", "d": "fewer than 3"}),
        ({"min_records": 3, "exclude": ["d"]}, "ab", {"c": "fewer than 3", "d": "excluded"}),
    ],
)
def test_filtered_labels_are_reported_with_the_reason(
    make_config: MakeConfig, filters: dict[str, Any], kept: str, reasons: dict[str, str]
) -> None:
    prepared = prepare(make_config(ROWS, filter=FilterConfig(**filters)))
    assert prepared.labels == list(kept)
    assert prepared.report.labels_left_out.keys() == reasons.keys()
    assert all(reason in prepared.report.labels_left_out[label] for label, reason in reasons.items())


@pytest.mark.parametrize(
    ("exclude", "parts"),
    [
        (["bug"], ["data.filter.exclude", "'bug'", "did you mean 'bugs'?"]),
        (["bugs", "on"], ["data.filter.exclude", "'on'", "no"]),
        (["7", "logn"], ["'7'", "007", "'logn'", "did you mean 'login'?"]),
        (["zzz"], ["'zzz'", "007", "bugs", "login"]),
    ],
)
def test_excluded_labels_that_no_record_has_are_refused(
    make_config: MakeConfig, exclude: list[str], parts: list[str]
) -> None:
    rows = [{"text": label, "labels": [label]} for label in ("bugs", "no", "007", "login")]
    config = make_config(rows, filter=FilterConfig(exclude=exclude))
    with pytest.raises(UserError) as caught:
        prepare(config)
    for part in parts:
        assert part in str(caught.value)
    assert prepare(config, other_records=True).labels == sorted({"bugs", "no", "007", "login"} - set(exclude))


def test_excluded_labels_are_compared_in_one_unicode_form(make_config: MakeConfig) -> None:
    rows = [{"text": f"text {label}", "labels": [label]} for label in ("caf\u00e9", "bar")]
    assert prepare(make_config(rows, filter=FilterConfig(exclude=["cafe\u0301"]))).labels == ["bar"]


def test_excluded_label_that_only_the_taxonomy_has_is_a_finding(make_config: MakeConfig, tmp_path: Path) -> None:
    taxonomy = write_taxonomy(tmp_path, "a", "b", "c", "d", "z")
    prepared = prepare(make_config(ROWS, taxonomy=taxonomy, filter=FilterConfig(exclude=["z", "d"])))
    found = {problem.place: problem.kind for problem in prepared.report.problems}
    assert found["label 'z'"] == "excluded label without records"
    assert "label 'd'" not in found


def test_findings_are_reported_with_the_first_place_in_the_file(make_config: MakeConfig) -> None:
    rows = [{"id": f"{9 - row}", "text": text, "labels": ["a"]} for row, text in enumerate(["a b", "...", "!", "c"])]
    problems = prepare(make_config(rows, id="id")).report.problems
    assert [(problem.kind, problem.outcome) for problem in problems] == [
        ("label on every record", "kept"),
        ("text without words", "kept"),
    ]
    assert "line 2" in problems[1].place


def test_labels_outside_the_taxonomy_can_be_filtered(make_config: MakeConfig, tmp_path: Path) -> None:
    config = make_config(
        ROWS, **COLUMNS, taxonomy=write_taxonomy(tmp_path, "a", "c", "z"), filter=FilterConfig(taxonomy_only=True)
    )
    prepared = prepare(config)
    assert prepared.labels == ["a", "c"]  # z is in the taxonomy, but on no record
    assert prepared.report.labels_left_out == dict.fromkeys("bd", "not in the taxonomy")
    assert map_ids_to_labels(prepared)["2"] == ("a", "c")
    assert prepared.taxonomy.names("c") == ("c", "alias of c")
    assert prepared.report.files == [config.records.path, str(tmp_path / "tags.json")]


def test_label_outside_the_taxonomy_is_an_error_unless_filtered(make_config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        prepare(make_config(ROWS, taxonomy=write_taxonomy(tmp_path, "a", "b", "c")))
    message = str(caught.value)
    assert "line 4: " in message
    assert "label 'd'" in message
    assert "data.filter.taxonomy_only=true" in message


def test_taxonomy_and_label_file_with_null_path_are_ignored(make_config: MakeConfig) -> None:
    # `data.taxonomy.path=null` on the command line removes the file that a configuration names.
    labels = LabelsConfig(column="labels", names=FileConfig(path=None))
    config = make_config(ROWS, taxonomy=FileConfig(path=None), labels=labels)
    prepared = prepare(config)
    assert prepared.labels == ["a", "b", "c", "d"]
    assert prepared.taxonomy.names("a") == ("a",)
    assert prepared.report.files == [config.records.path]


@pytest.mark.parametrize(
    ("filters", "kept", "dropped"),
    [
        ({"drop_unlabelled": True}, "12345", 1),
        ({"drop_unlabelled": True, "exclude": ["a"]}, "1245", 2),
        ({"drop_unlabelled": True, "min_records": 4}, "1235", 2),
    ],
)
def test_unlabelled_records_can_be_dropped_and_are_counted(
    make_config: MakeConfig, filters: dict[str, Any], kept: str, dropped: int
) -> None:
    prepared = prepare(make_config(ROWS, **COLUMNS, filter=FilterConfig(**filters)))
    assert [record.id for record in prepared.records] == list(kept)
    assert prepared.report.filtered == {"records without a label": dropped}
    assert prepared.targets.any(axis=1).all()


def test_records_with_filtered_labels_stay_by_default(make_config: MakeConfig) -> None:
    prepared = prepare(make_config(ROWS, **COLUMNS, filter=FilterConfig(exclude=["a"])))
    assert map_ids_to_labels(prepared)["3"] == ()
    assert prepared.report.filtered == {}


@pytest.mark.parametrize("filters", [{"min_records": 5}, {"exclude": ["a", "b", "c", "d"]}, {"drop_unlabelled": True}])
def test_data_without_remaining_labels_are_rejected(make_config: MakeConfig, filters: dict[str, Any]) -> None:
    rows = [{**row, "labels": []} for row in ROWS] if "drop_unlabelled" in filters else ROWS
    with pytest.raises(UserError, match=r"records\.jsonl: .*\b6 rows.*data\.filter.*data\.labels"):
        prepare(make_config(rows, filter=FilterConfig(**filters)))


# --- tasks and label files --------------------------------------------------------------------------------------------


def make_multiclass_config(make_config: MakeConfig, filters: FilterConfig) -> DataConfig:
    rows = [{"text": f"text {index}", "labels": label} for index, label in enumerate("aabbbc")]
    return make_config(rows, labels=LabelsConfig(column="labels", kind=LabelKind.single), filter=filters)


def test_single_label_kind_is_a_multiclass_task(make_config: MakeConfig) -> None:
    prepared = prepare(make_multiclass_config(make_config, FilterConfig()))
    assert prepared.task is Task.multiclass
    assert prepared.targets.sum(axis=1).tolist() == [1] * 6
    assert prepare(make_config(ROWS)).task is Task.multilabel


def test_multiclass_records_without_class_are_dropped(make_config: MakeConfig) -> None:
    # An argmax would assign a row without a class to the first class, in the split and in the metrics.
    prepared = prepare(make_multiclass_config(make_config, FilterConfig(min_records=2)))
    assert prepared.labels == ["a", "b"]
    assert prepared.targets.sum(axis=1).tolist() == [1] * 5
    assert prepared.report.filtered == {"records without a label": 1}


@pytest.mark.parametrize(
    ("name", "content"),
    [("labels.txt", "vision\n graphs \naudio\n\n"), ("labels.json", '["vision", "graphs", "audio"]')],
)
def test_label_file_may_be_lines_or_json(make_config: MakeConfig, tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    labels = LabelsConfig(column="labels", kind=LabelKind.indices, names=FileConfig(path=str(path)))
    config = make_config([{"id": "1", "text": "x", "labels": [0, 2]}], id="id", labels=labels)
    prepared = prepare(config)
    assert map_ids_to_labels(prepared) == {"1": ("audio", "vision")}
    assert prepared.report.files == [config.records.path, str(path)]


def test_empty_line_in_label_file_is_rejected(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("vision\n\ngraphs\n")
    labels = LabelsConfig(column="labels", kind=LabelKind.indices, names=FileConfig(path=str(tmp_path / "labels.txt")))
    with pytest.raises(UserError, match=r"labels\.txt, line 2"):
        prepare(make_config(ROWS, labels=labels))


def test_labels_outside_the_label_file_are_rejected(make_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    labels = LabelsConfig(column="labels", names=FileConfig(path=str(tmp_path / "labels.txt")))
    with pytest.raises(UserError, match=r"line 4: .*'d'"):
        prepare(make_config(ROWS, labels=labels))


def test_label_indices_require_a_label_file(make_config: MakeConfig) -> None:
    with pytest.raises(UserError, match=r"data\.labels\.names"):
        prepare(make_config(ROWS, labels=LabelsConfig(column="labels", kind=LabelKind.indices)))


@pytest.mark.parametrize(
    ("content", "part"),
    [('["a",\n"b', "line 2"), ('{"a": 1}', "list of strings"), ("[1, 2]", "list of strings"), ("[" * 100_000, "JSON")],
)
def test_label_file_without_a_list_of_names_is_rejected(
    make_config: MakeConfig, tmp_path: Path, content: str, part: str
) -> None:
    (tmp_path / "labels.json").write_text(content)
    labels = LabelsConfig(column="labels", names=FileConfig(path=str(tmp_path / "labels.json")))
    with pytest.raises(UserError, match=r"labels\.json") as caught:
        prepare(make_config(ROWS, labels=labels))
    assert part in str(caught.value)


# --- problems that are reported and kept ------------------------------------------------------------------------------


def test_rare_labels_are_reported_and_kept(make_config: MakeConfig) -> None:
    prepared = prepare(make_config(ROWS))
    rare = [problem for problem in prepared.report.problems if problem.kind == "label with too few records"]
    assert [(problem.place, problem.outcome) for problem in rare] == [("label 'c'", "kept"), ("label 'd'", "kept")]
    assert "2 of 6 records" in rare[0].message
    assert "data.filter.min_records" in rare[0].message
    assert prepared.labels == ["a", "b", "c", "d"]


def test_repeated_text_is_reported_with_the_original_id(make_config: MakeConfig) -> None:
    rows = [{"id": key, "text": text, "labels": ["a"]} for key, text in [("3", "same"), ("1", "same"), ("2", "other")]]
    prepared = prepare(make_config(rows, id="id"))
    repeated = [problem for problem in prepared.report.problems if problem.kind == "repeated text"]
    assert len(repeated) == 1
    assert repeated[0].outcome == "kept"
    assert repeated[0].place.endswith("line 1")
    assert repeated[0].message == "the same text as record '1'", "what follows depends on the split"
    assert len(prepared.records) == 3


@pytest.mark.parametrize(
    ("odd", "kind"),
    [
        ("login\u200b", "labels that look alike"),
        ("LOGIN", "labels that look alike"),
        ("nan", "label that may be a missing value"),
        ("NULL", "label that may be a missing value"),
        ("paymnet", "labels with nearly the same spelling"),
        ("paymont", "labels with nearly the same spelling"),
    ],
)
def test_names_of_labels_that_are_left_out_as_rare_are_checked(
    make_config: MakeConfig, tmp_path: Path, odd: str, kind: str
) -> None:
    rows = [{"text": f"text {row}", "labels": [("login", "payment")[row % 2]]} for row in range(24)]
    rows += [{"text": f"odd {row}", "labels": [odd]} for row in range(2)]
    prepared = prepare(make_config(rows, filter=FilterConfig(min_records=3)))
    assert odd in prepared.report.labels_left_out
    found = {problem.kind: problem for problem in prepared.report.problems}
    assert set(found) == {kind}, "labels that are left out are not reported as too rare again"
    assert "line 25" in found[kind].message
    excluded = FilterConfig(min_records=3, exclude=[odd])
    assert prepare(make_config(rows, filter=excluded)).report.problems == []
    taxonomy = write_taxonomy(tmp_path, "login", "payment")
    curated = FilterConfig(min_records=3, taxonomy_only=True)
    assert prepare(make_config(rows, filter=curated, taxonomy=taxonomy)).report.problems == []


# --- the version ------------------------------------------------------------------------------------------------------


def compute_version(make_config: MakeConfig, rows: list[dict[str, Any]], **settings: Any) -> str:
    return prepare(make_config(rows, **{**COLUMNS, **settings})).version


def test_version_does_not_depend_on_row_order(make_config: MakeConfig) -> None:
    versions = {compute_version(make_config, random.Random(seed).sample(ROWS, len(ROWS))) for seed in range(5)}
    assert len(versions) == 1


def test_version_does_not_depend_on_label_or_key_order(make_config: MakeConfig) -> None:
    reversed_rows = [{**dict(reversed(row.items())), "labels": row["labels"][::-1]} for row in ROWS]
    assert compute_version(make_config, reversed_rows) == compute_version(make_config, ROWS)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "parquet"])
def test_version_does_not_depend_on_file_format(make_config: MakeConfig, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"records.{suffix}"
    labels = LabelsConfig(column="labels")
    if suffix == "json":
        path.write_text(json.dumps(ROWS))
    elif suffix == "parquet":
        pl.DataFrame(ROWS).with_columns(pl.col("day").str.to_datetime("%Y-%m-%d")).write_parquet(path)
    else:
        labels = LabelsConfig(column="labels", kind=LabelKind.separated, separator="|")
        frame = pl.DataFrame([{**row, "labels": "|".join(row["labels"])} for row in ROWS])
        frame.write_csv(path, separator="," if suffix == "csv" else "\t")
    config = DataConfig(name="other", records=RecordsConfig(path=str(path)), text=["text"], labels=labels, **COLUMNS)
    assert prepare(config).version == compute_version(make_config, ROWS)


@pytest.mark.parametrize(
    ("column", "value"),
    [("text", "another text"), ("labels", ["a", "c"]), ("day", "2026-02-01"), ("source", "post"), ("id", "7")],
)
def test_version_changes_with_any_value_of_a_record(make_config: MakeConfig, column: str, value: Any) -> None:
    changed = [{**ROWS[0], column: value}, *ROWS[1:]]
    assert compute_version(make_config, changed) != compute_version(make_config, ROWS)


def test_version_changes_if_a_record_is_removed(make_config: MakeConfig) -> None:
    assert compute_version(make_config, ROWS[:-1]) != compute_version(make_config, ROWS)


def test_version_changes_with_the_order_of_the_label_file(make_config: MakeConfig, tmp_path: Path) -> None:
    versions = set()
    for order in ("ab", "ba"):
        path = tmp_path / f"{order}.txt"
        path.write_text("\n".join(order))
        labels = LabelsConfig(column="labels", kind=LabelKind.indices, names=FileConfig(path=str(path)))
        rows = [{**ROWS[0], "labels": [0]}, {**ROWS[1], "labels": [0, 1]}]
        versions.add(compute_version(make_config, rows, labels=labels))
    assert len(versions) == 2


def test_version_does_not_depend_on_data_set_or_column_names(make_config: MakeConfig) -> None:
    renamed = [{**row, "body": row["text"]} for row in ROWS]
    assert compute_version(make_config, renamed, text=["body"], name="renamed") == compute_version(make_config, ROWS)


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=[]), min_size=1), min_size=2, max_size=4),
    names=st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), min_size=1, max_size=3),
    shuffler=st.randoms(use_true_random=False),
)
def test_version_of_any_data_does_not_depend_on_row_order(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], names: list[str], shuffler: random.Random
) -> None:
    rows = [
        {"id": f"x{index}", "text": f"x{text}", "labels": [f"x{n}" for n in names]} for index, text in enumerate(texts)
    ]
    path = tmp_path_factory.mktemp("any") / "records.jsonl"
    config = DataConfig(
        name="any", records=RecordsConfig(path=str(path)), id="id", text=["text"], labels=LabelsConfig(column="labels")
    )
    path.write_text("\n".join(json.dumps(row) for row in rows))
    first = prepare(config)
    shuffler.shuffle(rows)
    path.write_text("\n".join(json.dumps(row) for row in rows))
    second = prepare(config)
    assert first.version == second.version
    assert [record.text for record in first.records] == [f"x{text}" for text in texts]
    expected = {unicodedata.normalize("NFC", f"x{name}".strip()) for name in names}
    assert first.labels == second.labels == sorted(expected)
