"""Log and count test-set accesses per dataset version and split."""

import json
from datetime import UTC, datetime
from pathlib import Path

from ratchet.files import append_line
from ratchet.project import current_project
from ratchet.runs.stored import StoredRun
from ratchet.schema_versions import ACCESS_SCHEMA, read_versioned, version_keys


def find_runs_dir(run: StoredRun, recorded: str, *, has_own_place: bool) -> Path:
    """Return the runs directory in which the test-set accesses of a stored run are counted.

    This is the directory that the run is in now: it may have been moved or renamed since.

    Args:
        run: the run.
        recorded: `runs_dir` of the run's configuration.
        has_own_place: whether its configuration sets `run_dir`, as a pipeline does. Such a run may be anywhere, and
            counts in `recorded`. So does one that was copied out of its runs directory. If `recorded` no longer
            exists, they count in the runs of the project.
    """
    if not has_own_place:
        for path in (run.path.parent.resolve() / run.path.name, run.path.resolve()):  # it may be a link
            if path.parts[-3:-2] == (run.record.data,):
                return path.parents[2]
    return Path(recorded) if Path(recorded).is_dir() else current_project().runs_dir


def record_test_access(runs_dir: Path, data: str, dataset_version: str, split_hash: str, run_id: str) -> int:
    """Log a test-set access by `run_id`. Return the number of accesses so far, including this one.

    Raises:
        UserError: a newer Ratchet logged an access.
    """
    entry = {
        "at": datetime.now(UTC).isoformat(),
        "run": run_id,
        "dataset_version": dataset_version,
        "split_hash": split_hash,
        **version_keys(ACCESS_SCHEMA),
    }
    append_line(runs_dir / data / "test_readings.jsonl", json.dumps(entry))
    return count_test_accesses(runs_dir, data, dataset_version, split_hash)


def count_test_accesses(runs_dir: Path, data: str, dataset_version: str, split_hash: str) -> int:
    """Return the number of test-set accesses of this split.

    Raises:
        UserError: a newer Ratchet logged an access.
    """
    path = runs_dir / data / "test_readings.jsonl"
    if not path.is_file():
        return 0
    count = 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = read_versioned(json.loads(line), ACCESS_SCHEMA, f"{path}, line {number}")
        except ValueError:
            continue  # an empty line, or one that a full disk cut short
        count += entry.get("dataset_version") == dataset_version and entry.get("split_hash") == split_hash
    return count
