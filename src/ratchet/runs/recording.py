"""A run while it runs: its directory made before any work, its record kept true whatever happens."""

import csv
import logging
import os
import secrets
import shutil
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from ratchet import machine
from ratchet.config import Config, config_hash, plain
from ratchet.errors import Pruned, RunFailed, UserError, storage_error
from ratchet.files import replacing, write_json, write_text
from ratchet.project import PROJECT
from ratchet.runs import provenance
from ratchet.runs.code import code_of_run, hash_definitions
from ratchet.runs.stored import RunRecord, StoredRun, read_run

_HISTORY = "epoch,step,key,value\n"


def _now() -> datetime:
    return datetime.now(UTC)


class Recording:
    """The directory of a run in progress. Made by `open_run`."""

    def __init__(self, path: Path, record: RunRecord, *, resumed: bool = False) -> None:
        self.path = path
        self.record = record
        self.resumed = resumed
        self._history_is_ahead = resumed

    def update(self, **fields: Any) -> None:
        """Set fields of the record and write it."""
        for name, value in fields.items():
            assert hasattr(self.record, name), name
            setattr(self.record, name, value)
        write_json(self.path / "record.json", plain(self.record))

    def write_json(self, name: str, content: Any) -> None:
        """Write a file of the run, whole."""
        write_json(self.path / name, content)

    def directory(self, name: str) -> Path:
        """A directory inside the run's, made if need be."""
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append `metrics` to history.csv; an `epoch` among them becomes its column."""
        epoch = metrics.get("epoch", "")
        if self._history_is_ahead:
            self._history_is_ahead = False
            forget_epochs(self.path / "history.csv", epoch)
        rows = [(epoch, step, key, value) for key, value in metrics.items() if key != "epoch"]
        with (self.path / "history.csv").open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)

    def check_same_data(self, dataset_version: str, split_hash: str) -> None:
        """Stop a resumed run whose data are not those it began with.

        Raises:
            UserError: dataset version or split hash differ from the record.
        """
        for what, before, now in (
            ("data", self.record.dataset_version, dataset_version),
            ("split", self.record.split_hash, split_hash),
        ):
            if before is not None and before != now:
                raise UserError(
                    f"{self.path}: the {what} changed since the run began ({before[:12]}, now {now[:12]}): "
                    "start a new run"
                )


def forget_epochs(path: Path, epoch: Any) -> None:
    """Leave only whole rows of epochs before `epoch` in a history: what comes after will be written again."""
    _, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True) or [_HISTORY]
    kept = [line for line in lines if line.endswith("\n") and line.partition(",")[0].isdigit()]
    kept = [line for line in kept if epoch != "" and int(line.partition(",")[0]) < epoch]
    write_text(path, _HISTORY + "".join(kept))


@contextmanager
def open_run(
    config: Config, *, threads: int, overrides: Sequence[str], resume: StoredRun | None = None
) -> Iterator[Recording]:
    """Make the run directory and its record; on the way out the record says how the run ended.

    With `resume` the directory and the record of that run are gone on with.

    `finished` when the block ends, `interrupted` on Ctrl-C or SIGTERM, `failed` (with the error) on an exception.
    `pruned` when a search gives it up. After kill -9 the record still says `running`, with the pid of a process that
    is gone; also where the disk has no room for the last word.

    Raises:
        UserError: `run_dir` exists already, or the directory cannot be made; the run to resume is finished or running,
            or its directory cannot be written to.
        RunFailed: from any exception of the block, but for Pruned, which goes through.
    """
    run = _made(config, threads, overrides) if resume is None else _reopened(resume)
    path = run.path
    with _logging_to(path / "log.txt"):
        try:
            if not (path / "history.csv").is_file():
                write_text(path / "history.csv", _HISTORY)
            if not run.record.packages:
                _record_provenance(run)
            yield run
        except (KeyboardInterrupt, SystemExit) as stop:
            logging.getLogger(__name__).warning("interrupted: %s", type(stop).__name__)
            with suppress(OSError):
                run.update(status="interrupted", finished_at=_now().isoformat(), error=_error(stop))
            raise
        except Pruned as stop:
            logging.getLogger(__name__).info("pruned: %s", stop)
            shutil.rmtree(path / "checkpoints", ignore_errors=True)
            run.update(status="pruned", finished_at=_now().isoformat(), error=_error(stop))
            stop.path = path
            raise
        except Exception as error:
            raise _failed(run, error) from error
        try:
            run.update(status="finished", finished_at=_now().isoformat())
        except OSError as error:
            raise _failed(run, error) from error


def _failed(run: Recording, error: Exception) -> RunFailed:
    """What to raise, once the record says it, if the disk lets it."""
    logging.getLogger(__name__).error("failed", exc_info=error)
    reason = storage_error(error, "the run's directory", f"; then `python train.py resume={run.path}` goes on") or error
    with suppress(OSError):
        run.update(status="failed", finished_at=_now().isoformat(), error=_error(reason))
    return RunFailed(run.path, reason)


def note_death(stored: StoredRun, reason: str) -> None:
    """Write down how a run ended whose process is known to have died, here or elsewhere, if it did not do so itself."""
    if stored.record.status == "running":
        error = {"type": "ProcessDied", "message": reason, "traceback": ""}
        Recording(stored.path, stored.record).update(status="interrupted", finished_at=_now().isoformat(), error=error)


def _made(config: Config, threads: int, overrides: Sequence[str]) -> Recording:
    """A new run: its directory with its configuration and its first record, or nothing at all."""
    identifier = f"{_now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    path = Path(config.run_dir or Path(config.runs_dir, config.data.name, config.name, identifier))
    try:
        path.mkdir(parents=True, exist_ok=False)
    except FileExistsError:
        raise UserError(f"{path}: exists already; a run needs a directory of its own (run_dir)") from None
    except OSError as error:
        raise _unmade(path, error) from error
    run = Recording(path, _first_record(config, identifier, threads, overrides))
    try:
        from ratchet.config import dump  # here: it loads OmegaConf, which reading a run does not need

        write_text(path / "config.yaml", dump(config))
        run.update()
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        raise _unmade(path, error) from error
    return run


def _unmade(path: Path, error: OSError) -> UserError:
    otherwise = UserError(f"{path}: the run directory cannot be made: {error.strerror}")
    return storage_error(error, path, ", or choose another place: runs_dir=DIRECTORY") or otherwise


def _reopened(stored: StoredRun) -> Recording:
    """A run that ended before it was done; its record says that it runs again, here, and by which code.

    Of several processes that take it up at the same time one has it, the others find it running.
    """
    state, _ = provenance.git_state(PROJECT)
    try:
        with _claimed(stored.path / "record.json"):
            return _taken_up(read_run(stored.path), state)
    except OSError as error:
        remedy = f", or copy it elsewhere and resume the copy: {stored.path} stays as it is"
        raise storage_error(error, stored.path, remedy) or error from error


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """No other process is in this block with the same file."""
    import fcntl  # where there is none, nothing but this needs it

    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until it is closed
        yield


def _taken_up(stored: StoredRun, state: dict[str, Any]) -> Recording:
    record = stored.record
    if stored.status == "finished":
        raise UserError(f"{stored.path}: the run is finished, there is nothing to resume")
    if stored.status == "running":
        raise UserError(
            f"{stored.path}: the run still runs (process {record.pid} on {record.host}). If that machine is gone, set "
            '"status" in its record.json to "interrupted"'
        )
    for half_written in stored.path.rglob(".*.tmp"):  # by a process that was killed while it wrote
        shutil.rmtree(half_written) if half_written.is_dir() else half_written.unlink()
    again = {"at": _now().isoformat(), "after": stored.status, "git": state, "argv": list(sys.argv)}
    run = Recording(stored.path, record, resumed=True)
    run.update(
        **_process(),
        status="running",
        resumes=[*record.resumes, again],
        finished_at=None,
        error=None,
    )
    return run


def _process() -> dict[str, Any]:
    """Who runs, and since when: a pid alone may be somebody else's by now."""
    return {
        "pid": os.getpid(),
        "process_started": psutil.Process().create_time(),
        "host": os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", ""),
    }


def _first_record(config: Config, identifier: str, threads: int, overrides: Sequence[str]) -> RunRecord:
    return RunRecord(
        id=identifier,
        status="running",
        started_at=_now().isoformat(),
        **_process(),
        argv=list(sys.argv),
        overrides=list(overrides),
        name=config.name,
        model=config.model.module,
        complexity=config.model.complexity,
        data=config.data.name,
        config_hash=config_hash(config),
        seed=config.seed,
        split_seed=config.split.seed,
        evaluate=config.evaluate.name,
        threads=threads,
        parent=config.parent,
        hypothesis=config.hypothesis,
        tags=config.tags,
        sweep_id=config.sweep_id,
    )


def _record_provenance(run: Recording) -> None:
    state, diff = provenance.git_state(PROJECT)
    if diff:
        with replacing(run.path / "code.diff") as temporary:
            temporary.write_bytes(diff.encode("utf-8", "surrogateescape"))
    definitions = code_of_run(run.record.model)
    run.write_json("code.json", definitions)
    run.update(
        git=state,
        code_hash=hash_definitions(definitions),
        lock_hash=provenance.lock_hash(PROJECT),
        packages=provenance.package_versions(),
        machine=machine.machine(),
    )


def _error(error: BaseException) -> dict[str, str]:
    shown = "" if isinstance(error, (UserError, Pruned)) else "".join(traceback.format_exception(error))
    return {"type": type(error).__name__, "message": str(error), "traceback": shown}


class _LogFile(logging.FileHandler):
    """A log that may be cut short by a full disk: what happened is for the record to say."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Called by logging where a line cannot be written."""

    def close(self) -> None:
        """Called by logging; what was not written yet may have no room."""
        with suppress(OSError):
            super().close()


@contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Everything that is logged or warned of in this block goes to `path`, whatever runs before or after it."""
    handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
