"""Tests for reading the texts of the data version that runs used, or the reason why there are none."""

import json
import shutil
from pathlib import Path

import pytest
from tests.sample_runs import find_named_runs as named_runs
from tests.sample_runs import rewrite_record as rewrite

from ratchet.config import compose
from ratchet.data.prepared import prepare
from ratchet.reporting.findings import match_texts, read_texts
from ratchet.runs.selection import Selection, select

SAMPLE = "data/sample/projects.jsonl"


@pytest.fixture
def runs_dir(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of the runs that tests may change."""
    return Path(shutil.copytree(trained, tmp_path / "runs"))


def find_newest_run(runs_dir: Path) -> Path:
    return max(select(runs_dir).runs, key=lambda run: run.record.started_at).path


def change_newest_config(runs_dir: Path, before: str, after: str) -> Selection:
    """Replace a text in the configuration of the newest run and return the selection."""
    path = find_newest_run(runs_dir) / "config.yaml"
    content = path.read_text(encoding="utf-8")
    assert before in content
    path.write_text(content.replace(before, after), encoding="utf-8")
    return select(runs_dir)


def test_same_version_has_all_texts(trained: Path, project: Path) -> None:
    texts = read_texts(select(trained))
    records = [json.loads(line) for line in (project / SAMPLE).read_text(encoding="utf-8").splitlines()]
    assert texts.missing is None
    assert texts.by_id == {record["id"]: f"{record['title']} {record['description']}" for record in records}


def test_other_version_has_no_texts_and_names_both(runs_dir: Path) -> None:
    for run in select(runs_dir).runs:
        rewrite(run.path, dataset_version="0123456789abcdef")
    texts = read_texts(select(runs_dir))
    assert texts.by_id is None
    now = prepare(compose([]).data).version
    assert texts.missing == (
        f"the data set sample now has version {now[:12]}, but these runs used version 0123456789ab"
    )


def test_prepared_data_set_is_matched_the_same_way(trained: Path) -> None:
    prepared, selection = prepare(compose([]).data), select(trained)
    assert match_texts(prepared, selection) == read_texts(selection)
    filtered = match_texts(prepare(compose(["data.filter.exclude=[audio]"]).data), selection)
    assert filtered.by_id is None
    assert str(filtered.missing).endswith(f"these runs used version {prepared.version[:12]}")


def test_missing_data_set_is_reported_not_raised(runs_dir: Path) -> None:
    texts = read_texts(change_newest_config(runs_dir, SAMPLE, "data/gone.jsonl"))
    assert texts.by_id is None
    assert str(texts.missing).startswith("the texts cannot be read: records: data/gone.jsonl: no such file")


def test_unreadable_data_set_is_reported_not_raised(runs_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"id": 1\n')
    texts = read_texts(change_newest_config(runs_dir, SAMPLE, broken.as_posix()))
    assert texts.by_id is None
    assert "broken.jsonl" in str(texts.missing)


@pytest.mark.parametrize("before", ["module: regression", "  split:"])
def test_unknown_configuration_is_reported_not_raised(before: str, runs_dir: Path) -> None:
    texts = read_texts(
        change_newest_config(runs_dir, before, before.replace("regression", "gone").replace("split", "spilt"))
    )
    assert texts.by_id is None
    assert str(texts.missing).startswith("the texts cannot be read: ")


def test_missing_configuration_is_reported_not_raised(runs_dir: Path) -> None:
    (find_newest_run(runs_dir) / "config.yaml").unlink()
    assert "config.yaml" in str(read_texts(select(runs_dir)).missing)


def test_only_newest_run_is_read(runs_dir: Path) -> None:
    for run in select(runs_dir).runs:
        if run.path != find_newest_run(runs_dir):
            (run.path / "config.yaml").unlink()
    assert read_texts(select(runs_dir)).missing is None
    rewrite(named_runs(runs_dir, "rule")[0].path, started_at="2100-01-01T00:00:00+00:00")
    assert read_texts(select(runs_dir)).by_id is None
