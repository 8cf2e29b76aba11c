"""Tests for conf/experiment: each file opens as docs/command-line.md describes, and runs."""

import re
import sys
from pathlib import Path

import pytest
from tests.commands import CONF, PROJECT, run_command
from tests.e2e.experiments import RESULT

from ratchet.runs import find_runs

PATHS = {
    path.relative_to(CONF / "experiment").with_suffix("").as_posix(): path
    for path in CONF.rglob("experiment/**/*.yaml")
}
REDUCED = (
    *("data=sample", "trainer.fast_dev_run=true", "evaluate=val", "evaluation.resamples=100", "threads=1"),
    *("split.val=0.05", "split.test=0.05"),
)


@pytest.mark.parametrize("name", PATHS)
def test_experiment_opens_with_description_command_and_score(name: str) -> None:
    package, *comment = [line for line in PATHS[name].read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    position = next((number for number, line in enumerate(comment) if re.fullmatch(RESULT, line)), 0)
    assert position, "no line gives the time and the score"
    *description, command = comment[:position]
    assert package == "# @package _global_"
    assert 1 <= len(description) <= 2
    assert description[-1].endswith(".")
    assert re.fullmatch(rf"# python train\.py experiment={name} data=\w+( .*)?", command)


def test_reduced_experiments_run_and_share_one_table(tmp_path: Path) -> None:
    done = run_command(
        sys.executable, PROJECT / "train.py", "-m", f"experiment={','.join(PATHS)}", *REDUCED, cwd=tmp_path
    )
    assert (done.returncode, done.stderr) == (0, "")
    names = {Path(name).name for name in PATHS}
    assert {run.record.name for run in find_runs(tmp_path / "runs") if run.status == "finished"} == names
    table = done.stdout.rstrip().split("\n\n")[-1]
    complexities = {run.record.name: run.record.complexity for run in find_runs(tmp_path / "runs")}
    shown = [line.split()[0] for line in table.splitlines()[2:]]
    assert [complexities[name] for name in shown] == sorted(complexities.values()), "the simplest model comes first"
