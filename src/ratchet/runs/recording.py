"""Record a run in progress: create its directory before any work, and keep its record correct until it ends."""

import copy
import csv
import logging
import secrets
import shutil
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ratchet import machine
from ratchet.config import Config, config_hash, plain
from ratchet.errors import Pruned, RunFailed, UserError, storage_error
from ratchet.files import replacing, write_json, write_text
from ratchet.printable import printable
from ratchet.project import current_project
from ratchet.runs import provenance
from ratchet.runs.code import code_of_run, find_changed_code, hash_definitions
from ratchet.runs.liveness import describe_process, lock_run, unlock_run
from ratchet.runs.resuming import (
    check_can_be_resumed,
    check_same_code,
    explain_running,
    list_changed_packages,
    name_some,
)
from ratchet.runs.stored import RunRecord, Status, StoredRun, read_run

_HISTORY = "epoch,step,key,value\n"
_NOT_TRUSTED = "It may have used either version: do not compare it, and train it again"
_PRINTED: set[str] = set()  # warnings that this process has printed


def _now() -> datetime:
    return datetime.now(UTC)


class Recording:
    """The directory of a run in progress, as `open_run` returns it. `lock` is that of its directory, if it has one."""

    def __init__(self, path: Path, record: RunRecord, *, resumed: bool = False, lock: int | None = None) -> None:
        self.path = path
        self.record = copy.copy(record)  # that of a stored run stays as it is
        self.resumed = resumed
        self._history_is_ahead = resumed
        self._lock = lock

    def close(self) -> None:
        """Release the lock of the directory: the run has ended."""
        unlock_run(self._lock)

    def update(self, **fields: Any) -> None:
        """Set fields of the record and write record.json."""
        for name, value in fields.items():
            assert hasattr(self.record, name), name
            setattr(self.record, name, value)
        write_json(self.path / "record.json", plain(self.record))

    def write_json(self, name: str, content: Any) -> None:
        """Write a file of the run atomically."""
        write_json(self.path / name, content)

    def directory(self, name: str) -> Path:
        """Return a subdirectory of the run; create it if it is missing."""
        path = self.path / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append `metrics` to history.csv. The value of the key `epoch` goes to the column of that name."""
        epoch = metrics.get("epoch", "")
        if self._history_is_ahead:
            self._history_is_ahead = False
            remove_epochs(self.path / "history.csv", epoch)
        rows = [(epoch, step, key, value) for key, value in metrics.items() if key != "epoch"]
        with (self.path / "history.csv").open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)

    def check_same_data(self, dataset_version: str, split_hash: str) -> None:
        """Check that a resumed run has the data that it started with.

        Raises:
            UserError: the dataset version or the split hash differs from the record.
        """
        for name, before, now in (
            ("data", self.record.dataset_version, dataset_version),
            ("split", self.record.split_hash, split_hash),
        ):
            if before is not None and before != now:
                raise UserError(
                    f"{self.path}: the {name} changed since the run started ({before[:12]}, now {now[:12]}): "
                    "start a new run"
                )


def remove_epochs(path: Path, epoch: Any) -> None:
    """Keep only the complete rows of epochs before `epoch` in a history; the resumed run writes the others again."""
    _, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True) or [_HISTORY]
    kept = [line for line in lines if line.endswith("\n") and line.partition(",")[0].isdigit()]
    kept = [line for line in kept if epoch != "" and int(line.partition(",")[0]) < epoch]
    write_text(path, _HISTORY + "".join(kept))


@contextmanager
def open_run(
    config: Config,
    *,
    threads: int,
    overrides: Sequence[str],
    resume: StoredRun | None = None,
    config_dir: Path | None = None,
    inputs: Mapping[str, str] | None = None,
) -> Iterator[Recording]:
    """Create the run directory and its record. Yield the run, and record how it ended when the block ends.

    With `resume`, continue that run in its own directory and record. `inputs` are the hashes of what settings name.

    The final status is `finished` if the block completes, `interrupted` on Ctrl-C or SIGTERM, `failed` (with the
    error) on an exception, and `pruned` if a search stops the run. After kill -9, or if the disk is full at the end,
    it is still `running`, with the pid of a process that no longer exists. The directory is locked until the end.

    Raises:
        UserError: `run_dir` exists or cannot be created; the run to resume is finished or running, it began with other
            code or packages, or its directory is not writable.
        RunFailed: the block raised an exception other than Pruned, which is raised unchanged.
    """
    run = _start(config, threads, overrides, config_dir, inputs or {}, resume)
    path = run.path
    with closing(run), _log_to(path / "log.txt"):
        try:
            if not (path / "history.csv").is_file():
                write_text(path / "history.csv", _HISTORY)
            if not run.record.packages:
                _record_provenance(run)
            yield run
        except (KeyboardInterrupt, SystemExit) as stop:
            logging.getLogger(__name__).warning("interrupted: %s", type(stop).__name__)
            with suppress(OSError):
                _end(run, "interrupted", stop)
            raise
        except Pruned as stop:
            logging.getLogger(__name__).info("pruned: %s", stop)
            shutil.rmtree(path / "checkpoints", ignore_errors=True)
            _end(run, "pruned", stop)
            stop.path = path
            raise
        except Exception as error:
            raise _record_failure(run, error) from error
        try:
            _end(run, "finished")
        except OSError as error:
            raise _record_failure(run, error) from error


def _start(
    config: Config,
    threads: int,
    overrides: Sequence[str],
    config_dir: Path | None,
    inputs: Mapping[str, str],
    resume: StoredRun | None,
) -> Recording:
    if resume is None:
        return _create_run(config, threads, overrides, config_dir, inputs)
    for name, before in resume.record.inputs.items():
        if inputs.get(name) != before:
            raise UserError(f"{resume.path}: the files of {name} changed since the run started: start a new run")
    return _reopen_run(resume)


def _end(run: Recording, status: Status, error: BaseException | None = None) -> None:
    """Record how a run ended, and whether its code or its packages were changed meanwhile.

    Modules are imported where they are used, so such a run may have executed the old code, the new one, or both. Its
    code is unknown, then: no grid, search or comparison takes it for a run of either.
    """
    described = None if error is None else _describe_error(error)
    ended = {"status": status, "finished_at": _now().isoformat(), "error": described}
    changes = [*find_changed_code(run.record.model), *list_changed_packages(run.record)] if run.record.packages else []
    if not changes:
        run.update(**ended)
        return
    run.update(**ended, code_hash=None, code_changed=sorted({*run.record.code_changed, *changes}))
    message = f"the code changed while the run was in progress: {name_some(changes)}. {_NOT_TRUSTED}"
    logging.getLogger(__name__).warning(message)
    with suppress(OSError):  # the run has ended, even if this cannot be printed
        print(printable(f"warning: {run.path}: {message}"), file=sys.stderr)


def _record_failure(run: Recording, error: Exception) -> RunFailed:
    """Set the status to `failed`, if the disk permits it. Return the exception to raise."""
    logging.getLogger(__name__).error("failed", exc_info=error)
    remedy = f"; then resume the run: `ratchet train resume={run.path}`"
    reason = storage_error(error, "the run's directory", remedy) or error
    with suppress(OSError):
        _end(run, "failed", reason)
    return RunFailed(run.path, reason)


def record_death(stored: StoredRun, reason: str) -> None:
    """Set the status of a run to `interrupted` if its process died, here or elsewhere, before it recorded an end."""
    if stored.record.status == "running":
        error = {"type": "ProcessDied", "message": reason, "traceback": ""}
        Recording(stored.path, stored.record).update(status="interrupted", finished_at=_now().isoformat(), error=error)


def _create_run(
    config: Config, threads: int, overrides: Sequence[str], config_dir: Path | None, inputs: Mapping[str, str]
) -> Recording:
    """Create the directory of a new run with its configuration and first record. On an error, leave nothing behind."""
    identifier = f"{_now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
    path = Path(config.run_dir or Path(config.runs_dir, config.data.name, config.name, identifier))
    try:
        path.mkdir(parents=True, exist_ok=False)
    except FileExistsError:
        raise UserError(f"{path}: exists already: set run_dir to a new directory") from None
    except OSError as error:
        raise _explain_failed_creation(path, error) from error
    lock = lock_run(path)
    record = _build_first_record(config, identifier, threads, overrides, describe_process(path, lock))
    record.inputs, record.config_hash = dict(inputs), config_hash(config, inputs)
    record.config_dir = None if config_dir is None else current_project().show(config_dir)
    run = Recording(path, record, lock=lock)
    try:
        from ratchet.config import dump  # here: it loads OmegaConf, which reading a run does not need

        write_text(path / "config.yaml", dump(config))
        run.update()
    except OSError as error:
        shutil.rmtree(path, ignore_errors=True)
        run.close()
        raise _explain_failed_creation(path, error) from error
    return run


def _explain_failed_creation(path: Path, error: OSError) -> UserError:
    otherwise = UserError(
        f"{path}: the run directory cannot be created: {error.strerror}. Choose another one: runs_dir=DIRECTORY"
    )
    return storage_error(error, path, ", or choose another directory: runs_dir=DIRECTORY") or otherwise


def _reopen_run(stored: StoredRun) -> Recording:
    """Resume a run that did not finish; record the process and the code that continue it.

    If several processes try this at the same time, one resumes the run, and the others see that it is running.
    """
    state, _ = provenance.read_git_state(current_project().code_root)
    try:
        with _lock_file(stored.path / "record.json"):
            return _take_over(read_run(stored.path), state)
    except OSError as error:
        remedy = f", or copy the run elsewhere and resume the copy: {stored.path} is unchanged"
        raise storage_error(error, stored.path, remedy) or error from error


@contextmanager
def _lock_file(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file, so that only one process at a time executes the block."""
    import fcntl  # Windows has none; only this function needs it

    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed
        yield


def _take_over(stored: StoredRun, state: dict[str, Any]) -> Recording:
    record = stored.record
    check_can_be_resumed(stored)
    check_same_code(stored, provenance.hash_lock(current_project().code_root))
    after = stored.status
    try:
        lock = lock_run(stored.path)
    except BlockingIOError:
        raise explain_running(stored) from None
    for leftover in stored.path.rglob(".*.tmp"):  # of a process that was killed while writing
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    resume = {
        "at": _now().isoformat(),
        "after": after,
        "git": state,
        "code_hash": hash_definitions(code_of_run(record.model)),
        "machine": machine.machine(),
        "argv": list(sys.argv),
    }
    run = Recording(stored.path, record, resumed=True, lock=lock)
    run.update(
        **describe_process(stored.path, lock),
        status="running",
        resumes=[*record.resumes, resume],
        finished_at=None,
        error=None,
    )
    return run


def _build_first_record(
    config: Config, identifier: str, threads: int, overrides: Sequence[str], process: Mapping[str, Any]
) -> RunRecord:
    return RunRecord(
        id=identifier,
        status="running",
        started_at=_now().isoformat(),
        **process,
        project=str(current_project().root),
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
    state, diff = provenance.read_git_state(current_project().code_root)
    if diff:
        with replacing(run.path / "code.diff") as temporary:
            temporary.write_bytes(diff.encode("utf-8", "surrogateescape"))
    provenance.remember_diff(current_project().code_root, state)
    _warn_about_git(state)
    definitions = code_of_run(run.record.model)
    run.write_json("code.json", definitions)
    run.update(
        git=state,
        code_hash=hash_definitions(definitions),
        lock_hash=provenance.hash_lock(current_project().code_root),
        packages=provenance.read_package_versions(),
        machine=machine.machine(),
    )


def _warn_about_git(state: Mapping[str, Any]) -> None:
    """Log what git refused or what is too large for code.diff; print it once per process, not in each job of a grid."""
    if git_problem := state.get("problem"):
        logging.getLogger(__name__).info("git: %s", git_problem)
    message = provenance.find_git_warning(state)
    if message is None:
        return
    logging.getLogger(__name__).warning(message)
    if message not in _PRINTED:
        _PRINTED.add(message)
        print(printable(f"warning: {message}"), file=sys.stderr)


def _describe_error(error: BaseException) -> dict[str, str]:
    shown = "" if isinstance(error, (UserError, Pruned)) else "".join(traceback.format_exception(error))
    return {"type": type(error).__name__, "message": str(error), "traceback": shown}


class _LogFile(logging.FileHandler):
    """A log file that a full disk may truncate without an error: the record reports the cause."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignore a line that cannot be written."""

    def close(self) -> None:
        """Close the file; ignore that the disk has no room for the rest of the buffer."""
        with suppress(OSError):
            super().close()


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Write all log records and warnings of the block to `path`. Restore the logging configuration at the end."""
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
