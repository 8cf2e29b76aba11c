"""Tests for the jobs of a sweep: every outcome is recorded, and finished runs are found instead of repeated."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.commands import PROJECT

from ratchet.config import Config, ModelConfig, compose, config_hash, hash_inputs
from ratchet.data import prepared
from ratchet.errors import Pruned, RunFailed, UserError
from ratchet.runs import Recording, StoredRun, provenance
from ratchet.runs.stored import hash_model_files, read_run
from ratchet.sweeps import jobs
from ratchet.sweeps.jobs import find_done, find_finished_jobs, plan_grid, recorded_overrides, run_job
from ratchet.sweeps.ledger import Job, read_jobs

TRIAL = ["sweep=regression", "sweep.study=made", "sweep.trial=4", "model.C=2.0", "model.mention_weight=0.5"]
DATA = ("version", "split", "cases")
FIELDS = {"dataset_version": "version", "split_hash": "split", "behaviour_hash": "cases"}
Configure = Callable[..., Config]
Store = Callable[..., StoredRun]
Fail = Callable[[Exception], None]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Return a function such that `fail(error)` makes training raise the error."""

    def replace(error: Exception) -> None:
        def train(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr("ratchet.training.train", train)

    return replace


def test_pruned_trial_is_recorded_with_its_run(tmp_path: Path, fail: Fail) -> None:
    stop = Pruned("epoch 3: 0.100 is below the median of the earlier trials")
    stop.path = tmp_path / "sample" / "regression_search" / "x"
    fail(stop)
    config = compose([*TRIAL, f"runs_dir={tmp_path}", "sweep_id=one", "sweep.prune=false"])
    result = run_job(config, TRIAL, 2)
    assert (result.job.outcome, result.path, result.error) == ("pruned", stop.path, None)
    assert read_jobs(tmp_path, "one") == [
        Job(2, TRIAL, "pruned", run="sample/regression_search/x", reason=str(stop)),
    ]


def test_unrecordable_outcome_does_not_end_the_grid(tmp_path: Path, fail: Fail) -> None:
    (tmp_path / ".sweeps").write_text("in the way")
    fail(UserError("no label is left"))
    result = run_job(compose([f"runs_dir={tmp_path}", "sweep_id=one"]), ["seed=0"], 0)
    assert result.job.outcome == "failed"
    assert f"{tmp_path}/.sweeps/one/0.json" in str(result.not_recorded)


@pytest.mark.parametrize("with_run", [True, False])
def test_failed_job_is_recorded_with_reason_and_run(tmp_path: Path, fail: Fail, with_run: bool) -> None:
    reason = UserError("no label is left")
    fail(RunFailed(tmp_path / "sample" / "x", reason) if with_run else reason)
    result = run_job(compose([f"runs_dir={tmp_path}", "sweep_id=one"]), ["seed=0"], 0)
    assert result.error is reason
    run = "sample/x" if with_run else None
    assert read_jobs(tmp_path, "one") == [Job(0, ["seed=0"], "failed", run=run, reason="no label is left")]


def test_other_behavioural_cases_need_a_new_run(tmp_path: Path) -> None:
    """The file name and the records are the same; only the cases differ."""
    cases = (PROJECT / "data" / "behaviour" / "sample.yaml").read_text(encoding="utf-8")
    path = tmp_path / "cases.yaml"
    overrides = [f"runs_dir={tmp_path / 'runs'}", f"data.behaviour.path={path}", "evaluation.resamples=100"]
    with_comment, with_other_case = cases + "# no case\n", cases.replace("photographs", "photos")
    outcomes = []
    for content in (cases, with_comment, with_other_case):
        path.write_text(content, encoding="utf-8")
        outcomes.append(run_job(compose(overrides), ["seed=0"], 0).job.outcome)
    assert outcomes == ["finished", "done before", "finished"]


def test_number_of_processes_is_set_before_finished_runs_are_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of a run with one process per GPU holds their number."""
    devices: list[int | None] = []

    def record_devices(config: Config, *_: object) -> None:
        devices.append(config.trainer.devices)
        raise UserError("stop here")

    monkeypatch.setattr(jobs, "_find_done", record_devices)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    run_job(compose(["model=cnn", "trainer=ddp", f"runs_dir={tmp_path}"]), [], 0)
    assert devices == [3]


def test_recorded_overrides_omit_launcher_and_sweep() -> None:
    overrides = ["launcher=joblib", "seed=1", "hydra.launcher.n_jobs=4", "sweep_id=x", "++hydra/launcher=basic"]
    assert recorded_overrides([*overrides, "name=a"]) == ["seed=1", "name=a"]


def test_plan_contains_recorded_overrides(tmp_path: Path) -> None:
    overrides = ["launcher=joblib", "hydra.launcher.n_jobs=2", "seed=0,1", f"runs_dir={tmp_path}"]
    plan = plan_grid(overrides, None, "two")
    assert plan is not None
    assert plan.runs_dir == tmp_path
    assert [job.overrides for job in read_jobs(tmp_path, "two")] == [
        ["seed=0", f"runs_dir={tmp_path}"],
        ["seed=1", f"runs_dir={tmp_path}"],
    ]


@pytest.mark.parametrize("override", ["launcher=basic,joblib", "resume=last", "run_dir=here", "seed=interval(0,1)"])
def test_grid_refuses_unsuitable_overrides(override: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="command line"):
        plan_grid([override, f"runs_dir={tmp_path}"], None, "one")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model=transformer_tiny", "trainer=cpu,gpu"], "trainer=gpu: this machine has none"),
        (["model=rule,cnn", "trainer=gpu"], "trainer=gpu: this machine has none"),
        (["model=transformer", "model.encoder=null,/nowhere/encoder"], "/nowhere/encoder: no such directory"),
        (["model=rule,transformer_tiny", "+model.x=1"], "model.x"),
        (["sweep=transformer", "model.encoder=/nowhere/encoder"], "/nowhere/encoder: no such directory"),
        (["sweep=transformer", "model.encoder=all-MiniLM-L6-v2,/nowhere/encoder"], "/nowhere/encoder: no such"),
        (["sweep=transformer", "trainer=gpu"], "trainer=gpu: this machine has none"),
    ],
    ids=str,
)
def test_what_is_missing_stops_a_grid_before_its_first_job(
    overrides: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratchet.neural.devices.available_gpus", lambda: 0)
    with pytest.raises(UserError, match=re.escape(message)):
        plan_grid([*overrides, f"runs_dir={tmp_path / 'runs'}"], None, "one")
    assert not (tmp_path / "runs").exists()


def test_devices_of_a_cluster_are_not_looked_for_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratchet.neural.devices.available_gpus", lambda: 0)
    grid = ["launcher=submitit_slurm", "model=transformer_tiny", "trainer=gpu", f"runs_dir={tmp_path}"]
    assert plan_grid(grid, None, "one") is not None


def test_grid_of_finished_jobs_is_recognised_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = [f"runs_dir={tmp_path}", "evaluation.resamples=100"]
    for seed in (0, 1):
        run_job(compose([*fixed, f"split.seed={seed}"]), [], seed)
    reads: list[object] = []
    prepare = prepared.prepare
    monkeypatch.setattr("ratchet.data.prepared.prepare", lambda data: reads.append(data) or prepare(data))
    plan = plan_grid([*fixed, "split.seed=0,1"], None, "two")
    assert plan is not None
    results = find_finished_jobs(plan)
    assert results is not None
    assert [result.job.outcome for result in results] == ["done before"] * 2
    assert [job.run for job in read_jobs(tmp_path, "two")] == [
        str(result.path.relative_to(tmp_path)) for result in results if result.path is not None
    ]
    assert len(reads) == 1, "both splits are of one data set"

    larger = plan_grid([*fixed, "split.seed=0,1,2"], None, "three")
    assert larger is not None
    assert find_finished_jobs(larger) is None
    fresh = plan_grid([*fixed, "split.seed=0,1", "fresh=true"], None, "four")
    assert fresh is not None
    assert find_finished_jobs(fresh) is None


@pytest.fixture
def finish(store: Store) -> Store:
    """Return a function that writes a finished run with everything that a job looks for."""

    def write_run(*overrides: str, **fields: Any) -> StoredRun:
        run = store(*overrides, **{**FIELDS, **fields})
        for name in ("model/weights", "labels.json", "thresholds.json", "calibration.json", "predictions/test.parquet"):
            (run.path / name).parent.mkdir(exist_ok=True)
            (run.path / name).write_text("{}")
        Recording(run.path, run.record).update(model_files=hash_model_files(run.path))
        return read_run(run.path)

    return write_run


@pytest.fixture
def finished(finish: Store) -> StoredRun:
    return finish("seed=3")


def find_finished_run(
    config: Config, *, threads: int = 1, data: tuple[str, str, str | None] = DATA
) -> StoredRun | None:
    return find_done(config, threads, lambda: data)


def test_equal_run_is_found(finished: StoredRun, configure: Configure) -> None:
    assert find_finished_run(configure("seed=3")) == finished


@pytest.mark.parametrize(
    "override",
    ["hypothesis=why", "parent=none", "trainer.progress_bar=false", "sweep_id=x", "tracker=wandb", "fresh=true"],
)
def test_keys_without_effect_on_results_match_existing_run(
    finished: StoredRun, configure: Configure, override: str
) -> None:
    assert find_finished_run(configure("seed=3", override)) == finished


@pytest.mark.parametrize(
    "override",
    [
        "seed=4",
        "split.seed=1",
        "model.stemming=false",
        "evaluate=val",
        "trainer=ddp_cpu",
        "evaluation.k=[2]",
        "evaluation.resamples=500",
        "threshold.method=per_label",
        "tags=[mine]",
        "name=other",
    ],
)
def test_keys_that_affect_results_need_a_new_run(finished: StoredRun, configure: Configure, override: str) -> None:
    assert find_finished_run(configure("seed=3", override)) is None


def test_threads_data_split_and_cases_must_match(finished: StoredRun, configure: Configure) -> None:
    assert find_finished_run(configure("seed=3"), threads=2) is None
    assert find_finished_run(configure("seed=3"), data=("another", "split", "cases")) is None
    assert find_finished_run(configure("seed=3"), data=("version", "another", "cases")) is None
    assert find_finished_run(configure("seed=3"), data=("version", "split", "other cases")) is None


def test_record_without_case_hash_matches_run_without_cases(finish: Store, configure: Configure) -> None:
    older = finish("seed=3")
    content = json.loads((older.path / "record.json").read_text())
    del content["behaviour_hash"]
    (older.path / "record.json").write_text(json.dumps(content))
    assert find_finished_run(configure("seed=3")) is None
    without_cases = find_finished_run(configure("seed=3"), data=("version", "split", None))
    assert without_cases is not None
    assert without_cases.path == older.path


def test_other_code_or_packages_need_a_new_run(
    finished: StoredRun, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "code_of_run", lambda model: {"ratchet.training:train": "another"})
    assert find_finished_run(configure("seed=3")) is None
    monkeypatch.undo()
    monkeypatch.setattr(provenance, "read_package_versions", lambda: {"numpy": "0"})
    assert find_finished_run(configure("seed=3")) is None


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_unfinished_run_does_not_match(finish: Store, configure: Configure, status: str) -> None:
    finish("seed=3", status=status)
    assert find_finished_run(configure("seed=3")) is None


def test_run_whose_code_changed_meanwhile_does_not_match(finish: Store, configure: Configure) -> None:
    finish("seed=3", code_hash=None, code_changed=["fit"])
    assert find_finished_run(configure("seed=3")) is None


def test_newest_matching_run_is_returned(finish: Store, configure: Configure) -> None:
    finish(started_at="2026-01-01T00:00:00+00:00")
    newest = finish(started_at="2026-01-02T00:00:00+00:00")
    assert find_finished_run(configure()) == newest


def test_data_is_not_read_without_matching_settings(finished: StoredRun, configure: Configure) -> None:
    def read() -> tuple[str, str, str | None]:
        raise AssertionError("the data were read")

    assert find_done(configure("seed=4"), 1, read) is None


@pytest.mark.parametrize("name", ["model", "model/weights", "thresholds.json", "predictions/test.parquet"])
def test_run_without_its_weights_or_results_does_not_match(
    finished: StoredRun, configure: Configure, name: str
) -> None:
    assert find_finished_run(configure("seed=3")) == finished
    path = finished.path / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert find_finished_run(configure("seed=3")) is None


def test_run_with_other_files_of_an_encoder_does_not_match(
    finish: Store, configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lexicon = tmp_path / "lexicon"
    lexicon.mkdir()
    (lexicon / "words.txt").write_text("nodes")
    monkeypatch.setattr(ModelConfig, "input_files", lambda settings: {"lexicon": lexicon})
    inputs = hash_inputs(configure("seed=3"))
    run = finish("seed=3", inputs=inputs, config_hash=config_hash(configure("seed=3"), inputs))
    assert find_finished_run(configure("seed=3")) == run
    (lexicon / "words.txt").write_text("edges")
    assert find_finished_run(configure("seed=3")) is None
    (lexicon / "words.txt").write_text("nodes")
    assert find_finished_run(configure("seed=3")) == run, "the content counts, not the time"


@pytest.mark.parametrize("content", [None, "", "[", "trainer: 1", "- 1", "\x00"], ids=repr)
def test_damaged_run_does_not_match(finished: StoredRun, configure: Configure, content: str | None) -> None:
    path = finished.path / "config.yaml"
    path.unlink()
    if content is not None:
        path.write_text(content)
    assert find_finished_run(configure("seed=3")) is None
