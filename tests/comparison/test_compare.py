"""Tests for comparing candidates with the baseline, the predecessor and the best simpler candidate."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter
from tests.sample_runs import copy_run, find_named_runs, rewrite_record

from ratchet.comparison.compare import check_baseline, compare, compare_selected
from ratchet.comparison.evidence import Evidence, gather_evidence
from ratchet.comparison.results import CandidateResult, Comparison, Difference
from ratchet.config import plain
from ratchet.errors import UserError
from ratchet.runs.accesses import count_test_accesses
from ratchet.runs.predictions import Predictions
from ratchet.runs.selection import select

RESAMPLES = 300


def zero_scores(share: float) -> Callable[[Predictions], Predictions]:
    """Return a change of predictions that sets the scores of this share of the records to 0."""

    def change(predictions: Predictions) -> Predictions:
        scores = predictions.scores.copy()
        scores[: int(share * len(scores))] = 0
        return dataclasses.replace(predictions, scores=scores)

    return change


@pytest.fixture(scope="module")
def ladder(sample_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build rule and its twin (complexity 0), regression and abridged (1), fallen (2) and top, as regression (3)."""
    runs_dir = Path(shutil.copytree(sample_runs, tmp_path_factory.mktemp("ladder") / "runs"))
    for run in find_named_runs(runs_dir, "rule"):
        copy_run(run, "twin")
    for run in find_named_runs(runs_dir, "regression"):
        copy_run(run, "abridged", zero_scores(0.05))
        copy_run(run, "fallen", zero_scores(0.9), complexity=2)
        copy_run(run, "top", complexity=3)
    return runs_dir


def compare_runs(runs_dir: Path, *names: str, baseline: str = "rule", part: str = "test", **options: Any) -> Comparison:
    evidence = gather_evidence(select(runs_dir, names=names, part=part), resamples=RESAMPLES)
    return compare_evidence(evidence, runs_dir, baseline=baseline, **options)


def compare_evidence(evidence: Evidence, runs_dir: Path, **options: Any) -> Comparison:
    settings: dict[str, Any] = {"metric": "f1_weighted", "baseline": "rule", "promoted": {}, "parents": {}}
    return compare(evidence, runs_dir=runs_dir, **{**settings, **options})


@pytest.fixture(scope="module")
def comparison(ladder: Path) -> Comparison:
    return compare_runs(ladder)


def get_result(comparison: Comparison, name: str) -> CandidateResult:
    return next(candidate for candidate in comparison.candidates if candidate.name == name)


def list_rivals(comparison: Comparison, name: str) -> list[str | None]:
    """Return the rivals of a candidate: baseline, predecessor, best simpler candidate."""
    result = get_result(comparison, name)
    return [
        difference.to if difference else None
        for difference in (result.baseline, result.predecessor, result.best_simpler)
    ]


def list_differences(comparison: Comparison) -> list[Difference]:
    roles = [(candidate.baseline, candidate.predecessor, candidate.best_simpler) for candidate in comparison.candidates]
    return [difference for role in roles for difference in role if difference]


def test_comparison_survives_json_round_trip(comparison: Comparison) -> None:
    text = json.dumps(plain(comparison), allow_nan=False)
    assert TypeAdapter(Comparison).validate_json(text, strict=True) == comparison


def test_comparison_is_deterministic(ladder: Path) -> None:
    assert compare_runs(ladder, "rule", "regression", "fallen") == compare_runs(ladder, "rule", "regression", "fallen")


def test_comparison_lists_candidates_and_splits(comparison: Comparison, ladder: Path) -> None:
    runs = find_named_runs(ladder, "rule")
    assert (comparison.data, comparison.part, comparison.metric, comparison.baseline) == (
        "sample",
        "test",
        "f1_weighted",
        "rule",
    )
    assert comparison.dataset_version == runs[0].record.dataset_version
    assert comparison.resamples == RESAMPLES
    assert [candidate.name for candidate in comparison.candidates] == [
        "rule",
        "twin",
        "abridged",
        "regression",
        "fallen",
        "top",
    ]
    assert get_result(comparison, "rule").runs == [run.record.id for run in runs]
    assert [(split.split_seed, split.split_hash, split.records) for split in comparison.splits] == [
        (run.record.split_seed, run.record.split_hash, run.record.records["test"]) for run in runs
    ]


def test_accesses_to_test_splits_are_counted(comparison: Comparison, ladder: Path) -> None:
    assert [split.test_readings for split in comparison.splits] == [2, 2, 2], (
        "rule and regression accessed them; copies did not"
    )
    for split in comparison.splits:
        assert split.test_readings == count_test_accesses(ladder, comparison.dataset_version, split.split_hash)
    on_val = compare_runs(ladder, "rule", "regression", part="val")
    assert [split.test_readings for split in on_val.splits] == [None] * 3
    assert any("thresholds were tuned" in note for note in on_val.notes)


def test_result_aggregates_metrics_of_runs(comparison: Comparison, ladder: Path) -> None:
    run_metrics = [run.read_metrics() for run in find_named_runs(ladder, "regression")]
    result = get_result(comparison, "regression")
    for name in ("f1_weighted", "recall_macro"):
        interval = result.metrics[name]
        assert interval.value == pytest.approx(np.mean([metrics[f"test/{name}"] for metrics in run_metrics]))
        assert 0 <= interval.low < interval.value < interval.high <= 1
    assert result.average_precision_macro == pytest.approx(
        np.mean([metrics["test/average_precision_macro"] for metrics in run_metrics])
    )
    assert result.costs["fit_seconds"] == pytest.approx(
        np.median([metrics["cost/fit_seconds"] for metrics in run_metrics])
    )
    assert result.behaviour["score"] == pytest.approx(np.mean([metrics["behaviour/score"] for metrics in run_metrics]))
    assert result.spread_between_seeds is None, "one seed per split"
    assert get_result(comparison, "rule").average_precision_macro is None, "rules have no ranking"


def test_baseline_has_no_differences(comparison: Comparison) -> None:
    assert list_rivals(comparison, "rule") == [None, None, None]
    assert get_result(comparison, "rule").groups == []


def test_baseline_can_be_chosen(ladder: Path) -> None:
    swapped = compare_runs(ladder, "rule", "regression", "fallen", baseline="regression")
    assert list_rivals(swapped, "regression") == [None, None, None]
    assert list_rivals(swapped, "rule") == ["regression", None, None], "no candidate is simpler"
    assert list_rivals(swapped, "fallen") == ["regression", "regression", None]
    forward, backward = (
        compare_runs(ladder, "rule", "regression").candidates[1].baseline,
        get_result(swapped, "rule").baseline,
    )
    assert forward is not None
    assert backward is not None
    assert (forward.value, forward.low, forward.verdict) == (
        pytest.approx(-backward.value),
        pytest.approx(-backward.high),
        "better",
    )
    assert backward.verdict == "worse"


def test_predecessor_has_next_lower_complexity(comparison: Comparison) -> None:
    assert list_rivals(comparison, "twin") == ["rule", None, None]
    assert list_rivals(comparison, "regression") == ["rule", "rule", None]
    assert list_rivals(comparison, "fallen") == ["rule", "regression", None], "of equals, the one named after its model"
    assert list_rivals(comparison, "top") == ["rule", "fallen", "regression"], (
        "the best simpler candidate is a third rival"
    )


def test_tied_predecessors_are_ordered_by_name(ladder: Path, tmp_path: Path) -> None:
    runs_dir = Path(shutil.copytree(ladder, tmp_path / "runs"))
    for run in find_named_runs(runs_dir, "regression"):
        copy_run(run, "aardvark")
    comparison = compare_runs(runs_dir, "rule", "abridged", "aardvark", "fallen")
    assert list_rivals(comparison, "fallen")[1] == "aardvark"


def test_equal_candidate_is_not_distinguishable(comparison: Comparison) -> None:
    twin = get_result(comparison, "twin").baseline
    assert twin is not None
    assert (twin.value, twin.low, twin.high, twin.p, twin.p_adjusted) == (0, 0, 0, 1, 1)
    assert (twin.verdict, twin.in_words) == ("not distinguishable", "not distinguishable from rule")
    assert twin.more_records is None
    assert get_result(comparison, "twin").metrics == get_result(comparison, "rule").metrics
    assert {group.verdict for group in get_result(comparison, "twin").groups} == {"not distinguishable"}


def test_verdict_agrees_with_interval_and_p_value(comparison: Comparison) -> None:
    for difference in list_differences(comparison):
        assert difference.p_adjusted is not None
        assert difference.low <= difference.value <= difference.high
        assert (difference.verdict == "not distinguishable") == (
            difference.p_adjusted >= 0.05 or difference.low <= 0 <= difference.high
        )
        assert difference.in_words.startswith(difference.verdict)
        assert difference.metrics["f1_weighted"].value == difference.value
        assert difference.splits == 3
    better, worse = get_result(comparison, "regression").baseline, get_result(comparison, "fallen").predecessor
    assert better is not None
    assert worse is not None
    assert (better.verdict, better.in_words, worse.verdict) == ("better", "better than rule", "worse")


def test_p_values_are_adjusted_for_all_rivals(comparison: Comparison) -> None:
    family = [candidate.baseline for candidate in comparison.candidates if candidate.baseline]
    assert len(family) == 5
    smallest = min(difference.p for difference in family)
    for difference in family:
        assert difference.p_adjusted is not None
        assert difference.p_adjusted >= difference.p
        if difference.p == smallest:
            assert difference.p_adjusted == pytest.approx(min(5 * smallest, 1))


def test_single_rival_needs_no_adjustment(ladder: Path) -> None:
    [_, rival] = compare_runs(ladder, "rule", "regression").candidates
    assert rival.baseline is not None
    assert rival.baseline.p_adjusted == rival.baseline.p


def test_unknown_baseline_error_suggests_nearest_name(ladder: Path) -> None:
    selection = select(ladder)
    with pytest.raises(UserError) as error:
        check_baseline(selection, "rul")
    for part in ("baseline=rul: ", "'rule'", "data=sample", "baseline=NAME"):
        assert part in str(error.value)


def test_single_split_is_noted_as_limitation(ladder: Path) -> None:
    ids = [find_named_runs(ladder, name)[0].record.id for name in ("rule", "regression")]
    comparison = compare_evidence(gather_evidence(select(ladder, ids=ids), resamples=RESAMPLES), ladder)
    [difference] = {result.in_words for result in list_differences(comparison)}
    assert difference == "better than rule (this one split)"
    assert get_result(comparison, "regression").spread_between_splits is None
    assert comparison.notes == [
        "one split only: the intervals do not cover another split of the data",
        "rule: no rule fires on 48 of 144 records of test (33%)",
    ]


def test_promoted_candidate_shows_verdict_of_gate(ladder: Path) -> None:
    promoted_key = ("regression", get_result(compare_runs(ladder, "rule", "regression"), "regression").config_hash)
    comparison = compare_runs(ladder, "rule", "regression", promoted={promoted_key: "gate: nothing ships; forced: why"})
    assert [candidate.promoted for candidate in comparison.candidates] == [None, "gate: nothing ships; forced: why"]
    other_name = compare_runs(ladder, "rule", "regression", promoted={("mvp", promoted_key[1]): "gate: ships"})
    assert [candidate.promoted for candidate in other_name.candidates] == [None, None]


def test_progress_reports_all_steps(ladder: Path) -> None:
    announced, done = [], []
    compare_runs(ladder, "rule", "regression", "top", begin=lambda steps: announced.append(steps) or done.append)
    assert announced == [sum(done)] == [3 * RESAMPLES], "each pair is permuted once, whatever its roles"


def test_unselected_parent_is_found(runs_dir: Path) -> None:
    rule, regression = find_named_runs(runs_dir, "rule"), find_named_runs(runs_dir, "regression")
    for run in regression:
        rewrite_record(run.path, parent=rule[0].record.id)
    selection = select(runs_dir, names=["regression"])
    evidence, comparison = compare_selected(
        selection, runs_dir=runs_dir, metric="f1_weighted", baseline="regression", resamples=100
    )
    assert [candidate.name for candidate in evidence.candidates] == ["regression"]
    [changes] = [candidate.changes for candidate in comparison.candidates]
    assert changes is not None
    assert (changes.parent, changes.parent_name) == (rule[0].record.id, "rule")
    assert changes.effect is not None
    assert changes.effect.value > 0


def test_accesses_come_from_directory_and_runs_or_run_records(runs_dir: Path) -> None:
    selection = select(runs_dir)
    (runs_dir / "sample/test_readings.jsonl").unlink()
    comparisons = {
        count: compare_selected(
            selection, runs_dir=runs_dir, metric="f1_macro", baseline="rule", resamples=100, count_readings=count
        )[1]
        for count in (True, False)
    }
    assert [split.test_readings for split in comparisons[True].splits] == [2, 2, 2]
    assert [split.test_readings for split in comparisons[False].splits] == [2, 2, 2]


def test_missing_baseline_is_rejected_before_resampling(runs_dir: Path) -> None:
    started: list[str] = []
    with pytest.raises(UserError, match="baseline=cnn: "):
        compare_selected(
            select(runs_dir),
            runs_dir=runs_dir,
            metric="f1_weighted",
            baseline="cnn",
            bar=lambda task: started.append(task) or (lambda steps: lambda done: None),  # type: ignore[func-returns-value]
        )
    assert started == []
