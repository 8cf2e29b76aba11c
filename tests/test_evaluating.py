"""Tests for scoring other records with a finished run: its thresholds and labels are used, its files unchanged."""

import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from tests.sample_runs import rewrite_record

from ratchet.config import Config, compose
from ratchet.data.prepared import prepare
from ratchet.errors import UserError
from ratchet.evaluating import Evaluation, evaluate_run, measure_cost_again
from ratchet.files import write_json
from ratchet.inference.scorer import load_scorer
from ratchet.machine import machine
from ratchet.runs import StoredRun
from ratchet.runs.predictions import read_predictions
from ratchet.runs.stored import read_run
from ratchet.runs.trained_texts import Seen
from ratchet.taggers import Scores
from ratchet.training import train

FAST = ("model=regression", "model.char_ngrams=null", "evaluation.resamples=100")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with `runs`, which has one finished run on the sample."""
    directory = tmp_path_factory.mktemp("trained")
    train(compose([f"runs_dir={directory / 'runs'}", *FAST]))
    return directory


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> StoredRun:
    """Return a copy of the run, for one test."""
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


def write_other_records(path: Path, size: int = 60) -> Path:
    """Write records with known labels, with a label that the run does not know, and with none."""
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


def compose_other(path: Path, *overrides: str) -> Config:
    return compose(["data.name=other", f"data.records.path={path}", "data.taxonomy=null", *overrides])


@pytest.fixture
def other_config(tmp_path: Path) -> Config:
    return compose_other(write_other_records(tmp_path / "other.jsonl"))


def read_result(evaluation: Evaluation, name: str) -> Any:
    return json.loads((evaluation.directory / name).read_text(encoding="utf-8"))


def read_own_metrics(run: StoredRun, part: str) -> dict[str, Any]:
    return {key: value for key, value in run.read_json("metrics.json").items() if key.startswith(f"{part}/")}


@pytest.mark.parametrize("part", ["val", "test"])
def test_own_parts_reproduce_the_metrics_of_the_run(run: StoredRun, sample: Config, part: str) -> None:
    evaluation = evaluate_run(run, sample, part)
    assert evaluation.metrics == read_result(evaluation, "metrics.json") == read_own_metrics(run, part)
    assert evaluation.records == run.record.records[part]
    assert evaluation.seen == Seen(0, evaluation.records if part == "val" else 0)
    written = (evaluation.directory / "predictions" / f"{part}.parquet").read_bytes()
    assert written == (run.path / "predictions" / f"{part}.parquet").read_bytes()


@pytest.mark.parametrize("part", ["train", "all"])
def test_records_seen_in_training_are_counted(run: StoredRun, sample: Config, part: str) -> None:
    evaluation = evaluate_run(run, sample, part)
    assert evaluation.seen == Seen(run.record.records["train"], run.record.records["val"] if part == "all" else 0)
    total = sum(run.record.records.values())
    assert evaluation.records == (total if part == "all" else run.record.records["train"])
    assert evaluation.metrics[f"{part}/records"] == evaluation.records
    assert evaluation.unknown_labels == {}


def test_another_split_overlaps_with_training_records(run: StoredRun) -> None:
    evaluation = evaluate_run(run, compose(["split.seed=1"]), "test")
    ids = read_predictions(evaluation.directory / "predictions" / "test.parquet").ids
    assert evaluation.seen == Seen(*(len(set(ids) & set(run.read_json("split.json")[p])) for p in ("train", "val")))
    assert 0 < evaluation.seen.train < evaluation.records


def test_evaluation_json_describes_the_evaluation(run: StoredRun, other_config: Config) -> None:
    evaluation = evaluate_run(run, other_config, "all")
    assert evaluation.directory.parent == run.path / "evaluations"
    assert evaluation.directory.name.startswith("other-all-")
    description = read_result(evaluation, "evaluation.json")
    assert description.pop("split_hash")
    assert description == {
        "run": run.record.id,
        "data": "other",
        "part": "all",
        "dataset_version": prepare(other_config.data).version,
        "records": 60,
        "seen_in_training": 0,
        "seen_in_val": 0,
        "unknown_labels": {"teleportation": 24},
    }
    assert sorted(path.name for path in evaluation.directory.iterdir()) == [
        "evaluation.json",
        "metrics.json",
        "predictions",
        "reliability",
    ]


def test_other_records_use_labels_and_thresholds_of_the_run(run: StoredRun, other_config: Config) -> None:
    evaluation = evaluate_run(run, other_config, "all")
    labels = run.read_json("labels.json")
    predictions = read_predictions(evaluation.directory / "predictions" / "all.parquet")
    assert sorted(predictions.ids) == sorted(f"other-{index}" for index in range(60))
    assert predictions.targets.shape == (60, len(labels))
    prepared = prepare(other_config.data)
    for label in ("audio", "graphs"):
        expected = prepared.select(predictions.ids).targets[:, prepared.labels.index(label)]
        np.testing.assert_array_equal(predictions.targets[:, labels.index(label)], expected)
    assert predictions.targets.sum() == 24 + 24  # audio and graphs: the third label has no column

    scorer = load_scorer(run, use_export=False)
    scores = scorer.score(prepared.select(predictions.ids).texts).scores
    np.testing.assert_array_equal(predictions.scores, scores)
    assert (
        evaluation.metrics["all/labels/audio/predicted"]
        == scorer.thresholds.decide(scores)[:, labels.index("audio")].sum()
    )
    assert evaluation.metrics["all/labels_without_support"] == len(labels) - 2


def test_unknown_labels_are_counted_among_the_scored_records(run: StoredRun, other_config: Config) -> None:
    evaluation = evaluate_run(run, other_config, "val")
    ids = read_predictions(evaluation.directory / "predictions" / "val.parquet").ids
    # the second and third of every five records have the unknown label
    assert evaluation.unknown_labels == {
        "teleportation": sum(int(identifier.split("-")[1]) % 5 in (1, 2) for identifier in ids)
    }


def test_data_set_too_small_to_split_can_be_scored(run: StoredRun, tmp_path: Path) -> None:
    evaluation = evaluate_run(run, compose_other(write_other_records(tmp_path / "few.jsonl", size=3)), "all")
    assert evaluation.records == 3


@pytest.fixture
def renamed(project: Path, tmp_path: Path) -> Config:
    """Return the sample under another name: other ids, texts in capital letters, in another order."""
    lines = (project / "data/sample/projects.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in reversed(lines)]
    for number, record in enumerate(records):
        record |= {"id": f"new-{number}", "description": f"{record['description'].upper()} !"}
    path = tmp_path / "renamed.jsonl"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return compose(["data.name=renamed", f"data.records.path={path}"])


def test_records_seen_in_training_are_found_under_other_names_and_ids(run: StoredRun, renamed: Config) -> None:
    seen = evaluate_run(run, renamed, "all").seen
    assert seen == Seen(run.record.records["train"], run.record.records["val"])


def test_run_without_hashes_knows_only_its_own_data(run: StoredRun, sample: Config, renamed: Config) -> None:
    """Earlier versions stored only ids."""
    (run.path / "seen_texts.npz").unlink()
    assert evaluate_run(run, sample, "train").seen == Seen(run.record.records["train"], 0)
    evaluation = evaluate_run(run, renamed, "train")
    assert (evaluation.seen, read_result(evaluation, "evaluation.json")["seen_in_training"]) == (None, None)
    newer = compose(["data.filter.exclude=[audio]"])  # equal ids may be other records in another version of the data
    assert evaluate_run(run, newer, "train").seen is None


def test_damaged_hashes_are_reported(run: StoredRun, sample: Config) -> None:
    (run.path / "seen_texts.npz").write_bytes(b"not an archive")
    with pytest.raises(UserError, match=r"seen_texts\.npz: cannot be read"):
        evaluate_run(run, sample, "val")


def test_slices_come_from_the_run_and_the_data(run: StoredRun, other_config: Config) -> None:
    evaluation = evaluate_run(run, other_config, "all")
    names = {key.split("/")[2] for key in evaluation.metrics if key.startswith("all/slices/")}
    assert names >= {"rare_labels", "terse"}  # from conf/config.yaml and from the data
    assert evaluation.metrics["all/slices/terse/records"] == 60
    assert not any(name.startswith("date=") for name in names)  # none of these records has a date


def test_evaluations_on_test_are_counted_as_test_accesses(run: StoredRun, sample: Config) -> None:
    assert evaluate_run(run, sample, "val").test_accesses is None
    assert evaluate_run(run, sample, "train").test_accesses is None
    assert evaluate_run(run, sample, "test").test_accesses == 2
    assert evaluate_run(run, sample, "all").test_accesses == 3
    assert evaluate_run(run, compose(["split.seed=1"]), "test").test_accesses == 1


def test_run_in_custom_directory_counts_test_accesses_in_runs_dir(tmp_path: Path, sample: Config) -> None:
    path = tmp_path / "some" / "pipeline" / "output" / "run"
    outcome = train(compose([f"runs_dir={tmp_path / 'runs'}", f"run_dir={path}", *FAST]))
    assert outcome.test_readings == 1
    assert evaluate_run(read_run(path), sample, "test").test_accesses == 2
    assert [file.parent for file in tmp_path.rglob("test_readings.jsonl")] == [tmp_path / "runs" / "sample"]


def test_run_can_be_given_as_relative_path(run: StoredRun, sample: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.path)
    assert evaluate_run(read_run(Path()), sample, "test").test_accesses == 2


def test_accesses_are_counted_by_content_whatever_the_name(run: StoredRun, sample: Config, project: Path) -> None:
    same = compose(["data.name=copy", f"data.records.path={project / 'data/sample/projects.jsonl'}"])
    assert evaluate_run(run, sample, "test").test_accesses == 2
    assert evaluate_run(run, same, "test").test_accesses == 3
    assert evaluate_run(run, sample, "test").test_accesses == 4


def test_accesses_survive_a_move_and_a_lost_log(
    run: StoredRun, sample: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert evaluate_run(run, sample, "test").test_accesses == 2
    moved = Path(shutil.move(run.path, tmp_path / "moved"))
    shutil.rmtree(tmp_path / "runs")
    settings = (moved / "config.yaml").read_text()
    (moved / "config.yaml").write_text(re.sub("(?m)^runs_dir: .*", f"runs_dir: {tmp_path / 'runs'}", settings))
    for number, name in enumerate(("here", "there"), start=3):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert evaluate_run(read_run(moved), sample, "test").test_accesses == number


KILLED = """
import os, signal, sys
from pathlib import Path
from ratchet import evaluating
from ratchet.config import compose, register
from ratchet.models import all_settings
from ratchet.runs.stored import read_run

def kill(path, content):
    assert path.name == "metrics.json"
    print(content["test/f1_weighted"], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

register(all_settings())
evaluating.write_json = kill
evaluating.evaluate_run(read_run(Path(sys.argv[1])), compose([]), "test")
"""


def test_access_counts_although_the_process_is_killed_with_its_metrics(run: StoredRun, sample: Config) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, run.path], capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert float(killed.stdout) > 0
    assert evaluate_run(run, sample, "test").test_accesses == 3


def hash_files(run: StoredRun) -> dict[str, str]:
    return {
        str(path.relative_to(run.path)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in run.path.rglob("*")
        if path.is_file() and path.name != "accesses.jsonl" and "evaluations" not in path.relative_to(run.path).parts
    }


def test_evaluation_does_not_change_files_of_the_run(run: StoredRun, sample: Config, other_config: Config) -> None:
    before = hash_files(run)
    first, second = evaluate_run(run, sample, "test"), evaluate_run(run, sample, "test")
    third = evaluate_run(run, other_config, "all")
    assert hash_files(run) == before
    assert len({first.directory, second.directory, third.directory}) == 3
    assert set((run.path / "evaluations").iterdir()) == {
        first.directory,
        second.directory,
        third.directory,
    }


def test_failed_evaluation_leaves_no_files(run: StoredRun, sample: Config, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_unknown_part_error_suggests_nearest_name(run: StoredRun, sample: Config) -> None:
    with pytest.raises(UserError) as error:
        evaluate_run(run, sample, "tset")
    assert "part='tset'" in str(error.value)
    assert "did you mean 'test'?" in str(error.value)


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_unfinished_run_is_refused(run: StoredRun, sample: Config, status: str) -> None:
    # a running record without a process is a killed run
    write_json(
        run.path / "record.json",
        {**run.read_json("record.json"), "status": status, "process": {}, "process_started": 0.0},
    )
    shown = "killed" if status == "running" else status
    with pytest.raises(UserError, match=f"the run is {shown}"):
        evaluate_run(read_run(run.path), sample, "test")
    assert not (run.path / "evaluations").exists()


def test_data_of_another_task_are_refused(run: StoredRun, tmp_path: Path) -> None:
    single_label = compose_other(
        write_other_records(tmp_path / "topics.jsonl"), "data.labels.kind=single", "data.labels.column=topic"
    )
    with pytest.raises(UserError, match="other is multiclass, the run was trained on multilabel"):
        evaluate_run(run, single_label, "all")


def test_data_without_any_known_label_are_refused(run: StoredRun, tmp_path: Path) -> None:
    path = write_other_records(tmp_path / "other.jsonl")
    path.write_text(path.read_text().replace('"audio"', '"sculpture"').replace('"graphs"', '"pottery"'))
    with pytest.raises(UserError, match=r"other has none of the run's labels \(anomaly-detection, audio"):
        evaluate_run(run, compose_other(path), "all")


def test_scores_are_calibrated_as_in_the_run(tmp_path: Path) -> None:
    outcome = train(compose([f"runs_dir={tmp_path / 'runs'}", *FAST, "calibration.method=temperature"]))
    stored = read_run(outcome.path)
    assert stored.read_json("calibration.json")["temperature"] != 1
    evaluation = evaluate_run(stored, compose([]), "test")
    original, repeated = (
        read_predictions(path / "predictions" / "test.parquet") for path in (outcome.path, evaluation.directory)
    )
    np.testing.assert_array_equal(original.scores, repeated.scores)


def test_cost_is_measured_again_and_every_measurement_kept(run: StoredRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fit is not repeated, so its time stays, with the load of the machine at that time."""
    before = {**run.read_json("cost.json"), "cost/latency_ms_p95": 281.0, "cost/load_average": 11.0}
    del before["cost/fit_load_average"]  # as an earlier version wrote it
    write_json(run.path / "cost.json", before)
    files = hash_files_of(run.path)
    texts: list[list[str]] = []
    measured = {"cost/latency_ms_p95": 1.5, "cost/latency_waited": 0.0, "cost/load_average": 0.1}
    monkeypatch.setattr("ratchet.evaluating.measure_serving", lambda predict, batch: texts.append(batch) or measured)
    costs = measure_cost_again(run)
    assert costs == run.read_json("cost.json") == {**before, **measured, "cost/fit_load_average": 11.0}
    prepared = prepare(compose([]).data)
    assert [list(batch) for batch in texts] == [list(prepared.select(run.read_json("split.json")["val"]).texts)]
    assert measure_cost_again(run) == costs
    first, second, third = (json.loads(path.read_text()) for path in sorted((run.path / "costs").iterdir()))
    assert (first["costs"], first["machine"]) == (before, run.record.machine)
    assert second["costs"] == third["costs"] == costs
    assert second["machine"] == machine()
    changed = {name for name, digest in hash_files_of(run.path).items() if files.get(name) != digest}
    assert {Path(name).parts[0] for name in changed} == {"cost.json", "costs"}


def test_cost_of_other_data_is_not_measured(run: StoredRun) -> None:
    rewrite_record(run.path, dataset_version="another")
    with pytest.raises(UserError, match="the data set sample changed since the training"):
        measure_cost_again(read_run(run.path))
    assert not (run.path / "costs").exists()


def hash_files_of(directory: Path) -> dict[str, str]:
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
