"""Texts of the very version that the runs were measured on, or why there are none."""

import json
import shutil
from pathlib import Path

import pytest
from tests.sample_runs import find_named_runs as of_name
from tests.sample_runs import rewrite_record as rewrite

from ratchet.config import compose
from ratchet.data.prepared import prepare
from ratchet.reporting.findings import match_texts, read_texts
from ratchet.runs.selection import Selection, select

SAMPLE = "data/sample/projects.jsonl"


@pytest.fixture
def runs_dir(trained: Path, tmp_path: Path) -> Path:
    """A copy, to change."""
    return Path(shutil.copytree(trained, tmp_path / "runs"))


def newest(runs_dir: Path) -> Path:
    return max(select(runs_dir).runs, key=lambda run: run.record.started_at).path


def reconfigured(runs_dir: Path, before: str, after: str) -> Selection:
    """The runs, of which the newest says something else of its data."""
    path = newest(runs_dir) / "config.yaml"
    content = path.read_text(encoding="utf-8")
    assert before in content
    path.write_text(content.replace(before, after), encoding="utf-8")
    return select(runs_dir)


def test_the_same_version_has_all_texts(trained: Path, project: Path) -> None:
    found = read_texts(select(trained))
    records = [json.loads(line) for line in (project / SAMPLE).read_text(encoding="utf-8").splitlines()]
    assert found.missing is None
    assert found.by_id == {each["id"]: f"{each['title']} {each['description']}" for each in records}


def test_another_version_has_none_and_both_are_named(runs_dir: Path) -> None:
    for run in select(runs_dir).runs:
        rewrite(run.path, dataset_version="0123456789abcdef")
    found = read_texts(select(runs_dir))
    assert found.by_id is None
    now = prepare(compose([]).data).version
    assert found.missing == (
        f"the data set sample now has version {now[:12]}, but these runs used version 0123456789ab"
    )


def test_a_data_set_that_is_prepared_already_is_compared_in_the_same_way(trained: Path) -> None:
    prepared, selection = prepare(compose([]).data), select(trained)
    assert match_texts(prepared, selection) == read_texts(selection)
    other = match_texts(prepare(compose(["data.filter.exclude=[audio]"]).data), selection)
    assert other.by_id is None
    assert str(other.missing).endswith(f"these runs used version {prepared.version[:12]}")


def test_a_data_set_that_is_gone_is_a_reason_and_no_error(runs_dir: Path) -> None:
    found = read_texts(reconfigured(runs_dir, SAMPLE, "data/gone.jsonl"))
    assert found.by_id is None
    assert str(found.missing).startswith("the texts cannot be read: records: data/gone.jsonl: no such file")


def test_a_data_set_that_cannot_be_read_is_a_reason_too(runs_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"id": 1\n')
    found = read_texts(reconfigured(runs_dir, SAMPLE, broken.as_posix()))
    assert found.by_id is None
    assert "broken.jsonl" in str(found.missing)


@pytest.mark.parametrize("before", ["module: regression", "  split:"])
def test_a_configuration_that_means_nothing_here_is_a_reason_too(before: str, runs_dir: Path) -> None:
    found = read_texts(reconfigured(runs_dir, before, before.replace("regression", "gone").replace("split", "spilt")))
    assert found.by_id is None
    assert str(found.missing).startswith("the texts cannot be read: ")


def test_a_configuration_that_is_gone_is_a_reason_too(runs_dir: Path) -> None:
    (newest(runs_dir) / "config.yaml").unlink()
    assert "config.yaml" in str(read_texts(select(runs_dir)).missing)


def test_the_newest_run_is_asked_and_no_other(runs_dir: Path) -> None:
    for run in select(runs_dir).runs:
        if run.path != newest(runs_dir):
            (run.path / "config.yaml").unlink()
    assert read_texts(select(runs_dir)).missing is None
    rewrite(of_name(runs_dir, "rule")[0].path, started_at="2100-01-01T00:00:00+00:00")
    assert read_texts(select(runs_dir)).by_id is None
