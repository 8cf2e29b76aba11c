"""One run in this process: what it leaves behind, what of the data each step sees, and how it fails."""

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

from ratchet.config import Config, compose
from ratchet.data.dataset import Dataset
from ratchet.data.prepared import prepare
from ratchet.data.splits import PARTS, make_split
from ratchet.errors import Pruned, RunFailed, UserError
from ratchet.machine import available_cores
from ratchet.runs import StoredRun
from ratchet.runs.accesses import count_test_accesses
from ratchet.runs.predictions import read_predictions
from ratchet.runs.stored import read_run
from ratchet.taggers import FitContext, Scores
from ratchet.training import Outcome, get_comparison_dir, train

FAST = ("model=regression", "model.char_ngrams=null")


class Fake:
    """A tagger whose scores come from the bytes of a text; subclasses change one thing. It remembers what it saw."""

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
    """`use(Fake)`: that class takes the place of the configured model; the list fills with what is made of it."""

    def replace(tagger: type[Fake]) -> list[Fake]:
        made: list[Fake] = []

        def make(settings: Any) -> Fake:
            made.append(tagger(settings))
            return made[-1]

        monkeypatch.setattr("ratchet.training.tagger_class", lambda module: make)
        return made

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


def only_run(directory: Path) -> StoredRun:
    [record] = (directory / "runs").glob("*/*/*/record.json")
    return read_run(record.parent)


def test_a_finished_run_has_all_its_files(run: StoredRun) -> None:
    files = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert files - {"code.diff"} == {
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


def test_its_record_is_complete(run: StoredRun) -> None:
    record = run.record
    assert run.status == "finished"
    may_be_empty = {"parent", "hypothesis", "tags", "sweep_id", "error"}
    assert [name for name, value in vars(record).items() if value is None and name not in may_be_empty] == []
    assert (record.task, record.deterministic, record.threads) == ("multilabel", True, available_cores())
    assert record.overrides == [*FAST]
    assert record.num_parameters is not None
    assert record.num_parameters > 1000
    assert record.size_bytes == 4 * record.num_parameters  # float32


def test_its_record_says_which_data_and_which_split(run: StoredRun, finished: tuple[Config, Outcome]) -> None:
    config, record = finished[0], run.record
    prepared = prepare(config.data)
    split = run.read_json("split.json")
    parts = {part: split[part] for part in PARTS}
    assert record.dataset_version == prepared.version
    assert record.split_hash == split["hash"] == make_split(prepared, config.split, None).hash
    assert split["hash"] == hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert record.records == {part: len(ids) for part, ids in parts.items()}
    assert sorted(identifier for ids in parts.values() for identifier in ids) == [each.id for each in prepared.records]
    assert run.read_json("labels.json") == prepared.labels == list(record.train_label_counts)
    counts = prepared.select(parts["train"]).targets.sum(axis=0, dtype=int)
    assert list(record.train_label_counts.values()) == counts.tolist()


def test_its_predictions_are_those_of_the_parts(run: StoredRun, finished: tuple[Config, Outcome]) -> None:
    prepared = prepare(finished[0].data)
    for part in ("val", "test"):
        found = read_predictions(run.path / "predictions" / f"{part}.parquet")
        assert found.ids == run.read_json("split.json")[part]
        np.testing.assert_array_equal(found.targets, prepared.select(found.ids).targets)
        assert len(found.slices) == len(found.ids)
    of_test = {name for names in found.slices for name in names}
    assert of_test >= {"label_not_named", "rare_labels", "terse", "date=2025-Q1"}


def test_its_metrics_and_costs_are_there_and_apart(run: StoredRun) -> None:
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
        "cost/load_average",
    }
    assert run.read_metrics() == metrics | cost
    assert metrics["test/records"] == run.record.records["test"]
    model = sum(path.stat().st_size for path in (run.path / "model").iterdir())
    assert cost["cost/size_mb"] == pytest.approx(model / 1e6)


def test_each_run_on_test_counts_as_a_reading(tmp_path: Path, use: Use) -> None:
    use(Fake)
    config = configure(tmp_path)
    assert [train(config).test_readings for _ in range(2)] == [1, 2]
    other_split = configure(tmp_path, "split.seed=1")
    assert train(other_split).test_readings == 1


def test_with_evaluate_val_nothing_of_test_is_measured_written_or_counted(tmp_path: Path, use: Use) -> None:
    made = use(Fake)
    outcome = train(configure(tmp_path, "evaluate=val"))
    run = read_run(outcome.path)
    assert outcome.test_readings is None
    assert not list((tmp_path / "runs").rglob("test_readings.jsonl"))
    assert all(key.startswith(("val/", "behaviour/")) for key in run.read_json("metrics.json"))
    assert [path.name for path in (run.path / "reliability").iterdir()] == ["val.json"]
    assert [path.name for path in (run.path / "predictions").iterdir()] == ["val.parquet"]
    assert run.record.evaluate == "val"
    [tagger] = made
    prepared = prepare(configure(tmp_path).data)
    of_test = set(prepared.select(run.read_json("split.json")["test"]).texts)
    assert of_test.isdisjoint(tagger.predicted)


def test_a_fit_sees_train_and_val_and_nothing_of_test(tmp_path: Path, use: Use) -> None:
    made = use(Fake)
    run = read_run(train(configure(tmp_path)).path)
    [tagger] = made
    split = run.read_json("split.json")
    assert (tagger.train.ids, tagger.val.ids) == (split["train"], split["val"])
    given = {*tagger.train.ids, *tagger.val.ids}
    assert given.isdisjoint(split["test"])
    assert split["test"]
    prepared = prepare(configure(tmp_path).data)
    for part in (tagger.train, tagger.val):
        assert part.texts == prepared.select(part.ids).texts
        np.testing.assert_array_equal(part.targets, prepared.select(part.ids).targets)
        assert len(part.targets) == len(part.ids)


def test_a_fit_gets_a_directory_the_seed_a_curve_and_its_threads(tmp_path: Path, use: Use) -> None:
    class Curious(Fake):
        def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
            super().fit(train, val, context)
            (context.directory / "epoch-1.txt").write_text("weights")
            places.append(context.directory)
            context.log(5, {"epoch": 1, "train/loss": 0.5})

    places: list[Path] = []
    made = use(Curious)
    run = read_run(train(configure(tmp_path, "seed=11", "threads=1")).path)
    assert made[0].context.seed == 11
    assert places == [run.path / "checkpoints"]
    assert not places[0].exists(), "a finished run has nothing to resume"
    assert (run.path / "history.csv").read_text().splitlines() == ["epoch,step,key,value", "1,5,train/loss,0.5"]
    assert (made[0].threads_of_the_fit, run.record.threads) == ("1", 1)
    assert (run.record.num_parameters, run.record.size_bytes) == (7, 70)


def read_records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_records(path: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def divided(project: Path, run: StoredRun) -> list[dict[str, Any]]:
    """The sample with a column that says in which part each record is."""
    part_of = {identifier: part for part in PARTS for identifier in run.read_json("split.json")[part]}
    records = read_records(project / "data" / "sample" / "projects.jsonl")
    return [{**record, "part": part_of[record["id"]]} for record in records]


def given(path: Path) -> list[str]:
    return [f"data.records.path={path}", "data.split.method=given", "data.split.column=part"]


def test_what_is_true_of_test_changes_nothing_that_is_chosen(tmp_path: Path, divided: list[dict[str, Any]]) -> None:
    tags = [record["tags"] for record in divided if record["part"] == "test"]
    random.Random(0).shuffle(tags)
    drawn = iter(tags)
    changed = [{**each, "tags": next(drawn)} if each["part"] == "test" else each for each in divided]
    runs = []
    for name, records in (("as_it_is", divided), ("changed", changed)):
        path = write_records(tmp_path / name / "records.jsonl", records)
        runs.append(read_run(train(configure(tmp_path / name, *FAST, *given(path))).path))
    one, other = runs
    assert one.record.dataset_version != other.record.dataset_version
    for name in ("thresholds.json", "predictions/val.parquet", "model/weights.npz", "labels.json", "split.json"):
        assert (one.path / name).read_bytes() == (other.path / name).read_bytes(), name
    of_val = [
        {key: value for key, value in each.read_json("metrics.json").items() if key.startswith("val/")} for each in runs
    ]
    assert of_val[0] == of_val[1]
    assert one.read_json("metrics.json")["test/f1_weighted"] != other.read_json("metrics.json")["test/f1_weighted"]


def test_thresholds_follow_the_labels_of_val(tmp_path: Path, divided: list[dict[str, Any]], use: Use) -> None:
    use(Fake)
    emptied = [{**each, "tags": each["tags"][:1]} if each["part"] == "val" else each for each in divided]
    values = []
    for name, records in (("as_it_is", divided), ("changed", emptied)):
        path = write_records(tmp_path / name / "records.jsonl", records)
        outcome = train(configure(tmp_path / name, *given(path), "threshold.method=per_label"))
        values.append(json.loads((outcome.path / "thresholds.json").read_text())["values"])
    assert values[0] != values[1]


def test_a_label_without_a_train_record_is_warned_of(tmp_path: Path, divided: list[dict[str, Any]], use: Use) -> None:
    use(Fake)
    records = [
        each if each["part"] == "test" else {**each, "tags": [tag for tag in each["tags"] if tag != "graphs"]}
        for each in divided
    ]
    path = write_records(tmp_path / "records.jsonl", records)
    run = read_run(train(configure(tmp_path, *given(path))).path)
    [line] = [line for line in (run.path / "log.txt").read_text().splitlines() if "without a train record" in line]
    assert "WARNING" in line
    assert line.endswith(": graphs")
    assert run.record.train_label_counts["graphs"] == 0


def test_the_log_says_nothing_of_absent_labels_where_there_are_none(run: StoredRun) -> None:
    assert "without a train record" not in (run.path / "log.txt").read_text()


def test_findings_in_the_data_stand_in_the_log(tmp_path: Path, divided: list[dict[str, Any]], use: Use) -> None:
    use(Fake)
    path = write_records(tmp_path / "records.jsonl", [*divided, {**divided[0], "id": "empty", "title": "",
                                                                 "description": ""}])  # fmt: skip
    run = read_run(train(configure(tmp_path, *given(path))).path)
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
def test_a_tagger_that_fails_leaves_a_failed_run(
    tmp_path: Path, use: Use, tagger: type[Fake], kind: str, message: str
) -> None:
    use(tagger)
    with pytest.raises(RunFailed) as failed:
        train(configure(tmp_path))
    run = only_run(tmp_path)
    assert failed.value.path == run.path
    assert run.status == "failed"
    assert run.record.error is not None
    assert run.record.error["type"] == kind
    assert message in run.record.error["message"]
    assert message in (run.path / "log.txt").read_text()
    assert run.record.dataset_version is not None  # as far as it got
    assert not (run.path / "metrics.json").exists()
    assert not (run.path / "predictions").exists()
    assert not list((tmp_path / "runs").rglob("test_readings.jsonl"))


def test_a_training_that_is_given_up_leaves_a_pruned_run_and_no_weights(tmp_path: Path) -> None:
    def watch(step: int, metrics: Mapping[str, float]) -> None:
        if metrics["epoch"] == 1:
            raise Pruned("epoch 1: worse than the others")

    config = configure(tmp_path, "model=cnn", "model.tokens=word", "model.teacher_share=0", "model.filters=4")
    with pytest.raises(Pruned) as stopped:
        train(config, watch=watch)
    run = only_run(tmp_path)
    assert stopped.value.path == run.path
    assert (run.status, run.record.error) == (
        "pruned",
        {"type": "Pruned", "message": "epoch 1: worse than the others", "traceback": ""},
    )
    assert {point.epoch for point in run.read_history()} == {0, 1}
    assert sorted(path.name for path in run.path.iterdir() if path.is_dir()) == []


def test_a_run_that_fails_on_test_has_read_it(tmp_path: Path, use: Use) -> None:
    class FailsOnTest(Fake):
        def predict_proba(self, texts: Sequence[str]) -> Scores:
            scores = super().predict_proba(texts)
            return scores if list(texts) == self.val.texts else scores * np.float32("nan")

    use(FailsOnTest)
    with pytest.raises(RunFailed):
        train(configure(tmp_path))
    run = only_run(tmp_path)
    assert run.status == "failed"
    assert not (run.path / "predictions" / "test.parquet").exists()
    assert run.record.dataset_version is not None
    assert run.record.split_hash is not None
    assert count_test_accesses(tmp_path / "runs", "sample", run.record.dataset_version, run.record.split_hash) == 1


def test_data_that_cannot_be_read_leave_a_failed_run(tmp_path: Path) -> None:
    with pytest.raises(RunFailed) as failed:
        train(configure(tmp_path, f"data.records.path={tmp_path / 'nowhere.jsonl'}"))
    assert isinstance(failed.value.reason, UserError)
    assert only_run(tmp_path).status == "failed"


def test_a_directory_that_exists_is_refused_before_anything_is_done(tmp_path: Path, use: Use) -> None:
    made = use(Fake)
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        train(configure(tmp_path, f"run_dir={tmp_path}"))
    assert made == []
    assert list(tmp_path.iterdir()) == []


class Drawn(Fake):
    """Draws its scores from the generators that everything in a process shares."""

    def fit(self, train: Dataset, val: Dataset, context: FitContext) -> None:
        super().fit(train, val, context)
        self.row = np.random.random(len(train.labels)) * random.random()

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        return np.tile(self.row.astype(np.float32), (len(texts), 1))


def test_the_seed_of_a_run_is_that_of_every_generator(tmp_path: Path, use: Use) -> None:
    use(Drawn)
    outputs = []
    for number, seed in enumerate([3, 3, 4]):
        random.seed(number)  # what ran before must not matter
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
def test_rivals_of_a_pipelines_run_are_those_beside_it(path: str, expected: str) -> None:
    assert get_comparison_dir(compose([]), Path(path)) == Path(expected)
