"""Tests for one run in this process: its files, the data that each step sees, and its failures."""

import dataclasses
import hashlib
import json
import os
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from ratchet.config import Config, ModelConfig, compose
from ratchet.data.dataset import Dataset
from ratchet.data.prepared import prepare
from ratchet.data.problems import Problem, Report
from ratchet.data.splits import PARTS, Split, make_split
from ratchet.errors import Pruned, RunFailed, UserError
from ratchet.machine import available_cores
from ratchet.runs import StoredRun
from ratchet.runs.accesses import count_test_accesses
from ratchet.runs.predictions import read_predictions
from ratchet.runs.stored import read_run
from ratchet.taggers import FitContext, Scores
from ratchet.training import Outcome, get_comparison_dir, list_left_out, train

FAST = ("model=regression", "model.char_ngrams=null")


class Fake:
    """A tagger that computes scores from the bytes of a text and records its inputs; subclasses change one thing."""

    deterministic = True
    num_parameters = 7
    size_bytes = 70

    def __init__(self, settings: Any) -> None:
        self.predicted: list[str] = []

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        self.train, self.val, self.context = train, val, context
        self.threads_of_the_fit = os.environ["OMP_NUM_THREADS"]

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        self.predicted += texts
        values = [[crc32(f"{label} {text}".encode()) % 1000 / 1000 for label in self.train.labels] for text in texts]
        return np.array(values, dtype=np.float32)

    def save(self, directory: Path) -> None:
        (directory / "fake.json").write_text("{}")


Use = Callable[[type[Fake]], list[Fake]]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Replace the configured model by a class, and return the list of its later instances: `use(Fake)`."""

    def replace(tagger: type[Fake]) -> list[Fake]:
        instances: list[Fake] = []

        def make(settings: Any) -> Fake:
            instances.append(tagger(settings))
            return instances[-1]

        monkeypatch.setattr("ratchet.training.tagger_class", lambda module: make)
        return instances

    return replace


def configure(directory: Path, *overrides: str) -> Config:
    return compose([f"runs_dir={directory / 'runs'}", "evaluation.resamples=100", *overrides])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Outcome]:
    config = configure(tmp_path_factory.mktemp("finished"), *FAST)
    return config, train(config, [*FAST])


@pytest.fixture(scope="module")
def run(finished: tuple[Config, Outcome]) -> StoredRun:
    return read_run(finished[1].path)


def read_only_run(directory: Path) -> StoredRun:
    [record] = (directory / "runs").glob("*/*/*/record.json")
    return read_run(record.parent)


def test_finished_run_has_all_its_files(run: StoredRun) -> None:
    files = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert files - {"code.diff"} == {
        "accesses.jsonl",
        "seen_texts.npz",
        "behaviour.json",
        "calibration.json",
        "code.json",
        "config.yaml",
        "cost.json",
        "history.csv",
        "labels.json",
        "log.txt",
        "metrics.json",
        "model/features.json",
        "model/idf.npz",
        "model/model.json",
        "model/weights.npz",
        "predictions/test.parquet",
        "predictions/val.parquet",
        "record.json",
        "reliability/test.json",
        "reliability/val.json",
        "split.json",
        "thresholds.json",
    }


def test_record_of_finished_run_is_complete(run: StoredRun) -> None:
    record = run.record
    assert run.status == "finished"
    may_be_empty = {"parent", "hypothesis", "tags", "sweep_id", "error", "config_dir"}
    assert [name for name, value in vars(record).items() if value is None and name not in may_be_empty] == []
    assert (record.task, record.deterministic, record.threads) == ("multilabel", True, available_cores())
    assert record.overrides == [*FAST]
    assert record.num_parameters is not None
    assert record.num_parameters > 1000
    assert record.size_bytes == 4 * record.num_parameters  # float32


def test_record_identifies_data_and_split(run: StoredRun, finished: tuple[Config, Outcome]) -> None:
    config, record = finished[0], run.record
    prepared = prepare(config.data)
    split = run.read_json("split.json")
    parts = {part: split[part] for part in PARTS}
    assert record.dataset_version == prepared.version
    assert record.split_hash == split["hash"] == make_split(prepared, config.split, None).hash
    assert split["hash"] == hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert record.records == {part: len(ids) for part, ids in parts.items()}
    assert sorted(identifier for ids in parts.values() for identifier in ids) == [item.id for item in prepared.records]
    assert run.read_json("labels.json") == prepared.labels == list(record.train_label_counts)
    counts = prepared.select(parts["train"]).targets.sum(axis=0, dtype=int)
    assert list(record.train_label_counts.values()) == counts.tolist()


def test_predictions_cover_the_records_of_each_part(run: StoredRun, finished: tuple[Config, Outcome]) -> None:
    prepared = prepare(finished[0].data)
    for part in ("val", "test"):
        predictions = read_predictions(run.path / "predictions" / f"{part}.parquet")
        assert predictions.ids == run.read_json("split.json")[part]
        np.testing.assert_array_equal(predictions.targets, prepared.select(predictions.ids).targets)
        assert len(predictions.slices) == len(predictions.ids)
    test_slices = {name for names in predictions.slices for name in names}
    assert test_slices >= {"label_not_named", "rare_labels", "terse", "date=2025-Q1"}


def test_metrics_and_costs_are_stored_in_separate_files(run: StoredRun) -> None:
    metrics, cost = run.read_json("metrics.json"), run.read_json("cost.json")
    assert {key.split("/")[0] for key in metrics} == {"val", "test", "behaviour"}
    assert set(cost) == {
        "cost/fit_seconds",
        "cost/latency_ms_p50",
        "cost/latency_ms_p95",
        "cost/items_per_second",
        "cost/peak_memory_mb",
        "cost/size_mb",
        "cost/threads",
        "cost/cores",
        "cost/load_average",
        "cost/latency_waited",
        "cost/fit_waited",
        "cost/fit_load_average",
    }
    assert run.read_metrics() == metrics | cost
    assert metrics["test/records"] == run.record.records["test"]
    model = sum(path.stat().st_size for path in (run.path / "model").iterdir())
    assert cost["cost/size_mb"] == pytest.approx(model / 1e6)


def test_each_run_on_test_counts_as_a_test_access(tmp_path: Path, use: Use) -> None:
    use(Fake)
    config = configure(tmp_path)
    assert [train(config).test_readings for _ in range(2)] == [1, 2]
    other_split = configure(tmp_path, "split.seed=1")
    assert train(other_split).test_readings == 1


def test_evaluate_val_does_not_use_the_test_part(tmp_path: Path, use: Use) -> None:
    instances = use(Fake)
    outcome = train(configure(tmp_path, "evaluate=val"))
    run = read_run(outcome.path)
    assert outcome.test_readings is None
    assert not list((tmp_path / "runs").rglob("test_readings.jsonl"))
    assert all(key.startswith(("val/", "behaviour/")) for key in run.read_json("metrics.json"))
    assert [path.name for path in (run.path / "reliability").iterdir()] == ["val.json"]
    assert [path.name for path in (run.path / "predictions").iterdir()] == ["val.parquet"]
    assert run.record.evaluate == "val"
    [tagger] = instances
    prepared = prepare(configure(tmp_path).data)
    test_texts = set(prepared.select(run.read_json("split.json")["test"]).texts)
    assert test_texts.isdisjoint(tagger.predicted)


def test_fit_sees_train_and_val_but_not_test(tmp_path: Path, use: Use) -> None:
    instances = use(Fake)
    run = read_run(train(configure(tmp_path)).path)
    [tagger] = instances
    split = run.read_json("split.json")
    assert (tagger.train.ids, tagger.val.ids) == (split["train"], split["val"])
    seen = {*tagger.train.ids, *tagger.val.ids}
    assert seen.isdisjoint(split["test"])
    assert split["test"]
    prepared = prepare(configure(tmp_path).data)
    for part in (tagger.train, tagger.val):
        assert part.texts == prepared.select(part.ids).texts
        np.testing.assert_array_equal(part.targets, prepared.select(part.ids).targets)
        assert len(part.targets) == len(part.ids)


def test_fit_context_has_directory_seed_log_and_threads(tmp_path: Path, use: Use) -> None:
    class RecordsContext(Fake):
        def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
            super().fit(train, val, context)
            (context.directory / "epoch-1.txt").write_text("weights")
            directories.append(context.directory)
            context.log(5, {"epoch": 1, "train/loss": 0.5})

    directories: list[Path] = []
    instances = use(RecordsContext)
    run = read_run(train(configure(tmp_path, "seed=11", "threads=1")).path)
    assert instances[0].context.seed == 11
    assert directories == [run.path / "checkpoints"]
    assert not directories[0].exists(), "a finished run has nothing to resume"
    assert (run.path / "history.csv").read_text().splitlines() == ["epoch,step,key,value", "1,5,train/loss,0.5"]
    assert (instances[0].threads_of_the_fit, run.record.threads) == ("1", 1)
    assert (run.record.num_parameters, run.record.size_bytes) == (7, 70)


def read_records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_records(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def partitioned(project: Path, run: StoredRun) -> list[dict[str, Any]]:
    """Return the sample with a column that names the part of each record."""
    part_of = {identifier: part for part in PARTS for identifier in run.read_json("split.json")[part]}
    records = read_records(project / "data" / "sample" / "projects.jsonl")
    return [{**record, "part": part_of[record["id"]]} for record in records]


def use_given_split(path: Path) -> list[str]:
    return [f"data.records.path={path}", "data.split.method=given", "data.split.column=part"]


def test_labels_of_test_do_not_influence_model_or_thresholds(tmp_path: Path, partitioned: list[dict[str, Any]]) -> None:
    tags = [record["tags"] for record in partitioned if record["part"] == "test"]
    random.Random(0).shuffle(tags)
    shuffled = iter(tags)
    changed = [{**record, "tags": next(shuffled)} if record["part"] == "test" else record for record in partitioned]
    runs = []
    for name, records in (("as_it_is", partitioned), ("changed", changed)):
        path = write_records(tmp_path / name / "records.jsonl", records)
        runs.append(read_run(train(configure(tmp_path / name, *FAST, *use_given_split(path))).path))
    original, modified = runs
    assert original.record.dataset_version != modified.record.dataset_version
    for name in ("thresholds.json", "predictions/val.parquet", "model/weights.npz", "labels.json", "split.json"):
        assert (original.path / name).read_bytes() == (modified.path / name).read_bytes(), name
    val_metrics = [
        {key: value for key, value in run.read_json("metrics.json").items() if key.startswith("val/")} for run in runs
    ]
    assert val_metrics[0] == val_metrics[1]
    assert (
        original.read_json("metrics.json")["test/f1_weighted"] != modified.read_json("metrics.json")["test/f1_weighted"]
    )


def test_thresholds_depend_on_val_labels(tmp_path: Path, partitioned: list[dict[str, Any]], use: Use) -> None:
    use(Fake)
    reduced = [{**record, "tags": record["tags"][:1]} if record["part"] == "val" else record for record in partitioned]
    values = []
    for name, records in (("as_it_is", partitioned), ("changed", reduced)):
        path = write_records(tmp_path / name / "records.jsonl", records)
        outcome = train(configure(tmp_path / name, *use_given_split(path), "threshold.method=per_label"))
        values.append(json.loads((outcome.path / "thresholds.json").read_text())["values"])
    assert values[0] != values[1]


def test_label_without_train_record_logs_a_warning(tmp_path: Path, partitioned: list[dict[str, Any]], use: Use) -> None:
    use(Fake)
    records = [
        record if record["part"] == "test" else {**record, "tags": [tag for tag in record["tags"] if tag != "graphs"]}
        for record in partitioned
    ]
    path = write_records(tmp_path / "records.jsonl", records)
    run = read_run(train(configure(tmp_path, *use_given_split(path))).path)
    [line] = [line for line in (run.path / "log.txt").read_text().splitlines() if "without a train record" in line]
    assert "WARNING" in line
    assert line.endswith(": graphs")
    assert run.record.train_label_counts["graphs"] == 0


def test_no_warning_when_every_label_has_train_records(run: StoredRun) -> None:
    assert "without a train record" not in (run.path / "log.txt").read_text()


def test_data_problems_are_logged(tmp_path: Path, partitioned: list[dict[str, Any]], use: Use) -> None:
    use(Fake)
    path = write_records(tmp_path / "records.jsonl", [*partitioned, {**partitioned[0], "id": "empty", "title": "",
                                                                 "description": ""}])  # fmt: skip
    run = read_run(train(configure(tmp_path, *use_given_split(path))).path)
    [line] = [line for line in (run.path / "log.txt").read_text().splitlines() if "empty text" in line]
    assert "records.jsonl" in line
    assert "721" in line
    assert "dropped" in line


class RaisesInFit(Fake):
    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        raise RuntimeError("the loss is not finite")


class RaisesInSave(Fake):
    def save(self, directory: Path) -> None:
        raise OSError(28, "No space left on device")


class WrongShape(Fake):
    def predict_proba(self, texts: Sequence[str]) -> Scores:
        return super().predict_proba(texts)[:, 1:]


class NotANumber(Fake):
    def predict_proba(self, texts: Sequence[str]) -> Scores:
        return super().predict_proba(texts) * np.float32("nan")


class AboveOne(Fake):
    def predict_proba(self, texts: Sequence[str]) -> Scores:
        return super().predict_proba(texts) * np.float32(2)


class Float64(Fake):
    def predict_proba(self, texts: Sequence[str]) -> Any:
        return super().predict_proba(texts).astype(np.float64)


@pytest.mark.parametrize(
    ("tagger", "kind", "message"),
    [
        (RaisesInFit, "RuntimeError", "the loss is not finite"),
        (RaisesInSave, "DiskFull", "No space left on device"),
        (WrongShape, "ValueError", "(146, 16), but must return float32 (146, 17)"),
        (NotANumber, "ValueError", "not in [0, 1]"),
        (AboveOne, "ValueError", "not in [0, 1]"),
        (Float64, "ValueError", "float64"),
    ],
)
def test_failing_tagger_leaves_a_failed_run(
    tmp_path: Path, use: Use, tagger: type[Fake], kind: str, message: str
) -> None:
    use(tagger)
    with pytest.raises(RunFailed) as failed:
        train(configure(tmp_path))
    run = read_only_run(tmp_path)
    assert failed.value.path == run.path
    assert run.status == "failed"
    assert run.record.error is not None
    assert run.record.error["type"] == kind
    assert message in run.record.error["message"]
    assert message in (run.path / "log.txt").read_text()
    assert run.record.dataset_version is not None  # the data were prepared before the failure
    assert not (run.path / "metrics.json").exists()
    assert not (run.path / "predictions").exists()
    assert not list((tmp_path / "runs").rglob("test_readings.jsonl"))


def test_pruned_training_leaves_a_pruned_run_without_weights(tmp_path: Path) -> None:
    def watch(step: int, metrics: Mapping[str, float]) -> None:
        if metrics["epoch"] == 1:
            raise Pruned("epoch 1: worse than the others")

    config = configure(tmp_path, "model=cnn", "model.tokens=word", "model.teacher_share=0", "model.filters=4")
    with pytest.raises(Pruned) as stopped:
        train(config, watch=watch)
    run = read_only_run(tmp_path)
    assert stopped.value.path == run.path
    assert (run.status, run.record.error) == (
        "pruned",
        {"type": "Pruned", "message": "epoch 1: worse than the others", "traceback": ""},
    )
    assert {point.epoch for point in run.read_history()} == {0, 1}
    assert sorted(path.name for path in run.path.iterdir() if path.is_dir()) == []


def test_run_that_fails_on_test_counts_as_a_test_access(tmp_path: Path, use: Use) -> None:
    class FailsOnTest(Fake):
        def predict_proba(self, texts: Sequence[str]) -> Scores:
            scores = super().predict_proba(texts)
            return scores if list(texts) == self.val.texts else scores * np.float32("nan")

    use(FailsOnTest)
    with pytest.raises(RunFailed):
        train(configure(tmp_path))
    run = read_only_run(tmp_path)
    assert run.status == "failed"
    assert not (run.path / "predictions" / "test.parquet").exists()
    assert run.record.dataset_version is not None
    assert run.record.split_hash is not None
    assert count_test_accesses(tmp_path / "runs", run.record.dataset_version, run.record.split_hash) == 1


def test_unreadable_data_leave_a_failed_run(tmp_path: Path) -> None:
    with pytest.raises(RunFailed) as failed:
        train(configure(tmp_path, f"data.records.path={tmp_path / 'nowhere.jsonl'}"))
    assert isinstance(failed.value.reason, UserError)
    assert read_only_run(tmp_path).status == "failed"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=transformer_tiny", "trainer=gpu"], "trainer=gpu: this machine has none"),
        (["model=transformer", "model.encoder=/nowhere/encoder"], "/nowhere/encoder: no such directory"),
        (["model=cnn", "model.encoder=/nowhere/encoder"], "/nowhere/encoder: no such directory"),
    ],
    ids=["no GPU", "transformer", "cnn"],
)
def test_missing_device_or_encoder_leaves_no_run(
    overrides: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratchet.neural.devices.available_gpus", lambda: 0)
    with pytest.raises(UserError, match=message):
        train(compose([*overrides, f"runs_dir={tmp_path / 'runs'}"]))
    assert not (tmp_path / "runs").exists()


def test_files_that_change_during_the_fit_fail_the_run(
    tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("nodes")
    monkeypatch.setattr(ModelConfig, "input_files", lambda settings: {"lexicon": lexicon})

    class Rewrites(Fake):
        def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
            super().fit(train, val, context)
            lexicon.write_text("edges")

    use(Rewrites)
    with pytest.raises(RunFailed, match="changed during the fit"):
        train(configure(tmp_path))


def test_model_files_are_recorded_with_their_hashes(run: StoredRun) -> None:
    files = {"labels.json", "calibration.json", "thresholds.json"}
    files |= {path.relative_to(run.path).as_posix() for path in (run.path / "model").iterdir()}
    assert set(run.record.model_files) == files
    for name, digest in run.record.model_files.items():
        assert hashlib.sha256((run.path / name).read_bytes()).hexdigest() == digest


def test_existing_run_directory_is_refused_before_training(tmp_path: Path, use: Use) -> None:
    instances = use(Fake)
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        train(configure(tmp_path, f"run_dir={tmp_path}"))
    assert instances == []
    assert list(tmp_path.iterdir()) == []


class RandomScores(Fake):
    """A tagger that draws its scores from the global random generators."""

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        super().fit(train, val, context)
        self.row = np.random.random(len(train.labels)) * random.random()

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        return np.tile(self.row.astype(np.float32), (len(texts), 1))


def test_run_seed_seeds_all_generators(tmp_path: Path, use: Use) -> None:
    use(RandomScores)
    outputs = []
    for number, seed in enumerate([3, 3, 4]):
        random.seed(number)  # the earlier state must not matter
        np.random.seed(number)
        path = train(configure(tmp_path / str(number), f"seed={seed}")).path
        outputs.append([(path / name).read_bytes() for name in ("metrics.json", "predictions/test.parquet")])
    assert outputs[0] == outputs[1]
    assert outputs[0][1] != outputs[2][1]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("build/runs/sample/rule/0", "build/runs"),
        ("runs/sample/rule/20261124T000000Z-abcdef", "runs"),
        ("somewhere/else/of/its/own", "runs"),
        ("fixed", "runs"),
    ],
)
def test_comparison_dir_of_pipeline_run_is_its_runs_directory(path: str, expected: str) -> None:
    assert get_comparison_dir(compose([]), Path(path)) == Path(expected)


def test_records_that_a_stored_split_dropped_are_counted_without_their_problems() -> None:
    stored = Split(["a"], ["b"], ["c"], dropped=["d", "e"])
    made = dataclasses.replace(stored, problems=(Problem("leak between given parts", "a.csv", "", "dropped"),))
    [finding] = list_left_out(Report(), stored)
    assert (finding["outcome"], finding["count"]) == ("filtered", 2)
    assert "split.leaks=drop_from_train" in finding["kind"]
    assert list_left_out(Report(), made) == []
