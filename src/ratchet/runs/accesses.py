"""Log and count test-set accesses by content: dataset version and split, whatever the data set or directory is called.

An access is logged twice before the test part is scored: in the runs directory, which keeps it when the run is removed,
and in the run, which keeps it when it is moved or the log is lost. Its id says that both are one access.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from ratchet.files import append_line, read_lines
from ratchet.project import Project, current_project
from ratchet.runs.stored import StoredRun
from ratchet.schema_versions import ACCESS_SCHEMA, Content, read_versioned, version_keys

_LOG = "test_readings.jsonl"  # in runs/<data>/
_OWN = "accesses.jsonl"  # in the directory of a run


def find_runs_dir(run: StoredRun, recorded: str, *, has_own_place: bool) -> Path:
    """Return the runs directory in which the test-set accesses of a stored run are logged.

    This is the directory that the run is in now: it may have been moved or renamed since.

    Args:
        run: the run.
        recorded: `runs_dir` of the run's configuration.
        has_own_place: whether its configuration sets `run_dir`, as a pipeline does. Such a run may be anywhere, and
            logs in `recorded` of the project that it is in. So does one that was copied out of its runs directory. If
            that does not exist, it logs in the runs of the current project.
    """
    if not has_own_place:
        for path in (run.path.parent.resolve() / run.path.name, run.path.resolve()):  # it may be a link
            if path.parts[-3:-2] == (run.record.data,):
                return path.parents[2]
    project = Project.find(run.path)
    paths = [project.root / recorded] if project.is_marked else []
    return next((path for path in [*paths, Path(recorded)] if path.is_dir()), current_project().runs_dir)


def record_test_access(runs_dir: Path, run: StoredRun, data: str, dataset_version: str, split_hash: str) -> int:
    """Log a test-set access by `run`, to be called before the test part is scored.

    Return the number of accesses so far, including this one.

    Raises:
        UserError: a newer Ratchet logged an access.
    """
    entry = {
        "id": str(uuid4()),
        "at": datetime.now(UTC).isoformat(),
        "run": run.record.id,
        "dataset_version": dataset_version,
        "split_hash": split_hash,
        **version_keys(ACCESS_SCHEMA),
    }
    for path in (run.path / _OWN, runs_dir / data / _LOG):
        append_line(path, json.dumps(entry))
    return count_test_accesses(runs_dir, dataset_version, split_hash, [run])


def count_test_accesses(runs_dir: Path, dataset_version: str, split_hash: str, others: Sequence[StoredRun] = ()) -> int:
    """Return the number of test-set accesses of this split: those of `runs_dir` and its runs, and of `others`.

    It is at least what one of `others` recorded when it was trained: earlier versions kept no log in the run.

    Raises:
        UserError: a newer Ratchet logged an access.
    """
    key = (dataset_version, split_hash)
    paths = {*runs_dir.glob(f"*/{_LOG}"), *runs_dir.glob(f"*/*/*/{_OWN}"), *(run.path / _OWN for run in others)}
    entries = (entry for path in paths for entry in _read_entries(path))
    counted = {
        entry.get("id") or (entry.get("run"), entry.get("at"))  # earlier versions gave no id
        for entry in entries
        if (entry.get("dataset_version"), entry.get("split_hash")) == key
    }
    recorded = (
        run.record.test_readings or 0 for run in others if (run.record.dataset_version, run.record.split_hash) == key
    )
    return max(len(counted), *recorded, 0)


def _read_entries(path: Path) -> Iterator[Content]:
    for number, line in enumerate(read_lines(path), start=1):
        try:
            yield read_versioned(json.loads(line), ACCESS_SCHEMA, f"{path}, line {number}")
        except ValueError:
            continue  # an empty line, or one that a full disk cut short
