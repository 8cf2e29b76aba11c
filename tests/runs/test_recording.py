"""Tests for the recording of a run: the content of its directory, each outcome, and resuming."""

import csv
import json
import logging
import os
import platform
import re
import shutil
import subprocess
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from tests.commands import HANG_SECONDS

from ratchet.config import Config, config_hash, load
from ratchet.errors import DiskFull, RunFailed, UserError
from ratchet.models import all_settings
from ratchet.project import Project
from ratchet.runs import StoredRun, code, open_run, provenance, recording
from ratchet.runs.stored import read_run

Configure = Callable[..., Config]


def read_record(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "record.json").read_text(encoding="utf-8"))
    return content


def run_that_raises(config: Config, error: BaseException) -> None:
    with open_run(config, threads=1, overrides=[]):
        raise error


def run_that_ends(config: Config) -> None:
    with open_run(config, threads=1, overrides=[]):
        pass


def find_only_run(tmp_path: Path) -> Path:
    [record] = (tmp_path / "runs").rglob("record.json")
    return record.parent


def test_run_directory_is_complete_from_the_start(configure: Configure, tmp_path: Path) -> None:
    config = configure("seed=3", "split.seed=4", "evaluate=val", "tags=[keep]", "hypothesis=more words")
    with open_run(config, threads=2, overrides=["seed=3"]) as run:
        record = read_record(run.path)
        assert run.path == tmp_path / "runs" / "sample" / "rule" / record["id"]
        assert {path.name for path in run.path.iterdir()} >= {"record.json", "config.yaml", "history.csv", "log.txt"}
        assert load(run.path / "config.yaml", all_settings()) == config
        assert (record["status"], record["finished_at"], record["error"]) == ("running", None, None)
        assert (record["pid"], record["process_started"]) == (os.getpid(), psutil.Process().create_time())
        assert (record["host"], record["schema_version"]) == (os.uname().nodename, 1)
        assert (record["seed"], record["split_seed"], record["evaluate"]) == (3, 4, "val")
        assert (record["tags"], record["hypothesis"], record["threads"]) == (["keep"], "more words", 2)
        assert (record["name"], record["model"], record["complexity"], record["data"]) == ("rule", "rule", 0, "sample")
        assert (record["overrides"], record["config_hash"]) == (["seed=3"], config_hash(config))
        assert datetime.fromisoformat(record["started_at"]).utcoffset() == timedelta(0)
        assert set(record["git"]) >= {"commit", "branch", "dirty"}
        assert record["packages"]["numpy"] == np.__version__
        assert record["machine"]["python"].startswith("3.")


def test_id_is_utc_time_and_random_suffix(configure: Configure) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    with open_run(configure(), threads=1, overrides=[]) as run:
        assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", run.record.id)
    created = datetime.strptime(run.record.id[:16] + "+0000", "%Y%m%dT%H%M%SZ%z")
    assert before <= created <= datetime.now(UTC), "the time is in UTC, regardless of the time zone of the machine"


def test_end_of_block_finishes_run(configure: Configure) -> None:
    with open_run(configure(), threads=1, overrides=[]) as run:
        pass
    record = read_record(run.path)
    assert (record["status"], record["error"]) == ("finished", None)
    assert record["finished_at"] >= record["started_at"]


def test_exception_is_recorded_as_failure_with_reason(configure: Configure, tmp_path: Path) -> None:
    reason = ValueError("a matrix of the wrong shape")
    with pytest.raises(RunFailed) as failed:
        run_that_raises(configure(), reason)
    path = find_only_run(tmp_path)
    assert failed.value.path == path
    assert failed.value.reason is failed.value.__cause__ is reason
    assert "a matrix of the wrong shape" in str(failed.value)
    assert str(path) in str(failed.value)
    record = read_record(path)
    assert record["status"] == "failed"
    assert record["finished_at"] >= record["started_at"]
    assert (record["error"]["type"], record["error"]["message"]) == ("ValueError", "a matrix of the wrong shape")
    assert "run_that_raises" in record["error"]["traceback"]
    log = (path / "log.txt").read_text()
    assert "a matrix of the wrong shape" in log
    assert "run_that_raises" in log


def test_user_error_is_recorded_without_traceback(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(RunFailed):
        run_that_raises(configure(), UserError("records.csv, row 3: no text"))
    record = read_record(find_only_run(tmp_path))
    assert record["status"] == "failed"
    assert record["error"] == {"type": "UserError", "message": "records.csv, row 3: no text", "traceback": ""}


def test_error_with_surrogates_can_be_read_back(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path whose bytes are not UTF-8 contains lone surrogates."""
    # pytest's log capture would send the message to another process, which cannot encode surrogates.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with pytest.raises(RunFailed):
        run_that_raises(configure(), UserError("caf\udce9.csv: no such file"))
    record = read_record(find_only_run(tmp_path))
    assert record["status"] == "failed"
    assert record["error"]["message"].startswith("caf")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(143)], ids=["ctrl-c", "sigterm"])
def test_interruption_is_recorded_and_propagates(configure: Configure, tmp_path: Path, stop: BaseException) -> None:
    with pytest.raises(type(stop)) as stopped:
        run_that_raises(configure(), stop)
    assert stopped.value is stop
    record = read_record(find_only_run(tmp_path))
    assert record["status"] == "interrupted"
    assert record["error"]["type"] == type(stop).__name__
    assert record["finished_at"] >= record["started_at"]
    assert "interrupted" in (find_only_run(tmp_path) / "log.txt").read_text()


def test_run_dir_is_used_as_given(configure: Configure, tmp_path: Path) -> None:
    with open_run(configure(f"run_dir={tmp_path}/a/b"), threads=1, overrides=[]) as run:
        assert run.path == tmp_path / "a" / "b"
    assert read_record(tmp_path / "a" / "b")["status"] == "finished"
    assert not (tmp_path / "runs").exists()


def test_existing_run_dir_is_refused_and_unchanged(configure: Configure, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(UserError, match=r"taken: .*run_dir"):
        run_that_raises(configure(f"run_dir={taken}"), AssertionError("the block was entered"))
    assert list(taken.iterdir()) == []


def test_uncreatable_directory_error_names_it(configure: Configure, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"file/run: .*Not a directory"):
        run_that_raises(configure(f"run_dir={tmp_path}/file/run"), AssertionError("the block was entered"))


def run_in_parallel(action: Callable[[], None], number: int) -> None:
    threads = [threading.Thread(target=action) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.usefixtures("quick_provenance")
def test_concurrent_runs_get_separate_directories(configure: Configure, tmp_path: Path) -> None:
    config = configure()
    barrier = threading.Barrier(8)

    def record_run() -> None:
        barrier.wait()
        with open_run(config, threads=1, overrides=[]):
            pass

    run_in_parallel(record_run, 8)
    records = [json.loads(path.read_text()) for path in (tmp_path / "runs").rglob("record.json")]
    assert len(records) == len({record["id"] for record in records}) == 8
    assert {record["status"] for record in records} == {"finished"}


@pytest.mark.usefixtures("quick_provenance")
def test_only_one_concurrent_run_gets_fixed_directory(configure: Configure, tmp_path: Path) -> None:
    config = configure(f"run_dir={tmp_path / 'one'}")
    barrier = threading.Barrier(6)
    outcomes: list[str] = []

    def record_run() -> None:
        barrier.wait()
        try:
            with open_run(config, threads=1, overrides=[]):
                outcomes.append("got it")
        except UserError:
            outcomes.append("refused")

    run_in_parallel(record_run, 6)
    assert sorted(outcomes) == ["got it", *["refused"] * 5]


def test_log_contains_only_messages_of_its_run(configure: Configure) -> None:
    logger = logging.getLogger("some.library")
    root_level, handlers = logging.getLogger().level, list(logging.getLogger().handlers)
    shown = warnings.showwarning
    logger.error("before the first")
    with open_run(configure(), threads=1, overrides=[]) as first:
        logger.info("within the first")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("a warning within the first", stacklevel=1)
    logger.error("between them")
    with open_run(configure(), threads=1, overrides=[]) as second:
        logger.info("within the second, größer")
    logger.error("after the second")

    text = (first.path / "log.txt").read_text(encoding="utf-8")
    assert "INFO some.library: within the first" in text
    assert "a warning within the first" in text
    for word in ("before", "between", "second"):
        assert word not in text
    [line] = (second.path / "log.txt").read_text(encoding="utf-8").splitlines()
    assert line.endswith("INFO some.library: within the second, größer")
    assert (logging.getLogger().level, logging.getLogger().handlers) == (root_level, handlers)
    assert warnings.showwarning is shown


def test_failed_run_closes_its_log(configure: Configure, tmp_path: Path) -> None:
    handlers = list(logging.getLogger().handlers)
    with pytest.raises(RunFailed):
        run_that_raises(configure(), ValueError("no"))
    logging.getLogger("some.library").error("much later")
    assert logging.getLogger().handlers == handlers
    assert "much later" not in (find_only_run(tmp_path) / "log.txt").read_text()


def test_history_has_one_row_per_value(configure: Configure) -> None:
    with open_run(configure(), threads=1, overrides=[]) as run:
        assert (run.path / "history.csv").read_text() == "epoch,step,key,value\n"
        run.log(10, {"epoch": 1, "train/loss": 0.5, "val/f1": np.float64(0.25)})
        run.log(20, {"train/loss": 0.125})
        run.log(30, {'odd, "quoted"': 1.0})
    text = (run.path / "history.csv").read_bytes().decode()
    assert text.splitlines()[:4] == ["epoch,step,key,value", "1,10,train/loss,0.5", "1,10,val/f1,0.25",
                                     ",20,train/loss,0.125"]  # fmt: skip
    assert "\r" not in text
    assert list(csv.reader(text.splitlines()))[4] == ["", "30", 'odd, "quoted"', "1.0"]


def test_updates_are_immediate_and_limited_to_known_fields(configure: Configure) -> None:
    with open_run(configure(), threads=1, overrides=[]) as run:
        run.update(num_parameters=12, records={"train": 5})
        record = read_record(run.path)
        assert (record["num_parameters"], record["records"], record["status"]) == (12, {"train": 5}, "running")
        with pytest.raises(AssertionError, match="colour"):
            run.update(colour="blue")
        run.write_json("labels.json", ["a"])
        assert json.loads((run.path / "labels.json").read_text()) == ["a"]
        assert run.directory("model/deep").is_dir()
        assert run.directory("model/deep") == run.path / "model" / "deep"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a scratch repository with one commit, which replaces the project; ignore the user's git settings."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    path = tmp_path / "repository"
    (path / "src").mkdir(parents=True)
    (path / "src" / "model.py").write_text("x = 1\n")
    (path / "requirements.lock").write_text("numpy==2.0\n")
    git(path, "init", "--quiet")
    git(path, "add", ".")
    git(path, "-c", "user.name=n", "-c", "user.email=e@e", "commit", "--quiet", "--message", "first")
    monkeypatch.setattr(recording, "current_project", lambda: Project(path))
    return path


def git(path: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=path, check=True, capture_output=True)


def test_clean_code_leaves_no_diff(configure: Configure, repository: Path) -> None:
    with open_run(configure(), threads=1, overrides=[]) as run:
        assert run.record.git["dirty"] is False
        assert run.record.lock_hash is not None
    assert not (run.path / "code.diff").exists()


@pytest.mark.parametrize(
    "content",
    [b"x = 2\n", "x = 'größe'\n".encode(), b"x = 'caf\xe9'  # -*- coding: latin-1 -*-\n", b"x = 2\r\n", b"\x00\xff"],
    ids=["ascii", "utf-8", "latin-1", "crlf", "binary"],
)
def test_code_diff_restores_code_of_run(configure: Configure, repository: Path, tmp_path: Path, content: bytes) -> None:
    (repository / "src" / "model.py").write_bytes(content)
    (repository / "src" / "new.py").write_bytes(content)
    with open_run(configure(), threads=1, overrides=[]) as run:
        assert run.record.git["dirty"] is True
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(repository), str(clone))
    git(clone, "apply", str(run.path / "code.diff"))
    assert (clone / "src" / "model.py").read_bytes() == content
    assert (clone / "src" / "new.py").read_bytes() == content


def test_large_file_is_recorded_by_hash_and_warned_of_once(
    configure: Configure,
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(recording, "_PRINTED", set())
    (repository / "src" / "vectors.bin").write_bytes(bytes(3_000_000))
    for number in range(2):  # as two jobs of a grid
        with open_run(configure(f"run_dir={tmp_path / str(number)}"), threads=1, overrides=[]) as run:
            [file] = read_record(run.path)["git"]["files"]
            assert (file["path"], file["size"]) == ("src/vectors.bin", 3_000_000)
        assert not (run.path / "code.diff").exists()
        assert "src/vectors.bin" in (run.path / "log.txt").read_text()
    [line] = capsys.readouterr().err.splitlines()
    assert "src/vectors.bin (3.0 MB)" in line


def test_refusal_of_git_is_recorded_and_warned_of(
    configure: Configure,
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(recording, "_PRINTED", set())
    monkeypatch.setenv("PATH", str(tmp_path))
    with open_run(configure(), threads=1, overrides=[]) as run:
        pass
    state = read_record(run.path)["git"]
    assert state["commit"] is None
    assert "not installed" in state["problem"]
    assert state["problem"] in (run.path / "log.txt").read_text()
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: git: ")
    assert state["problem"] in line


def write_history(run: Path, text: str) -> Path:
    path = run / "history.csv"
    path.write_text("epoch,step,key,value\n" + text)
    return path


def test_resumed_run_keeps_directory_and_id_and_records_resume(configure: Configure, quick_provenance: None) -> None:
    config = configure("seed=3")
    with pytest.raises(KeyboardInterrupt), open_run(config, threads=1, overrides=["seed=3"]) as run:
        raise KeyboardInterrupt
    stored = read_run(run.path)
    (run.directory("predictions") / ".test.parquet.123.tmp").write_bytes(b"PAR")
    with open_run(config, threads=1, overrides=[], resume=stored) as resumed_run:
        assert not list(run.path.rglob("*.tmp"))
        assert (resumed_run.path, resumed_run.record.id, resumed_run.resumed) == (run.path, run.record.id, True)
        record = read_record(run.path)
        assert (record["status"], record["finished_at"], record["error"]) == ("running", None, None)
        assert record["overrides"] == ["seed=3"]
        assert [resume["after"] for resume in record["resumes"]] == ["interrupted"]
        assert set(record["resumes"][0]) == {"at", "after", "git", "code_hash", "machine", "argv"}
        assert record["resumes"][0]["code_hash"] == record["code_hash"]
    assert read_record(run.path)["status"] == "finished"
    assert (run.path / "log.txt").read_text().count("interrupted: KeyboardInterrupt") == 1


@pytest.mark.parametrize(("status", "message"), [("finished", "finished"), ("running", "run")])
def test_finished_or_running_run_cannot_be_resumed(
    status: str, message: str, configure: Configure, store: Callable[..., StoredRun]
) -> None:
    stored = store(status=status, pid=os.getpid(), process_started=psutil.Process().create_time())
    before = read_record(stored.path)
    with pytest.raises(UserError, match=message), open_run(configure(), threads=1, overrides=[], resume=stored):
        pass
    assert read_record(stored.path) == before


@pytest.mark.parametrize("written", ["", "0,14,a,1\n1,28,a,2\n", "0,14,a,1\n1,28,a,2\n1,28,b,3\n2,42,a,9\n2,4"])
def test_history_of_repeated_epochs_is_replaced(
    written: str, configure: Configure, store: Callable[..., StoredRun]
) -> None:
    stored = store(status="failed")
    path = write_history(stored.path, written)
    kept = [line for line in written.splitlines() if line.startswith("0,")]
    with open_run(configure(), threads=1, overrides=[], resume=stored) as run:
        run.log(28, {"epoch": 1, "a": 2.5})
        run.log(42, {"epoch": 2, "a": 3.5})
    assert path.read_text().splitlines() == ["epoch,step,key,value", *kept, "1,28,a,2.5", "2,42,a,3.5"]


def test_run_is_not_resumed_with_other_files_of_its_encoder(configure: Configure, quick_provenance: None) -> None:
    config, inputs = configure(), {"model.encoder": "first"}
    with pytest.raises(KeyboardInterrupt), open_run(config, threads=1, overrides=[], inputs=inputs) as run:
        raise KeyboardInterrupt
    stored = read_run(run.path)
    assert stored.record.inputs == inputs
    assert stored.record.config_hash == config_hash(config, inputs) != config_hash(config)
    for now in ({"model.encoder": "second"}, {}):
        with (
            pytest.raises(UserError, match=r"the files of model\.encoder changed since the run started"),
            open_run(config, threads=1, overrides=[], inputs=now, resume=stored),
        ):
            pass
    assert read_run(run.path).status == "interrupted"
    with open_run(config, threads=1, overrides=[], inputs=inputs, resume=stored) as resumed:
        assert resumed.resumed


def test_resumed_run_without_logging_keeps_history(configure: Configure, store: Callable[..., StoredRun]) -> None:
    stored = store(status="failed")
    path = write_history(stored.path, "0,14,a,1\n")
    with open_run(configure(), threads=1, overrides=[], resume=stored):
        pass
    assert path.read_text() == "epoch,step,key,value\n0,14,a,1\n"


def test_changed_data_or_split_is_refused(configure: Configure, quick_provenance: None) -> None:
    with open_run(configure(), threads=1, overrides=[]) as run:
        run.check_same_data("version", "split")  # a new run has no data recorded yet
        run.update(dataset_version="version", split_hash="split")
        run.check_same_data("version", "split")
        with pytest.raises(UserError, match="data changed"):
            run.check_same_data("other", "split")
        with pytest.raises(UserError, match="split changed"):
            run.check_same_data("version", "other")


class Full(OSError):
    def __init__(self) -> None:
        super().__init__(28, "No space left on device")


def simulate_full_disk(monkeypatch: pytest.MonkeyPatch, name: str, after: int = 0) -> None:
    """Make every write of the file fail after the first `after` writes, as on a full disk."""
    original, writes = recording.write_json, iter(range(1000))

    def write(path: Path, content: Any) -> None:
        if path.name == name and next(writes) >= after:
            raise Full
        original(path, content)

    monkeypatch.setattr(recording, "write_json", write)


@pytest.mark.usefixtures("quick_provenance")
def test_run_that_cannot_start_leaves_no_directory(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate_full_disk(monkeypatch, "record.json")
    with pytest.raises(DiskFull, match=r"one: No space left on device.*runs_dir="):
        run_that_raises(configure(f"run_dir={tmp_path / 'one'}"), AssertionError("the block was entered"))
    assert not (tmp_path / "one").exists()


@pytest.mark.usefixtures("quick_provenance")
@pytest.mark.parametrize("raised", [Full(), KeyboardInterrupt(), None], ids=["full", "interrupted", "finished"])
def test_full_disk_at_end_still_raises_the_reason(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: BaseException | None
) -> None:
    simulate_full_disk(monkeypatch, "record.json", after=2)
    expected = KeyboardInterrupt if isinstance(raised, KeyboardInterrupt) else RunFailed
    config = configure(f"run_dir={tmp_path / 'one'}")
    with pytest.raises(expected) as error:
        run_that_raises(config, raised) if raised else run_that_ends(config)
    assert read_record(tmp_path / "one")["status"] == "running"
    if isinstance(error.value, RunFailed):
        assert isinstance(error.value.reason, DiskFull)
        assert f"`ratchet train resume={tmp_path / 'one'}`" in str(error.value)


@pytest.mark.usefixtures("quick_provenance")
def test_full_disk_for_log_neither_stops_nor_prints(configure: Configure, capfd: pytest.CaptureFixture[str]) -> None:
    with open_run(configure(), threads=1, overrides=[]) as run:
        [handler] = [
            candidate for candidate in logging.getLogger().handlers if isinstance(candidate, recording._LogFile)
        ]
        assert handler.stream is not None
        handler.stream.close()
        handler.stream = Path("/dev/full").open("a", encoding="utf-8")  # noqa: SIM115
        logging.getLogger("x").warning("there is no room for this")
    assert read_record(run.path)["status"] == "finished"
    assert capfd.readouterr() == ("", "")


def test_only_one_of_several_threads_resumes_a_run(configure: Configure, store: Callable[..., StoredRun]) -> None:
    stored = store(status="failed")
    started, finished = threading.Barrier(5, timeout=HANG_SECONDS), threading.Barrier(5, timeout=HANG_SECONDS)
    outcomes: list[str] = []

    def resume_run() -> None:
        started.wait()
        try:
            with open_run(configure(), threads=1, overrides=[], resume=stored):
                outcomes.append("had")
                finished.wait()
        except UserError as error:
            outcomes.append(str(error))
            finished.wait()

    run_in_parallel(resume_run, 5)
    assert outcomes.count("had") == 1
    assert sum("is still running" in outcome for outcome in outcomes) == 4
    assert len(read_record(stored.path)["resumes"]) == 1


def test_empty_history_gets_a_new_header(configure: Configure, store: Callable[..., StoredRun]) -> None:
    stored = store(status="failed")
    (stored.path / "history.csv").write_text("")
    with open_run(configure(), threads=1, overrides=[], resume=stored) as run:
        run.log(28, {"epoch": 1, "a": 2.5})
    assert (stored.path / "history.csv").read_text() == "epoch,step,key,value\n1,28,a,2.5\n"


# --- code and packages that change ------------------------------------------------------------------------------------


class Code:
    """A copy of the package that counts as the code of all runs."""

    def __init__(self, package: Path) -> None:
        self.package = package

    def edit(self, before: str = "return tagger", after: str = "return None or tagger") -> None:
        """Change the code below `tagger_class`, which every run uses."""
        path = self.package / "models" / "__init__.py"
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))

    @staticmethod
    def begin_process() -> None:
        """Forget the code that this process began with, as a new process would."""
        code._read_code.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_provenance: None) -> Iterator[Code]:
    copied = tmp_path / "ratchet"
    shutil.copytree(
        Path(code.__file__).parents[1], copied, ignore=lambda _, names: [n for n in names if n[-3:] == "pyc"]
    )
    monkeypatch.setattr(recording, "find_changed_code", code.find_changed_code)
    monkeypatch.setattr(code, "code_sources", lambda project: {"ratchet": copied, "project": project})
    Code.begin_process()
    yield Code(copied)
    Code.begin_process()


def stop_run(config: Config, then: Callable[[], None] = lambda: None) -> StoredRun:
    """Interrupt a run after `then`; return it."""
    paths = []

    def begin() -> None:
        with open_run(config, threads=1, overrides=[]) as run:
            paths.append(run.path)
            then()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begin()
    return read_run(paths[0])


def resume_run(config: Config, stored: StoredRun) -> StoredRun:
    with open_run(config, threads=1, overrides=[], resume=stored):
        pass
    return read_run(stored.path)


def test_run_is_not_resumed_under_changed_code(configure: Configure, package: Code) -> None:
    stored = stop_run(configure())
    before = read_record(stored.path)
    package.edit()
    Code.begin_process()
    with pytest.raises(UserError, match=r"the code changed since the run started: tagger_class\. Restore .* new run"):
        resume_run(configure(), stored)
    assert read_record(stored.path) == before
    package.edit("return None or tagger", "return tagger  # a comment changes nothing")
    Code.begin_process()
    assert resume_run(configure(), stored).status == "finished"


def test_changed_code_is_refused_without_recorded_definitions(configure: Configure, package: Code) -> None:
    stored = stop_run(configure())
    (stored.path / "code.json").unlink()
    package.edit()
    Code.begin_process()
    with pytest.raises(UserError, match="the code changed since the run started: its hash differs"):
        resume_run(configure(), stored)


def test_code_that_changes_during_a_run_is_recorded(
    configure: Configure, package: Code, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_run(configure(), threads=1, overrides=[]) as run:
        assert run.record.code_hash is not None
        package.edit()
    record = read_record(run.path)
    assert (record["status"], record["code_hash"], record["code_changed"]) == ("finished", None, ["tagger_class"])
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: {run.path}: the code changed while the run was in progress: tagger_class.")
    assert "tagger_class" in (run.path / "log.txt").read_text()


def test_comment_that_changes_during_a_run_does_not_matter(
    configure: Configure, package: Code, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_run(configure(), threads=1, overrides=[]) as run:
        package.edit("return tagger", "return tagger  # the same")
    assert read_record(run.path)["code_changed"] == []
    assert read_record(run.path)["code_hash"] is not None
    assert capsys.readouterr().err == ""


def test_code_that_cannot_be_read_at_the_end_is_unknown(configure: Configure, package: Code) -> None:
    with open_run(configure(), threads=1, overrides=[]) as run:
        package.edit("return tagger", "return (tagger")
    record = read_record(run.path)
    assert (record["status"], record["code_hash"]) == ("finished", None)
    assert record["code_changed"][0].startswith("not readable: ")


def test_module_that_hides_another_one_is_a_change(configure: Configure, package: Code) -> None:
    """A package is imported instead of a module of the same name."""
    with open_run(configure(), threads=1, overrides=[]) as run:
        hiding = package.package / "machine"
        hiding.mkdir()
        shutil.copy(package.package / "machine.py", hiding / "__init__.py")
        with (hiding / "__init__.py").open("a") as file:
            file.write("\ndef seed_everything(seed: int) -> None:\n    pass\n")
    assert "seed_everything" in read_record(run.path)["code_changed"]


def test_interrupted_run_of_two_versions_is_not_resumed(configure: Configure, package: Code) -> None:
    stored = stop_run(configure(), package.edit)
    assert stored.record.code_changed == ["tagger_class"]
    package.edit("return None or tagger", "return tagger")
    Code.begin_process()
    with pytest.raises(UserError, match=r"changed while the run was in progress: tagger_class\. .*start a new run"):
        resume_run(configure(), stored)


def test_changed_packages_lock_or_python_are_refused_on_resume(
    configure: Configure, quick_provenance: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = stop_run(configure())
    versions = provenance.read_library_versions()
    for patched, name, now, message in (
        (provenance, "read_library_versions", versions | {"numpy": "9.9"}, f"numpy {versions['numpy']} -> 9.9"),
        (provenance, "read_library_versions", versions | {"torch": "9.9"}, "-> 9.9"),
        (platform, "python_version", "4.0.1", r"Python 3\..* -> 4\.0\.1"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(patched, name, lambda now=now: now)
            with pytest.raises(UserError, match=f"environment changed since the run started: .*{message}.*start a new"):
                resume_run(configure(), stored)
    monkeypatch.setattr(provenance, "hash_lock", lambda project: "another")
    with pytest.raises(UserError, match=r"requirements\.lock"):
        resume_run(configure(), stored)


def test_packages_that_change_during_a_run_are_recorded(
    configure: Configure, quick_provenance: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = provenance.read_library_versions()
    with open_run(configure(), threads=1, overrides=[]) as run:
        monkeypatch.setattr(provenance, "read_library_versions", lambda: versions | {"numpy": "9.9"})
    assert read_record(run.path)["code_changed"] == [f"numpy {versions['numpy']} -> 9.9"]
    assert read_record(run.path)["code_hash"] is None


def test_run_killed_before_its_code_was_recorded_records_it_on_resume(
    configure: Configure, package: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recording, "hash_definitions", stop)
        with pytest.raises(KeyboardInterrupt):
            run_that_ends(configure())
    [path] = (Path(configure().runs_dir)).rglob("record.json")
    assert read_record(path.parent)["code_hash"] is None
    package.edit()
    Code.begin_process()
    resumed = resume_run(configure(), read_run(path.parent))
    assert resumed.record.code_hash == code.hash_definitions(code.code_of_run("rule"))
    assert json.loads((path.parent / "code.json").read_text()) == code.code_of_run("rule")


def test_every_resume_is_recorded(configure: Configure, quick_provenance: None) -> None:
    stored = stop_run(configure())
    with pytest.raises(RunFailed), open_run(configure(), threads=1, overrides=[], resume=stored):
        raise ValueError("again")
    resumed = resume_run(configure(), read_run(stored.path))
    assert [resume["after"] for resume in resumed.record.resumes] == ["interrupted", "failed"]
    assert {resume["code_hash"] for resume in resumed.record.resumes} == {resumed.record.code_hash}
