from pathlib import Path

import pytest

from ratchet.charts.pictures import pictures_of
from ratchet.comparison.compare import compare
from ratchet.comparison.evidence import gather
from ratchet.comparison.results import Comparison
from ratchet.runs.selection import select
from ratchet.tracking.leaderboard import describe_comparison, report_comparison


@pytest.fixture
def found(runs_dir: Path) -> Comparison:
    evidence = gather(select(runs_dir), resamples=200)
    return compare(evidence, runs_dir=runs_dir, metric="f1_weighted", baseline="rule", promoted={}, parents={})


def test_the_table_has_a_row_a_candidate_the_simplest_first(found: Comparison, runs_dir: Path) -> None:
    [table] = report_comparison(found, select(runs_dir)).tables
    assert table.name == "leaderboard"
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [row["model"] for row in rows] == ["rule", "regression"]
    assert [row["runs"] for row in rows] == [3, 3]
    assert (rows[0]["delta"], rows[0]["p"], rows[0]["verdict"]) == (None, None, "the baseline")
    against = found.candidates[1].baseline
    assert against is not None
    assert (rows[1]["delta"], rows[1]["p"]) == (against.value, against.p_adjusted)
    assert rows[1]["verdict"] == against.in_words
    assert rows[1]["latency_ms_p95"] == found.candidates[1].costs["latency_ms_p95"]


def test_the_summary_has_a_key_for_each_figure_of_a_candidate(found: Comparison, runs_dir: Path) -> None:
    summary = report_comparison(found, select(runs_dir)).summary
    assert summary["regression/f1_weighted"] == found.candidates[1].metrics["f1_weighted"].value
    assert summary["regression/delta_low"] <= summary["regression/delta"] <= summary["regression/delta_high"]
    assert summary["rule/delta"] is None


def test_the_pictures_are_those_of_the_report(found: Comparison, runs_dir: Path) -> None:
    pictures = report_comparison(found, select(runs_dir)).pictures
    assert pictures.keys() == pictures_of(found, select(runs_dir)).keys() >= {"ladder", "differences", "labels"}
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())


def test_two_comparisons_are_two_runs_of_the_same_group(found: Comparison) -> None:
    one, other = (describe_comparison(found, "sample") for _ in range(2))
    assert one.id != other.id
    assert (one.group, one.job_type) == ("sample", "compare")
    assert one.config["candidates"]["rule"] == found.candidates[0].runs
    assert one.config["dataset_version"] == found.dataset_version
