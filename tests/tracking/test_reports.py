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


def make_predictions(size: int = 80) -> Predictions:
    generator = np.random.default_rng(0)
    targets = (generator.random((size, 3)) < 0.4).astype(np.uint8)
    return Predictions([f"r{row}" for row in range(size)], targets, generator.random((size, 3), dtype=np.float32), [])


def test_label_table_has_counts_and_metrics() -> None:
    predictions = Predictions(
        ["a", "b", "c"],
        np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0]], dtype=np.uint8),
        np.zeros((3, 3), dtype=np.float32),
        [],
    )
    decisions = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]], dtype=np.uint8)
    table = build_label_table(LABELS, {"audio": 7}, predictions, decisions)
    assert list(table.columns) == ["label", "train", "positives", "precision", "recall", "f1"]
    assert table.rows[0] == ["audio", 7, 2, 0.5, 0.5, 0.5]
    assert table.rows[1] == ["graphs", 0, 1, 0.5, 1.0, 0.6667]
    assert table.rows[2][:3] == ["vision", 0, 0]


def test_prediction_table_lists_errors_and_top_scores_first() -> None:
    predictions = make_predictions()
    decisions = (predictions.scores > 0.5).astype(np.uint8)
    texts = {name: f"text of {name}" for name in predictions.ids}
    table = build_prediction_table(LABELS, texts, predictions, decisions)
    right = [row[-1] for row in table.rows]
    assert len(right) == SAMPLE
    assert right == sorted(right)
    assert {True, False} <= set(right)
    for name, text, true, predicted, is_right in table.rows:
        row = predictions.ids.index(name)
        assert text == f"text of {name}"
        assert true == ", ".join(
            label for label, is_true in zip(LABELS, predictions.targets[row], strict=True) if is_true
        )
        labels = [entry.split() for entry in predicted.split(", ") if entry]
        assert {label for label, _ in labels} == {LABELS[index] for index in np.flatnonzero(decisions[row])}
        assert [score for _, score in labels] == sorted((score for _, score in labels), reverse=True)
        assert is_right == (predictions.targets[row] == decisions[row]).all()


def test_prediction_tables_of_models_show_same_records() -> None:
    predictions = make_predictions()
    texts = dict.fromkeys(predictions.ids, "")
    first, second = (
        build_prediction_table(LABELS, texts, predictions, decisions)
        for decisions in (predictions.targets, (predictions.scores > 0.5).astype(np.uint8))
    )
    assert {row[0] for row in first.rows} == {row[0] for row in second.rows}
    assert [row[0] for row in first.rows] != predictions.ids[:SAMPLE], "a sample, not the first records"


def test_few_records_are_all_shown_with_truncated_texts() -> None:
    predictions = make_predictions(3)
    table = build_prediction_table(
        LABELS, dict.fromkeys(predictions.ids, "word " * 1000), predictions, predictions.targets
    )
    assert len(table.rows) == 3
    assert {len(row[1]) for row in table.rows} == {2000}


def find_regression(runs_dir: Path) -> StoredRun:
    return find_named_runs(runs_dir, "regression")[0]


def find_rule_on_same_split(runs_dir: Path, run: StoredRun) -> StoredRun:
    [rule] = [rule for rule in find_named_runs(runs_dir, "rule") if rule.record.split_hash == run.record.split_hash]
    return rule


def test_metrics_match_those_of_compare(runs_dir: Path) -> None:
    run = find_regression(runs_dir)
    rule = find_rule_on_same_split(runs_dir, run)
    metrics = compare_with_baseline(run, runs_dir, "rule")
    evidence = gather_evidence(select(runs_dir, ids=[run.record.id, rule.record.id]))
    comparison = compare(evidence, runs_dir=runs_dir, metric="f1_weighted", baseline="rule", promoted={}, parents={})
    [expected] = [candidate.baseline for candidate in comparison.candidates if candidate.baseline]
    assert metrics["delta/p"] == expected.p
    for name in SHOWN:
        interval = expected.metrics[name]
        assert (metrics[f"delta/{name}"], metrics[f"delta/{name}_low"], metrics[f"delta/{name}_high"]) == (
            interval.value,
            interval.low,
            interval.high,
        )
        ours, theirs = (candidate.read_metrics()[f"test/{name}"] for candidate in (run, rule))
        assert metrics[f"baseline/{name}"] == theirs
        assert metrics[f"delta/{name}"] == pytest.approx(ours - theirs)


def test_run_is_compared_while_still_running(runs_dir: Path) -> None:
    run = find_regression(runs_dir)
    expected = compare_with_baseline(run, runs_dir, "rule")
    rewrite_record(run.path, status="running", finished_at=None)
    assert compare_with_baseline(read_run(run.path), runs_dir, "rule") == expected


def test_baseline_run_has_no_difference(runs_dir: Path) -> None:
    run = find_named_runs(runs_dir, "rule")[0]
    metrics = compare_with_baseline(run, runs_dir, "rule")
    assert metrics["baseline/f1_weighted"] == run.read_metrics()["test/f1_weighted"]
    assert not [key for key in metrics if not key.startswith("baseline/")]


@pytest.mark.parametrize(
    "fields",
    [{"split_hash": "another"}, {"dataset_version": "another"}, {"status": "failed"}, {"tags": ["debug"]}],
    ids=lambda fields: next(iter(fields)),
)
def test_unsuitable_baseline_runs_are_ignored(
    fields: dict[str, object], runs_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for rule in find_named_runs(runs_dir, "rule"):
        rewrite_record(rule.path, **fields)
    assert compare_with_baseline(find_regression(runs_dir), runs_dir, "rule") == {}
    assert "rule" in caplog.text


def test_newer_run_on_other_split_is_not_the_baseline(runs_dir: Path) -> None:
    run = find_regression(runs_dir)
    rule = find_rule_on_same_split(runs_dir, run)
    newer = find_named_runs(runs_dir, "regression")[1]
    rewrite_record(newer.path, name="rule", split_hash="another", started_at="2999-01-01T00:00:00+00:00")
    assert (
        compare_with_baseline(run, runs_dir, "rule")["baseline/f1_weighted"] == rule.read_metrics()["test/f1_weighted"]
    )


def test_run_evaluated_on_val_is_compared_on_val(runs_dir: Path) -> None:
    run = find_regression(runs_dir)
    rewrite_record(run.path, evaluate="val")
    metrics = compare_with_baseline(read_run(run.path), runs_dir, "rule")
    rule = find_rule_on_same_split(runs_dir, run)
    assert metrics["baseline/f1_weighted"] == rule.read_metrics()["val/f1_weighted"]


@pytest.fixture
def run(runs_dir: Path) -> StoredRun:
    return find_named_runs(runs_dir, "regression")[0]


def make_texts(run: StoredRun) -> dict[str, str]:
    split = run.read_json("split.json")
    return {identifier: "a text" for part in ("train", "val", "test") for identifier in split[part]}


def test_description_has_configuration_and_provenance(run: StoredRun) -> None:
    config = compose(["model=regression", "tracker=wandb"])
    description = describe_run(config, run.record, run.path)
    for key, value in plain(config).items():
        assert description.config[key] == value
    assert description.config["run_id"] == description.id == run.record.id
    assert description.config["run_directory"] == run.path.as_posix()
    assert description.config["config_hash"] == run.record.config_hash
    assert description.config["git_commit"] == run.record.git["commit"]
    assert description.config["lock_hash"] == run.record.lock_hash
    assert description.config["job_type"] == description.job_type == "train"
    assert description.name == f"regression-{run.record.id[-6:]}"
    assert description.notes is None


def test_hypothesis_and_tags_describe_the_run(run: StoredRun) -> None:
    record = dataclasses.replace(run.record, hypothesis="half of the aliases are missing", tags=["aliases"])
    description = describe_run(compose(["tracker=wandb"]), record, run.path)
    assert (description.notes, description.tags) == ("half of the aliases are missing", ["aliases"])


def test_group_defaults_to_sweep_then_data(run: StoredRun) -> None:
    config = compose(["tracker=wandb"])
    in_a_grid = dataclasses.replace(run.record, sweep_id="sweep")
    assert describe_run(config, run.record, run.path).group == "sample"
    assert describe_run(config, in_a_grid, run.path).group == "sweep"
    config.tracker.group = "mine"
    description = describe_run(config, in_a_grid, run.path)
    assert description.group == description.config["group"] == "mine"


def test_resumed_run_has_new_tracker_id(run: StoredRun) -> None:
    resumed = dataclasses.replace(run.record, resumes=[{}])
    description = describe_run(compose(["tracker=wandb"]), resumed, run.path)
    assert description.id == f"{run.record.id}-resumed1"
    assert description.config["run_id"] == run.record.id


def test_report_has_all_metrics_and_the_difference(run: StoredRun, runs_dir: Path) -> None:
    report = report_run(run, make_texts(run), runs_dir=runs_dir, baseline="rule")
    assert run.read_metrics().items() <= report.summary.items()
    assert report.summary["delta/f1_weighted_low"] <= report.summary["delta/f1_weighted"]


def test_report_tables_use_reported_part(run: StoredRun, runs_dir: Path) -> None:
    labels, sample = report_run(run, make_texts(run), runs_dir=runs_dir, baseline="rule").tables
    metrics = run.read_metrics()
    for label, train, positives, *_, f1 in labels.rows:
        assert train == run.record.train_label_counts[label]
        assert positives == metrics[f"test/labels/{label}/support"]
        assert f1 == pytest.approx(metrics[f"test/labels/{label}/f1"], abs=1e-4)
    assert {row[0] for row in sample.rows} <= set(run.read_json("split.json")["test"])


def test_report_of_run_has_three_pictures(run: StoredRun, runs_dir: Path) -> None:
    report = report_run(run, make_texts(run), runs_dir=runs_dir, baseline="rule")
    assert list(report.pictures) == ["thresholds", "calibration", "confusions"]
    assert all(picture.startswith(b"\x89PNG") for picture in report.pictures.values())


def test_model_artifact_is_complete_and_data_has_no_records(run: StoredRun, runs_dir: Path) -> None:
    report = report_run(run, make_texts(run), runs_dir=runs_dir, baseline="rule")
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
def comparison(runs_dir: Path) -> Comparison:
    evidence = gather_evidence(select(runs_dir), resamples=200)
    return compare(evidence, runs_dir=runs_dir, metric="f1_weighted", baseline="rule", promoted={}, parents={})


def test_leaderboard_lists_candidates_simplest_first(comparison: Comparison, runs_dir: Path) -> None:
    [table] = report_comparison(comparison, select(runs_dir)).tables
    assert table.name == "leaderboard"
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [row["model"] for row in rows] == ["rule", "regression"]
    assert [row["runs"] for row in rows] == [3, 3]
    assert (rows[0]["delta"], rows[0]["p"], rows[0]["verdict"]) == (None, None, "the baseline")
    difference = comparison.candidates[1].baseline
    assert difference is not None
    assert (rows[1]["delta"], rows[1]["p"]) == (difference.value, difference.p_adjusted)
    assert rows[1]["verdict"] == difference.in_words
    assert rows[1]["latency_ms_p95"] == comparison.candidates[1].costs["latency_ms_p95"]


def test_summary_has_metrics_of_each_candidate(comparison: Comparison, runs_dir: Path) -> None:
    summary = report_comparison(comparison, select(runs_dir)).summary
    assert summary["regression/f1_weighted"] == comparison.candidates[1].metrics["f1_weighted"].value
    assert summary["regression/delta_low"] <= summary["regression/delta"] <= summary["regression/delta_high"]
    assert summary["rule/delta"] is None


def test_pictures_match_charts_of_comparison(comparison: Comparison, runs_dir: Path) -> None:
    pictures = report_comparison(comparison, select(runs_dir)).pictures
    assert pictures.keys() == pictures_of(comparison, select(runs_dir)).keys() >= {"ladder", "differences", "labels"}
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())


def test_comparisons_have_separate_ids_in_same_group(comparison: Comparison) -> None:
    first, second = (describe_comparison(comparison, "sample") for _ in range(2))
    assert first.id != second.id
    assert (first.group, first.job_type) == ("sample", "compare")
    assert first.config["candidates"]["rule"] == comparison.candidates[0].runs
    assert first.config["dataset_version"] == comparison.dataset_version
