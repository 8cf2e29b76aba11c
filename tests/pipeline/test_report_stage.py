"""Tests for stage `report`: a page, Markdown and pictures of what compare and gate wrote; it recomputes nothing."""

import json
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml
from tests.pipeline.stages import PLAN, freeze_the_sample, lay_out

from ratchet.cli.main import main
from ratchet.config import plain
from ratchet.errors import UserError
from ratchet.pipeline.data_stages import prepare_data
from ratchet.pipeline.report_stage import write_report


@pytest.fixture(scope="module")
def built(sample_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory in which this stage and all stages before it were run."""
    directory = tmp_path_factory.mktemp("reported")
    with pytest.MonkeyPatch.context() as monkeypatch:
        freeze_the_sample(directory, monkeypatch)
        prepare_data()
        lay_out(sample_runs, monkeypatch)
        Path("params.yaml").write_text(yaml.safe_dump(plain(PLAN)), encoding="utf-8")
        assert [main(["pipeline", stage]) for stage in ("compare", "gate", "report")] == [0, 0, 0]
    return directory


@pytest.fixture
def _in_copy_of_build(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(built / "build", tmp_path / "build")
    monkeypatch.chdir(tmp_path)


def test_markdown_has_the_ladder_and_the_verdict(built: Path) -> None:
    leaderboard, verdict = (built.joinpath("build", name).read_text() for name in ("leaderboard.md", "verdict.md"))
    report = (built / "build/report.md").read_text(encoding="utf-8")
    headline = report.partition("\n")[0]
    assert headline.startswith("# sample: regression ships")
    assert report == f"{headline}\n\n{leaderboard}\n## The verdict\n\n{verdict}"


def test_page_shows_prepared_texts_and_runs_of_the_pipeline(built: Path) -> None:
    page = (built / "build/report.html").read_text(encoding="utf-8")
    assert "ratchet reproduce build/runs/sample/regression/2" in page
    texts = [json.loads(line)["text"] for line in (built / "build/data/records.jsonl").read_text().splitlines()]
    assert sum(text in page for text in texts if "&" not in text and "'" not in text and '"' not in text) > 5
    alternatives = json.loads((built / "build/review.json").read_text())["alternatives"]
    assert f"under {len(alternatives)}" in page or f"of {len(alternatives)}: the choice" in page


def test_pictures_are_written_where_dvc_plots_expects_them(built: Path, project: Path) -> None:
    assert "build/pictures" in yaml.safe_load((project / "dvc.yaml").read_text())["plots"]
    pictures = {path.stem: path for path in (built / "build/pictures").iterdir()}
    assert {path.suffix for path in pictures.values()} == {".svg"}
    assert pictures.keys() == {
        *("ladder", "differences", "cost", "labels", "slices", "thresholds", "calibration", "confusions"),
    }, "neither model has learning curves"
    for path in pictures.values():
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.usefixtures("_in_copy_of_build")
def test_report_is_deterministic() -> None:
    before = {path: path.read_bytes() for path in Path("build").rglob("*") if path.is_file()}
    write_report(PLAN)
    assert {path: path.read_bytes() for path in Path("build").rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("_in_copy_of_build")
def test_texts_of_another_version_are_omitted_with_the_reason() -> None:
    path = Path("build/comparison.json")
    for name in ("comparison.json", "verdict.json"):
        path = Path("build", name)
        path.write_text(path.read_text().replace(json.loads(path.read_text())["dataset_version"], "0" * 64))
    for path in Path("build/runs").glob("*/*/*/record.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"dataset_version": "0" * 64}))
    write_report(PLAN)
    page = Path("build/report.html").read_text(encoding="utf-8")
    assert "these runs used version 000000000000" in page
    assert 'class="text"' not in page


@pytest.mark.parametrize("name", ["comparison.json", "verdict.json", "review.json"])
@pytest.mark.usefixtures("_in_copy_of_build")
def test_missing_input_file_is_named(name: str) -> None:
    Path("build", name).unlink()
    with pytest.raises(UserError, match=rf"build/{name}: .*`dvc repro`"):
        write_report(PLAN)


@pytest.mark.usefixtures("_in_copy_of_build")
def test_invalid_input_file_is_named() -> None:
    Path("build/review.json").write_text('{"current": 3}', encoding="utf-8")
    with pytest.raises(UserError, match=r"build/review\.json: .*`dvc repro`"):
        write_report(PLAN)
