"""Read runs from their directories, and detect runs whose process was killed."""

import csv
import dataclasses
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import psutil

from ratchet.errors import UserError
from ratchet.schema_versions import RECORD_SCHEMA, read_versioned

Status = Literal["running", "finished", "failed", "interrupted", "pruned"]


@dataclass
class RunRecord:
    """The fields of record.json. Times are in UTC (ISO 8601). `process_started` detects that a pid was reused."""

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
    without_rule: dict[str, int] = field(default_factory=dict)
    train_label_counts: dict[str, int] = field(default_factory=dict)
    git: dict[str, Any] = field(default_factory=dict)
    code_hash: str | None = None
    lock_hash: str | None = None
    packages: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    resumes: list[dict[str, Any]] = field(default_factory=list)
    finished_at: str | None = None
    error: dict[str, str] | None = None
    schema_version: int = RECORD_SCHEMA.version

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Return the record of parsed JSON. Ignore unknown keys: a newer version may have added them.

        Raises:
            TypeError: a key that every version has is missing.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in content.items() if key in known})


@dataclass(frozen=True)
class StoredRun:
    """A run directory and its record."""

    path: Path
    record: RunRecord

    @property
    def status(self) -> str:
        """Return the recorded status, or `killed` if it is `running` but its process on this host no longer exists."""
        if self.record.status == "running" and self._is_process_gone():
            return "killed"
        return self.record.status

    def _is_process_gone(self) -> bool:
        if not hasattr(os, "uname") or os.uname().nodename != self.record.host:
            return False
        try:
            process = psutil.Process(self.record.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            started = process.create_time()
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False
        return abs(started - self.record.process_started) > 2.0  # seconds: clocks are adjusted a little

    def read_json(self, name: str) -> Any:
        """Read a JSON file of the run.

        Raises:
            UserError: the file is missing or invalid.
        """
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; the run is {self.status}") from None
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {error.lineno}: not valid JSON: {error.msg}") from error

    def read_history(self) -> list["Point"]:
        """Read the curves that were logged during training; empty for models that log none.

        Raises:
            UserError: history.csv is missing or invalid.
        """
        path = self.path / "history.csv"
        try:
            rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
            return [Point(int(row["epoch"]) if row["epoch"] else None, row["key"], float(row["value"])) for row in rows]
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from error

    def read_metrics(self) -> dict[str, Any]:
        """Read metrics.json and cost.json into one mapping; empty if the run did not write them."""
        metrics: dict[str, Any] = {}
        for name in ("metrics.json", "cost.json"):
            if (self.path / name).is_file():
                metrics |= self.read_json(name)
        return metrics


@dataclass(frozen=True)
class Point:
    """A value of a curve; `epoch` is None for models that do not train in epochs."""

    epoch: int | None
    key: str
    value: float


def read_run(path: Path) -> StoredRun:
    """Read the run in directory `path`.

    Raises:
        UserError: it is not a run directory, or its record is invalid or of a newer schema.
    """
    try:
        content = json.loads((path / "record.json").read_text(encoding="utf-8"))
        content = read_versioned(content, RECORD_SCHEMA, f"{path}/record.json")
        return StoredRun(path, RunRecord.from_json(content))
    except OSError as error:
        raise UserError(f"{path}: not a run directory: {error.strerror} (record.json)") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}/record.json: not a run's record: {error}") from error


def find_runs(runs_dir: Path, *within: str) -> list[StoredRun]:
    """Return all runs under `runs_dir`, the oldest first. Skip an invalid record with a warning.

    `within` restricts the search to a data set, or to a data set and a candidate.
    """
    runs = []
    for path in runs_dir.joinpath(*within).glob("*/" * (3 - len(within)) + "record.json"):
        try:
            runs.append(read_run(path.parent))
        except UserError as error:
            logging.getLogger(__name__).warning("skipped: %s", error)
    return sorted(runs, key=lambda run: (run.record.started_at, run.record.id))


def find_run(runs_dir: Path, wanted: str) -> StoredRun:
    """Return the run that `wanted` names: a directory, an id, a unique prefix or suffix of an id, or `last`.

    Raises:
        UserError: no run or several runs match.
    """
    if not wanted:
        raise UserError("the name of the run is empty: give an id, a directory or `last`")
    if (Path(wanted) / "record.json").is_file():
        return read_run(Path(wanted))
    runs = find_runs(runs_dir)
    if wanted == "last" and runs:
        return runs[-1]
    matches = [run for run in runs if run.record.id.startswith(wanted) or run.record.id.endswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UserError(f"{wanted!r} names {len(matches)} runs: {', '.join(_list_ids(matches))}: give more of the id")
    raise UserError(f"no run {wanted!r} in {runs_dir} ({len(runs)} runs there; `ratchet runs list` shows them)")


def _list_ids(runs: Sequence[StoredRun], most: int = 5) -> list[str]:
    shown = [run.record.id for run in runs[:most]]
    return [*shown, "..."] if len(runs) > most else shown


def describe_texts_without_rule(run: StoredRun, part: str) -> str:
    """Return on how many records of a part no rule fires; "" if the model has no rules, or they were not counted."""
    count, total = run.record.without_rule.get(part), run.record.records.get(part)
    return f"on {count:,} of {total:,} records of {part} ({count / total:.0%})" if count is not None and total else ""


def candidate_key(run: StoredRun) -> tuple[str, str]:
    """Return the key of the candidate that a run belongs to."""
    return run.record.name, run.record.config_hash


def repeat_key(run: StoredRun) -> tuple[str | None, int | None]:
    """Return the key of a run among the repeats of its candidate: split and seed.

    The seed is None for a deterministic model: one run represents all seeds.
    """
    return run.record.split_hash, None if run.record.deterministic else run.record.seed


def find_repeats(run: StoredRun) -> list[StoredRun]:
    """Return the run and the newest finished run of its candidate for every other split and seed, in their order.

    The others have the same dataset version and are in the same runs directory. If the run is not in a runs
    directory, return the run alone.
    """
    path, record = run.path.resolve(), run.record
    if path.parts[-3:-1] != (record.data, record.name):
        return [run]
    others = [
        other for other in find_runs(path.parents[2])
        if candidate_key(other) == candidate_key(run) and other.status == "finished"
        and (other.record.data, other.record.dataset_version) == (record.data, record.dataset_version)
    ]  # fmt: skip
    newest = {repeat_key(other): other for other in others if repeat_key(other) != repeat_key(run)}
    return [run, *sorted(newest.values(), key=lambda other: (other.record.split_seed, other.record.seed))]
