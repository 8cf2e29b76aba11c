"""Tests for gathering evidence from run directories: candidates must have the same records."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.builders import made_candidate, selected
from tests.sample_runs import Change, change_predictions, find_named_runs, rewrite_record

from ratchet.comparison.evidence import Doubt, gather_evidence
from ratchet.errors import UserError
from ratchet.evaluation.metrics import compute_averages
from ratchet.runs import StoredRun, find_runs
from ratchet.runs.predictions import Predictions, read_predictions, write_predictions
from ratchet.runs.selection import select
from ratchet.statistics.permutation import permutation_p_values


@pytest.mark.parametrize("part", ["test", "val"])
def test_metrics_match_stored_metrics_of_runs(part: str, sample_runs: Path) -> None:
    evidence = gather_evidence(select(sample_runs, part=part), resamples=10)
    assert [entry.name for entry in evidence.candidates] == ["rule", "regression"]
    for entry in evidence.candidates:
        metrics = [run.read_metrics() for run in entry.candidate.runs]
        for name in ("f1_weighted", "precision_macro", "recall_micro", "f1_samples"):
            expected = [stored[f"{part}/{name}"] for stored in metrics]
            assert entry.metrics[name].values == pytest.approx(expected)
        assert entry.metrics["slices/terse"].values == pytest.approx(
            [stored[f"{part}/slices/terse/f1_weighted"] for stored in metrics]
        )
        assert entry.num_splits == 3
        assert evidence.of(entry.name) is entry


def test_record_rows_are_consistent_across_runs(sample_runs: Path) -> None:
    evidence = gather_evidence(select(sample_runs), resamples=10)
    ids = {
        run.record.id: read_predictions(run.path / "predictions" / "test.parquet").ids
        for run in evidence.selection.runs
    }
    all_ids = sorted({identifier for run_ids in ids.values() for identifier in run_ids})
    assert evidence.num_records == len(all_ids)
    for entry in evidence.candidates:
        for run, decisions in zip(entry.candidate.runs, entry.run_decisions, strict=True):
            assert [all_ids[row] for row in decisions.rows] == ids[run.record.id]
            assert decisions.split == run.record.split_hash


def test_positives_are_counted_over_distinct_records(sample_runs: Path) -> None:
    evidence = gather_evidence(select(sample_runs), resamples=10)
    truth: dict[str, np.ndarray[Any, Any]] = {}
    terse: set[str] = set()
    for run in find_named_runs(sample_runs, "rule"):
        predictions = read_predictions(run.path / "predictions" / "test.parquet")
        truth |= dict(zip(predictions.ids, predictions.targets, strict=True))
        terse |= {
            identifier
            for identifier, slices in zip(predictions.ids, predictions.slices, strict=True)
            if "terse" in slices
        }
    assert len(truth) < sum(run.record.records["test"] for run in find_named_runs(sample_runs, "rule")), (
        "test parts overlap"
    )
    counts = np.sum(list(truth.values()), axis=0, dtype=int)
    assert [evidence.positives[label] for label in evidence.labels] == counts.tolist()
    assert evidence.positives["slices/terse"] == sum(int(truth[identifier].sum()) for identifier in terse)


def test_decisions_use_thresholds_of_their_run(runs_dir: Path) -> None:
    run = find_named_runs(runs_dir, "regression")[1]
    path = run.path / "thresholds.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "values": dict.fromkeys(content["values"], 0.9)}))
    regression = gather_evidence(select(runs_dir), resamples=10).of("regression")
    predictions = read_predictions(run.path / "predictions" / "test.parquet")
    assert (regression.run_decisions[1].decisions == (predictions.scores >= 0.9)).all()
    expected = compute_averages(predictions.targets, (predictions.scores >= 0.9).astype(np.uint8))["f1_weighted"]
    assert regression.metrics["f1_weighted"].values[1] == pytest.approx(float(expected))


def test_costs_are_medians_and_behaviour_means_over_runs(runs_dir: Path) -> None:
    runs = find_named_runs(runs_dir, "rule")
    for run, milliseconds, share in zip(runs, (1.0, 2.0, 90.0), (0.5, 0.6, 1.0), strict=True):
        for name, values in (
            ("cost.json", {"cost/latency_ms_p95": milliseconds, "cost/items_per_second": None}),
            ("metrics.json", {"behaviour/minimum": share}),
        ):
            content = json.loads((run.path / name).read_text())
            (run.path / name).write_text(json.dumps({**content, **values}))
    rule = gather_evidence(select(runs_dir), resamples=10).of("rule")
    assert rule.costs["latency_ms_p95"] == 2.0
    assert rule.costs["items_per_second"] is None, "a missing cost must not count as 0"
    assert rule.behaviour["minimum"] == pytest.approx(0.7)
    assert set(rule.behaviour) == {"score", "invariance", "directional", "minimum"}, "counts of cases must be excluded"


def write_costs(run: StoredRun, **costs: float | None) -> None:
    content = json.loads((run.path / "cost.json").read_text())
    content |= {f"cost/{name}": value for name, value in costs.items()}
    (run.path / "cost.json").write_text(json.dumps(content))


def test_disturbed_measurements_are_left_out_of_medians(runs_dir: Path) -> None:
    runs = find_named_runs(runs_dir, "rule")
    busy = {"latency_waited": 0.8, "load_average": 11.0, "cores": 2}
    for run, milliseconds, state in zip(runs, (1.0, 281.0, 275.0), ({}, busy, busy), strict=True):
        write_costs(run, latency_ms_p95=milliseconds, **state)
    rule = gather_evidence(select(runs_dir), resamples=10).of("rule")
    assert rule.costs["latency_ms_p95"] == 1.0
    why = "80% of the time waiting for a processor, load 11 on 2 cores"
    assert rule.doubts["latency_ms_p95"] == Doubt({run.record.id: why for run in runs[1:]}, only=False)
    assert "fit_seconds" not in rule.doubts
    write_costs(runs[0], **busy)
    rule = gather_evidence(select(runs_dir), resamples=10).of("rule")
    assert rule.costs["latency_ms_p95"] == 275.0
    assert rule.doubts["latency_ms_p95"].only


def test_fit_of_a_resumed_run_is_not_measured(runs_dir: Path) -> None:
    runs = find_named_runs(runs_dir, "rule")
    for run, seconds in zip(runs, (1.0, 50.0, 60.0), strict=True):
        write_costs(run, fit_seconds=seconds)
    rewrite_record(runs[0].path, resumes=[{"at": "2026-01-01T00:00:00+00:00"}])
    assert gather_evidence(select(runs_dir), resamples=10).of("rule").costs["fit_seconds"] == 55.0
    for run in runs[1:]:
        rewrite_record(run.path, resumes=[{"at": "2026-01-01T00:00:00+00:00"}])
    assert gather_evidence(select(runs_dir), resamples=10).of("rule").costs["fit_seconds"] is None


def test_data_without_behavioural_tests_has_no_behaviour_metrics(runs_dir: Path) -> None:
    for run in find_runs(runs_dir):
        content = json.loads((run.path / "metrics.json").read_text())
        kept = {key: value for key, value in content.items() if not key.startswith("behaviour/")}
        (run.path / "metrics.json").write_text(json.dumps(kept))
    assert gather_evidence(select(runs_dir), resamples=10).of("rule").behaviour == {}


def _change_target(predictions: Predictions) -> Predictions:
    targets = predictions.targets.copy()
    targets[0, 0] ^= 1
    return dataclasses.replace(predictions, targets=targets)


def _change_id(predictions: Predictions) -> Predictions:
    return dataclasses.replace(predictions, ids=["another id", *predictions.ids[1:]])


def _reverse_ids(predictions: Predictions) -> Predictions:
    return dataclasses.replace(predictions, ids=predictions.ids[::-1])


@pytest.mark.parametrize("change", [_change_target, _change_id, _reverse_ids])
def test_inconsistent_predictions_are_rejected(change: Change, runs_dir: Path) -> None:
    changed = find_named_runs(runs_dir, "regression")[1]
    change_predictions(changed.path, change)
    with pytest.raises(UserError, match=r"test\.parquet|predictions") as error:
        gather_evidence(select(runs_dir), resamples=10)
    for part in (str(find_named_runs(runs_dir, "rule")[1].path), str(changed.path)):
        assert part in str(error.value)


def test_different_label_order_is_rejected(runs_dir: Path) -> None:
    changed = find_named_runs(runs_dir, "regression")[0]
    labels = json.loads((changed.path / "labels.json").read_text())
    (changed.path / "labels.json").write_text(json.dumps(labels[::-1]))
    with pytest.raises(UserError, match=r"labels\.json"):
        gather_evidence(select(runs_dir), resamples=10)


@pytest.mark.parametrize("name", ["predictions/test.parquet", "labels.json", "thresholds.json"])
def test_missing_file_is_reported(name: str, runs_dir: Path) -> None:
    path = find_named_runs(runs_dir, "regression")[2].path / name
    path.unlink()
    with pytest.raises(UserError, match=path.name):
        gather_evidence(select(runs_dir), resamples=10)


def test_others_are_measured_but_not_candidates(sample_runs: Path) -> None:
    both, rule = select(sample_runs), select(sample_runs, names=["rule"])
    evidence = gather_evidence(rule, others=[both.candidates[1]], resamples=10)
    assert [entry.name for entry in evidence.candidates] == ["rule"]
    assert [entry.name for entry in evidence.others] == ["regression"]


def test_progress_reports_all_steps(sample_runs: Path) -> None:
    announced, done = [], []

    def begin(steps: int) -> Callable[[int], None]:
        announced.append(steps)
        return done.append

    gather_evidence(select(sample_runs), resamples=50, begin=begin)
    assert announced == [sum(done)] == [50 * 6]


def test_slices_with_different_records_are_excluded(runs_dir: Path) -> None:
    for run in find_named_runs(runs_dir, "regression"):
        path = run.path / "predictions" / "test.parquet"
        predictions = read_predictions(path)
        slices = [[*names, "mine"] if row < 20 else names for row, names in enumerate(predictions.slices)]
        write_predictions(path, dataclasses.replace(predictions, slices=slices))
    evidence = gather_evidence(select(runs_dir), resamples=100)
    assert evidence.slices_left_out == {"mine": ["regression"]}
    assert all("slices/mine" not in entry.metrics for entry in evidence.candidates)
    assert any(key.startswith("slices/") for key in evidence.candidates[0].metrics), "other slices must remain"
    assert "slices/mine" not in evidence.positives


def make_partly_known(seed: int, known_seed: int = 0) -> Predictions:
    generator, known = np.random.default_rng(5), np.random.default_rng(known_seed).random((12, 3)) < 0.6
    known[np.arange(12), np.arange(12) % 3] = True
    known[4] = False
    targets = (generator.random((12, 3)) < 0.5).astype(np.uint8)
    scores = np.random.default_rng(seed).random((12, 3)).astype(np.float32)
    ids, slices = [f"{row:02d}" for row in range(12)], [["first"] if row < 6 else [] for row in range(12)]
    return Predictions(ids, targets, scores, slices, known)


def test_unknown_targets_count_in_no_difference(tmp_path: Path) -> None:
    """Decisions at unknown cells do not matter: candidates that differ there alone are equal."""
    one = make_partly_known(1)
    assert one.known is not None
    other = dataclasses.replace(one, scores=np.where(one.known, one.scores, 1 - one.scores))
    chosen = selected(made_candidate(tmp_path, "one", one), made_candidate(tmp_path, "other", other))
    evidence = gather_evidence(chosen, resamples=20)
    left, right = evidence.candidates
    assert left.metrics.keys() == right.metrics.keys() >= {"f1_weighted", "f1_samples", "slices/first"}
    for name, metric in left.metrics.items():
        np.testing.assert_array_equal(metric.values, right.metrics[name].values)
        np.testing.assert_array_equal(metric.resampled, right.metrics[name].resampled)
    p_values = permutation_p_values(left.run_decisions, right.run_decisions, "f1_samples", evidence.num_records, 50)
    assert float(p_values["f1_samples"]) == 1
    assert evidence.num_records == 11, "nothing is known of one record"
    assert [evidence.positives[label] for label in evidence.labels] == (one.targets * one.known).sum(axis=0).tolist()
    rows = one.known.any(axis=1)
    decisions = (one.scores >= 0.5).astype(np.uint8) * one.known
    expected = compute_averages((one.targets * one.known)[rows], decisions[rows])
    for name in ("f1_weighted", "f1_samples", "precision_micro"):
        assert left.metrics[name].values[0] == pytest.approx(float(expected[name]))


@pytest.mark.parametrize("changed", [{"known_seed": 1}, None], ids=["other cells", "all known"])
def test_runs_with_other_known_cells_are_not_comparable(tmp_path: Path, changed: dict[str, int] | None) -> None:
    one = make_partly_known(1)
    assert one.known is not None
    hidden = one.targets * one.known
    other = dataclasses.replace(one, known=None) if changed is None else make_partly_known(2, **changed)
    pair = [dataclasses.replace(run, targets=hidden * (1 if run.known is None else run.known)) for run in (one, other)]
    candidates = [made_candidate(tmp_path, name, run) for name, run in zip(("one", "other"), pair, strict=True)]
    with pytest.raises(UserError, match="not comparable"):
        gather_evidence(selected(*candidates), resamples=5)
