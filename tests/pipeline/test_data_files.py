"""Tests for data sets of several files in a pipeline: fetched, frozen and prepared, they equal those read in place."""

import logging
from pathlib import Path

import pytest

from ratchet.config import compose
from ratchet.data.prepared import prepare
from ratchet.data.watched import copy_to_target, list_watched_files
from ratchet.errors import UserError
from ratchet.pipeline.data_stages import _check_there
from ratchet.pipeline.freeze import watch

HEAD = "defaults: [base_data, _self_]\nname: own\n"
WORDS = ["login", "crash", "invoice"]
SETTINGS = {
    "pattern": "text: [text]\nrecords: {path: 'raw/*/rows.csv'}\nlabels: {column: label, kind: single}\n",
    "parts": (
        "text: [text]\nrecords: {train: raw/a/rows.csv, test: raw/b/rows.csv}\nsplit: {method: given}\n"
        "labels: {column: label, kind: single}\n"
    ),
    "two files": (
        "text: [text]\nid: id\nrecords: {path: raw/a/rows.csv}\n"
        "labels: {column: topic, kind: single, file: {path: raw/labels.csv}}\n"
    ),
    "directory": "text: [text]\nrecords: {path: docs, layout: directory}\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ratchet.yaml").touch()
    for name in "ab":
        rows = [f"{name}{index},{word} {word} number {index},{word}" for index, word in enumerate(WORDS * 4)]
        (tmp_path / "raw" / name).mkdir(parents=True)
        (tmp_path / "raw" / name / "rows.csv").write_text("\n".join(["id,text,label", *rows]), encoding="utf-8")
    labels = [f"a{index},{word}" for index, word in enumerate(WORDS * 4)]
    (tmp_path / "raw/labels.csv").write_text("\n".join(["id,topic", *labels]), encoding="utf-8")
    for index, word in enumerate(WORDS * 4):
        (tmp_path / "docs" / word).mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / word / f"{index}.txt").write_text(f"{word} number {index}", encoding="utf-8")
    (tmp_path / "conf/data").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_fetched_data_equal_those_read_in_place(settings: str, project: Path) -> None:
    (project / "conf/data/own.yaml").write_text(HEAD + settings, encoding="utf-8")
    expected = prepare(compose(["data=own"]).data)
    config = compose(["data=own"]).data
    for file in list_watched_files(config):
        copy_to_target(file, config.records.layout)
    watch(config)
    _check_there(config)
    actual = prepare(config, packaged=False)
    assert [record.id for record in actual.records] == [record.id for record in expected.records]
    assert actual.version == expected.version
    assert all(name.startswith("data/own/") for name in actual.report.files)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_files_that_were_not_fetched_are_named(settings: str, project: Path) -> None:
    (project / "conf/data/own.yaml").write_text(HEAD + settings, encoding="utf-8")
    config = compose(["data=own"]).data
    watch(config)
    with pytest.raises(UserError, match=r"^data/own/.*: not there.*`ratchet data fetch data=own`"):
        _check_there(config)


def test_texts_in_files_that_the_pipeline_does_not_watch_are_reported(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (project / "conf/data/own.yaml").write_text(HEAD + SETTINGS["pattern"], encoding="utf-8")
    config = compose(["data=own", "data.text_files=[text]"]).data
    with caplog.at_level(logging.WARNING):
        watch(config)
    assert "data.text_files" in caplog.text
