import dataclasses
from pathlib import Path

import pytest
from tests.comparison.test_evidence import of_name

from ratchet.config import compose, plain
from ratchet.runs import StoredRun
from ratchet.tracking.run_report import describe_run, report_run


@pytest.fixture
def run(runs_dir: Path) -> StoredRun:
    return of_name(runs_dir, "regression")[0]


def texts_of(run: StoredRun) -> dict[str, str]:
    split = run.read_json("split.json")
    return {identifier: "a text" for part in ("train", "val", "test") for identifier in split[part]}


def test_a_run_is_described_by_its_configuration_and_where_it_came_from(run: StoredRun) -> None:
    config = compose(["model=regression", "tracker=wandb"])
    described = describe_run(config, run.record, run.path)
    for key, value in plain(config).items():
        assert described.config[key] == value
    assert described.config["run_id"] == described.id == run.record.id
    assert described.config["run_directory"] == run.path.as_posix()
    assert described.config["config_hash"] == run.record.config_hash
    assert described.config["git_commit"] == run.record.git["commit"]
    assert described.config["lock_hash"] == run.record.lock_hash
    assert described.config["job_type"] == described.job_type == "train"
    assert described.name == f"regression-{run.record.id[-6:]}"


def test_the_group_is_what_was_asked_for_else_the_grid_else_the_data(run: StoredRun) -> None:
    config = compose(["tracker=wandb"])
    in_a_grid = dataclasses.replace(run.record, sweep_id="sweep")
    assert describe_run(config, run.record, run.path).group == "sample"
    assert describe_run(config, in_a_grid, run.path).group == "sweep"
    config.tracker.group = "mine"
    described = describe_run(config, in_a_grid, run.path)
    assert described.group == described.config["group"] == "mine"


def test_a_run_that_is_gone_on_with_is_another_one_there(run: StoredRun) -> None:
    resumed = dataclasses.replace(run.record, resumes=[{}])
    described = describe_run(compose(["tracker=wandb"]), resumed, run.path)
    assert described.id == f"{run.record.id}-resumed1"
    assert described.config["run_id"] == run.record.id


def test_the_report_has_all_figures_and_the_difference(run: StoredRun, runs_dir: Path) -> None:
    report = report_run(run, texts_of(run), runs_dir=runs_dir, baseline="rule")
    assert run.figures().items() <= report.summary.items()
    assert report.summary["delta/f1_weighted_low"] <= report.summary["delta/f1_weighted"]


def test_the_tables_are_of_the_reported_part(run: StoredRun, runs_dir: Path) -> None:
    labels, sample = report_run(run, texts_of(run), runs_dir=runs_dir, baseline="rule").tables
    figures = run.figures()
    for label, train, positives, *_, f1 in labels.rows:
        assert train == run.record.train_label_counts[label]
        assert positives == figures[f"test/labels/{label}/support"]
        assert f1 == pytest.approx(figures[f"test/labels/{label}/f1"], abs=1e-4)
    assert {row[0] for row in sample.rows} <= set(run.read_json("split.json")["test"])


def test_the_pictures_are_those_that_can_be_drawn_of_one_run(run: StoredRun, runs_dir: Path) -> None:
    report = report_run(run, texts_of(run), runs_dir=runs_dir, baseline="rule")
    assert list(report.pictures) == ["thresholds", "calibration", "confusions"]
    assert all(picture.startswith(b"\x89PNG") for picture in report.pictures.values())


def test_the_model_can_decide_by_itself_and_the_records_stay_here(run: StoredRun, runs_dir: Path) -> None:
    report = report_run(run, texts_of(run), runs_dir=runs_dir, baseline="rule")
    [data], [model] = report.used, report.made
    assert (data.name, data.kind, set(data.files)) == ("sample-data", "dataset", {"labels.json", "split.json"})
    assert data.metadata["dataset_version"] == run.record.dataset_version
    assert (model.name, model.kind) == ("sample-regression", "model")
    assert set(model.files) == {
        "model/features.json",
        "model/idf.npz",
        "model/model.json",
        "model/weights.npz",
        "labels.json",
        "thresholds.json",
        "calibration.json",
    }
    assert all(path.is_file() for files in (data, model) for path in files.files.values())
