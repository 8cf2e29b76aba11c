"""Against W&B itself, offline: what it wrote is read back by its own command."""

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
from ratchet.config import TrackerConfig, TrackerKind
from ratchet.tracking import Files, Report, Table, open_tracker, wandb_tracker
from ratchet.tracking.wandb_tracker import find_reason_for_offline, redirect_files

KEY = "a" * 40
WANDB = TrackerConfig(kind=TrackerKind.wandb, project="a-project")
PICTURE = to_png(alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_point().encode(x="x:Q").properties(width=60))


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody is logged in, and W&B has read no settings yet."""
    import wandb

    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    wandb.teardown()
    with redirect_files(tmp_path):
        yield
    wandb.teardown()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that answers, if only that it does not know the page, and as late as a busy machine lets it."""
    monkeypatch.setattr(wandb_tracker, "_ANSWER_SECONDS", HANG_SECONDS)
    server = http.server.HTTPServer(("127.0.0.1", 0), _NotFound)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _NotFound(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None: ...


def test_without_a_key_nobody_is_asked_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    reason = find_reason_for_offline()
    assert reason is not None
    assert "WANDB_API_KEY" in reason
    assert "http://127.0.0.1:9" in reason


def test_a_key_and_a_server_that_answers_anything_will_do(answering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", answering)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert find_reason_for_offline() is None


def test_a_key_in_the_users_netrc_counts(answering: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", answering)
    path = tmp_path / ".netrc"
    path.write_text(f"machine {answering.removeprefix('http://')}\n  login user\n  password {KEY}\n")
    path.chmod(0o600)
    assert find_reason_for_offline() is None


def test_nobody_at_the_port(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    port = listening.getsockname()[1]
    listening.close()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    reason = find_reason_for_offline()
    assert reason is not None
    assert "refused" in reason


def test_a_server_that_says_nothing_is_not_waited_for(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_tracker, "_ANSWER_SECONDS", 0.3)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    reason = find_reason_for_offline()  # comes back although the server still says nothing
    assert reason is not None
    assert "timed out" in reason


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that told everything there is to tell."""
    directory = tmp_path_factory.mktemp("run")
    for name in ("labels.json", "weights.bin"):
        (directory / name).write_text(name)
    with open_tracker(WANDB, directory, lambda: make_description(model={"C": 20})) as tracker:
        tracker.configure({"split_hash": "abc"})
        tracker.log(14, {"epoch": 0, "loss": 2.0})
        tracker.log(28, {"epoch": 1, "loss": 1.0})
        data = Files("data", "dataset", {"labels.json": directory / "labels.json"}, {"dataset_version": "v"})
        model = Files("model", "model", {"model/weights.bin": directory / "weights.bin"}, {})
        table = Table("labels", ["label", "f1"], [["audio", 0.5], ["graphs", None]])
        told = Report({"test/f1": 0.5, "test/ap": None}, [table], {"ladder": PICTURE}, [data], [model])
        tracker.report(lambda: told)
    return directory


@pytest.fixture(scope="module")
def records(run: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = inspect_wandb_run(run)
    return found


def of_type(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [each[kind] for each in records if each["type"] == kind]


def test_it_is_listed_as_it_was_described(run: Path, records: list[dict[str, Any]]) -> None:
    summary = inspect_wandb_run(run, "--summary")
    assert (summary["state"], summary["exit_code"]) == ("finished", 0)
    assert (summary["run_id"], summary["name"], summary["tags"]) == ("one", "name of one", ["first"])
    assert summary["project"] == "a-project"
    assert summary["config"] == {"model": {"C": 20}, "split_hash": "abc"}
    [begun] = of_type(records, "run")
    assert (begun["run_group"], begun["job_type"]) == ("a group", "train")


def test_its_figures_are_in_the_summary(run: Path) -> None:
    summary = inspect_wandb_run(run, "--summary")["summary"]
    assert (summary["test/f1"], summary.get("test/ap")) == (0.5, None)
    assert (summary["labels"]["nrows"], summary["labels"]["ncols"]) == (2, 2)


def test_its_curves_are_drawn_over_epochs(records: list[dict[str, Any]]) -> None:
    points = [each["item"] for each in of_type(records, "history") if "loss" in each["item"]]
    assert [(each["epoch"], each["step"], each["loss"]) for each in points] == [(0, 14, 2.0), (1, 28, 1.0)]
    [metric] = of_type(records, "metric")
    assert (metric["glob_name"], metric["step_metric"]) == ("*", "epoch")


def test_its_pictures_are_pixels_beside_it(run: Path, records: list[dict[str, Any]]) -> None:
    [logged] = [each["item"] for each in of_type(records, "history") if "charts/ladder" in str(each["item"])]
    told = logged.get("charts/ladder", logged)
    [path] = run.glob("wandb/*run-*/files/media/images/charts/*.png")
    with Image.open(path) as written, Image.open(BytesIO(PICTURE)) as drawn:
        assert written.size == drawn.size
        assert str(drawn.size[0]) in str(told)


def test_data_are_an_input_and_the_model_is_an_output(run: Path, records: list[dict[str, Any]]) -> None:
    artifacts = {each["name"]: each for each in of_type(records, "artifact")}
    assert (artifacts["data"]["type"], artifacts["data"]["use_after_commit"]) == ("dataset", True)
    assert artifacts["data"]["metadata"] == '{"dataset_version":"v"}'
    assert artifacts["model"]["type"] == "model"
    assert "use_after_commit" not in artifacts["model"]
    [entry] = artifacts["model"]["manifest"]["contents"]
    assert (entry["path"], entry["local_path"]) == ("model/weights.bin", str(run / "weights.bin")), "not copied"


def test_all_of_it_is_below_the_directory(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {"wandb", "labels.json", "weights.bin"}
    links = [path for path in run.rglob("*") if path.is_symlink()]
    assert all(path.resolve().is_relative_to(run.resolve()) for path in links)


def test_a_bad_end_is_a_failed_run_and_the_next_run_is_another(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bad"), open_tracker(WANDB, tmp_path / "a", lambda: make_description("a")):
        raise ValueError("bad")
    with open_tracker(WANDB, tmp_path / "b", lambda: make_description("b")):
        pass
    failed, finished = (inspect_wandb_run(tmp_path / name, "--summary") for name in "ab")
    assert (failed["state"], failed["exit_code"], failed["summary"]["error"]) == ("failed", 1, "ValueError: bad")
    assert (finished["state"], finished["run_id"]) == ("finished", "b")


def test_the_environment_is_as_it_was_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_CACHE_DIR", "mine")
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    before = dict(os.environ)
    with redirect_files(tmp_path):
        assert os.environ["WANDB_CACHE_DIR"] == str(tmp_path / "wandb" / "cache")
    assert dict(os.environ) == before
    with pytest.raises(ValueError, match="bad"), redirect_files(tmp_path):
        raise ValueError("bad")
    assert dict(os.environ) == before
