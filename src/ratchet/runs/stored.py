"""Read runs from their directories, and detect runs whose process was killed."""

import csv
import dataclasses
import json
import logging
import os
import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from ratchet.errors import UserError
from ratchet.files import hash_content, is_plain_name
from ratchet.runs.liveness import is_process_gone
from ratchet.schema_versions import RECORD_SCHEMA, read_versioned

_SCORING = ("labels.json", "calibration.json", "thresholds.json")  # with model/, what scores and decisions depend on
_NEEDED = ("config.yaml", *_SCORING)
MEASUREMENTS = "costs"  # every measurement of a run's costs, by time, once they were measured again
Status = Literal["running", "finished", "failed", "interrupted", "pruned"]
RESUMABLE = ("failed", "interrupted", "killed")


@dataclass
class RunRecord:
    """The fields of record.json. Times are in UTC (ISO 8601).

    `process` identifies the process (see `ratchet.runs.liveness`), `project` is the root of its project, `config_dir`
    the value of `--config-dir`. `code_changed` lists what changed of the code or the packages while the run was in
    progress; `code_hash` is None then. `inputs` holds the sha256 of what settings name (an encoder), `model_files`
    that of each file that scores (`list_model_files`), by its path in the run's directory.
    """

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
    process: dict[str, Any] = field(default_factory=dict)
    project: str | None = None
    config_dir: str | None = None
    code_changed: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    model_files: dict[str, str] = field(default_factory=dict)
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
    """A run directory and its record, which is not changed: `find_runs` returns the same one again."""

    path: Path
    record: RunRecord

    @property
    def status(self) -> str:
        """Return the recorded status, or `killed` if it is `running` but its process certainly no longer exists."""
        if self.record.status == "running" and self._is_process_gone():
            return "killed"
        return self.record.status

    def _is_process_gone(self) -> bool | None:
        record = self.record
        return is_process_gone(
            self.path, pid=record.pid, started=record.process_started, host=record.host, process=record.process
        )

    def explain_unknown_process(self) -> str | None:
        """Return what to do if the run is `running` but its process cannot be checked from here; None otherwise."""
        if self.record.status != "running" or self._is_process_gone() is not None:
            return None
        return (
            f"process {self.record.pid} on {self.record.host} cannot be checked from here: it belongs to another "
            'machine or container. If it no longer exists, set "status" to "interrupted" in '
            f"{self.path / 'record.json'}"
        )

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
        record = RunRecord.from_json(content)
        _check_names(record)
        return StoredRun(path, record)
    except OSError as error:
        raise UserError(f"{path}: not a run directory: {error.strerror} (record.json)") from error
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}/record.json: not a run's record: {error}") from error


# By absolute path, what identifies the content of record.json, and the record: a grid looks for finished runs before
# each of its jobs, and reads only the records that are new or changed.
_CACHE: dict[str, tuple[tuple[int, ...], RunRecord]] = {}
_SETTLED = 2.0  # s: a file that was written just now may be written again without a change of its times


def _check_names(record: RunRecord) -> None:
    """Check the names that paths are built from: a record may come from elsewhere, and `../elsewhere` is no data set.

    Raises:
        ValueError: one could not have been recorded.
    """
    for key in ("id", "data", "name", "model", "sweep_id"):
        value = getattr(record, key)
        if not is_plain_name(value) and not (key == "sweep_id" and value is None):
            raise ValueError(f"{key}={value!r} is no name: letters, digits, '_', '-' and '.' only")


def find_runs(runs_dir: Path, *within: str) -> list[StoredRun]:
    """Return all runs under `runs_dir`, the oldest first. Skip an invalid record with a warning.

    `within` restricts the search to a data set, or to a data set and a candidate. A run that links lead to as well is
    returned once. Names that begin with a dot belong to sweeps, or to runs that are being deleted.
    """
    directory = os.fspath(runs_dir.joinpath(*within))
    absolute = os.path.abspath(directory)  # noqa: PTH100 - paths are texts here, as Path takes most of the time
    runs: dict[tuple[int, int], StoredRun] = {}
    for path, _ in sorted(_list_directories(directory, 3 - len(within)), key=lambda entry: entry[1]):
        try:
            state = os.stat(f"{path}/record.json")  # noqa: PTH116
            if (state.st_dev, state.st_ino) not in runs:
                record = _read_cached(path, absolute + path.removeprefix(directory), state)
                runs[state.st_dev, state.st_ino] = StoredRun(Path(path), record)
        except OSError:
            continue  # no run, or one that was deleted just now
        except UserError as error:
            logging.getLogger(__name__).warning("skipped: %s", error)
    return sorted(runs.values(), key=lambda run: (run.record.started_at, run.record.id))


def _list_directories(directory: str, depth: int, *, is_linked: bool = False) -> Iterator[tuple[str, bool]]:
    """Yield the directories `depth` levels below, and whether a link leads to them."""
    if depth == 0:
        yield directory, is_linked
        return
    try:
        with os.scandir(directory) as entries:
            found = [(entry.path, entry.is_symlink()) for entry in entries if entry.name[0] != "." and entry.is_dir()]
    except OSError:
        return
    for path, is_link in found:
        yield from _list_directories(path, depth - 1, is_linked=is_linked or is_link)


def _read_cached(path: str, absolute: str, state: os.stat_result) -> RunRecord:
    """Return the record of the run in `path`, parsed once for as long as its file stays the same."""
    identity = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    cached = _CACHE.get(absolute)
    if cached is None or cached[0] != identity:
        record = read_run(Path(path)).record
        if abs(time.time() - state.st_ctime) < _SETTLED:
            return record
        cached = _CACHE[absolute] = (identity, record)
    return cached[1]


def find_run(runs_dir: Path, wanted: str, *, to_resume: bool = False) -> StoredRun:
    """Return the run that `wanted` names: a directory, an id, a unique prefix or suffix of an id, or `last`.

    `last` is the newest finished run; with `to_resume`, the newest run that can be resumed. A newer run that is not
    chosen for that reason is named in a warning.

    Raises:
        UserError: no run or several runs match.
    """
    if not wanted:
        raise UserError("the name of the run is empty: give an id, a directory or `last`")
    if (Path(wanted) / "record.json").is_file():
        return read_run(Path(wanted))
    runs = find_runs(runs_dir)
    if wanted == "last" and runs:
        return _find_last(runs, RESUMABLE if to_resume else ("finished",), runs_dir)
    matches = [run for run in runs if run.record.id.startswith(wanted) or run.record.id.endswith(wanted)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UserError(f"{wanted!r} names {len(matches)} runs: {', '.join(_list_ids(matches))}: give more of the id")
    raise UserError(f"no run {wanted!r} in {runs_dir} ({len(runs)} runs there; `ratchet runs list` shows them)")


def _find_last(runs: Sequence[StoredRun], statuses: Sequence[str], runs_dir: Path) -> StoredRun:
    """Return the newest run with one of the statuses; warn about a newer one of another status."""
    newest, status = runs[-1], runs[-1].status
    if status in statuses:
        return newest
    chosen = next((run for run in reversed(runs) if run.status in statuses), None)
    other = f"the newest run, {newest.record.id}, is {status}"
    if chosen is None:
        what = "finished run" if statuses == ("finished",) else "run that can be resumed"
        raise UserError(f"no run 'last': there is no {what} in {runs_dir} ({other})")
    if statuses == ("finished",):
        logging.getLogger(__name__).warning("last: %s is the last finished run; %s", chosen.record.id, other)
    return chosen


def _list_ids(runs: Sequence[StoredRun], most: int = 5) -> list[str]:
    shown = [run.record.id for run in runs[:most]]
    return [*shown, "..."] if len(runs) > most else shown


def build_command(record: RunRecord, overrides: Sequence[str]) -> str:
    """Return the command that trains with the configurations of a run and with these overrides."""
    config_dir = [] if record.config_dir is None else ["--config-dir", record.config_dir]
    return shlex.join(["ratchet", "train", *config_dir, *overrides])


def describe_texts_without_rule(run: StoredRun, part: str) -> str:
    """Return on how many records of a part no rule fires; "" if the model has no rules, or they were not counted."""
    count, total = run.record.without_rule.get(part), run.record.records.get(part)
    return f"on {count:,} of {total:,} records of {part} ({count / total:.0%})" if count is not None and total else ""


def candidate_key(run: StoredRun) -> tuple[str, str, str]:
    """Return the key of the candidate that a run belongs to: its name, configuration and code ("" if unknown).

    Runs of edited code measure something else under the same configuration: they are not its repeats.
    """
    return run.record.name, run.record.config_hash, run.record.code_hash or ""


def repeat_key(run: StoredRun) -> tuple[str | None, int | None]:
    """Return the key of a run among the repeats of its candidate: split and seed.

    The seed is None for a deterministic model: one run represents all seeds.
    """
    return run.record.split_hash, None if run.record.deterministic else run.record.seed


def list_model_files(path: Path) -> list[Path]:
    """Return the files of the run in `path` that scores and decisions depend on."""
    weights = sorted(file for file in path.glob("model/**/*") if file.is_file())
    return [*(path / name for name in _SCORING), *weights]


def hash_model_files(path: Path) -> dict[str, str]:
    """Return the sha256 of each file that scores and decisions depend on, by its path in the run's directory.

    Raises:
        OSError: one of them cannot be read.
    """
    return {file.relative_to(path).as_posix(): hash_content(file) for file in list_model_files(path)}


def find_damage(path: Path) -> str | None:
    """Return what a finished run in `path` lacks to score again and to be compared; None if it is complete."""
    try:
        run = read_run(path)
    except UserError as error:
        return str(error)
    if run.status != "finished":
        return f"{path}: the run is {run.status}"
    if not (path / "model").is_dir():
        return f"{path}: its weights (model/) were not kept or were removed"
    names = [*_NEEDED, f"predictions/{run.record.evaluate}.parquet"]
    if missing := [name for name in names if not (path / name).is_file()]:
        return f"{path}: incomplete, without {', '.join(missing)}"
    if lost := [name for name in run.record.model_files if not (path / name).is_file()]:
        return f"{path}: its weights (model/) are incomplete, without {', '.join(lost)}"
    size = sum(file.stat().st_size for file in path.glob("model/**/*") if file.is_file())
    recorded = run.read_metrics().get("cost/size_mb")
    if recorded is not None and size < round(recorded * 1e6):
        return f"{path}: its weights (model/) are incomplete: {size:,} of {round(recorded * 1e6):,} bytes"
    return None


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
