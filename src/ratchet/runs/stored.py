"""Read finished and running runs from their directories; tell a running run from a killed one."""

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


@dataclass(frozen=True)
class StoredRun:
    """A run directory and its record."""

    path: Path
    record: RunRecord

    @property
    def status(self) -> str:
        """The recorded status, or `killed` for a "running" one whose process is gone from this host."""
        if self.record.status == "running" and self._process_is_gone():
            return "killed"
        return self.record.status

    def _process_is_gone(self) -> bool:
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
        return abs(started - self.record.process_started) > 2.0

    def read_json(self, name: str) -> Any:
        """A JSON file of the run.

        Raises:
            UserError: the run has no such file, or a broken one.
        """
        path = self.path / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path}: not there; the run is {self.status}") from None
        except json.JSONDecodeError as error:
            raise UserError(f"{path}, line {error.lineno}: not valid JSON: {error.msg}") from error

    def history(self) -> list["Point"]:
        """What was logged while it trained; empty for models that have no curves.

        Raises:
            UserError: history.csv is not there or broken.
        """
        path = self.path / "history.csv"
        try:
            rows = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
            return [Point(int(row["epoch"]) if row["epoch"] else None, row["key"], float(row["value"])) for row in rows]
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from error

    def figures(self) -> dict[str, Any]:
        """metrics.json and cost.json in one mapping; empty where the run did not get that far."""
        found: dict[str, Any] = {}
        for name in ("metrics.json", "cost.json"):
            if (self.path / name).is_file():
                found |= self.read_json(name)
        return found


@dataclass(frozen=True)
class Point:
    """A value of a curve; models that do not train in epochs may have logged it without one."""

    epoch: int | None
    key: str
    value: float


def read_run(path: Path) -> StoredRun:
    """The run in directory `path`.

    Raises:
        UserError: no run directory, or a record of another schema.
    """
    try:
        content = json.loads((path / "record.json").read_text(encoding="utf-8"))
        version = content["schema_version"]
        if version > SCHEMA_VERSION:
            raise UserError(f"{path}: written by a newer version of ratchet (record schema {version}): update ratchet")
        return StoredRun(path, RunRecord.from_json(content))
    except OSError as error:
        raise UserError(f"{path}: not a run directory: {error.strerror} (record.json)") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}/record.json: not a run's record: {error}") from error


def find_runs(runs_dir: Path, *within: str) -> list[StoredRun]:
    """All runs under `runs_dir`, oldest first; a broken record is warned of and left out.

    `within` may name a data set, and a candidate of it.
    """
    runs = []
    for path in runs_dir.joinpath(*within).glob("*/" * (3 - len(within)) + "record.json"):
        try:
            runs.append(read_run(path.parent))
        except UserError as error:
            logging.getLogger(__name__).warning("left out: %s", error)
    return sorted(runs, key=lambda run: (run.record.started_at, run.record.id))


def find_run(runs_dir: Path, wanted: str) -> StoredRun:
    """The run that `wanted` names: a directory, an id, the unique beginning or end of one, or `last`.

    Raises:
        UserError: none, or several.
    """
    if not wanted:
        raise UserError("which run? An empty name is none: give an id, a directory or `last`")
    if (Path(wanted) / "record.json").is_file():
        return read_run(Path(wanted))
    runs = find_runs(runs_dir)
    if wanted == "last" and runs:
        return runs[-1]
    found = [run for run in runs if run.record.id.startswith(wanted) or run.record.id.endswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(f"{wanted!r} names {len(found)} runs: {', '.join(_ids(found))}")
    raise UserError(f"no run {wanted!r} in {runs_dir} ({len(runs)} runs there; `ratchet runs list` shows them)")


def _ids(runs: Sequence[StoredRun], most: int = 5) -> list[str]:
    shown = [run.record.id for run in runs[:most]]
    return [*shown, "..."] if len(runs) > most else shown


def candidate_key(run: StoredRun) -> tuple[str, str]:
    """Return the key of the candidate that a run belongs to."""
    return run.record.name, run.record.config_hash


def repeat_key(run: StoredRun) -> tuple[str | None, int | None]:
    """Which of its candidate's repeats it is; a run of a model without randomness stands for every seed."""
    return run.record.split_hash, None if run.record.deterministic else run.record.seed


def repeats_of(run: StoredRun) -> list[StoredRun]:
    """A finished run, then its candidate's newest finished run of every other split and seed, in their order.

    They are those on the same version of the data in the same runs directory; a run that lies in none is alone.
    """
    path, record = run.path.resolve(), run.record
    if path.parts[-3:-1] != (record.data, record.name):
        return [run]
    same = [
        each for each in find_runs(path.parents[2])
        if candidate_key(each) == candidate_key(run) and each.status == "finished"
        and (each.record.data, each.record.dataset_version) == (record.data, record.dataset_version)
    ]  # fmt: skip
    newest = {repeat_key(each): each for each in same if repeat_key(each) != repeat_key(run)}
    return [run, *sorted(newest.values(), key=lambda each: (each.record.split_seed, each.record.seed))]
