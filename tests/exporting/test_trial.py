import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.commands import read_files as files_of

from ratchet.config import Config, ThresholdConfig, ThresholdMethod, load
from ratchet.data.prepared import Prepared, prepare
from ratchet.evaluation.metrics import compute_averages
from ratchet.evaluation.thresholds import choose_thresholds
from ratchet.exporting.trial import STEPS, try_export
from ratchet.models import all_settings
from ratchet.runs import StoredRun
from ratchet.taggers import ExportPrecision

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
    assert trial.found_thresholds is trial.own_thresholds
    assert 0 < trial.largest_difference < 1e-4


def test_int8_has_the_thresholds_that_its_own_scores_of_val_ask_for(
    cnn: StoredRun, data: Prepared, config: Config, tmp_path: Path
) -> None:
    before = files_of(cnn.path)
    trial = try_export(cnn, data, config.threshold, tmp_path, ExportPrecision.int8, lambda steps: None)
    assert files_of(cnn.path) == before
    expected = choose_thresholds(trial.val.targets, trial.found, config.threshold, data.task)
    assert read(tmp_path / "thresholds.json") == expected.to_json(data.labels)
    assert read(tmp_path / "thresholds.json") != cnn.read_json("thresholds.json")
    assert (tmp_path / "calibration.json").read_bytes() == (cnn.path / "calibration.json").read_bytes()
    np.testing.assert_array_equal(trial.decided, expected.decide(trial.found))
    np.testing.assert_array_equal(trial.decisions, trial.own_thresholds.decide(trial.own))
    kept = trial.own_thresholds.decide(trial.found)
    f1 = [compute_averages(trial.val.targets, decisions)["f1_weighted"] for decisions in (trial.decided, kept)]
    assert f1[0] >= f1[1], "what they were chosen for"
    assert trial.changed_decisions == (trial.decided != trial.decisions).sum()


def test_fixed_thresholds_stay_what_the_configuration_says(
    cnn: StoredRun, data: Prepared, config: Config, tmp_path: Path
) -> None:
    fixed = ThresholdConfig(method=ThresholdMethod.fixed, value=0.25)
    trial = try_export(cnn, data, fixed, tmp_path, ExportPrecision.int8, lambda steps: None)
    assert trial.found_thresholds.values is not None
    assert set(trial.found_thresholds.values) == {0.25}
