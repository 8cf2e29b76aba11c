import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.inference.naming import files_of

from ratchet.config import Config, SplitConfig, SplitMethod, ThresholdConfig, ThresholdMethod, load
from ratchet.data.dataset import Dataset
from ratchet.data.prepared import Prepared, prepare
from ratchet.data.taxonomy import Taxonomy
from ratchet.evaluation.metrics import compute_averages
from ratchet.evaluation.thresholds import Thresholds, choose_thresholds
from ratchet.inference.export_checks import STEPS, ExportRefused, Trial, check_float32, check_int8, try_export
from ratchet.models import all_settings
from ratchet.runs import RunRecord, StoredRun
from ratchet.taggers import ExportPrecision

LABELS = ["a", "b"]
THRESHOLDS = Thresholds("fixed", np.full(2, 0.5))
METRIC = "f1_weighted"
Scores = NDArray[np.float32]


def make_run(split: int, seed: int) -> StoredRun:
    words = dict.fromkeys(("started_at", "host", "name", "model", "data", "config_hash", "evaluate"), "")
    numbers = dict.fromkeys(("pid", "process_started", "complexity", "threads"), 0)
    seeds = {"split_seed": split, "seed": seed, "split_hash": f"split-{split}"}
    fields = {"id": f"run-{split}-{seed}", "status": "finished", "argv": [], "overrides": []}
    return StoredRun(Path(), RunRecord.from_json({**words, **numbers, **seeds, **fields}))


def make_trial(wrong: int = 0, *, size: int = 400, split: int = 0, seed: int = 0) -> Trial:
    """Return a trial of a run that is right on most records; its export is wrong on the first `wrong` records."""
    generator = np.random.default_rng(split)
    targets = generator.integers(0, 2, (size, 2)).astype(np.uint8)
    noise = np.random.default_rng(seed).normal(0, 0.2, targets.shape)
    run_scores = np.clip(0.1 + 0.8 * targets + noise, 0, 1).astype(np.float32)
    ids = [str(number + split * size // 2) for number in range(size)]  # half of them are also in the next split
    val = Dataset(ids, ids, targets, LABELS, Taxonomy.from_labels(LABELS))
    export_scores = np.concatenate([1 - targets[:wrong].astype(np.float32), run_scores[wrong:]])
    return Trial(make_run(split, seed), val, run_scores, export_scores, THRESHOLDS, THRESHOLDS)


def make_trial_of_scores(run_scores: Scores, export_scores: Scores) -> Trial:
    """Return the default trial with these scores."""
    return dataclasses.replace(make_trial(), run_scores=run_scores, export_scores=export_scores)


def test_rounding_differences_pass_float32_check() -> None:
    run_scores = make_trial().run_scores
    check = check_float32(make_trial_of_scores(run_scores, run_scores - np.float32(5e-5)), METRIC)
    assert (check.texts, check.runs, check.records) == (400, ["run-0-0"], 400)
    assert check.largest_difference == pytest.approx(5e-5, rel=0.01)
    assert (check.f1_difference, check.f1_difference_lower) == (None, None)


def test_one_different_score_fails_float32_check() -> None:
    run_scores = make_trial().run_scores
    export_scores = run_scores.copy()
    export_scores[7, 1] = abs(run_scores[7, 1] - 0.25)
    with pytest.raises(ExportRefused, match=r"differ from the run's by up to 0\.\d+ on val"):
        check_float32(make_trial_of_scores(run_scores, export_scores), METRIC)


def test_nan_scores_fail_float32_check() -> None:
    run_scores = make_trial().run_scores
    with pytest.raises(ExportRefused):
        check_float32(make_trial_of_scores(run_scores, np.full_like(run_scores, np.nan)), METRIC)


def test_changed_decision_at_threshold_is_counted() -> None:
    run_scores = make_trial().run_scores
    run_scores[3, 0] = 0.5
    assert check_float32(make_trial_of_scores(run_scores, run_scores - np.float32(1e-6)), METRIC).changed_decisions == 1


def test_int8_with_different_scores_but_equal_decisions_passes() -> None:
    run_scores = make_trial().run_scores
    check = check_int8(
        [make_trial_of_scores(run_scores, np.where(run_scores > 0.5, 0.9, 0.1).astype(np.float32))],
        METRIC,
        SplitConfig(),
    )
    assert check.largest_difference > 0.05
    assert (check.f1_difference, check.f1_difference_lower) == (0, 0)
    assert (check.runs, check.records) == (["run-0-0"], 400)


def test_run_and_export_use_their_own_thresholds() -> None:
    run_scores = make_trial().run_scores
    halved = dataclasses.replace(
        make_trial_of_scores(run_scores, run_scores / 2), export_thresholds=Thresholds("global", np.full(2, 0.25))
    )
    check = check_int8([halved], METRIC, SplitConfig())
    assert (check.changed_decisions, check.f1_difference) == (0, 0)


def test_int8_worse_than_margin_is_rejected_without_suggesting_repeats() -> None:
    with pytest.raises(
        ExportRefused, match=r"f1_weighted -0\.0\d+ over 1 run, 400 val texts.*leave precision=int8 out"
    ):
        check_int8([make_trial(12)], METRIC, SplitConfig())


@pytest.mark.parametrize(
    ("method", "splits", "remedy"),
    [
        (SplitMethod.stratified, [0], "`split.seed=1,2,3,4`"),
        (SplitMethod.stratified, [0, 3], "`split.seed=1,2,4`"),
        (SplitMethod.stratified, [7], "`split.seed=0,1,2,3,4`"),
        (SplitMethod.temporal, [0], "`seed=1,2,3,4`"),
    ],
)
def test_insufficient_evidence_error_suggests_more_repeats(method: SplitMethod, splits: list[int], remedy: str) -> None:
    """One wrong record in 400 costs less than the margin of .005, but its interval extends beyond the margin."""
    with pytest.raises(ExportRefused) as error:
        check_int8([make_trial(1, split=split) for split in splits], METRIC, SplitConfig(method=method))
    assert "f1_weighted -0.003" in str(error.value) or "f1_weighted -0.002" in str(error.value)
    assert str(error.value).endswith(f"more repeats give more evidence: {remedy}")


def test_many_records_narrow_interval_of_small_loss() -> None:
    check = check_int8([make_trial(5, size=4_000)], METRIC, SplitConfig())
    assert check.f1_difference is not None
    assert check.f1_difference_lower is not None
    assert -0.005 < check.f1_difference_lower < check.f1_difference < 0


def test_repeats_give_evidence_that_one_val_split_cannot() -> None:
    """With a loss on one of six splits, both the mean loss and its uncertainty are small."""
    trials = [make_trial(int(split == 0), split=split) for split in range(6)]
    with pytest.raises(ExportRefused):
        check_int8(trials[:1], METRIC, SplitConfig())
    check = check_int8(trials, METRIC, SplitConfig())
    assert check.f1_difference is not None
    assert check.f1_difference_lower is not None
    assert -0.005 < check.f1_difference_lower < check.f1_difference < 0
    assert check.runs == [f"run-{split}-0" for split in range(6)]
    assert (check.texts, check.changed_decisions) == (400, trials[0].changed_decisions)
    assert check.records == 400 + 5 * 200, "texts in two val splits must count once"


def test_all_repeats_contribute_to_check() -> None:
    with pytest.raises(ExportRefused, match=r"over 2 runs, 600 val texts"):
        check_int8([make_trial(0), make_trial(20, split=1)], METRIC, SplitConfig())


def test_seeds_of_one_split_are_compared_with_their_own_exports() -> None:
    """Differences between seeds must not count if each export decides as its run does."""
    trials = [make_trial(seed=seed) for seed in range(4)]
    assert len({int(trial.run_decisions.sum()) for trial in trials}) > 1
    check = check_int8(trials, METRIC, SplitConfig())
    assert (check.f1_difference, check.f1_difference_lower) == (0, 0)


FILES = {"labels.json", "thresholds.json", "calibration.json"}


@pytest.fixture(scope="module")
def config(cnn: StoredRun) -> Config:
    return load(cnn.path / "config.yaml", all_settings())


@pytest.fixture(scope="module")
def data(config: Config) -> Prepared:
    return prepare(config.data)


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_float32_export_keeps_files_of_its_run(cnn: StoredRun, data: Prepared, config: Config, tmp_path: Path) -> None:
    steps: list[int] = []
    trial = try_export(cnn, data, config.threshold, tmp_path, ExportPrecision.float32, steps.append)
    assert sum(steps) == STEPS
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"model"}
    assert all((tmp_path / name).read_bytes() == (cnn.path / name).read_bytes() for name in FILES)
    assert trial.val.ids == cnn.read_json("split.json")["val"]
    assert trial.export_thresholds is trial.run_thresholds
    assert 0 < trial.largest_difference < 1e-4


def test_int8_thresholds_are_tuned_on_its_own_val_scores(
    cnn: StoredRun, data: Prepared, config: Config, tmp_path: Path
) -> None:
    before = files_of(cnn.path)
    trial = try_export(cnn, data, config.threshold, tmp_path, ExportPrecision.int8, lambda steps: None)
    assert files_of(cnn.path) == before
    expected = choose_thresholds(trial.val.targets, trial.export_scores, config.threshold, data.task)
    assert read_json(tmp_path / "thresholds.json") == expected.to_json(data.labels)
    assert read_json(tmp_path / "thresholds.json") != cnn.read_json("thresholds.json")
    assert (tmp_path / "calibration.json").read_bytes() == (cnn.path / "calibration.json").read_bytes()
    np.testing.assert_array_equal(trial.export_decisions, expected.decide(trial.export_scores))
    np.testing.assert_array_equal(trial.run_decisions, trial.run_thresholds.decide(trial.run_scores))
    decisions_at_run_thresholds = trial.run_thresholds.decide(trial.export_scores)
    f1 = [
        compute_averages(trial.val.targets, decisions)["f1_weighted"]
        for decisions in (trial.export_decisions, decisions_at_run_thresholds)
    ]
    assert f1[0] >= f1[1], "tuned thresholds must not be worse on val"
    assert trial.changed_decisions == (trial.export_decisions != trial.run_decisions).sum()


def test_fixed_thresholds_keep_configured_value(cnn: StoredRun, data: Prepared, config: Config, tmp_path: Path) -> None:
    fixed = ThresholdConfig(method=ThresholdMethod.fixed, value=0.25)
    trial = try_export(cnn, data, fixed, tmp_path, ExportPrecision.int8, lambda steps: None)
    assert trial.export_thresholds.values is not None
    assert set(trial.export_thresholds.values) == {0.25}
