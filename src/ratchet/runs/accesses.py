"""Log and count test-set accesses per dataset version and split."""

import json
from datetime import UTC, datetime
from pathlib import Path

from ratchet.files import append_line
from ratchet.schema_versions import ACCESS_SCHEMA, read_versioned, version_keys


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
