"""Count accesses to test sets, per dataset version and split."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path


def note_reading(runs_dir: Path, data: str, dataset_version: str, split_hash: str, run_id: str) -> int:
    """Write down that `run_id` read this test split; the number of readings so far, this one included."""
    import fcntl  # where there is none, nothing but this needs it

    path = runs_dir / data / "test_readings.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {
        "at": datetime.now(UTC).isoformat(),
        "run": run_id,
        "dataset_version": dataset_version,
        "split_hash": split_hash,
    }
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # until it is closed: the end of the file stays where it was looked at
        size = os.fstat(descriptor).st_size
        cut_short = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        line = json.dumps(entry) + "\n"
        os.write(descriptor, f"\n{line}".encode() if cut_short else line.encode())
    finally:
        os.close(descriptor)
    return count_readings(runs_dir, data, dataset_version, split_hash)


def count_readings(runs_dir: Path, data: str, dataset_version: str, split_hash: str) -> int:
    """The number of readings of this test split."""
    path = runs_dir / data / "test_readings.jsonl"
    if not path.is_file():
        return 0
    count = 0
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # an empty line, or one that a full disk cut short
        count += entry.get("dataset_version") == dataset_version and entry.get("split_hash") == split_hash
    return count
