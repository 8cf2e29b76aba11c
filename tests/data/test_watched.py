from collections.abc import Callable
from pathlib import Path

import pytest

from ratchet.config import (
    DataConfig,
    FileConfig,
    LabelsConfig,
    RecordsConfig,
    RecordsLayout,
    SplitMethod,
)
from ratchet.data.sources import list_sources
from ratchet.data.watched import copy_to_target, list_watched_files
from ratchet.errors import UserError


def configure(**records: str) -> DataConfig:
    data = DataConfig(name="own", records=RecordsConfig(**records), text=["text"])
    data.split.method = SplitMethod.given if "train" in records else SplitMethod.stratified
    return data


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return `write(*names)`: write small files in the working directory, each with its name as content."""
    monkeypatch.chdir(tmp_path)

    def write_files(*names: str) -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name, encoding="utf-8")

    return write_files


Write = Callable[..., None]


@pytest.mark.parametrize(
    "path",
    [
        *("projects.json", "data/own/projects.json", "/somewhere/else/projects.json", "~/projects.json"),
        *("a/projects.json/", "../projects.json"),
        *("https://example.org/raw/projects.json", "http://example.org/projects.json"),
    ],
)
def test_watched_files_are_in_the_data_set_directory(path: str) -> None:
    data = DataConfig(name="own", records=RecordsConfig(path=path, url="https://example.org/other.json"))
    [file] = list_watched_files(data)
    assert (file.role, file.configured, file.target) == ("records", path, Path("data", "own", "projects.json"))
    file.point_to_target()
    assert (data.records.path, data.records.url) == ("data/own/projects.json", None)


def test_two_files_of_one_name_are_refused() -> None:
    data = configure(path="a/rows.csv")
    data.taxonomy = FileConfig(path="b/rows.csv")
    with pytest.raises(UserError, match=r"a/rows\.csv and b/rows\.csv would both be data/own/rows\.csv"):
        list_watched_files(data)


def test_labels_of_another_file_are_watched() -> None:
    data = configure(path="texts.csv")
    data.labels = LabelsConfig(file=FileConfig(path="raw/labels.csv"))
    assert [file.target for file in list_watched_files(data)] == [
        Path("data/own/texts.csv"),
        Path("data/own/labels.csv"),
    ]


@pytest.mark.parametrize(
    ("records", "names"),
    [
        ({"path": "raw/parts"}, ["raw/parts/a.csv", "raw/parts/b.csv", "raw/parts/.hidden"]),
        ({"path": "raw/*/rows.csv"}, ["raw/a/rows.csv", "raw/b/rows.csv", "raw/b/other.csv"]),
        ({"path": "data/own/part-*.csv"}, ["data/own/part-1.csv", "data/own/part-2.csv"]),
        ({"path": "data/own/parts"}, ["data/own/parts/1.csv", "data/own/parts/2.csv"]),
        ({"train": "a/rows.csv", "test": "b/rows.csv"}, ["a/rows.csv", "b/rows.csv"]),
        ({"train": "raw/train-*.csv", "test": "raw/test.csv"}, ["raw/train-1.csv", "raw/train-2.csv", "raw/test.csv"]),
        ({"train": "a/docs", "test": "b/docs"}, ["a/docs/1.csv", "a/docs/2.csv", "b/docs/1.csv"]),
        ({"train": "data/own/train.csv", "test": "data/own/test.csv"}, ["data/own/train.csv", "data/own/test.csv"]),
        ({"path": "data/own"}, ["data/own/a.csv", "data/own/b.csv"]),
    ],
)
def test_copies_are_read_with_the_same_ids(records: dict[str, str], names: list[str], write: Write) -> None:
    write(*names)
    data = configure(**records)
    before = list_sources(data)
    for _ in range(2):  # the second time, the files are there already
        files = list_watched_files(data)
        copies = [path for file in files for path in copy_to_target(file, data.records.layout)]
    assert all(path.is_relative_to("data/own") and path.is_file() for path in copies)
    for file in files:
        file.point_to_target()
    after = list_sources(data, packaged=False)
    assert [(source.part, source.id_prefix) for source in after] == [
        (source.part, source.id_prefix) for source in before
    ]
    assert [source.path.read_bytes() for source in after] == [source.path.read_bytes() for source in before]


def test_removed_file_is_removed_from_the_copy(write: Write) -> None:
    write("raw/a.csv", "raw/b.csv")
    data = configure(path="raw/*.csv")
    [file] = list_watched_files(data)
    copy_to_target(file, data.records.layout)
    Path("raw/b.csv").unlink()
    assert copy_to_target(file, data.records.layout) == [Path("data/own/records/a.csv")]
    assert [path.name for path in Path("data/own/records").iterdir()] == ["a.csv"]


def test_directory_of_classes_is_copied_with_its_directories(write: Write) -> None:
    write("docs/bug/1.txt", "docs/ui/a/2.txt", "docs/.git/config")
    data = configure(path="docs")
    [file] = list_watched_files(data)
    copies = copy_to_target(file, RecordsLayout.directory)
    assert copies == [Path("data/own/docs/bug/1.txt"), Path("data/own/docs/ui/a/2.txt")]


def test_pattern_without_a_match_is_refused(write: Write) -> None:
    write("raw/a.tsv")
    [file] = list_watched_files(configure(path="raw/*.csv"))
    with pytest.raises(UserError, match=r"^records: raw/\*\.csv: no file matches"):
        copy_to_target(file, RecordsLayout.table)
