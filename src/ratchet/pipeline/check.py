"""What CI asks of a pipeline that was run anew: that the committed locks are true."""

from dataclasses import dataclass

from ratchet.config import PipelineConfig
from ratchet.errors import UserError
from ratchet.pipeline.layout import stage_names
from ratchet.pipeline.lock import LOCK, lock_differences, read_lock
from ratchet.pipeline.results import alike, differences, file_at, found_results, results_at


@dataclass(frozen=True)
class Checked:
    """What is not as a commit says, a sentence each, and how closely was looked."""

    differences: list[str]
    how: str


def check(plan: PipelineConfig, revision: str) -> Checked:
    """Hold dvc.lock and the runs of the working directory against dvc.lock and results.lock.json of `revision`.

    Raises:
        UserError: no such commit, no locks in it, or the pipeline was not run.
    """
    expected, found = results_at(revision), found_results(plan)
    if not LOCK.is_file():
        raise UserError(f"{LOCK}: not there: `dvc repro` makes it")
    before, now = read_lock(file_at(revision, LOCK)), read_lock(LOCK.read_text(encoding="utf-8"))
    same_python = _minor(expected.machine["python"]) == _minor(found.machine["python"])
    exact = alike(expected, found)
    how = "predictions bit for bit" if exact else "on another machine or by other packages: metrics alone"
    return Checked(
        [
            *lock_differences(before, now, stage_names(plan), same_python=same_python),
            *differences(expected, found),
        ],
        how,
    )


def _minor(version: str) -> list[str]:
    return version.split(".")[:2]
