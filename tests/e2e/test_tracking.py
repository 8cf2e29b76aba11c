"""`tracker=wandb` as people run it; what W&B wrote is read back by its own command."""

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


def command(
    directory: Path, *arguments: str, program: Sequence[str | Path] = (PROJECT / "train.py",), **environment: str
) -> Done:
    """Run `python train.py ...` with an empty home and no settings of W&B."""
    home = directory / "home"
    home.mkdir(exist_ok=True)
    known = {name: "" for name in os.environ if name.startswith("WANDB_")}  # of whoever runs the tests
    return run_command(
        sys.executable,
        *program,
        FEW,
        *arguments,
        cwd=directory,
        **{**known, "HOME": str(home), **environment},
    )


def runs(directory: Path) -> list[Path]:
    return sorted(path.parent for path in directory.glob("runs/*/*/*/record.json"))


def status(run: Path) -> str:
    return str(json.loads((run / "record.json").read_text(encoding="utf-8"))["status"])


def group_of(run: Path) -> str:
    return next(each["run"]["run_group"] for each in inspect_wandb_run(run) if each["type"] == "run")


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run of the rules that is not tracked."""
    directory = tmp_path_factory.mktemp("runs")
    assert command(directory).returncode == 0
    return directory


@pytest.fixture(scope="module")
def tracked(untracked: Path) -> tuple[Path, Done]:
    """In the same directory, a tracked run of the regression."""
    return untracked, command(untracked, "model=regression", "tracker=wandb")


def test_a_tracked_run_prints_what_others_print(tracked: tuple[Path, Done]) -> None:
    directory, done = tracked
    assert (done.returncode, done.stderr) == (0, "")
    assert "wandb" not in done.stdout
    assert {path.name for path in directory.iterdir()} == {"home", "runs"}
    assert list((directory / "home").iterdir()) == []


def test_all_figures_and_the_difference_to_the_mvp_are_told(tracked: tuple[Path, Done]) -> None:
    rule, run = sorted(runs(tracked[0]), key=lambda path: path.name)
    found = inspect_wandb_run(run, "--summary")
    assert (found["state"], found["run_id"]) == ("finished", run.name)
    for name in ("metrics.json", "cost.json"):
        figures = json.loads((run / name).read_text(encoding="utf-8"))
        assert {key: found["summary"].get(key) for key in figures} == pytest.approx(figures)
    of_the_rules = json.loads((rule / "metrics.json").read_text(encoding="utf-8"))
    assert found["summary"]["baseline/f1_weighted"] == pytest.approx(of_the_rules["test/f1_weighted"])
    assert found["summary"]["delta/f1_weighted_low"] > 0
    assert found["config"]["split_hash"] == json.loads((run / "record.json").read_text())["split_hash"]
    assert group_of(run) == "sample"


def test_the_log_says_how_to_upload_it(tracked: tuple[Path, Done]) -> None:
    run = runs(tracked[0])[0]
    [path] = run.glob("wandb/offline-run-*")
    assert f"wandb sync {path}" in (run / "log.txt").read_text(encoding="utf-8")


def test_tracking_changes_no_figure(tracked: tuple[Path, Done]) -> None:
    directory, _ = tracked
    assert command(directory, "model=regression", "run_dir=untracked").returncode == 0
    assert (directory / "untracked/metrics.json").read_bytes() == (runs(directory)[0] / "metrics.json").read_bytes()
    assert not (directory / "untracked/wandb").exists()


def test_each_job_of_a_grid_is_a_run_of_its_own_and_a_failed_one_has_failed(tmp_path: Path) -> None:
    done = command(tmp_path, "-m", "tracker=wandb", "data.filter.min_records=1,1000,2")
    assert done.returncode == 1
    found = {status(run): [] for run in runs(tmp_path)}
    for run in runs(tmp_path):
        found[status(run)].append(inspect_wandb_run(run, "--summary"))
    assert [each["state"] for each in found["finished"]] == ["finished", "finished"]
    assert [each["state"] for each in found["failed"]] == ["failed"]
    assert found["failed"][0]["summary"]["error"].startswith("UserError: ")
    assert len({each["run_id"] for each in [*found["finished"], *found["failed"]]}) == 3
    [sweep] = {group_of(run) for run in runs(tmp_path)}
    assert sweep == json.loads((runs(tmp_path)[0] / "record.json").read_text())["sweep_id"]


def test_a_server_that_is_not_there_costs_a_warning_and_no_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    done = command(
        tmp_path, "tracker=wandb", "tracker.mode=online",
        WANDB_BASE_URL=f"http://127.0.0.1:{port}", WANDB_API_KEY="a" * 40,
    )  # fmt: skip
    _is_kept_offline(tmp_path, done)
    assert "refused" in done.stderr, "the first attempt decided: W&B itself would go on trying"


def test_a_server_that_takes_connections_and_never_answers_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = command(
            tmp_path, "tracker=wandb", "tracker.mode=online",
            WANDB_BASE_URL=f"http://127.0.0.1:{server.getsockname()[1]}", WANDB_API_KEY="a" * 40,
        )  # fmt: skip
    _is_kept_offline(tmp_path, done)
    assert "timed out" in done.stderr, "our one question ended the wait: W&B itself would go on trying"


class Forgetful(http.server.BaseHTTPRequestHandler):
    """Registers a run as W&B's server would; from the first that it hears of the run's curves on it is gone."""

    protocol_version = "HTTP/1.1"
    registered = threading.Event()
    gone = threading.Event()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "file_stream" in self.path:
            Forgetful.gone.set()
        if b"UpsertBucket" in body:
            Forgetful.registered.set()
        project = {"id": "p", "name": "ratchet", "entity": {"id": "e", "name": "somebody"}}
        bucket = {"id": "b", "name": "x", "displayName": "x", "description": "", "config": "{}", "project": project}
        content = {"upsertBucket": {"bucket": bucket, "inserted": True}} if b"UpsertBucket" in body else {}
        self._answer(json.dumps({"data": content}).encode())

    def do_GET(self) -> None:
        self._answer(b"{}")

    def _answer(self, content: bytes) -> None:
        self.send_response(503 if Forgetful.gone.is_set() else 200)
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


def test_a_server_that_goes_away_in_the_middle_is_not_waited_for(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = command(
            tmp_path, "model=regression", "tracker=wandb", "tracker.mode=online", program=("-c", PATIENT),
            WANDB_BASE_URL=f"http://127.0.0.1:{server.server_port}", WANDB_API_KEY="a" * 40,
        )  # fmt: skip
        server.shutdown()
    assert Forgetful.registered.is_set()
    assert Forgetful.gone.is_set()
    assert (done.returncode, done.stderr) == (0, "")
    [run] = runs(tmp_path)
    assert status(run) == "finished"
    log = (run / "log.txt").read_text(encoding="utf-8")
    assert "wandb sync " in log
    assert "Service Unavailable" in log, "that it is gone was noticed, and so it was given few seconds at the end"


def test_without_a_key_nobody_is_asked(tmp_path: Path) -> None:
    done = command(tmp_path, "tracker=wandb", "tracker.mode=online")
    _is_kept_offline(tmp_path, done)
    assert "WANDB_API_KEY" in done.stderr


def _is_kept_offline(directory: Path, done: Done) -> None:
    assert done.returncode == 0
    [line] = done.stderr.splitlines()
    assert line.startswith("warning: tracker.mode=online: ")
    [run] = runs(directory)
    assert status(run) == "finished"
    found: dict[str, Any] = inspect_wandb_run(run, "--summary")
    assert found["state"] == "finished"
    assert Path(found["file"]).parent.name.startswith("offline-run-")
    assert list((directory / "home").iterdir()) == []


def test_a_comparison_logs_the_leaderboard(tracked: tuple[Path, Done]) -> None:
    directory, _ = tracked
    program = Path(sys.executable).with_name("ratchet")
    done = run_command(
        program, "compare", "tracker=wandb", "resamples=200", cwd=directory, HOME=str(directory / "home")
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sample, test: weighted F1")
    found = inspect_wandb_run(directory / "runs/sample", "--summary")
    assert found["config"]["job_type"] == "compare"
    assert found["summary"]["leaderboard"]["nrows"] == 2
    assert found["summary"]["regression/verdict"] == "better than rule (this one split)"
    listed = run_command(program, "runs", "list", "format=json", cwd=directory)
    assert len(json.loads(listed.stdout)) == len(runs(directory))
