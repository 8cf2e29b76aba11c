"""A finished run on other records: its own thresholds and labels, its own files untouched."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from ratchet.config import Config, compose
from ratchet.data.prepared import prepare
from ratchet.errors import UserError
from ratchet.evaluating import Evaluation, evaluate_run
from ratchet.files import write_json
from ratchet.inference.scorer import load_scorer
from ratchet.runs import StoredRun
from ratchet.runs.predictions import read_predictions
from ratchet.runs.stored import read_run
from ratchet.taggers import Scores
from ratchet.training import train

FAST = ("model=regression", "model.char_ngrams=null", "evaluation.resamples=100")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `runs`, which has one finished run on the sample."""
    directory = tmp_path_factory.mktemp("trained")
    train(compose([f"runs_dir={directory / 'runs'}", *FAST]))
    return directory


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> StoredRun:
    """A copy of the run, for one test."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    [record] = (tmp_path / "runs").glob("*/*/*/record.json")
    return read_run(record.parent)


@pytest.fixture(scope="module")
def sample() -> Config:
    return compose([])


WORDS = [
    "alder",
    "birch",
    "cedar",
    "dogwood",
    "elm",
    "fir",
    "ginkgo",
    "hazel",
    "ivy",
    "juniper",
    "kauri",
    "larch",
    "maple",
    "nutmeg",
    "oak",
    "pine",
]


def write_other(path: Path, size: int = 60) -> Path:
    """Records with known labels, with one that the run does not know, and with none."""
    tags = [["audio"], ["graphs", "teleportation"], ["teleportation"], ["audio", "graphs"], []]
    generator = np.random.default_rng(0)
    rows = [
        {
            "id": f"other-{index}",
            "title": f"{' and '.join(tags[index % 5]) or 'nothing'}",
            "description": " ".join(generator.choice(WORDS, 12)),
            "tags": tags[index % 5],
            "topic": tags[index % 5][0] if tags[index % 5] else "none",
            "created_at": None,
        }
        for index in range(size)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def other_data(path: Path, *overrides: str) -> Config:
    return compose(["data.name=other", f"data.records.path={path}", "data.taxonomy=null", *overrides])


@pytest.fixture
def other(tmp_path: Path) -> Config:
    return other_data(write_other(tmp_path / "other.jsonl"))


def content(found: Evaluation, name: str) -> Any:
    return json.loads((found.directory / name).read_text(encoding="utf-8"))


def own_figures(run: StoredRun, part: str) -> dict[str, Any]:
    return {key: value for key, value in run.read_json("metrics.json").items() if key.startswith(f"{part}/")}


@pytest.mark.parametrize("part", ["val", "test"])
def test_on_its_own_parts_a_run_has_its_own_figures(run: StoredRun, sample: Config, part: str) -> None:
    found = evaluate_run(run, sample, part)
    assert found.metrics == content(found, "metrics.json") == own_figures(run, part)
    assert (found.records, found.seen_in_training) == (run.record.records[part], 0)
    written = (found.directory / "predictions" / f"{part}.parquet").read_bytes()
    assert written == (run.path / "predictions" / f"{part}.parquet").read_bytes()


@pytest.mark.parametrize("part", ["train", "all"])
def test_records_of_the_training_are_counted(run: StoredRun, sample: Config, part: str) -> None:
    found = evaluate_run(run, sample, part)
    assert found.seen_in_training == run.record.records["train"]
    everything = sum(run.record.records.values())
    assert found.records == (everything if part == "all" else run.record.records["train"])
    assert found.metrics[f"{part}/records"] == found.records
    assert found.unknown_labels == {}


def test_another_split_of_the_same_data_holds_some_of_the_training(run: StoredRun) -> None:
    found = evaluate_run(run, compose(["split.seed=1"]), "test")
    ids = read_predictions(found.directory / "predictions" / "test.parquet").ids
    assert found.seen_in_training == len(set(ids) & set(run.read_json("split.json")["train"]))
    assert 0 < found.seen_in_training < found.records


def test_what_was_done_is_written_beside_the_figures(run: StoredRun, other: Config) -> None:
    found = evaluate_run(run, other, "all")
    assert found.directory.parent == run.path / "evaluations"
    assert found.directory.name.startswith("other-all-")
    about = content(found, "evaluation.json")
    assert about.pop("split_hash")
    assert about == {
        "run": run.record.id,
        "data": "other",
        "part": "all",
        "dataset_version": prepare(other.data).version,
        "records": 60,
        "seen_in_training": 0,
        "unknown_labels": {"teleportation": 24},
    }
    assert sorted(path.name for path in found.directory.iterdir()) == [
        "evaluation.json",
        "metrics.json",
        "predictions",
        "reliability",
    ]


def test_other_records_are_scored_on_the_runs_own_labels_and_thresholds(run: StoredRun, other: Config) -> None:
    found = evaluate_run(run, other, "all")
    labels = run.read_json("labels.json")
    predictions = read_predictions(found.directory / "predictions" / "all.parquet")
    assert sorted(predictions.ids) == sorted(f"other-{index}" for index in range(60))
    assert predictions.targets.shape == (60, len(labels))
    prepared = prepare(other.data)
    for label in ("audio", "graphs"):
        expected = prepared.select(predictions.ids).targets[:, prepared.labels.index(label)]
        np.testing.assert_array_equal(predictions.targets[:, labels.index(label)], expected)
    assert predictions.targets.sum() == 24 + 24  # audio and graphs alone: the third label has no column

    scorer = load_scorer(run, use_export=False)
    scores = scorer.score(prepared.select(predictions.ids).texts).scores
    np.testing.assert_array_equal(predictions.scores, scores)
    assert (
        found.metrics["all/labels/audio/predicted"] == scorer.thresholds.decide(scores)[:, labels.index("audio")].sum()
    )
    assert found.metrics["all/labels_without_support"] == len(labels) - 2


def test_unknown_labels_are_counted_among_the_scored_records(run: StoredRun, other: Config) -> None:
    found = evaluate_run(run, other, "val")
    ids = read_predictions(found.directory / "predictions" / "val.parquet").ids
    # of each five records the second and the third have the unknown label
    assert found.unknown_labels == {"teleportation": sum(int(each.split("-")[1]) % 5 in (1, 2) for each in ids)}


def test_all_of_a_data_set_that_is_too_small_to_divide_can_be_scored(run: StoredRun, tmp_path: Path) -> None:
    found = evaluate_run(run, other_data(write_other(tmp_path / "few.jsonl", size=3)), "all")
    assert found.records == 3


def test_equal_ids_of_other_data_are_other_records(run: StoredRun, project: Path) -> None:
    copy = compose(["data.name=copy", f"data.records.path={project / 'data/sample/projects.jsonl'}"])
    assert evaluate_run(run, copy, "train").seen_in_training == 0


def test_slices_are_the_runs_own_and_the_datas(run: StoredRun, other: Config) -> None:
    found = evaluate_run(run, other, "all")
    names = {key.split("/")[2] for key in found.metrics if key.startswith("all/slices/")}
    assert names >= {"rare_labels", "terse"}  # of conf/config.yaml, of the data
    assert found.metrics["all/slices/terse/records"] == 60
    assert not any(name.startswith("date=") for name in names)  # none of these records has a date


def test_each_look_at_test_is_counted_with_those_of_trainings(run: StoredRun, sample: Config) -> None:
    assert evaluate_run(run, sample, "val").test_accesses is None
    assert evaluate_run(run, sample, "train").test_accesses is None
    assert evaluate_run(run, sample, "test").test_accesses == 2
    assert evaluate_run(run, sample, "all").test_accesses == 3
    assert evaluate_run(run, compose(["split.seed=1"]), "test").test_accesses == 1


def test_looks_of_a_run_in_a_directory_of_its_own_are_counted_in_the_same_place(tmp_path: Path, sample: Config) -> None:
    path = tmp_path / "some" / "pipeline" / "output" / "run"
    outcome = train(compose([f"runs_dir={tmp_path / 'runs'}", f"run_dir={path}", *FAST]))
    assert outcome.test_readings == 1
    assert evaluate_run(read_run(path), sample, "test").test_accesses == 2
    assert [each.parent for each in tmp_path.rglob("test_readings.jsonl")] == [tmp_path / "runs" / "sample"]


def test_a_run_can_be_named_by_a_short_relative_path(
    run: StoredRun, sample: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path)
    assert evaluate_run(read_run(Path()), sample, "test").test_accesses == 2


def hashes(run: StoredRun) -> dict[str, str]:
    return {
        str(path.relative_to(run.path)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in run.path.rglob("*")
        if path.is_file() and "evaluations" not in path.relative_to(run.path).parts
    }


def test_the_runs_own_files_stay_as_they_are(run: StoredRun, sample: Config, other: Config) -> None:
    before = hashes(run)
    first, second = evaluate_run(run, sample, "test"), evaluate_run(run, sample, "test")
    third = evaluate_run(run, other, "all")
    assert hashes(run) == before
    assert len({first.directory, second.directory, third.directory}) == 3
    assert set((run.path / "evaluations").iterdir()) == {
        first.directory,
        second.directory,
        third.directory,
    }


def test_a_scoring_that_fails_leaves_nothing(run: StoredRun, sample: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        @classmethod
        def load(cls, directory: Path) -> Self:
            return cls()

        def predict_proba(self, texts: Sequence[str]) -> Scores:
            return np.full((len(texts), 17), np.nan, dtype=np.float32)

    monkeypatch.setattr("ratchet.inference.scorer.tagger_class", lambda module: Broken)
    with pytest.raises(ValueError, match="not in"):
        evaluate_run(run, sample, "val")
    assert list((run.path / "evaluations").iterdir()) == []


def test_an_unknown_part_is_told_with_the_nearest_one(run: StoredRun, sample: Config) -> None:
    with pytest.raises(UserError) as error:
        evaluate_run(run, sample, "tset")
    assert "part='tset'" in str(error.value)
    assert "did you mean 'test'?" in str(error.value)


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_only_a_finished_run_can_score(run: StoredRun, sample: Config, status: str) -> None:
    # a running record whose process is gone is a killed run
    write_json(run.path / "record.json", {**run.read_json("record.json"), "status": status, "process_started": 0.0})
    shown = "killed" if status == "running" else status
    with pytest.raises(UserError, match=f"the run is {shown}"):
        evaluate_run(read_run(run.path), sample, "test")
    assert not (run.path / "evaluations").exists()


def test_data_of_another_task_are_refused(run: StoredRun, tmp_path: Path) -> None:
    one_of_each = other_data(
        write_other(tmp_path / "topics.jsonl"), "data.labels.kind=single", "data.labels.column=topic"
    )
    with pytest.raises(UserError, match="other is multiclass, the run was trained on multilabel"):
        evaluate_run(run, one_of_each, "all")


def test_data_without_any_known_label_are_refused(run: StoredRun, tmp_path: Path) -> None:
    path = write_other(tmp_path / "other.jsonl")
    path.write_text(path.read_text().replace('"audio"', '"sculpture"').replace('"graphs"', '"pottery"'))
    with pytest.raises(UserError, match=r"other has none of the run's labels \(anomaly-detection, audio"):
        evaluate_run(run, other_data(path), "all")


def test_scores_are_calibrated_as_the_runs_own_are(tmp_path: Path) -> None:
    own = train(compose([f"runs_dir={tmp_path / 'runs'}", *FAST, "calibration.method=temperature"]))
    stored = read_run(own.path)
    assert stored.read_json("calibration.json")["temperature"] != 1
    again = evaluate_run(stored, compose([]), "test")
    one, two = (read_predictions(path / "predictions" / "test.parquet") for path in (own.path, again.directory))
    np.testing.assert_array_equal(one.scores, two.scores)
