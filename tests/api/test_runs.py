"""Tests for training and loading runs through the public API, for their frames, and for the project of a call."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.commands import read_files
from tests.sample_runs import find_named_runs, rewrite_record

from ratchet import Project, Run, RunFailed, UserError, load_run, load_scorer, train
from ratchet.config import compose, config_hash
from ratchet.inference.export import export_run
from ratchet.project import VARIABLE
from ratchet.runs import find_runs

FAST = ("model=rule", "evaluation.resamples=100")


def change_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# --- results of a run -------------------------------------------------------------------------------------------------


def test_run_is_found_by_last_by_id_by_part_of_an_id_and_by_directory(root: Path) -> None:
    newest = find_runs(root / "runs")[-1]
    identifier = newest.record.id
    for name in ("last", identifier, identifier[-6:], newest.path, os.path.relpath(newest.path)):
        run = load_run(name)
        assert (run.id, run.path.resolve()) == (identifier, newest.path)
    assert load_run().project.root == root
    with pytest.raises(UserError, match="'nothing'"):
        load_run("nothing")


def test_runs_of_the_pipeline_are_found_in_the_project(root: Path) -> None:
    (root / "build").mkdir()
    (root / "runs").rename(root / "build/runs")
    assert load_run(runs_dir="build/runs").path.is_relative_to(root / "build/runs")
    assert load_scorer(runs_dir=root / "build/runs").identity.run == load_run(runs_dir="build/runs").id


def test_frame_has_a_row_for_each_metric(root: Path) -> None:
    run = load_run()
    frame = run.to_polars()
    assert frame.height == sum(not key.endswith(("_ci_low", "_ci_high")) for key in run.metrics)
    assert set(frame["kind"]) == {"all", "label", "slice", "behaviour"}
    [f1] = frame.filter(part="test", kind="all", metric="f1_weighted").rows(named=True)
    keys = [f"test/f1_weighted{end}" for end in ("", "_ci_low", "_ci_high")]
    assert [f1["value"], f1["low"], f1["high"]] == [run.metrics[key] for key in keys]
    by_label = frame.filter(part="val", kind="label", metric="f1")
    assert dict(by_label.select("name", "value").rows()) == {
        label: run.metrics[f"val/labels/{label}/f1"] for label in run.labels if f"val/labels/{label}/f1" in run.metrics
    }
    assert frame.filter(kind="behaviour", metric="score")["value"].to_list() == [run.metrics["behaviour/score"]]


def test_label_with_a_slash_stays_one_name(root: Path) -> None:
    run = load_run()
    change_json(run.path / "metrics.json", **{"val/labels/ci/cd/f1": 0.25})
    assert run.to_polars().filter(name="ci/cd").rows() == [("val", "label", "ci/cd", "f1", 0.25, None, None)]


@pytest.mark.parametrize("part", ["val", "test"])
def test_predictions_give_the_metrics_of_the_run(root: Path, part: Any) -> None:
    run = Run(find_named_runs(root / "runs", "regression")[0], Project.find())
    frame = run.predictions(part)
    hits = sum(len(set(true) & set(predicted)) for true, predicted in frame.select("true", "predicted").rows())
    total = frame["true"].list.len().sum() + frame["predicted"].list.len().sum()
    assert 2 * hits / total == pytest.approx(run.metrics[f"{part}/f1_micro"])
    assert frame.height == run.record.records[part]
    assert frame.columns[4:] == [f"score/{label}" for label in run.labels]
    label = run.labels[0]
    decided = frame.filter(pl.col("predicted").list.contains(label))[f"score/{label}"]
    others = frame.filter(~pl.col("predicted").list.contains(label))[f"score/{label}"]
    assert decided.min() > others.max()  # type: ignore[operator]


def test_predictions_are_by_default_of_the_measured_part(root: Path) -> None:
    run = load_run()
    assert run.predictions().equals(run.predictions("test"))
    (run.path / "predictions/test.parquet").unlink()
    with pytest.raises(UserError, match=r"predictions of test.*val"):
        run.predictions("test")
    rewrite_record(run.path, evaluate="val")
    assert load_run(run.path).predictions().equals(run.predictions("val"))


def test_history_is_a_frame_also_without_rows(root: Path) -> None:
    run = load_run()
    assert (run.history.height, run.history.columns) == (0, ["epoch", "key", "value"])
    (run.path / "history.csv").write_text("epoch,step,key,value\n,5,train_loss,0.5\n1,10,val_f1,0.75\n")
    assert run.history.rows() == [(None, "train_loss", 0.5), (1, "val_f1", 0.75)]


def test_costs_have_the_names_of_their_tables(root: Path) -> None:
    cost = load_run().cost
    assert {"fit_seconds", "latency_ms_p95", "size_mb"} <= set(cost)
    assert not any("/" in key for key in cost)


def test_run_is_shown_with_its_metric_and_costs(root: Path) -> None:
    run = load_run()
    shown = f"{run.metrics['test/f1_weighted']:.3f} ["
    for text in (str(run), repr(run), run._repr_html_()):
        assert run.id in text
        assert shown in text
    assert "\n" not in repr(run)


def test_failed_run_is_shown_with_its_escaped_error(root: Path) -> None:
    run = load_run()
    for name in ("metrics.json", "cost.json"):
        (run.path / name).unlink()
    rewrite_record(run.path, status="failed", error={"type": "ValueError", "message": "no <script> & co"})
    failed = load_run(run.id)
    assert (failed.status, failed.metrics, failed.cost, failed.to_polars().height) == ("failed", {}, {}, 0)
    assert "ValueError: no &lt;script&gt; &amp; co" in failed._repr_html_()
    assert "ValueError: no <script> & co" in str(failed)


def test_pandas_frame_has_the_same_values(root: Path) -> None:
    run = load_run()
    frame, expected = run.to_pandas(), run.to_polars()
    assert list(frame.columns) == expected.columns
    assert frame["value"].to_list() == expected["value"].to_list()


def test_missing_pandas_is_reported_with_its_command(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="pip install pandas"):
        load_run().to_pandas()


# --- training ---------------------------------------------------------------------------------------------------------


def test_training_stores_a_run_in_the_project_and_leaves_no_trace(root: Path) -> None:
    before = dict(os.environ), Path.cwd(), set((root / "notebooks").iterdir())
    overrides = [*FAST, "seed=3", "tags=[mine]"]
    run = train(*overrides)
    assert (dict(os.environ), Path.cwd(), set((root / "notebooks").iterdir())) == before
    assert run.path.is_relative_to(root / "runs/sample/rule")
    assert (run.status, run.record.seed, run.record.overrides) == ("finished", 3, overrides)
    assert run.record.config_hash == config_hash(compose(overrides))
    assert load_run().id == run.id


def test_relative_directories_of_a_training_are_in_the_project(root: Path) -> None:
    run = train(*FAST, "runs_dir=tried", "run_dir=tried/sample/rule/first")
    assert run.path == root / "tried/sample/rule/first"


def test_config_dir_adds_configurations(root: Path, other_root: Path) -> None:
    extra = root / "extra/model"
    extra.mkdir(parents=True)
    (extra / "exact.yaml").write_text("defaults: [base_rule, _self_]\nname: exact\nmodule: rule\ncomplexity: 0\n")
    assert train("model=exact", *FAST[1:], config_dir="../extra").name == "exact"
    with pytest.raises(UserError, match="nowhere"):
        train(*FAST, config_dir="nowhere")


@pytest.mark.parametrize("override", ["-m", "--config-dir", "resume=last", "sweep=rule", "model=rule,regression"])
def test_what_belongs_to_the_command_line_is_refused(root: Path, override: str) -> None:
    before = read_files(root / "runs")
    with pytest.raises(UserError, match=override.split("=")[0]):
        train(override)
    assert read_files(root / "runs") == before


def test_failed_training_names_its_run(root: Path) -> None:
    with pytest.raises(RunFailed) as caught:
        train(*FAST, "data.filter.min_records=100000")
    assert load_run(caught.value.path).status == "failed"


# --- the project of a call --------------------------------------------------------------------------------------------


def test_another_project_uses_its_own_models_and_runs(root: Path, other_root: Path) -> None:
    before = read_files(root)
    run = train("model=own", *FAST[1:], project=other_root)
    assert run.path.is_relative_to(other_root / "runs/sample/own")
    assert load_run(project=str(other_root)).id == run.id
    assert load_run(project=run.project).id == run.id
    texts = ["Speech recognition with a GAN"]
    own = load_scorer(run)
    assert own.identity.run == run.id
    assert (own.score(texts).scores == load_scorer(run.id, project=other_root).score(texts).scores).all()
    assert read_files(root) == before
    assert VARIABLE not in os.environ
    with pytest.raises(UserError, match="own"):
        train("model=own")


@pytest.mark.parametrize("function", [load_run, load_scorer, train])
def test_project_that_is_none_is_refused_by_name(root: Path, tmp_path: Path, function: Any) -> None:
    for directory in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UserError, match=f"^project={directory}: "):
            function(project=directory)


# --- scorers ----------------------------------------------------------------------------------------------------------


def test_scorer_of_a_run_its_id_and_its_export_give_the_same_scores(root: Path) -> None:
    stored = find_named_runs(root / "runs", "regression")[0]
    texts = ["Speech recognition with a GAN", ""]
    expected = load_scorer(Run(stored, Project.find())).score(texts).scores
    assert (load_scorer(stored.record.id).score(texts).scores == expected).all()
    assert load_scorer().identity.run == load_run().id

    export_run(stored)
    exported = load_scorer(stored.record.id)
    assert (exported.identity.exported, load_scorer(stored, use_export=False).identity.exported) == (True, False)
    assert np.allclose(exported.score(texts).scores, expected, atol=1e-6)
