"""Tests for the W&B tracker, offline: W&B's own command reads back its files."""

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import altair as alt
import pytest
from PIL import Image
from tests.commands import HANG_SECONDS
from tests.tracking.listeners import inspect_wandb_run, make_description

from ratchet.charts.theme import to_png
from ratchet.config import TrackerConfig, TrackerKind, TrackerMode
from ratchet.tracking import Files, Report, Table, open_tracker, wandb_tracker
from ratchet.tracking.wandb_tracker import find_reason_for_offline, redirect_files

KEY = "a" * 40
WANDB = TrackerConfig(kind=TrackerKind.wandb, project="a-project")
PICTURE = to_png(alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_point().encode(x="x:Q").properties(width=60))


@pytest.fixture(autouse=True)
def _reset_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove credentials and cached settings of W&B."""
    import wandb

    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (
        "WANDB_MODE",
        "WANDB_DISABLED",
        "WANDB_API_KEY",
        "WANDB_IDENTITY_TOKEN_FILE",
        "NETRC",
        "http_proxy",
        "HTTP_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)
    wandb.teardown()
    with redirect_files(tmp_path):
        yield
    wandb.teardown()


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """Yield a socket that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def server_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the URL of a server that answers with 404; a long timeout allows for a busy machine."""
    monkeypatch.setattr(wandb_tracker, "_ANSWER_SECONDS", HANG_SECONDS)
    server = http.server.HTTPServer(("127.0.0.1", 0), _NotFound)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("mode", "files"), [("disabled", 0), ("offline", 1), ("of line", 1)])
def test_server_is_not_asked_against_the_environment(
    mode: str, files: int, silent_server: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent_server.getsockname()[1]}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_MODE", mode)
    settings = TrackerConfig(kind=TrackerKind.wandb, mode=TrackerMode.online)
    with open_tracker(settings, tmp_path / "run", make_description) as tracker:
        tracker.log(1, {"loss": 1.0})
    silent_server.settimeout(0.2)
    with pytest.raises(TimeoutError):
        silent_server.accept()
    assert len(list((tmp_path / "run").rglob("*.wandb"))) == files


class _NotFound(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None: ...


def test_missing_key_is_reason_for_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    reason = find_reason_for_offline()
    assert reason is not None
    assert "WANDB_API_KEY" in reason
    assert "http://127.0.0.1:9" in reason


def test_key_and_answering_server_allow_online(server_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server_url)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert find_reason_for_offline() is None


def test_key_in_netrc_allows_online(server_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server_url)
    path = tmp_path / ".netrc"
    path.write_text(f"machine {server_url.removeprefix('http://')}\n  login user\n  password {KEY}\n")
    path.chmod(0o600)
    assert find_reason_for_offline() is None


def test_refused_connection_is_reason_for_offline(
    silent_server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = silent_server.getsockname()[1]
    silent_server.close()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    reason = find_reason_for_offline()
    assert reason is not None
    assert "refused" in reason


def test_silent_server_times_out(silent_server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_tracker, "_ANSWER_SECONDS", 0.3)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent_server.getsockname()[1]}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    reason = find_reason_for_offline()  # returns although the server never answers
    assert reason is not None
    assert "timed out" in reason


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Log a run with every kind of content and return its directory."""
    directory = tmp_path_factory.mktemp("run")
    for name in ("labels.json", "weights.bin"):
        (directory / name).write_text(name)
    with open_tracker(WANDB, directory, lambda: make_description(model={"C": 20}, parent=None)) as tracker:
        tracker.configure({"split_hash": "abc", "parent": "another"})
        tracker.log(14, {"epoch": 0, "loss": 2.0})
        tracker.log(28, {"epoch": 1, "loss": 1.0})
        data = Files("data", "dataset", {"labels.json": directory / "labels.json"}, {"dataset_version": "v"})
        model = Files("model", "model", {"model/weights.bin": directory / "weights.bin"}, {})
        table = Table("labels", ["label", "f1"], [["audio", 0.5], ["graphs", None]])
        report = Report({"test/f1": 0.5, "test/ap": None}, [table], {"ladder": PICTURE}, [data], [model])
        tracker.report(lambda: report)
    return directory


@pytest.fixture(scope="module")
def records(run: Path) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = inspect_wandb_run(run)
    return parsed


def select_type(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record[kind] for record in records if record["type"] == kind]


def test_run_has_described_name_group_and_config(run: Path, records: list[dict[str, Any]]) -> None:
    summary = inspect_wandb_run(run, "--summary")
    assert (summary["state"], summary["exit_code"]) == ("finished", 0)
    assert (summary["run_id"], summary["name"], summary["tags"]) == ("one", "name of one", ["first"])
    assert summary["project"] == "a-project"
    assert summary["notes"] == "why"
    assert summary["config"] == {"model": {"C": 20}, "split_hash": "abc", "parent": "another"}
    [started] = select_type(records, "run")
    assert (started["run_group"], started["job_type"]) == ("a group", "train")


def test_summary_has_metrics_and_tables(run: Path) -> None:
    summary = inspect_wandb_run(run, "--summary")["summary"]
    assert (summary["test/f1"], summary.get("test/ap")) == (0.5, None)
    assert (summary["labels"]["nrows"], summary["labels"]["ncols"]) == (2, 2)


def test_curves_use_epoch_as_step(records: list[dict[str, Any]]) -> None:
    points = [record["item"] for record in select_type(records, "history") if "loss" in record["item"]]
    assert [(point["epoch"], point["step"], point["loss"]) for point in points] == [(0, 14, 2.0), (1, 28, 1.0)]
    [metric] = select_type(records, "metric")
    assert (metric["glob_name"], metric["step_metric"]) == ("*", "epoch")


def test_pictures_are_stored_as_png_files(run: Path, records: list[dict[str, Any]]) -> None:
    [logged] = [record["item"] for record in select_type(records, "history") if "charts/ladder" in str(record["item"])]
    item = logged.get("charts/ladder", logged)
    [path] = run.glob("wandb/*run-*/files/media/images/charts/*.png")
    with Image.open(path) as written, Image.open(BytesIO(PICTURE)) as expected:
        assert written.size == expected.size
        assert str(expected.size[0]) in str(item)


def test_data_is_input_and_model_is_output(run: Path, records: list[dict[str, Any]]) -> None:
    artifacts = {artifact["name"]: artifact for artifact in select_type(records, "artifact")}
    assert (artifacts["data"]["type"], artifacts["data"]["use_after_commit"]) == ("dataset", True)
    assert artifacts["data"]["metadata"] == '{"dataset_version":"v"}'
    assert artifacts["model"]["type"] == "model"
    assert "use_after_commit" not in artifacts["model"]
    [entry] = artifacts["model"]["manifest"]["contents"]
    assert (entry["path"], entry["local_path"]) == ("model/weights.bin", str(run / "weights.bin")), (
        "the file is not copied"
    )


def test_all_files_are_below_run_directory(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {"wandb", "labels.json", "weights.bin"}
    links = [path for path in run.rglob("*") if path.is_symlink()]
    assert links, "W&B links its logs"
    assert all(path.resolve().is_relative_to(run.resolve()) for path in links)


def test_failed_run_does_not_affect_next_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bad"), open_tracker(WANDB, tmp_path / "a", lambda: make_description("a")):
        raise ValueError("bad")
    with open_tracker(WANDB, tmp_path / "b", lambda: make_description("b")):
        pass
    failed, finished = (inspect_wandb_run(tmp_path / name, "--summary") for name in "ab")
    assert (failed["state"], failed["exit_code"], failed["summary"]["error"]) == ("failed", 1, "ValueError: bad")
    assert (finished["state"], finished["run_id"]) == ("finished", "b")


def test_redirect_files_restores_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_CACHE_DIR", "mine")
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    before = dict(os.environ)
    with redirect_files(tmp_path):
        assert os.environ["WANDB_CACHE_DIR"] == str(tmp_path / "wandb" / "cache")
    assert dict(os.environ) == before
    with pytest.raises(ValueError, match="bad"), redirect_files(tmp_path):
        raise ValueError("bad")
    assert dict(os.environ) == before
