"""Tests for keys of a data set that depend on each other: parts and split, kinds of labels and what they need."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.own_projects import write_project

from ratchet.config import Config, RecordsLayout, compose
from ratchet.errors import UserError
from ratchet.project import VARIABLE

Compose = Callable[..., Config]
HEAD = "defaults: [base_data, _self_]\nname: own\ntext: [text]\n"
PATH = "records: {path: a.csv}\n"
PARTS = "records: {train: train.csv, test: test.csv}\n"
COLUMN = "labels: {column: l}\n"


@pytest.fixture
def compose_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Compose:
    """Return `compose_own(text, *names)`: compose a data set with `text` in its YAML file; write the named files."""
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.chdir(write_project(tmp_path / "project"))

    def run(text: str, *names: str) -> Config:
        write_project(tmp_path / "project", {"conf/data/own.yaml": f"{HEAD}{text}", **dict.fromkeys(names, "")})
        return compose(["data=own"])

    return run


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{COLUMN}", r"data\.records\.path has no value"),
        (
            f"records: {{path: a.csv, train: b.csv, test: c.csv}}\n{COLUMN}",
            r"records\.path and data\.records\.train excl",
        ),
        (f"records: {{train: b.csv}}\nsplit: {{method: given}}\n{COLUMN}", r"data\.records\.test has no value"),
        (f"records: {{test: b.csv}}\nsplit: {{method: given}}\n{COLUMN}", r"data\.records\.train has no value"),
        (f"{PARTS}{COLUMN}", r"data\.records\.train gives the parts.*data\.split\.method=given"),
        (f"records: {{path: a.json, keys: {{train: a, test: b}}}}\n{COLUMN}", r"records\.keys gives the parts"),
        (
            f"records: {{path: a.json, keys: {{train: a, tset: b}}}}\nsplit: {{method: given}}\n{COLUMN}",
            r"no part 'tset'; did you mean 'test'",
        ),
        (f"{PATH}split: {{method: given}}\n{COLUMN}", r"split\.method=given needs data\.split\.column"),
        (PATH, r"data\.labels\.column has no value"),
        (f"{PATH}labels: {{column: l, kind: columns}}\n", r"kind=columns needs data\.labels\.columns"),
        (f"{PATH}labels: {{columns: [a, b]}}\n", r"data\.labels\.columns is for the kinds columns and names"),
        (f"{PATH}labels: {{column: l, columns: [a], kind: names}}\n", r"exclude each other"),
        (f"{PATH}labels: {{column: l, kind: binary}}\n", r"kind=binary needs a label file.*labels\.names\.path"),
        (f"{PATH}labels: {{column: l, kind: indices}}\n", r"kind=indices needs a label file"),
        (f"{PATH}labels: {{column: l, file: {{path: l.csv}}}}\n", r"joined to the records by their id: set data\.id"),
    ],
)
def test_keys_that_do_not_fit_together_are_refused(text: str, message: str, compose_own: Compose) -> None:
    with pytest.raises(UserError, match=message) as caught:
        compose_own(text)
    assert "conf/data/own.yaml" in str(caught.value)


def test_parts_with_the_method_given_are_accepted(compose_own: Compose) -> None:
    config = compose_own(f"{PARTS}split: {{method: given, leaks: drop_from_train}}\n{COLUMN}")
    assert (config.data.records.train, config.data.records.test) == ("train.csv", "test.csv")


@pytest.mark.parametrize("labels", ["{columns: [a, b], kind: columns}", "{columns: [a], kind: names}"])
def test_columns_of_labels_are_accepted(labels: str, compose_own: Compose) -> None:
    assert compose_own(f"{PATH}labels: {labels}\n").data.labels.column is None


def test_directory_of_classes_needs_no_label_column(compose_own: Compose) -> None:
    data = compose_own("records: {path: docs, layout: directory}\n").data
    assert (data.records.layout, data.labels.column) == (RecordsLayout.directory, None)


def test_directory_of_classes_has_one_text_column(compose_own: Compose) -> None:
    compose_own("records: {path: docs, layout: directory}\n")
    with pytest.raises(UserError, match=r"set data\.text=\[text\]"):
        compose(["data=own", "data.text=[body]"])


def test_files_of_parts_and_labels_are_found_next_to_their_yaml(compose_own: Compose) -> None:
    text = (
        "records: {train: 'train-*.csv', val: dev, test: test.csv}\nid: id\nsplit: {method: given}\n"
        "labels: {column: l, file: {path: l.csv}}\n"
    )
    names = [f"conf/data/{name}" for name in ("train-1.csv", "dev/a.csv", "l.csv")]
    data = compose_own(text, *names, "test.csv").data
    assert data.labels.file is not None
    assert [data.records.train, data.records.val, data.records.test, data.labels.file.path] == [
        *("conf/data/train-*.csv", "conf/data/dev", "test.csv"),
        "conf/data/l.csv",
    ]
