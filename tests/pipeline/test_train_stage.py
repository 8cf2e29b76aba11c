"""Stage `train@model-k`: the run that `python train.py` makes of the same configuration, in a directory of its own."""

import json
from pathlib import Path

import pytest
from tests.pipeline.stages import freeze_the_sample

from ratchet.config import compose
from ratchet.errors import RunFailed, UserError
from ratchet.pipeline.data_stages import prepare_data, split_data
from ratchet.pipeline.plan import DATA, READINGS, SPLITS
from ratchet.pipeline.train_stage import train_run
from ratchet.runs import StoredRun
from ratchet.runs.stored import read_run
from ratchet.training import train

FEW = "evaluation.resamples=100"
RUN = Path("build/runs/sample/rule/1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory in which rule was trained by the pipeline, on repeat 1."""
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
def other(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    """The same without the pipeline."""
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
def test_what_it_finds_is_the_same_to_the_byte(name: str, trained: Path, other: StoredRun) -> None:
    assert (trained / RUN / name).read_bytes() == (other.path / name).read_bytes()


def test_its_record_is_that_of_the_same_candidate(trained: Path, other: StoredRun) -> None:
    found = read_run(trained / RUN).record
    for key in ("name", "model", "complexity", "config_hash", "dataset_version", "split_hash", "seed", "split_seed"):
        assert getattr(found, key) == getattr(other.record, key)
    for key in ("records", "train_label_counts", "task", "deterministic", "evaluate", "parent"):
        assert getattr(found, key) == getattr(other.record, key)
    assert found.status == "finished"
    assert (found.seed, found.split_seed) == (1, 1)
    assert found.overrides == ["model=rule", "repeat=1"]


def test_its_reading_is_counted_with_all_others(trained: Path) -> None:
    [line] = (trained / READINGS / "sample" / "test_readings.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["run"] == read_run(trained / RUN).record.id


def test_a_directory_that_is_there_is_not_written_into(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    before = {path: path.stat().st_mtime_ns for path in RUN.rglob("*")}
    with pytest.raises(UserError, match=f"{RUN.as_posix()}: "):
        train_run("rule", 1)
    assert {path: path.stat().st_mtime_ns for path in RUN.rglob("*")} == before


def test_a_model_that_was_not_frozen_is_told(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained)
    with pytest.raises(UserError, match=r"build/config/model/cnn\.yaml"):
        train_run("cnn", 1)
    assert not Path("build/runs/sample/cnn").exists()


def refused(repeat: int) -> str:
    with pytest.raises(RunFailed) as caught:
        train_run("rule", repeat)
    assert isinstance(caught.value.reason, UserError)
    assert read_run(caught.value.path).record.status == "failed"
    return str(caught.value.reason)


def test_a_split_of_other_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch, FEW)
    prepare_data()
    split_data(0)
    records = Path("data/sample/projects.jsonl")
    records.write_text("".join(records.read_text(encoding="utf-8").splitlines(keepends=True)[1:]), encoding="utf-8")
    prepare_data()
    assert refused(0).startswith("build/splits/0.json: not a split of sample, version ")


def test_a_split_or_data_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch, FEW)
    assert refused(0).startswith(f"{DATA / 'dataset.json'}: cannot be read")
    prepare_data()
    assert refused(1).startswith(f"{SPLITS / '1.json'}: cannot be read")


def test_measured_on_val_no_test_record_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    freeze_the_sample(tmp_path, monkeypatch, FEW, "evaluate=val")
    prepare_data()
    split_data(0)
    outcome = train_run("rule", 0)
    assert outcome.test_readings is None
    assert not (outcome.path / "predictions" / "test.parquet").exists()
    assert not READINGS.exists()
