"""record.json and its fields, now and as other versions wrote them."""

import json

import pytest

from ratchet.config import plain
from ratchet.runs import RunRecord
from ratchet.runs.record import SCHEMA_VERSION

REQUIRED = {
    "id": "20260101T000000Z-abcdef",
    "status": "running",
    "started_at": "2026-01-01T00:00:00+00:00",
    "pid": 4321,
    "process_started": 1767225600.25,
    "host": "somewhere",
    "argv": ["train.py", "seed=1"],
    "overrides": ["seed=1"],
    "name": "rule",
    "model": "rule",
    "complexity": 0,
    "data": "sample",
    "config_hash": "ab" * 32,
    "seed": 1,
    "split_seed": 0,
    "evaluate": "val",
    "threads": 2,
}


def test_a_record_is_the_same_after_json() -> None:
    record = RunRecord.from_json(
        {**REQUIRED, "tags": ["keep"], "records": {"train": 3}, "error": {"type": "ValueError", "message": "no"}}
    )
    assert RunRecord.from_json(json.loads(json.dumps(plain(record)))) == record
    assert record.records == {"train": 3}


def test_what_is_not_known_yet_is_empty() -> None:
    record = RunRecord.from_json(REQUIRED)
    assert (record.parent, record.finished_at, record.error, record.dataset_version) == (None, None, None, None)
    assert (record.tags, record.records, record.git) == ([], {}, {})
    assert record.schema_version == SCHEMA_VERSION
    assert RunRecord.from_json(REQUIRED).tags is not record.tags


def test_keys_that_a_newer_version_added_are_left_out() -> None:
    record = RunRecord.from_json({**REQUIRED, "colour": "blue"})
    assert record == RunRecord.from_json(REQUIRED)
    assert not hasattr(record, "colour")


@pytest.mark.parametrize("key", sorted(REQUIRED))
def test_a_key_that_every_version_has_must_be_there(key: str) -> None:
    with pytest.raises(TypeError, match=key):
        RunRecord.from_json({name: value for name, value in REQUIRED.items() if name != key})
