"""Test the files that `init` finds: several, directories, patterns, parts by name; all are copied and read."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.scaffold.conftest import ReadBack

from ratchet.config import Config, RecordsLayout, SplitMethod
from ratchet.data.prepared import Prepared
from ratchet.data.splits import make_split
from ratchet.errors import UserError
from ratchet.scaffold.creating import create_project
from ratchet.scaffold.data_files import find_files
from ratchet.scaffold.inspecting import Inspection, inspect_file

LABELS = ["login", "billing", "speed"]
WORDS = ["cannot sign in with the new phone", "was charged twice for one order", "waits long before each page"]


def make_rows(size: int, start: int = 0) -> list[dict[str, Any]]:
    """Make rows with texts that no other start has."""
    return [
        {"message": f"{WORDS[n % 3]} {n * 7919 % 10007} {n * 104729 % 99991}", "topic": LABELS[n % 3]}
        for n in range(start, start + size)
    ]


def write_csv(path: Path, rows: Sequence[dict[str, Any]], separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows).write_csv(path, separator=separator)
    return path


def write_classes(path: Path, rows: Sequence[dict[str, Any]], encoding: str = "utf-8") -> Path:
    for number, row in enumerate(rows):
        file = path / row["topic"] / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(row["message"], encoding=encoding)
    return path


def save_to_disk(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Write what `datasets.Dataset.save_to_disk` does: a stream of Arrow, with the numbers of classes."""
    path.mkdir(parents=True)
    numbered = [{**row, "topic": LABELS.index(row["topic"])} for row in rows]
    pl.DataFrame(numbered).write_ipc_stream(path / "data-00000-of-00001.arrow")
    features = {"message": {"_type": "Value"}, "topic": {"_type": "ClassLabel", "names": LABELS}}
    (path / "dataset_info.json").write_text(json.dumps({"features": features}), encoding="utf-8")
    state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
    (path / "state.json").write_text(json.dumps(state), encoding="utf-8")
    return path


Check = Callable[..., tuple[Config, Prepared, Inspection]]


@pytest.fixture
def check(read_back: ReadBack) -> Check:
    """Return a function that inspects paths, and compares the records of the YAML with the rows of each part."""

    def inspect(named: str | Path, **rows_of: list[dict[str, Any]]) -> tuple[Config, Prepared, Inspection]:
        inspection = inspect_file(Path(named))
        config, prepared = read_back(inspection)
        expected = {row["message"]: row["topic"] for rows in rows_of.values() for row in rows}
        assert {record.text: ",".join(record.labels) for record in prepared.records} == expected
        assert len({record.id for record in prepared.records}) == len(expected), "ids are unique across files"
        for part, rows in rows_of.items():
            found = {record.text for record in prepared.records if record.part == part}
            assert part == "all" or found == {row["message"] for row in rows}
        assert make_split(prepared, config.split, config.data.split.column).test
        return config, prepared, inspection

    return inspect


@pytest.mark.parametrize("names", [("train.csv", "test.csv"), ("tickets_test.csv", "Tickets-Training.csv")])
def test_two_files_are_parts_by_their_names(tmp_path: Path, check: Check, names: tuple[str, str]) -> None:
    parts = {"test" if "test" in name else "train": name for name in names}
    rows = {"train": make_rows(40), "test": make_rows(20, start=100)}
    for part, name in parts.items():
        write_csv(tmp_path / "in" / name, rows[part], ";")
    config, _, inspection = check(",".join(str(tmp_path / "in" / name) for name in names), **rows)
    records = config.data.records
    assert (inspection.name, config.data.split.method) == ("in", SplitMethod.given)
    assert (records.path, records.train, records.test) == (
        *(None, f"data/in/{parts['train']}"),
        f"data/in/{parts['test']}",
    )


@pytest.mark.parametrize("word", ["val", "valid", "validation", "dev"])
def test_directory_and_pattern_of_parts_are_given(tmp_path: Path, check: Check, word: str) -> None:
    rows = {"train": make_rows(30), "val": make_rows(12, start=50), "test": make_rows(15, start=100)}
    for part, name in (("train", "train"), ("val", word), ("test", "test")):
        write_csv(tmp_path / "in" / f"{name}.tsv", rows[part], "\t")
    for named in ("in", "in/*.tsv"):
        assert check(tmp_path / named, **rows)[0].data.records.val == f"data/in/{word}.tsv"


def test_shards_of_parts_are_kept_in_a_directory_each(tmp_path: Path, check: Check) -> None:
    rows = {"train": make_rows(40), "test": make_rows(20, start=100)}
    (tmp_path / "hub").mkdir()
    for name, shard in (
        ("train-00000-of-00002", rows["train"][:20]),
        ("train-00001-of-00002", rows["train"][20:]),
        ("test-00000-of-00001", rows["test"]),
    ):
        pl.DataFrame(shard).write_parquet(tmp_path / "hub" / f"{name}.parquet")
    config, _, _ = check(tmp_path / "hub", **rows)
    assert config.data.records.train == "data/hub/train"
    assert config.data.records.test == "data/hub/test-00000-of-00001.parquet"


def test_shared_texts_are_dropped_from_train_with_their_number(tmp_path: Path, check: Check) -> None:
    rows = {"train": make_rows(40), "test": make_rows(20, start=38)}
    write_csv(tmp_path / "train.csv", rows["train"])
    write_csv(tmp_path / "test.csv", rows["test"])
    inspection = inspect_file(Path(f"{tmp_path}/train.csv,{tmp_path}/test.csv"))
    assert "leaks: drop_from_train" in inspection.yaml
    assert dict(inspection.findings)["leaks"].startswith("2 of 60")
    assert "train.csv, row 40" in dict(inspection.findings)["leaks"]


def test_directory_of_files_is_one_set(tmp_path: Path, check: Check) -> None:
    rows = make_rows(40)
    write_csv(tmp_path / "months" / "may.csv", rows[:25])
    write_csv(tmp_path / "months" / "june.csv", rows[25:])
    (tmp_path / "months" / ".hidden.csv").write_text("no records", encoding="utf-8")
    config, prepared, inspection = check(tmp_path / "months", all=rows)
    assert config.data.records.path == "data/months/months"
    assert {path.name for path in inspection.copies} == {"may.csv", "june.csv"}
    assert {record.id.partition(":")[0] for record in prepared.records} == {"may.csv", "june.csv"}


@pytest.mark.parametrize("pattern", ["*.csv", "*/*.csv", "**/m*.csv"])
def test_files_of_a_pattern_are_copied_with_their_directories(tmp_path: Path, check: Check, pattern: str) -> None:
    rows = make_rows(40)
    start = tmp_path / "logs" / "2026" if pattern.startswith("*/") else tmp_path / "logs"
    write_csv(start / "may.csv", rows[:25])
    write_csv(start / "march.csv", rows[25:])
    config, _, inspection = check(tmp_path / "logs" / pattern, all=rows)
    assert config.data.records.path == f"data/logs/{pattern}"
    assert len(inspection.copies) == 2


def test_several_files_without_parts_are_one_set(tmp_path: Path, check: Check) -> None:
    rows = make_rows(40)
    paths = [write_csv(tmp_path / "in" / "a1.csv", rows[:25]), write_csv(tmp_path / "in" / "a2.csv", rows[25:])]
    assert check(",".join(map(str, paths)), all=rows)[0].data.records.path == "data/in/records"
    write_csv(tmp_path / "in" / "a3.csv", rows)
    with pytest.raises(UserError, match="directory of their own"):
        inspect_file(Path(",".join(map(str, paths))))


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_directory_for_each_class_is_read(tmp_path: Path, check: Check, encoding: str) -> None:
    rows = [row | {"message": f"{row['message']} café"} for row in make_rows(30)]
    config, _, _ = check(write_classes(tmp_path / "mails", rows, encoding), all=rows)
    assert (config.data.records.layout, config.data.text) == (RecordsLayout.directory, ["text"])
    assert config.data.encoding == ("utf-8" if encoding == "utf-8" else "cp1252")


def test_directories_for_classes_may_be_in_those_of_parts(tmp_path: Path, check: Check) -> None:
    rows = {"train": make_rows(30), "test": make_rows(15, start=100)}
    for part, of_part in rows.items():
        write_classes(tmp_path / "mails" / part, of_part)
    config, _, _ = check(tmp_path / "mails", **rows)
    assert config.data.records.layout is RecordsLayout.directory
    assert config.data.records.train == "data/mails/train"


def test_saved_data_set_of_hugging_face_is_read(tmp_path: Path, check: Check) -> None:
    rows = make_rows(30)
    check(save_to_disk(tmp_path / "saved", rows), all=rows)


def test_saved_parts_of_hugging_face_are_given(tmp_path: Path, check: Check) -> None:
    rows = {"train": make_rows(30), "val": make_rows(12, start=50), "test": make_rows(15, start=100)}
    for part, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        save_to_disk(tmp_path / "saved" / name, rows[part])
    content = json.dumps({"splits": ["train", "validation", "test"]})
    (tmp_path / "saved" / "dataset_dict.json").write_text(content, encoding="utf-8")
    config, _, _ = check(tmp_path / "saved", **rows)
    assert config.data.split.method is SplitMethod.given


def test_file_with_a_comma_in_its_name_is_one_file(tmp_path: Path, check: Check) -> None:
    rows = make_rows(30)
    check(write_csv(tmp_path / "train,test.csv", rows), all=rows)
    other = write_csv(tmp_path / "a,test.csv", make_rows(15, start=100))
    train = write_csv(tmp_path / "train.csv", make_rows(30))
    files = find_files(f'{train},"{other}"')
    assert files.paths == [train, other]


# --- refusals ---------------------------------------------------------------------------------------------------------
def test_file_without_a_part_among_parts_is_named(tmp_path: Path) -> None:
    for name in ("train.csv", "test.csv", "names.csv"):
        write_csv(tmp_path / name, make_rows(20))
    for named in (tmp_path, tmp_path / "*.csv"):
        with pytest.raises(UserError, match=r"names\.csv: .*train, val and test"):
            inspect_file(named)


def test_train_without_test_is_no_split(tmp_path: Path) -> None:
    write_csv(tmp_path / "in" / "train.csv", make_rows(20))
    write_csv(tmp_path / "in" / "dev.csv", make_rows(20, start=50))
    assert not find_files(str(tmp_path / "in")).has_parts


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("none.csv", "no such file"),
        ("a.csv,none.csv", r"none\.csv: no such file"),
        ("*.json", "no file matches"),
        ("a.csv,b.tsv", "several formats"),
        ("empty", "the directory is empty"),
        ("mixed", "files of several formats"),
        ("a.csv,empty", "the directory is empty"),
        ("a.csv,b.csv,more", "more: is a directory"),
    ],
)
def test_paths_without_records_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.csv", "b.tsv", "mixed/a.csv", "mixed/readme.md", "more/a.csv"):
        write_csv(tmp_path / name, make_rows(20))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        inspect_file(Path(named))


# --- the project ------------------------------------------------------------------------------------------------------
def test_project_gets_the_files_and_ci_looks_for_them(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    train = write_csv(tmp_path / "in" / "train.csv", make_rows(30))
    test = write_csv(tmp_path / "in" / "test.csv", make_rows(15, start=100))
    create_project(tmp_path / "place", data=Path(f"{train},{test}"), name="two")
    assert (tmp_path / "place" / "data" / "two" / "test.csv").read_bytes() == test.read_bytes()
    workflow = (tmp_path / "place" / ".github" / "workflows" / "ratchet.yml").read_text(encoding="utf-8")
    for name in ("train.csv", "test.csv"):
        assert f"test -e data/two/{name} || " in workflow
