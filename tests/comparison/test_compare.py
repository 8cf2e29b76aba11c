"""Compare candidates with the baseline, the predecessor and the best simpler one, from run directories to JSON."""

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


def blind(share: float) -> Callable[[Predictions], Predictions]:
    """Return the predictions of a model that sees nothing in this share of the records."""

    def change(found: Predictions) -> Predictions:
        scores = found.scores.copy()
        scores[: int(share * len(scores))] = 0
        return dataclasses.replace(found, scores=scores)

    return change


@pytest.fixture(scope="module")
def ladder(sample_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build rule and twin (0: equal), words and regression (1: nearly), fallen (2: blind), top (3: as regression)."""
    runs_dir = Path(shutil.copytree(sample_runs, tmp_path_factory.mktemp("ladder") / "runs"))
    for run in find_named_runs(runs_dir, "rule"):
        copy_run(run, "twin")
    for run in find_named_runs(runs_dir, "regression"):
        copy_run(run, "abridged", blind(0.05))
        copy_run(run, "fallen", blind(0.9), complexity=2)
        copy_run(run, "top", complexity=3)
    return runs_dir


def compared(runs_dir: Path, *names: str, baseline: str = "rule", part: str = "test", **options: Any) -> Comparison:
    evidence = gather_evidence(select(runs_dir, names=names, part=part), resamples=RESAMPLES)
    return of_evidence(evidence, runs_dir, baseline=baseline, **options)


def of_evidence(evidence: Evidence, runs_dir: Path, **options: Any) -> Comparison:
    settings: dict[str, Any] = {"metric": "f1_weighted", "baseline": "rule", "promoted": {}, "parents": {}}
    return compare(evidence, runs_dir=runs_dir, **{**settings, **options})


@pytest.fixture(scope="module")
def whole(ladder: Path) -> Comparison:
    return compared(ladder)


def row(found: Comparison, name: str) -> CandidateResult:
    return next(each for each in found.candidates if each.name == name)


def against(found: Comparison, name: str) -> list[str | None]:
    """Return the candidates that one is compared with: baseline, predecessor, best simpler one."""
    each = row(found, name)
    return [other.to if other else None for other in (each.baseline, each.predecessor, each.best_simpler)]


def differences(found: Comparison) -> list[Difference]:
    kinds = [(each.baseline, each.predecessor, each.best_simpler) for each in found.candidates]
    return [other for each in kinds for other in each if other]


def test_it_can_be_printed_as_json_and_read_back(whole: Comparison) -> None:
    text = json.dumps(plain(whole), allow_nan=False)
    assert TypeAdapter(Comparison).validate_json(text, strict=True) == whole


def test_two_calls_give_the_same(ladder: Path) -> None:
    assert compared(ladder, "rule", "regression", "fallen") == compared(ladder, "rule", "regression", "fallen")


def test_a_comparison_lists_what_was_compared(whole: Comparison, ladder: Path) -> None:
    runs = find_named_runs(ladder, "rule")
    assert (whole.data, whole.part, whole.metric, whole.baseline) == ("sample", "test", "f1_weighted", "rule")
    assert whole.dataset_version == runs[0].record.dataset_version
    assert whole.resamples == RESAMPLES
    assert [each.name for each in whole.candidates] == ["rule", "twin", "abridged", "regression", "fallen", "top"]
    assert row(whole, "rule").runs == [run.record.id for run in runs]
    assert [(each.split_seed, each.split_hash, each.records) for each in whole.splits] == [
        (run.record.split_seed, run.record.split_hash, run.record.records["test"]) for run in runs
    ]


def test_readings_of_the_test_splits_are_counted(whole: Comparison, ladder: Path) -> None:
    assert [each.test_readings for each in whole.splits] == [2, 2, 2], "of rule and regression; copies read nothing"
    for each in whole.splits:
        assert each.test_readings == count_test_accesses(ladder, "sample", whole.dataset_version, each.split_hash)
    on_val = compared(ladder, "rule", "regression", part="val")
    assert [each.test_readings for each in on_val.splits] == [None] * 3
    assert any("thresholds were tuned" in note for note in on_val.notes)


def test_a_row_holds_the_metrics_of_its_runs(whole: Comparison, ladder: Path) -> None:
    figures = [run.read_metrics() for run in find_named_runs(ladder, "regression")]
    found = row(whole, "regression")
    for name in ("f1_weighted", "recall_macro"):
        told = found.metrics[name]
        assert told.value == pytest.approx(np.mean([each[f"test/{name}"] for each in figures]))
        assert 0 <= told.low < told.value < told.high <= 1
    assert found.average_precision_macro == pytest.approx(
        np.mean([each["test/average_precision_macro"] for each in figures])
    )
    assert found.costs["fit_seconds"] == pytest.approx(np.median([each["cost/fit_seconds"] for each in figures]))
    assert found.behaviour["score"] == pytest.approx(np.mean([each["behaviour/score"] for each in figures]))
    assert found.spread_between_seeds is None, "one seed a split"
    assert row(whole, "rule").average_precision_macro is None, "rules rank nothing"


def test_the_baseline_is_compared_with_nothing(whole: Comparison) -> None:
    assert against(whole, "rule") == [None, None, None]
    assert row(whole, "rule").groups == []


def test_the_baseline_is_the_one_that_is_named(ladder: Path) -> None:
    found = compared(ladder, "rule", "regression", "fallen", baseline="regression")
    assert against(found, "regression") == [None, None, None]
    assert against(found, "rule") == ["regression", None, None], "nothing is simpler"
    assert against(found, "fallen") == ["regression", "regression", None]
    forth, back = compared(ladder, "rule", "regression").candidates[1].baseline, row(found, "rule").baseline
    assert forth is not None
    assert back is not None
    assert (forth.value, forth.low, forth.verdict) == (
        pytest.approx(-back.value),
        pytest.approx(-back.high),
        "better",
    )
    assert back.verdict == "worse"


def test_the_predecessor_is_of_next_lower_complexity(whole: Comparison) -> None:
    assert against(whole, "twin") == ["rule", None, None]
    assert against(whole, "regression") == ["rule", "rule", None]
    assert against(whole, "fallen") == ["rule", "regression", None], "of equals the one named after its model"
    assert against(whole, "top") == ["rule", "fallen", "regression"], "and the best of all below beside it"


def test_of_rungs_that_none_is_named_after_its_model_the_first_by_name_counts(ladder: Path, tmp_path: Path) -> None:
    runs_dir = Path(shutil.copytree(ladder, tmp_path / "runs"))
    for run in find_named_runs(runs_dir, "regression"):
        copy_run(run, "aardvark")
    found = compared(runs_dir, "rule", "abridged", "aardvark", "fallen")
    assert against(found, "fallen")[1] == "aardvark"


def test_an_equal_candidate_is_not_distinguishable(whole: Comparison) -> None:
    twin = row(whole, "twin").baseline
    assert twin is not None
    assert (twin.value, twin.low, twin.high, twin.p, twin.p_adjusted) == (0, 0, 0, 1, 1)
    assert (twin.verdict, twin.in_words) == ("not distinguishable", "not distinguishable from rule")
    assert twin.more_records is None
    assert row(whole, "twin").metrics == row(whole, "rule").metrics
    assert {each.verdict for each in row(whole, "twin").groups} == {"not distinguishable"}


def test_a_verdict_agrees_with_its_interval_and_p_value(whole: Comparison) -> None:
    for each in differences(whole):
        assert each.p_adjusted is not None
        assert each.low <= each.value <= each.high
        assert (each.verdict == "not distinguishable") == (each.p_adjusted >= 0.05 or each.low <= 0 <= each.high)
        assert each.in_words.startswith(each.verdict)
        assert each.metrics["f1_weighted"].value == each.value
        assert each.splits == 3
    better, worse = row(whole, "regression").baseline, row(whole, "fallen").predecessor
    assert better is not None
    assert worse is not None
    assert (better.verdict, better.in_words, worse.verdict) == ("better", "better than rule", "worse")


def test_p_values_are_adjusted_for_all_rivals_of_the_baseline(whole: Comparison) -> None:
    family = [each.baseline for each in whole.candidates if each.baseline]
    assert len(family) == 5
    smallest = min(each.p for each in family)
    for each in family:
        assert each.p_adjusted is not None
        assert each.p_adjusted >= each.p
        if each.p == smallest:
            assert each.p_adjusted == pytest.approx(min(5 * smallest, 1))


def test_one_rival_needs_no_adjustment(ladder: Path) -> None:
    [_, rival] = compared(ladder, "rule", "regression").candidates
    assert rival.baseline is not None
    assert rival.baseline.p_adjusted == rival.baseline.p


def test_an_unknown_baseline_is_refused_with_the_nearest_name(ladder: Path) -> None:
    selection = select(ladder)
    with pytest.raises(UserError) as caught:
        check_baseline(selection, "rul")
    for part in ("baseline=rul: ", "'rule'", "data=sample", "baseline=NAME"):
        assert part in str(caught.value)


def test_one_split_speaks_of_itself_only(ladder: Path) -> None:
    ids = [find_named_runs(ladder, name)[0].record.id for name in ("rule", "regression")]
    found = of_evidence(gather_evidence(select(ladder, ids=ids), resamples=RESAMPLES), ladder)
    [difference] = {each.in_words for each in differences(found)}
    assert difference == "better than rule (this one split)"
    assert row(found, "regression").spread_between_splits is None
    assert found.notes == ["one split only: the intervals do not cover another split of the data"]


def test_a_promoted_candidate_shows_the_gates_verdict(ladder: Path) -> None:
    shown = ("regression", row(compared(ladder, "rule", "regression"), "regression").config_hash)
    found = compared(ladder, "rule", "regression", promoted={shown: "gate: nothing ships; forced: why"})
    assert [each.promoted for each in found.candidates] == [None, "gate: nothing ships; forced: why"]
    other_name = compared(ladder, "rule", "regression", promoted={("mvp", shown[1]): "gate: ships"})
    assert [each.promoted for each in other_name.candidates] == [None, None]


def test_progress_is_told_to_its_end(ladder: Path) -> None:
    announced, done = [], []
    compared(ladder, "rule", "regression", "top", begin=lambda steps: announced.append(steps) or done.append)
    assert announced == [sum(done)] == [3 * RESAMPLES], "each pair is swapped once, whatever it is shown as"


def test_a_parent_that_was_not_selected_is_found(runs_dir: Path) -> None:
    rule, regression = find_named_runs(runs_dir, "rule"), find_named_runs(runs_dir, "regression")
    for run in regression:
        rewrite_record(run.path, parent=rule[0].record.id)
    selection = select(runs_dir, names=["regression"])
    evidence, found = compare_selected(
        selection, runs_dir=runs_dir, metric="f1_weighted", baseline="regression", resamples=100
    )
    assert [each.name for each in evidence.candidates] == ["regression"]
    [changes] = [each.changes for each in found.candidates]
    assert changes is not None
    assert (changes.parent, changes.parent_name) == (rule[0].record.id, "rule")
    assert changes.effect is not None
    assert changes.effect.value > 0


def test_readings_are_those_of_the_directory_or_those_that_the_runs_noted(runs_dir: Path) -> None:
    selection = select(runs_dir)
    (runs_dir / "sample/test_readings.jsonl").unlink()
    compared = {
        count: compare_selected(
            selection, runs_dir=runs_dir, metric="f1_macro", baseline="rule", resamples=100, count_readings=count
        )[1]
        for count in (True, False)
    }
    assert [split.test_readings for split in compared[True].splits] == [0, 0, 0]
    assert [split.test_readings for split in compared[False].splits] == [2, 2, 2]


def test_a_missing_baseline_is_refused_before_resampling(runs_dir: Path) -> None:
    begun: list[str] = []
    with pytest.raises(UserError, match="baseline=cnn: "):
        compare_selected(
            select(runs_dir),
            runs_dir=runs_dir,
            metric="f1_weighted",
            baseline="cnn",
            bar=lambda what: begun.append(what) or (lambda steps: lambda done: None),  # type: ignore[func-returns-value]
        )
    assert begun == []
