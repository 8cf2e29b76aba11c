"""Tests for the detection of dead runs: the lock of a live one, and what its record says about its process."""

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ratchet.config import Config
from ratchet.errors import UserError
from ratchet.runs import StoredRun, liveness, open_run
from ratchet.runs.stored import read_run

Configure = Callable[..., Config]
Store = Callable[..., StoredRun]
pytestmark = pytest.mark.usefixtures("quick_provenance")


def rewrite_process(run: StoredRun, **fields: Any) -> StoredRun:
    """Set fields of `process` in the record of a run; those of other names are fields of the record."""
    record = json.loads((run.path / "record.json").read_text())
    known = record["process"].keys()
    process = record["process"] | {key: value for key, value in fields.items() if key in known}
    others = {key: value for key, value in fields.items() if key not in known}
    (run.path / "record.json").write_text(json.dumps({**record, **others, "process": process}))
    return read_run(run.path)


@pytest.fixture
def running(store: Store) -> StoredRun:
    """Return a run that is recorded as running, whose lock is free: its process is this one."""
    return store(status="running")


def test_record_identifies_the_process(configure: Configure) -> None:
    with open_run(configure(), threads=1, overrides=[]) as run:
        record = json.loads((run.path / "record.json").read_text())
        state = run.path.stat()
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        assert record["process"] == {
            "boot": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            "namespace": Path("/proc/self/ns/pid").stat().st_ino,
            "ticks": int(fields[19]),
            "locked": [state.st_dev, state.st_ino],
        }


@pytest.mark.parametrize(
    "fields",
    [
        {"pid": 0},
        {"pid": 0, "namespace": 1},
        {"pid": 0, "boot": "another"},
        {"process_started": 1.0, "ticks": 1},
        {"boot": None, "pid": 0},
    ],
    ids=str,
)
def test_locked_run_is_running_whatever_its_record_says(configure: Configure, fields: dict[str, Any]) -> None:
    with open_run(configure(), threads=1, overrides=[]) as run:
        assert rewrite_process(read_run(run.path), **fields).status == "running"


def test_step_of_the_clock_kills_no_run(running: StoredRun) -> None:
    """The recorded start by the clock is an hour off, that in ticks since the boot is not."""
    changed = rewrite_process(running, process_started=running.record.process_started - 3600)
    assert changed.status == "running"


def test_process_with_other_ticks_is_another_one(running: StoredRun) -> None:
    assert rewrite_process(running, ticks=1).status == "killed"


def test_copy_of_a_run_in_another_namespace_is_unknown(running: StoredRun, tmp_path: Path) -> None:
    """The lock proves nothing about a copy, which was never locked."""
    other = rewrite_process(running, namespace=1, pid=0)
    assert other.status == "killed", "its directory was locked, and is not any more"
    copied = read_run(Path(shutil.copytree(other.path, tmp_path / "copy")))
    assert copied.status == "running"
    assert str(copied.path / "record.json") in str(copied.explain_unknown_process())


def test_earlier_boot_of_this_machine_is_known_by_the_lock(running: StoredRun) -> None:
    before = psutil.boot_time() - 100
    dead = {"boot": "earlier", "process_started": before}
    assert rewrite_process(running, **dead).status == "killed"
    for unknown in ({"host": "elsewhere"}, {"locked": None}, {"process_started": before + 200}):
        assert rewrite_process(running, **{**dead, **unknown}).status == "running", unknown


def test_unknown_process_explains_the_remedy_on_resume(running: StoredRun, configure: Configure) -> None:
    run = rewrite_process(running, boot="another", host="elsewhere")
    message = r'still running .*on elsewhere.*"interrupted" in .*record\.json'
    with pytest.raises(UserError, match=message), open_run(configure(), threads=1, overrides=[], resume=run):
        pass
    assert running.explain_unknown_process() is None, "its process exists"


def test_record_of_an_earlier_version_is_judged_by_the_clock(running: StoredRun) -> None:
    def write(**fields: Any) -> StoredRun:
        record = json.loads((running.path / "record.json").read_text())
        (running.path / "record.json").write_text(json.dumps({**record, "process": {}, **fields}))
        return read_run(running.path)

    assert write().status == "running"
    assert write(pid=0).status == "killed"
    assert write(pid=os.getpid(), process_started=running.record.process_started - 100).status == "killed"
    assert write(host="elsewhere").status == "running"


def test_system_without_proc_uses_the_clock(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(liveness, "_PROC", tmp_path / "none")
    with open_run(configure(), threads=1, overrides=[]) as run:
        process = read_run(run.path).record.process
        assert {name for name, value in process.items() if value is None} == {"boot", "namespace", "ticks"}
        assert read_run(run.path).status == "running"
    assert rewrite_process(read_run(run.path), status="running", pid=0).status == "killed"
    assert rewrite_process(read_run(run.path), pid=os.getpid()).status == "running"


def test_file_system_without_locks_falls_back_on_the_process(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    assert liveness.lock_run(Path.cwd()) is None
    run = configure()
    path = Path(run.runs_dir)
    path.mkdir()
    process = liveness.describe_process(path, None)
    assert process["process"]["locked"] is None
    known = {"pid": process["pid"], "started": process["process_started"], "host": process["host"]}
    assert liveness.is_process_gone(path, **known, process=process["process"]) is False
    assert liveness.is_process_gone(path, **{**known, "pid": 0}, process=process["process"]) is True
    elsewhere = process["process"] | {"namespace": 1}
    assert liveness.is_process_gone(path, **known, process=elsewhere) is None


def test_only_one_process_holds_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "_ATTEMPTS", 2)
    lock = liveness.lock_run(tmp_path)
    with pytest.raises(BlockingIOError):
        liveness.lock_run(tmp_path)
    liveness.unlock_run(lock)
    liveness.unlock_run(lock)  # a second time has no effect
    liveness.unlock_run(liveness.lock_run(tmp_path))


def test_forked_child_that_is_left_behind_does_not_hold_the_lock(tmp_path: Path) -> None:
    """Workers of a pool or of a data loader may outlive a run that was killed."""
    lock = liveness.lock_run(tmp_path)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - it ends by the signal below
        os.write(write, b"x")
        signal.pause()
        os._exit(1)
    try:
        os.read(read, 1)  # it has begun, and is alive
        assert lock is not None
        os.close(lock)  # as the kernel does when this process is killed
        liveness._HELD.discard(lock)
        liveness.unlock_run(liveness.lock_run(tmp_path))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)
