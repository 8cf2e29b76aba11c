"""Tests for reading label files: their forms, and the numbers and names that cannot be right."""

from pathlib import Path
from typing import Any

import pytest

from ratchet.config import DataConfig, FileConfig, LabelKind, LabelsConfig
from ratchet.data.label_names import read_label_names
from ratchet.data.problems import Report
from ratchet.errors import UserError


def read(path: Path, content: str, kind: str = "indices", **settings: Any) -> list[str] | None:
    path.write_text(content, encoding="utf-8")
    labels = LabelsConfig(column="tags", kind=LabelKind[kind], names=FileConfig(path=str(path)), **settings)
    report = Report()
    names = read_label_names(DataConfig(name="small", text=["text"], labels=labels), report)
    assert report.files == [str(path)]
    return names


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("names.txt", "bug\n slow \n"),
        ("names.txt", "bug\r\nslow\r\n\r\n"),
        ("names.txt", "0\tbug\n1\tslow\n"),
        ("names.txt", "1\tslow\n0\tbug\n"),
        ("names.json", '["bug", "slow"]'),
        ("names.json", '{"0": "bug", "1": "slow"}'),
        ("config.json", '{"hidden_size": 8, "id2label": {"1": "slow", "0": "bug"}}'),
        ("names.csv", "0,bug\n1,slow\n"),
        ("names.csv", "number,name\n0,bug\n1,slow\n"),
        ("names.csv", "name,number\nbug,0\nslow,1\n"),
        ("names.csv", "bug\nslow\n"),
        ("names.tsv", "id\tlabel\n0\tbug\n1\tslow\n"),
    ],
)
def test_every_form_of_a_label_file_gives_the_names_in_order(tmp_path: Path, name: str, content: str) -> None:
    assert read(tmp_path / name, content) == ["bug", "slow"]


@pytest.mark.parametrize("header", ["label", "Name", " class "])
def test_a_header_above_one_column_never_becomes_a_label(tmp_path: Path, header: str) -> None:
    """With the header as the first name, every number would stand for the name before its own."""
    content = f"{header}\nbug\nslow\n"
    with pytest.raises(UserError, match=r"names\.csv: the first row"):
        read(tmp_path / "names.csv", content)
    assert read(tmp_path / "names.txt", content) == [header.strip(), "bug", "slow"]


@pytest.mark.parametrize("content", ["bug\nbug\nslow\n", "0\tbug\n1\tbug\n", "caf\u00e9\ncafe\u0301\n", "bug\n bug\n"])
def test_a_name_twice_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError, match=r"names\.txt: the name .* occurs twice, as number 0 and 1"):
        read(tmp_path / "names.txt", content)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("0\tbug\n2\tslow\n", "1 is missing"),
        ("0\tbug\n0\tslow\n", "0 occurs twice"),
        ("1\tbug\n2\tslow\n", "data.labels.first=1"),
        ("0 bug\n1 slow\n", "put a tab"),
        ("1,bug\n2,slow\n", "put a tab"),
        ("0: bug\n1: slow\n", "put a tab"),
        ("bug\n\nslow\n", "line 2"),
        ("\n", "no names"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(tmp_path: Path, content: str, part: str) -> None:
    with pytest.raises(UserError, match=r"names\.txt") as caught:
        read(tmp_path / "names.txt", content)
    assert part in str(caught.value)


def test_numbers_begin_where_the_configuration_says(tmp_path: Path) -> None:
    assert read(tmp_path / "names.txt", "1\tbug\n2\tslow\n", first=1) == ["bug", "slow"]
    assert read(tmp_path / "names.txt", "5\tbug\n6\tslow\n", kind="list") == ["bug", "slow"], "numbers are not used"


@pytest.mark.parametrize("content", ['{"a": 1}', '{"id2label": 3}', "[1]", '"bug"', "{}", '{"0": ["bug"]}', "3"])
def test_json_of_another_form_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError, match="list of strings"):
        read(tmp_path / "names.json", content)


@pytest.mark.parametrize("content", ["0,bug,x\n1,slow,y\n", "0,bug\n1\n", "a,b\nc,d\n", '0,"bug\n'])
def test_csv_of_another_form_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError, match=r"names\.csv"):
        read(tmp_path / "names.csv", content)


@pytest.mark.parametrize("kind", [LabelKind.indices, LabelKind.binary])
def test_numbers_and_vectors_need_a_label_file(kind: LabelKind) -> None:
    config = DataConfig(name="small", text=["text"], labels=LabelsConfig(column="tags", kind=kind))
    with pytest.raises(UserError, match=r"data\.labels\.names\.path"):
        read_label_names(config, Report())
