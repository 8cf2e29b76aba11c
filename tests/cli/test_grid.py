"""A job of a sweep, whatever becomes of it, is told in a line and written down."""

from pathlib import Path

import pytest

from ratchet.cli import grid
from ratchet.cli.grid import run_job
from ratchet.config import Config, compose
from ratchet.errors import Pruned, RunFailed, UserError
from ratchet.project import PROJECT
from ratchet.runs.sweeps import Job, jobs_of

TRIAL = ["sweep=regression", "sweep.study=made", "sweep.trial=4", "model.C=2.0", "model.mention_weight=0.5"]


@pytest.fixture
def trial(tmp_path: Path) -> Config:
    return compose([*TRIAL, f"runs_dir={tmp_path}", "sweep_id=one", "sweep.prune=false"])


def test_a_trial_is_called_by_what_it_tries_and_one_that_is_given_up_is_not_a_failure(
    trial: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = Pruned("epoch 3: 0.100 is below the median of the trials before it")
    stop.path = tmp_path / "sample" / "regression_search" / "x"

    def given_up(*_: object, **__: object) -> None:
        raise stop

    monkeypatch.setattr("ratchet.training.train", given_up)
    run_job(trial, TRIAL, 2)
    out, err = capsys.readouterr()
    assert (out, err) == (f"#4 C=2.0 mention_weight=0.5: pruned, {stop}\n", "")
    assert jobs_of(tmp_path, "one") == [
        Job(2, TRIAL, "pruned", run="sample/regression_search/x", reason=str(stop)),
    ]


def test_a_note_that_cannot_be_written_ends_no_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".sweeps").write_text("in the way")
    monkeypatch.setattr(grid, "_made", lambda *_: ("finished", tmp_path / "run"))
    run_job(compose([f"runs_dir={tmp_path}", "sweep_id=one"]), ["seed=0"], 0)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"#0 seed=0: finished, but not noted: {tmp_path}/.sweeps/one/0.json: cannot be written: ")


@pytest.mark.parametrize("with_run", [True, False])
def test_a_job_that_fails_is_noted_with_its_reason_and_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], with_run: bool
) -> None:
    def fail(*_: object) -> None:
        reason = UserError("no label is left")
        raise RunFailed(tmp_path / "sample" / "x", reason) if with_run else reason

    monkeypatch.setattr(grid, "_made", fail)
    run_job(compose([f"runs_dir={tmp_path}", "sweep_id=one"]), ["seed=0"], 0)
    run = "sample/x" if with_run else None
    assert jobs_of(tmp_path, "one") == [Job(0, ["seed=0"], "failed", run=run, reason="no label is left")]
    assert capsys.readouterr().err == "#0 seed=0: failed: no label is left\n"


def test_other_behavioural_cases_make_another_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Under the same file name, of the same records."""
    cases = (PROJECT / "data" / "behaviour" / "sample.yaml").read_text(encoding="utf-8")
    path = tmp_path / "cases.yaml"
    job = [f"runs_dir={tmp_path / 'runs'}", f"data.behaviour.path={path}", "evaluation.resamples=100"]
    for content, before in ((cases, 0), (cases + "# no case\n", 1), (cases.replace("photographs", "photos"), 0)):
        path.write_text(content, encoding="utf-8")
        run_job(compose(job), ["seed=0"], 0)
        captured = capsys.readouterr()
        assert captured.err == ""
        assert captured.out.count("done before") == before


def test_how_many_processes_there_are_is_known_before_one_asks_what_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of a run with a process for each GPU says how many there were."""
    asked: list[int | None] = []

    def done(config: Config, _: object) -> None:
        asked.append(config.trainer.devices)
        raise UserError("that is all")

    monkeypatch.setattr(grid, "_done", done)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    run_job(compose(["model=cnn", "trainer=ddp", f"runs_dir={tmp_path}"]), [], 0)
    assert asked == [3]
