import json
from pathlib import Path

import pytest
from tests.scaffold.ticket_files import (
    compose_yaml,
    inspect_and_read,
    join_labels,
    keep_first_label,
    make_rows,
    to_csv,
    write,
)

from ratchet.config import Leaks, SplitMethod
from ratchet.data import splits
from ratchet.data.prepared import prepare
from ratchet.errors import UserError
from ratchet.scaffold.inspecting import inspect_file


def test_text_in_two_given_parts_is_dropped_from_train(tmp_path: Path) -> None:
    rows = join_labels(make_rows(part=lambda number: ["train", "test"][number % 2]))
    rows[1]["body"] = rows[0]["body"]
    data, _, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert (data.split.method, data.split.leaks) == (SplitMethod.given, Leaks.drop_from_train)
    assert "row 2 (train)" in dict(inspection.findings)["leaks"]


def test_given_split_that_leaves_no_train_part_is_not_used(tmp_path: Path) -> None:
    rows = join_labels(make_rows(part=lambda number: ["train", "test"][number % 2]))
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        first["body"] = second["body"]
    data, _, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    assert data.split.method is SplitMethod.stratified
    assert "# split: {method: given, column: part}" in inspection.yaml
    assert "part" in dict(inspection.findings)["split, not used"]


def test_rows_that_training_refuses_are_counted_with_their_location(tmp_path: Path) -> None:
    lines = to_csv(join_labels(make_rows())).splitlines()
    lines[6] += ",one,too,many"
    location = "row 7"
    inspection = inspect_file(write(tmp_path / "a.csv", "\n".join(lines)))
    assert inspection.num_records == 59
    assert location in dict(inspection.findings)["wrong number of fields"]
    assert location in inspection.yaml
    assert "drop_bad_rows: false" in inspection.yaml
    config = compose_yaml(inspection, tmp_path).data
    with pytest.raises(UserError, match=location):
        prepare(config)
    config.drop_bad_rows = True
    assert len(prepare(config).records) == 59


def test_missing_class_is_counted_with_its_location(tmp_path: Path) -> None:
    rows = keep_first_label(make_rows())
    rows[3]["topics"] = ""
    inspection = inspect_file(write(tmp_path / "a.csv", to_csv(rows)))
    assert "row 5" in dict(inspection.findings)["no label"]
    assert "# labels: {column: topics, kind: separated" in inspection.yaml, "the layout without such rows is shown"


def test_broken_json_line_is_counted_with_its_location(tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in make_rows()]
    lines[8] = '{"ticket": '
    inspection = inspect_file(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert "line 9" in dict(inspection.findings)["broken line"]


def test_repeated_texts_and_empty_texts_are_counted(tmp_path: Path) -> None:
    rows = join_labels(make_rows())
    rows[1]["body"] = rows[2]["body"] = rows[0]["body"]
    rows[5]["body"] = " "
    _, prepared, inspection = inspect_and_read(write(tmp_path / "a.csv", to_csv(rows)))
    findings = dict(inspection.findings)
    assert findings["repeated text"].startswith("2 ")
    assert "row 7" in findings["empty text"]
    assert len(prepared.records) == inspection.num_records == 59


def test_rare_labels_are_only_suggested_to_be_left_out(tmp_path: Path) -> None:
    rows = make_rows()
    rows[0]["topics"].append("unicorns")
    data, _, inspection = inspect_and_read(write(tmp_path / "a.json", json.dumps(rows)))
    assert data.filter.min_records == 1
    assert "# filter: {min_records: 3}" in inspection.yaml
    assert "unicorns (1)" in dict(inspection.findings)["rare labels"]


def test_rare_classes_that_a_split_refuses_are_left_out(tmp_path: Path) -> None:
    rows = keep_first_label(make_rows())
    rows[0]["topics"] = "unicorns"
    inspection = inspect_file(write(tmp_path / "a.csv", to_csv(rows)))
    config = compose_yaml(inspection, tmp_path)
    prepared = prepare(config.data)
    assert config.data.filter.min_records == 3
    assert splits.make_split(prepared, config.split, config.data.split.column).test
    assert "unicorns" not in prepared.labels


def test_split_that_training_refuses_is_reported(tmp_path: Path) -> None:
    rows = [row | {"topics": f"class {number % 20}"} for number, row in enumerate(make_rows())]
    inspection = inspect_file(write(tmp_path / "a.csv", to_csv(rows)))
    assert "20" in dict(inspection.findings)["split"], "test has 9 records, so it cannot have 20 classes"


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("sound\u200b", r"'sound\u200b' (1, which looks like sound)"),
        ("Sound", "Sound (1, which looks like sound)"),
        ("sou\u00adnd", r"'sou\xadnd' (1, which looks like sound)"),
        ("nan", "nan (1, which looks like a missing value)"),
        ("NULL", "NULL (1, which looks like a missing value)"),
        ("unicorns", "unicorns (1)"),
    ],
)
def test_rare_label_that_may_not_be_meant_is_shown_with_the_reason(tmp_path: Path, label: str, shown: str) -> None:
    rows = [row | {"topics": ["sound", "login"] if number % 2 else ["login"]} for number, row in enumerate(make_rows())]
    rows[0]["topics"] = ["login", label]
    inspection = inspect_file(write(tmp_path / "a.json", json.dumps(rows)))
    assert dict(inspection.findings)["rare labels"].endswith(shown)


@pytest.mark.parametrize("is_given", [True, False])
def test_repeated_texts_are_in_one_part_unless_the_parts_are_given(tmp_path: Path, is_given: bool) -> None:
    parts = {"part": lambda number: ["train", "test"][number % 2]} if is_given else {}
    rows = join_labels(make_rows(**parts))
    rows[2]["body"] = rows[0]["body"]
    finding = dict(inspect_file(write(tmp_path / "a.csv", to_csv(rows))).findings)["repeated text"]
    assert finding.startswith("1 record repeats")
    assert ("in one part" in finding) is not is_given
    assert ("split.leaks" in finding) is is_given
