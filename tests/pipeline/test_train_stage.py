"""Tests for stage `train@model-k`: its run equals that of `python train.py` with the same configuration."""

import json
import shutil
from pathlib import Path

import pytest
from tests.pipeline.stages import freeze_the_sample

from ratchet.config import compose
from ratchet.errors import RunFailed, UserError
from ratchet.pipeline.data_stages import prepare_data, split_data
from ratchet.pipeline.plan import DATA, READINGS, SPLITS
from ratchet.pipeline.train_stage import train_run
from ratchet.runs import StoredRun, recording
from ratchet.runs.stored import read_run
from ratchet.training import train

FEW = "evaluation.resamples=100"
RUN = Path("build/runs/sample/rule/1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a working directory in which the pipeline trained rule on repeat 1."""
    directory = tmp_path_factory.mktemp("pipeline")
    with pytest.MonkeyPatch.context() as monkeypatch:
        freeze_the_sample(directory, monkeypatch, FEW)
        prepare_data()
        split_data(1)
        outcome = train_run("rule", 1)
        assert outcome.path == RUN
        assert outcome.test_readings == 1
    return directory


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    """Return the same run, trained without the pipeline."""
    directory = tmp_path_factory.mktemp("plain")
    config = compose(["model=rule", "seed=1", "split.seed=1", FEW, f"runs_dir={directory.as_posix()}"])
    return read_run(train(config).path)


@pytest.mark.parametrize(
    "name",
    [
        *("predictions/val.parquet", "predictions/test.parquet", "metrics.json", "thresholds.json", "labels.json"),
        *("behaviour.json", "split.json", "calibration.json", "reliability/test.json"),
    ],
)
def test_results_equal_those_without_the_pipeline(name: str, trained: Path, plain_run: StoredRun) -> None:
    assert (trained / RUN / name).read_bytes() == (plain_run.path / name).read_bytes()


def test_run_whose_code_changed_meanwhile_fails_the_stage(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / RUN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recording, "find_changed_code", lambda model: ["fit"])
    with pytest.raises(UserError, match=r"the code changed during the run .*`dvc repro` trains it again"):
        train_run("rule", 1)


def test_record_describes_the_same_candidate(trained: Path, plain_run: StoredRun) -> None:
    record = read_run(trained / RUN).record
    for key in ("name", "model", "complexity", "config_hash", "dataset_version", "split_hash", "seed", "split_seed"):
        assert getattr(record, key) == getattr(plain_run.record, key)
    for key in ("records", "train_label_counts", "task", "deterministic", "evaluate", "parent"):
        assert getattr(record, key) == getattr(plain_run.record, key)
    assert record.status == "finished"
    assert (record.seed, record.split_seed) == (1, 1)
    assert record.overrides == ["model=rule", "repeat=1"]


def test_test_access_is_counted(trained: Path) -> None:
    [line] = (trained / READINGS / "sample" / "test_readings.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["run"] == read_run(trained / RUN).record.id


def test_existing_run_directory_is_refused(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    before = {path: path.stat().st_mtime_ns for path in RUN.rglob("*")}
    with pytest.raises(UserError, match=f"{RUN.as_posix()}: "):
        train_run("rule", 1)
    assert {path: path.stat().st_mtime_ns for path in RUN.rglob("*")} == before


def test_model_that_was_not_frozen_is_refused(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    with pytest.raises(UserError, match=r"build/config/model/cnn\.yaml"):
        train_run("cnn", 1)
    assert not Path("build/runs/sample/cnn").exists()


def get_refusal(repeat: int) -> str:
    with pytest.raises(RunFailed) as caught:
        train_run("rule", repeat)
    assert isinstance(caught.value.reason, UserError)
    assert read_run(caught.value.path).record.status == "failed"
    return str(caught.value.reason)


def test_split_of_other_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch, FEW)
    prepare_data()
    split_data(0)
    records = Path("data/sample/projects.jsonl")
    records.write_text("".join(records.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    prepare_data()
    assert get_refusal(0).startswith("build/splits/0.json: not a split of sample, version ")


def test_missing_split_or_data_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch, FEW)
    assert get_refusal(0).startswith(f"{DATA / 'dataset.json'}: cannot be read")
    prepare_data()
    assert get_refusal(1).startswith(f"{SPLITS / '1.json'}: cannot be read")


def test_evaluate_val_reads_no_test_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch, FEW, "evaluate=val")
    prepare_data()
    split_data(0)
    outcome = train_run("rule", 0)
    assert outcome.test_readings is None
    assert not (outcome.path / "predictions" / "test.parquet").exists()
    assert not READINGS.exists()
