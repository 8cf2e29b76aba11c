"""record.json: what was run, on what, by what, and how it ended."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, Self

SCHEMA_VERSION = 1
Status = Literal["running", "finished", "failed", "interrupted", "pruned"]


@dataclass
class RunRecord:
    """The fields of record.json. Times are UTC in ISO 8601; `process_started` tells a pid from its reuse."""

    id: str
    status: Status
    started_at: str
    pid: int
    process_started: float
    host: str
    argv: list[str]
    overrides: list[str]
    name: str
    model: str
    complexity: int
    data: str
    config_hash: str
    seed: int
    split_seed: int
    evaluate: str
    threads: int
    parent: str | None = None
    hypothesis: str | None = None
    tags: list[str] = field(default_factory=list)
    sweep_id: str | None = None
    task: str | None = None
    deterministic: bool | None = None
    num_parameters: int | None = None
    size_bytes: int | None = None
    dataset_version: str | None = None
    split_hash: str | None = None
    behaviour_hash: str | None = None
    test_readings: int | None = None
    records: dict[str, int] = field(default_factory=dict)
    train_label_counts: dict[str, int] = field(default_factory=dict)
    git: dict[str, Any] = field(default_factory=dict)
    code_hash: str | None = None
    lock_hash: str | None = None
    packages: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    resumes: list[dict[str, Any]] = field(default_factory=list)
    finished_at: str | None = None
    error: dict[str, str] | None = None
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """The record of parsed JSON; keys that a newer version added are left out.

        Raises:
            TypeError: keys that every version has are not there.
        """
        known = {each.name for each in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in content.items() if key in known})
