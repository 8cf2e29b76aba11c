"""A job of a sweep, whatever becomes of it, is told in a line and written down."""

from pathlib import Path

import pytest

from ratchet.cli.grid import run_job
from ratchet.config import Config, compose
from ratchet.errors import Pruned
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
