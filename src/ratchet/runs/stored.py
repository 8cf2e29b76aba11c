"""Runs that were written down: find them, read them, tell a running one from a killed one."""

import csv
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ratchet.errors import UserError
from ratchet.runs.record import SCHEMA_VERSION, RunRecord


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
