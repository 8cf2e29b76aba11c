import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.sample_runs import find_named_runs, rewrite_record

from ratchet.charts.pictures import pictures_of
from ratchet.comparison.compare import compare
from ratchet.comparison.evidence import gather_evidence
from ratchet.comparison.results import Comparison
from ratchet.config import compose, plain
from ratchet.runs import StoredRun
from ratchet.runs.predictions import Predictions
from ratchet.runs.selection import select
from ratchet.runs.stored import read_run
from ratchet.tracking.reports import (
    SAMPLE,
    SHOWN,
    build_label_table,
    build_prediction_table,
    compare_with_baseline,
    describe_comparison,
    describe_run,
    report_comparison,
    report_run,
)

LABELS = ["audio", "graphs", "vision"]


def predictions(size: int = 80) -> Predictions:
    draw = np.random.default_rng(0)
    targets = (draw.random((size, 3)) < 0.4).astype(np.uint8)
    return Predictions([f"r{row}" for row in range(size)], targets, draw.random((size, 3), dtype=np.float32), [])


def test_a_label_has_what_was_seen_and_how_well_it_is_found() -> None:
    found = Predictions(
        ["a", "b", "c"],
        np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=np.uint8),
        np.zeros((3, 3), dtype=np.float32),
        [],
    )
    decisions = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=np.uint8)
    table = build_label_table(LABELS, {"audio": 7}, found, decisions)
    assert list(table.columns) == ["label", "train", "positives", "precision", "recall", "f1"]
    assert table.rows[0] == ["audio", 7, 2, 0.5, 0.5, 0.5]
    assert table.rows[1] == ["graphs", 0, 1, 0.5, 1.0, 0.6667]
    assert table.rows[2][:3] == ["vision", 0, 0]


def test_the_sample_shows_the_wrong_ones_first_and_the_surest_label_first() -> None:
    found = predictions()
    decisions = (found.scores > 0.5).astype(np.uint8)
    texts = {name: f"text of {name}" for name in found.ids}
    table = build_prediction_table(LABELS, texts, found, decisions)
    right = [row[-1] for row in table.rows]
    assert len(right) == SAMPLE
    assert right == sorted(right)
    assert {True, False} <= set(right)
    for name, text, true, predicted, is_right in table.rows:
        row = found.ids.index(name)
        assert text == f"text of {name}"
        assert true == ", ".join(label for label, is_true in zip(LABELS, found.targets[row], strict=True) if is_true)
        told = [each.split() for each in predicted.split(", ") if each]
        assert {label for label, _ in told} == {LABELS[index] for index in np.flatnonzero(decisions[row])}
        assert [score for _, score in told] == sorted((score for _, score in told), reverse=True)
        assert is_right == (found.targets[row] == decisions[row]).all()


def test_every_model_shows_the_same_records() -> None:
    found = predictions()
    texts = dict.fromkeys(found.ids, "")
    one, other = (
        build_prediction_table(LABELS, texts, found, decisions)
        for decisions in (found.targets, (found.scores > 0.5).astype(np.uint8))
    )
    assert {row[0] for row in one.rows} == {row[0] for row in other.rows}
    assert [row[0] for row in one.rows] != found.ids[:SAMPLE], "not merely the first ones"


def test_few_records_are_all_shown_and_long_texts_are_cut() -> None:
    found = predictions(3)
    table = build_prediction_table(LABELS, dict.fromkeys(found.ids, "word " * 1000), found, found.targets)
    assert len(table.rows) == 3
    assert {len(row[1]) for row in table.rows} == {2000}


def regression(runs_dir: Path) -> StoredRun:
    return find_named_runs(runs_dir, "regression")[0]


def test_the_figures_are_those_of_compare(runs_dir: Path) -> None:
    run = regression(runs_dir)
    [rule] = [each for each in find_named_runs(runs_dir, "rule") if each.record.split_hash == run.record.split_hash]
    found = compare_with_baseline(run, runs_dir, "rule")
    evidence = gather_evidence(select(runs_dir, ids=[run.record.id, rule.record.id]))
    shown = compare(evidence, runs_dir=runs_dir, metric="f1_weighted", baseline="rule", promoted={}, parents={})
    [expected] = [each.baseline for each in shown.candidates if each.baseline]
    assert found["delta/p"] == expected.p
    for name in SHOWN:
        interval = expected.metrics[name]
        assert (found[f"delta/{name}"], found[f"delta/{name}_low"], found[f"delta/{name}_high"]) == (
            interval.value,
            interval.low,
            interval.high,
        )
        ours, theirs = (each.read_metrics()[f"test/{name}"] for each in (run, rule))
        assert found[f"baseline/{name}"] == theirs
        assert found[f"delta/{name}"] == pytest.approx(ours - theirs)


def test_while_it_is_told_the_run_is_still_running(runs_dir: Path) -> None:
    run = regression(runs_dir)
    expected = compare_with_baseline(run, runs_dir, "rule")
    rewrite_record(run.path, status="running", finished_at=None)
    assert compare_with_baseline(read_run(run.path), runs_dir, "rule") == expected


def test_the_baseline_has_its_own_value_and_no_difference(runs_dir: Path) -> None:
    run = find_named_runs(runs_dir, "rule")[0]
    found = compare_with_baseline(run, runs_dir, "rule")
    assert found["baseline/f1_weighted"] == run.read_metrics()["test/f1_weighted"]
    assert not [key for key in found if not key.startswith("baseline/")]


@pytest.mark.parametrize(
    "fields",
    [{"split_hash": "another"}, {"dataset_version": "another"}, {"status": "failed"}, {"tags": ["debug"]}],
    ids=lambda fields: next(iter(fields)),
)
def test_without_a_run_on_the_same_split_there_is_nothing(
    fields: dict[str, object], runs_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for rule in find_named_runs(runs_dir, "rule"):
        rewrite_record(rule.path, **fields)
    assert compare_with_baseline(regression(runs_dir), runs_dir, "rule") == {}
    assert "rule" in caplog.text


def test_the_newest_run_is_taken(runs_dir: Path) -> None:
    run = regression(runs_dir)
    [rule] = [each for each in find_named_runs(runs_dir, "rule") if each.record.split_hash == run.record.split_hash]
    other = find_named_runs(runs_dir, "regression")[1]
    rewrite_record(other.path, name="rule", split_hash="another", started_at="2999-01-01T00:00:00+00:00")
    assert (
        compare_with_baseline(run, runs_dir, "rule")["baseline/f1_weighted"] == rule.read_metrics()["test/f1_weighted"]
    )


def test_a_run_on_val_is_compared_on_val(runs_dir: Path) -> None:
    run = regression(runs_dir)
    rewrite_record(run.path, evaluate="val")
    found = compare_with_baseline(read_run(run.path), runs_dir, "rule")
    [rule] = [each for each in find_named_runs(runs_dir, "rule") if each.record.split_hash == run.record.split_hash]
    assert found["baseline/f1_weighted"] == rule.read_metrics()["val/f1_weighted"]


@pytest.fixture
def run(runs_dir: Path) -> StoredRun:
    return find_named_runs(runs_dir, "regression")[0]


def texts_of(run: StoredRun) -> dict[str, str]:
    split = run.read_json("split.json")
    return {identifier: "a text" for part in ("train", "val", "test") for identifier in split[part]}


def test_a_run_is_described_by_its_configuration_and_where_it_came_from(run: StoredRun) -> None:
    config = compose(["model=regression", "tracker=wandb"])
    described = describe_run(config, run.record, run.path)
    for key, value in plain(config).items():
        assert described.config[key] == value
    assert described.config["run_id"] == described.id == run.record.id
    assert described.config["run_directory"] == run.path.as_posix()
    assert described.config["config_hash"] == run.record.config_hash
    assert described.config["git_commit"] == run.record.git["commit"]
    assert described.config["lock_hash"] == run.record.lock_hash
    assert described.config["job_type"] == described.job_type == "train"
    assert described.name == f"regression-{run.record.id[-6:]}"


def test_the_group_is_what_was_asked_for_else_the_grid_else_the_data(run: StoredRun) -> None:
    config = compose(["tracker=wandb"])
    in_a_grid = dataclasses.replace(run.record, sweep_id="sweep")
    assert describe_run(config, run.record, run.path).group == "sample"
    assert describe_run(config, in_a_grid, run.path).group == "sweep"
    config.tracker.group = "mine"
    described = describe_run(config, in_a_grid, run.path)
    assert described.group == described.config["group"] == "mine"


def test_a_run_that_is_gone_on_with_is_another_one_there(run: StoredRun) -> None:
    resumed = dataclasses.replace(run.record, resumes=[{}])
    described = describe_run(compose(["tracker=wandb"]), resumed, run.path)
    assert described.id == f"{run.record.id}-resumed1"
    assert described.config["run_id"] == run.record.id


def test_the_report_has_all_figures_and_the_difference(run: StoredRun, runs_dir: Path) -> None:
    report = report_run(run, texts_of(run), runs_dir=runs_dir, baseline="rule")
    assert run.read_metrics().items() <= report.summary.items()
    assert report.summary["delta/f1_weighted_low"] <= report.summary["delta/f1_weighted"]


def test_the_tables_are_of_the_reported_part(run: StoredRun, runs_dir: Path) -> None:
    labels, sample = report_run(run, texts_of(run), runs_dir=runs_dir, baseline="rule").tables
    figures = run.read_metrics()
    for label, train, positives, *_, f1 in labels.rows:
        assert train == run.record.train_label_counts[label]
        assert positives == figures[f"test/labels/{label}/support"]
        assert f1 == pytest.approx(figures[f"test/labels/{label}/f1"], abs=1e-4)
    assert {row[0] for row in sample.rows} <= set(run.read_json("split.json")["test"])


def test_the_pictures_are_those_that_can_be_drawn_of_one_run(run: StoredRun, runs_dir: Path) -> None:
    report = report_run(run, texts_of(run), runs_dir=runs_dir, baseline="rule")
    assert list(report.pictures) == ["thresholds", "calibration", "confusions"]
    assert all(picture.startswith(b"\x89PNG") for picture in report.pictures.values())


def test_the_model_can_decide_by_itself_and_the_records_stay_here(run: StoredRun, runs_dir: Path) -> None:
    report = report_run(run, texts_of(run), runs_dir=runs_dir, baseline="rule")
    [data], [model] = report.inputs, report.outputs
    assert (data.name, data.kind, set(data.files)) == ("sample-data", "dataset", {"labels.json", "split.json"})
    assert data.metadata["dataset_version"] == run.record.dataset_version
    assert (model.name, model.kind) == ("sample-regression", "model")
    assert set(model.files) == {
        "model/features.json",
        "model/idf.npz",
        "model/model.json",
        "model/weights.npz",
        "labels.json",
        "thresholds.json",
        "calibration.json",
    }
    assert all(path.is_file() for files in (data, model) for path in files.files.values())


@pytest.fixture
def found(runs_dir: Path) -> Comparison:
    evidence = gather_evidence(select(runs_dir), resamples=200)
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
