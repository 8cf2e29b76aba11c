"""Tests for `tracker=wandb` from the command line. W&B's own command reads the files back."""

import http.server
import json
import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from tests.commands import PROJECT, run_command
from tests.tracking.listeners import inspect_wandb_run

Done = CompletedProcess[str]
FEW = "evaluation.resamples=100"


def run_train(
    directory: Path, *arguments: str, program: Sequence[str | Path] = (PROJECT / "train.py",), **environment: str
) -> Done:
    """Run `python train.py ...` with an empty home and no settings of W&B."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    cleared = {name: "" for name in os.environ if name.startswith("WANDB_")}  # unset those of the user
    return run_command(
        sys.executable,
        *program,
        FEW,
        *arguments,
        cwd=directory,
        **{**cleared, "HOME": str(home), **environment},
    )


def list_runs(directory: Path) -> list[Path]:
    return sorted(path.parent for path in directory.glob("runs/*/*/*/record.json"))


def read_status(run: Path) -> str:
    return str(json.loads((run / "record.json").read_text(encoding="utf-8"))["status"])


def read_group(run: Path) -> str:
    return next(entry["run"]["run_group"] for entry in inspect_wandb_run(run) if entry["type"] == "run")


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with an untracked run of the rule."""
    directory = tmp_path_factory.mktemp("runs")
    assert run_train(directory).returncode == 0
    return directory


@pytest.fixture(scope="module")
def tracked(untracked: Path) -> tuple[Path, Done]:
    """Make a tracked run of the regression in the same directory; return it with the output."""
    settings = ("model=regression", "parent=last", "hypothesis='words, not names'", "tags=[words]")
    return untracked, run_train(untracked, *settings, "tracker=wandb")


def test_tracked_run_prints_only_the_upload_command(tracked: tuple[Path, Done]) -> None:
    directory, done = tracked
    [path] = list_runs(directory)[0].glob("wandb/offline-run-*")
    assert (done.returncode, done.stderr) == (0, f"wandb: offline; upload with: wandb sync {path}\n")
    assert "wandb" not in done.stdout
    assert {path.name for path in directory.iterdir()} == {"home", "runs"}
    assert list((directory / "home").iterdir()) == []


def test_metrics_and_difference_to_the_baseline_are_tracked(tracked: tuple[Path, Done]) -> None:
    rule, run = sorted(list_runs(tracked[0]), key=lambda path: path.name)
    logged = inspect_wandb_run(run, "--summary")
    assert (logged["state"], logged["run_id"]) == ("finished", run.name)
    for name in ("metrics.json", "cost.json"):
        metrics = json.loads((run / name).read_text(encoding="utf-8"))
        assert {key: logged["summary"].get(key) for key in metrics} == pytest.approx(metrics)
    rule_metrics = json.loads((rule / "metrics.json").read_text(encoding="utf-8"))
    assert logged["summary"]["baseline/f1_weighted"] == pytest.approx(rule_metrics["test/f1_weighted"])
    assert logged["summary"]["delta/f1_weighted_low"] > 0
    assert logged["config"]["split_hash"] == json.loads((run / "record.json").read_text())["split_hash"]
    assert read_group(run) == "sample"


def test_hypothesis_tags_and_parent_are_tracked(tracked: tuple[Path, Done]) -> None:
    rule, run = sorted(list_runs(tracked[0]), key=lambda path: path.name)
    logged = inspect_wandb_run(run, "--summary")
    assert (logged["notes"], logged["tags"]) == ("words, not names", ["words"])
    assert logged["config"]["parent"] == rule.name


def test_log_has_the_upload_command(tracked: tuple[Path, Done]) -> None:
    run = list_runs(tracked[0])[0]
    [path] = run.glob("wandb/offline-run-*")
    assert f"wandb sync {path}" in (run / "log.txt").read_text(encoding="utf-8")


def test_tracking_changes_no_metric(tracked: tuple[Path, Done]) -> None:
    directory, _ = tracked
    assert run_train(directory, "model=regression", "run_dir=untracked").returncode == 0
    assert (directory / "untracked/metrics.json").read_bytes() == (
        list_runs(directory)[0] / "metrics.json"
    ).read_bytes()
    assert not (directory / "untracked/wandb").exists()


def test_each_job_of_a_grid_is_tracked_with_its_status(tmp_path: Path) -> None:
    done = run_train(tmp_path, "-m", "tracker=wandb", "data.filter.min_records=1,1000,2")
    assert done.returncode == 1
    summaries = {read_status(run): [] for run in list_runs(tmp_path)}
    for run in list_runs(tmp_path):
        summaries[read_status(run)].append(inspect_wandb_run(run, "--summary"))
    assert [summary["state"] for summary in summaries["finished"]] == ["finished", "finished"]
    assert [summary["state"] for summary in summaries["failed"]] == ["failed"]
    assert summaries["failed"][0]["summary"]["error"].startswith("UserError: ")
    assert len({summary["run_id"] for summary in [*summaries["finished"], *summaries["failed"]]}) == 3
    [line] = [line for line in done.stderr.splitlines() if line.startswith("wandb: ")]
    pattern = line.removeprefix("wandb: offline; upload with: wandb sync ")
    assert len(list(Path("/").glob(pattern.removeprefix("/")))) == 3
    [sweep] = {read_group(run) for run in list_runs(tmp_path)}
    assert sweep == json.loads((list_runs(tmp_path)[0] / "record.json").read_text())["sweep_id"]


def test_unreachable_server_gives_a_warning(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = run_train(
        tmp_path, "tracker=wandb", "tracker.mode=online",
        WANDB_BASE_URL=f"http://127.0.0.1:{port}", WANDB_API_KEY="a" * 40,
    )  # fmt: skip
    _check_run_is_offline(tmp_path, done)
    assert "refused" in done.stderr, "the first attempt decides: W&B itself would keep trying"


def test_unresponsive_server_times_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = run_train(
            tmp_path, "tracker=wandb", "tracker.mode=online",
            WANDB_BASE_URL=f"http://127.0.0.1:{server.getsockname()[1]}", WANDB_API_KEY="a" * 40,
        )  # fmt: skip
    _check_run_is_offline(tmp_path, done)
    assert "timed out" in done.stderr, "our request ends the wait: W&B itself would keep trying"


class FailingServer(http.server.BaseHTTPRequestHandler):
    """A W&B server that registers a run, and answers 503 from the first upload of its curves on."""

    protocol_version = "HTTP/1.1"
    registered = threading.Event()
    gone = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "file_stream" in self.path:
            FailingServer.gone.set()
        if b"UpsertBucket" in body:
            FailingServer.registered.set()
        project = {"id": "p", "name": "ratchet", "entity": {"id": "e", "name": "somebody"}}
        bucket = {"id": "b", "name": "x", "displayName": "x", "description": "", "config": "{}", "project": project}
        content = {"upsertBucket": {"bucket": bucket, "inserted": True}} if b"UpsertBucket" in body else {}
        self._answer(json.dumps({"data": content}).encode())

    def do_GET(self) -> None:
        self._answer(b"{}")

    def _answer(self, content: bytes) -> None:
        self.send_response(503 if FailingServer.gone.is_set() else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


PATIENT = f"""
import sys
from ratchet.cli.train import main
from ratchet.tracking import wandb_tracker

run_with_timeout, given_up = wandb_tracker.run_with_timeout, wandb_tracker._ONLINE_SECONDS
def be_patient(seconds, action):
    return run_with_timeout(seconds if seconds == given_up else 20 * seconds, action)
# On a busy machine W&B takes longer to begin. A server that is gone gets its seconds.
wandb_tracker.run_with_timeout = be_patient
wandb_tracker._IMPATIENT["init_timeout"] = wandb_tracker._ANSWER_SECONDS = 100
sys.argv[0] = {str(PROJECT / "train.py")!r}
sys.exit(main())
"""


def test_server_outage_during_a_run_does_not_block_it(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), FailingServer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = run_train(
            tmp_path, "model=regression", "tracker=wandb", "tracker.mode=online", program=("-c", PATIENT),
            WANDB_BASE_URL=f"http://127.0.0.1:{server.server_port}", WANDB_API_KEY="a" * 40,
        )  # fmt: skip
        server.shutdown()
    assert FailingServer.registered.is_set()
    assert FailingServer.gone.is_set()
    assert (done.returncode, done.stderr) == (0, "")
    [run] = list_runs(tmp_path)
    assert read_status(run) == "finished"
    log = (run / "log.txt").read_text(encoding="utf-8")
    assert "wandb sync " in log
    assert "Service Unavailable" in log, "the outage was noticed, so the run waits only seconds at its end"


def test_missing_api_key_gives_a_warning(tmp_path: Path) -> None:
    done = run_train(tmp_path, "tracker=wandb", "tracker.mode=online")
    _check_run_is_offline(tmp_path, done)
    assert "WANDB_API_KEY" in done.stderr


def _check_run_is_offline(directory: Path, done: Done) -> None:
    assert done.returncode == 0
    warning, upload = done.stderr.splitlines()
    assert warning.startswith("warning: tracker.mode=online: ")
    assert upload.startswith("wandb: offline; upload with: wandb sync ")
    [run] = list_runs(directory)
    assert read_status(run) == "finished"
    logged: dict[str, Any] = inspect_wandb_run(run, "--summary")
    assert logged["state"] == "finished"
    assert Path(logged["file"]).parent.name.startswith("offline-run-")
    assert list((directory / "home").iterdir()) == []


def test_comparison_logs_the_leaderboard(tracked: tuple[Path, Done]) -> None:
    directory, _ = tracked
    program = Path(sys.executable).with_name("ratchet")
    done = run_command(
        program, "compare", "tracker=wandb", "resamples=200", cwd=directory, HOME=str(directory / "home")
    )
    [path] = directory.glob("runs/sample/wandb/offline-run-*")
    assert (done.returncode, done.stderr) == (0, f"wandb: offline; upload with: wandb sync {path}\n")
    assert done.stdout.startswith("sample, test: weighted F1")
    logged = inspect_wandb_run(directory / "runs/sample", "--summary")
    assert logged["config"]["job_type"] == "compare"
    assert logged["summary"]["leaderboard"]["nrows"] == 2
    assert logged["summary"]["regression/verdict"] == "better than rule (this one split)"
    listed = run_command(program, "runs", "list", "format=json", cwd=directory)
    assert len(json.loads(listed.stdout)) == len(list_runs(directory))
