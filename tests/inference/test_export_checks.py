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


def run(split: int, seed: int) -> StoredRun:
    words = dict.fromkeys(("started_at", "host", "name", "model", "data", "config_hash", "evaluate"), "")
    numbers = dict.fromkeys(("pid", "process_started", "complexity", "threads"), 0)
    seeds = {"split_seed": split, "seed": seed, "split_hash": f"split-{split}"}
    fields = {"id": f"run-{split}-{seed}", "status": "finished", "argv": [], "overrides": []}
    return StoredRun(Path(), RunRecord.from_json({**words, **numbers, **seeds, **fields}))


def trial(wrong: int = 0, *, size: int = 400, split: int = 0, seed: int = 0) -> Trial:
    """Records, scores that are right on most of them, and an export that is wrong on so many of those records."""
    generator = np.random.default_rng(split)
    targets = generator.integers(0, 2, (size, 2)).astype(np.uint8)
    noise = np.random.default_rng(seed).normal(0, 0.2, targets.shape)
    own = np.clip(0.1 + 0.8 * targets + noise, 0, 1).astype(np.float32)
    ids = [str(number + split * size // 2) for number in range(size)]  # half of them are in the next split too
    val = Dataset(ids, ids, targets, LABELS, Taxonomy.from_labels(LABELS))
    found = np.concatenate([1 - targets[:wrong].astype(np.float32), own[wrong:]])
    return Trial(run(split, seed), val, own, found, THRESHOLDS, THRESHOLDS)


def scored(own: Scores, found: Scores) -> Trial:
    """The same with these scores."""
    return dataclasses.replace(trial(), run_scores=own, export_scores=found)


def test_scores_that_round_otherwise_are_the_same() -> None:
    own = trial().run_scores
    check = check_float32(scored(own, own - np.float32(5e-5)), METRIC)
    assert (check.texts, check.runs, check.records) == (400, ["run-0-0"], 400)
    assert check.largest_difference == pytest.approx(5e-5, rel=0.01)
    assert (check.f1_difference, check.f1_difference_lower) == (None, None)


def test_one_score_that_is_another_is_enough_to_refuse() -> None:
    own = trial().run_scores
    found = own.copy()
    found[7, 1] = abs(own[7, 1] - 0.25)
    with pytest.raises(ExportRefused, match=r"differ from the run's by up to 0\.\d+ on val"):
        check_float32(scored(own, found), METRIC)


def test_a_score_that_is_no_number_is_refused() -> None:
    own = trial().run_scores
    with pytest.raises(ExportRefused):
        check_float32(scored(own, np.full_like(own, np.nan)), METRIC)


def test_a_decision_at_its_threshold_may_change_and_is_counted() -> None:
    own = trial().run_scores
    own[3, 0] = 0.5
    assert check_float32(scored(own, own - np.float32(1e-6)), METRIC).changed_decisions == 1


def test_int8_may_score_otherwise_as_long_as_it_decides_as_well() -> None:
    own = trial().run_scores
    check = check_int8([scored(own, np.where(own > 0.5, 0.9, 0.1).astype(np.float32))], METRIC, SplitConfig())
    assert check.largest_difference > 0.05
    assert (check.f1_difference, check.f1_difference_lower) == (0, 0)
    assert (check.runs, check.records) == (["run-0-0"], 400)


def test_each_side_decides_by_its_run_thresholds() -> None:
    own = trial().run_scores
    halved = dataclasses.replace(scored(own, own / 2), export_thresholds=Thresholds("global", np.full(2, 0.25)))
    check = check_int8([halved], METRIC, SplitConfig())
    assert (check.changed_decisions, check.f1_difference) == (0, 0)


def test_int8_that_is_worse_by_more_than_the_margin_is_refused_and_more_repeats_are_no_remedy() -> None:
    with pytest.raises(
        ExportRefused, match=r"f1_weighted -0\.0\d+ over 1 run, 400 val texts.*leave precision=int8 out"
    ):
        check_int8([trial(12)], METRIC, SplitConfig())


@pytest.mark.parametrize(
    ("method", "splits", "remedy"),
    [
        (SplitMethod.stratified, [0], "`split.seed=1,2,3,4`"),
        (SplitMethod.stratified, [0, 3], "`split.seed=1,2,4`"),
        (SplitMethod.stratified, [7], "`split.seed=0,1,2,3,4`"),
        (SplitMethod.temporal, [0], "`seed=1,2,3,4`"),
    ],
)
def test_too_little_evidence_is_refused_with_what_would_help(
    method: SplitMethod, splits: list[int], remedy: str
) -> None:
    """One record in 400 costs less than .005, but which one it is is chance: the lower bound counts."""
    with pytest.raises(ExportRefused) as refused:
        check_int8([trial(1, split=split) for split in splits], METRIC, SplitConfig(method=method))
    assert "f1_weighted -0.003" in str(refused.value) or "f1_weighted -0.002" in str(refused.value)
    assert str(refused.value).endswith(f"more repeats give more evidence: {remedy}")


def test_many_records_make_a_small_loss_certain() -> None:
    check = check_int8([trial(5, size=4_000)], METRIC, SplitConfig())
    assert check.f1_difference is not None
    assert check.f1_difference_lower is not None
    assert -0.005 < check.f1_difference_lower < check.f1_difference < 0


def test_repeats_tell_what_one_val_part_cannot() -> None:
    """A loss on one part, none on the others: the mean is small, and so is what is not known of it."""
    trials = [trial(int(split == 0), split=split) for split in range(6)]
    with pytest.raises(ExportRefused):
        check_int8(trials[:1], METRIC, SplitConfig())
    check = check_int8(trials, METRIC, SplitConfig())
    assert check.f1_difference is not None
    assert check.f1_difference_lower is not None
    assert -0.005 < check.f1_difference_lower < check.f1_difference < 0
    assert check.runs == [f"run-{split}-0" for split in range(6)]
    assert (check.texts, check.changed_decisions) == (400, trials[0].changed_decisions)
    assert check.records == 400 + 5 * 200, "texts that are in two val parts count once"


def test_every_repeat_counts() -> None:
    with pytest.raises(ExportRefused, match=r"over 2 runs, 600 val texts"):
        check_int8([trial(0), trial(20, split=1)], METRIC, SplitConfig())


def test_seeds_of_one_split_are_compared_each_with_its_own_export() -> None:
    """How much seeds differ among themselves says nothing of an export that decides as its run does."""
    trials = [trial(seed=seed) for seed in range(4)]
    assert len({int(each.run_decisions.sum()) for each in trials}) > 1
    check = check_int8(trials, METRIC, SplitConfig())
    assert (check.f1_difference, check.f1_difference_lower) == (0, 0)


FILES = {"labels.json", "thresholds.json", "calibration.json"}


@pytest.fixture(scope="module")
def config(cnn: StoredRun) -> Config:
    return load(cnn.path / "config.yaml", all_settings())


@pytest.fixture(scope="module")
def data(config: Config) -> Prepared:
    return prepare(config.data)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_float32_keeps_all_files_of_its_run(cnn: StoredRun, data: Prepared, config: Config, tmp_path: Path) -> None:
    steps: list[int] = []
    trial = try_export(cnn, data, config.threshold, tmp_path, ExportPrecision.float32, steps.append)
    assert sum(steps) == STEPS
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"model"}
    assert all((tmp_path / name).read_bytes() == (cnn.path / name).read_bytes() for name in FILES)
    assert trial.val.ids == cnn.read_json("split.json")["val"]
    assert trial.export_thresholds is trial.run_thresholds
    assert 0 < trial.largest_difference < 1e-4


def test_int8_has_the_thresholds_that_its_own_scores_of_val_ask_for(
    cnn: StoredRun, data: Prepared, config: Config, tmp_path: Path
) -> None:
    before = files_of(cnn.path)
    trial = try_export(cnn, data, config.threshold, tmp_path, ExportPrecision.int8, lambda steps: None)
    assert files_of(cnn.path) == before
    expected = choose_thresholds(trial.val.targets, trial.export_scores, config.threshold, data.task)
    assert read(tmp_path / "thresholds.json") == expected.to_json(data.labels)
    assert read(tmp_path / "thresholds.json") != cnn.read_json("thresholds.json")
    assert (tmp_path / "calibration.json").read_bytes() == (cnn.path / "calibration.json").read_bytes()
    np.testing.assert_array_equal(trial.export_decisions, expected.decide(trial.export_scores))
    np.testing.assert_array_equal(trial.run_decisions, trial.run_thresholds.decide(trial.run_scores))
    kept = trial.run_thresholds.decide(trial.export_scores)
    f1 = [compute_averages(trial.val.targets, decisions)["f1_weighted"] for decisions in (trial.export_decisions, kept)]
    assert f1[0] >= f1[1], "what they were chosen for"
    assert trial.changed_decisions == (trial.export_decisions != trial.run_decisions).sum()


def test_fixed_thresholds_stay_what_the_configuration_says(
    cnn: StoredRun, data: Prepared, config: Config, tmp_path: Path
) -> None:
    fixed = ThresholdConfig(method=ThresholdMethod.fixed, value=0.25)
    trial = try_export(cnn, data, fixed, tmp_path, ExportPrecision.int8, lambda steps: None)
    assert trial.export_thresholds.values is not None
    assert set(trial.export_thresholds.values) == {0.25}
