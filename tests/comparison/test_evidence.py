"""Gather evidence from run directories: all candidates have the same records, or are refused."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.sample_runs import Change, change_predictions, find_named_runs

from ratchet.comparison.evidence import gather_evidence
from ratchet.errors import UserError
from ratchet.evaluation.metrics import compute_averages
from ratchet.runs import find_runs
from ratchet.runs.predictions import Predictions, read_predictions, write_predictions
from ratchet.runs.selection import select


@pytest.mark.parametrize("part", ["test", "val"])
def test_metrics_equal_those_that_the_runs_stored(part: str, sample_runs: Path) -> None:
    evidence = gather_evidence(select(sample_runs, part=part), resamples=10)
    assert [each.name for each in evidence.candidates] == ["rule", "regression"]
    for each in evidence.candidates:
        metrics = [run.read_metrics() for run in each.candidate.runs]
        for name in ("f1_weighted", "precision_macro", "recall_micro", "f1_samples"):
            expected = [figures[f"{part}/{name}"] for figures in metrics]
            assert each.metrics[name].values == pytest.approx(expected)
        assert each.metrics["slices/terse"].values == pytest.approx(
            [figures[f"{part}/slices/terse/f1_weighted"] for figures in metrics]
        )
        assert each.num_splits == 3
        assert evidence.of(each.name) is each


def test_a_record_keeps_its_place_in_all_runs(sample_runs: Path) -> None:
    evidence = gather_evidence(select(sample_runs), resamples=10)
    ids = {
        run.record.id: read_predictions(run.path / "predictions" / "test.parquet").ids
        for run in evidence.selection.runs
    }
    every = sorted({identifier for each in ids.values() for identifier in each})
    assert evidence.num_records == len(every)
    for each in evidence.candidates:
        for run, judged in zip(each.candidate.runs, each.run_decisions, strict=True):
            assert [every[row] for row in judged.rows] == ids[run.record.id]
            assert judged.split == run.record.split_hash


def test_positives_are_counted_over_distinct_records(sample_runs: Path) -> None:
    evidence = gather_evidence(select(sample_runs), resamples=10)
    truth: dict[str, np.ndarray[Any, Any]] = {}
    terse: set[str] = set()
    for run in find_named_runs(sample_runs, "rule"):
        found = read_predictions(run.path / "predictions" / "test.parquet")
        truth |= dict(zip(found.ids, found.targets, strict=True))
        terse |= {identifier for identifier, slices in zip(found.ids, found.slices, strict=True) if "terse" in slices}
    assert len(truth) < sum(run.record.records["test"] for run in find_named_runs(sample_runs, "rule")), (
        "test parts overlap"
    )
    counts = np.sum(list(truth.values()), axis=0, dtype=int)
    assert [evidence.positives[label] for label in evidence.labels] == counts.tolist()
    assert evidence.positives["slices/terse"] == sum(int(truth[identifier].sum()) for identifier in terse)


def test_decisions_are_made_at_the_thresholds_of_each_run(runs_dir: Path) -> None:
    run = find_named_runs(runs_dir, "regression")[1]
    path = run.path / "thresholds.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "values": dict.fromkeys(content["values"], 0.9)}))
    found = gather_evidence(select(runs_dir), resamples=10).of("regression")
    predicted = read_predictions(run.path / "predictions" / "test.parquet")
    assert (found.run_decisions[1].decisions == (predicted.scores >= 0.9)).all()
    expected = compute_averages(predicted.targets, (predicted.scores >= 0.9).astype(np.uint8))["f1_weighted"]
    assert found.metrics["f1_weighted"].values[1] == pytest.approx(float(expected))


def test_costs_are_medians_and_behaviour_is_a_mean_over_runs(runs_dir: Path) -> None:
    runs = find_named_runs(runs_dir, "rule")
    for run, milliseconds, share in zip(runs, (1.0, 2.0, 90.0), (0.5, 0.6, 1.0), strict=True):
        for name, values in (
            ("cost.json", {"cost/latency_ms_p95": milliseconds, "cost/items_per_second": None}),
            ("metrics.json", {"behaviour/minimum": share}),
        ):
            content = json.loads((run.path / name).read_text())
            (run.path / name).write_text(json.dumps({**content, **values}))
    found = gather_evidence(select(runs_dir), resamples=10).of("rule")
    assert found.costs["latency_ms_p95"] == 2.0
    assert found.costs["items_per_second"] is None, "not measured is not 0"
    assert found.behaviour["minimum"] == pytest.approx(0.7)
    assert set(found.behaviour) == {"score", "invariance", "directional", "minimum"}, "no counts of cases"


def test_data_without_behavioural_tests_have_no_shares(runs_dir: Path) -> None:
    for run in find_runs(runs_dir):
        content = json.loads((run.path / "metrics.json").read_text())
        kept = {key: value for key, value in content.items() if not key.startswith("behaviour/")}
        (run.path / "metrics.json").write_text(json.dumps(kept))
    assert gather_evidence(select(runs_dir), resamples=10).of("rule").behaviour == {}


def _other_truth(found: Predictions) -> Predictions:
    targets = found.targets.copy()
    targets[0, 0] ^= 1
    return dataclasses.replace(found, targets=targets)


def _other_id(found: Predictions) -> Predictions:
    return dataclasses.replace(found, ids=["somebody else", *found.ids[1:]])


def _other_order(found: Predictions) -> Predictions:
    return dataclasses.replace(found, ids=found.ids[::-1])


@pytest.mark.parametrize("change", [_other_truth, _other_id, _other_order])
def test_predictions_that_were_changed_by_hand_are_refused(change: Change, runs_dir: Path) -> None:
    changed = find_named_runs(runs_dir, "regression")[1]
    change_predictions(changed.path, change)
    with pytest.raises(UserError, match=r"test\.parquet|predictions") as caught:
        gather_evidence(select(runs_dir), resamples=10)
    for part in (str(find_named_runs(runs_dir, "rule")[1].path), str(changed.path)):
        assert part in str(caught.value)


def test_other_labels_are_refused(runs_dir: Path) -> None:
    changed = find_named_runs(runs_dir, "regression")[0]
    labels = json.loads((changed.path / "labels.json").read_text())
    (changed.path / "labels.json").write_text(json.dumps(labels[::-1]))
    with pytest.raises(UserError, match=r"labels\.json"):
        gather_evidence(select(runs_dir), resamples=10)


@pytest.mark.parametrize("name", ["predictions/test.parquet", "labels.json", "thresholds.json"])
def test_a_missing_file_is_reported(name: str, runs_dir: Path) -> None:
    path = find_named_runs(runs_dir, "regression")[2].path / name
    path.unlink()
    with pytest.raises(UserError, match=path.name):
        gather_evidence(select(runs_dir), resamples=10)


def test_others_are_measured_but_are_no_candidates(sample_runs: Path) -> None:
    both, rule = select(sample_runs), select(sample_runs, names=["rule"])
    evidence = gather_evidence(rule, others=[both.candidates[1]], resamples=10)
    assert [each.name for each in evidence.candidates] == ["rule"]
    assert [each.name for each in evidence.others] == ["regression"]


def test_progress_is_told_to_its_end(sample_runs: Path) -> None:
    announced, done = [], []

    def begin(steps: int) -> Callable[[int], None]:
        announced.append(steps)
        return done.append

    gather_evidence(select(sample_runs), resamples=50, begin=begin)
    assert announced == [sum(done)] == [50 * 6]


def test_slices_of_one_name_that_mean_other_records_are_left_out(runs_dir: Path) -> None:
    for run in find_named_runs(runs_dir, "regression"):
        path = run.path / "predictions" / "test.parquet"
        found = read_predictions(path)
        slices = [[*names, "mine"] if row < 20 else names for row, names in enumerate(found.slices)]
        write_predictions(path, dataclasses.replace(found, slices=slices))
    evidence = gather_evidence(select(runs_dir), resamples=100)
    assert list(evidence.slices_left_out) == ["mine"]
    assert all("slices/mine" not in each.metrics for each in evidence.candidates)
    assert any(key.startswith("slices/") for key in evidence.candidates[0].metrics), "the others stay"
    assert "slices/mine" not in evidence.positives
