import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratchet.tracking import connecting
from ratchet.tracking.connecting import reason_to_stay_offline
from ratchet.tracking.wandb_tracker import staging

KEY = "a" * 40


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody is logged in, and W&B has read no settings yet."""
    import wandb

    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    wandb.teardown()
    with staging(tmp_path):
        yield
    wandb.teardown()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def answering() -> Iterator[str]:
    """A server that answers, if only that it does not know the page."""
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
    reason = reason_to_stay_offline()
    assert reason is not None
    assert "WANDB_API_KEY" in reason
    assert "http://127.0.0.1:9" in reason


def test_a_key_and_a_server_that_answers_anything_will_do(answering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", answering)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert reason_to_stay_offline() is None


def test_a_key_in_the_users_netrc_counts(answering: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", answering)
    path = tmp_path / ".netrc"
    path.write_text(f"machine {answering.removeprefix('http://')}\n  login user\n  password {KEY}\n")
    path.chmod(0o600)
    assert reason_to_stay_offline() is None


def test_nobody_at_the_port(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    port = listening.getsockname()[1]
    listening.close()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    reason = reason_to_stay_offline()
    assert reason is not None
    assert "refused" in reason


def test_a_server_that_says_nothing_is_not_waited_for(
    listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_ANSWER_SECONDS", 0.3)
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    started = time.perf_counter()
    reason = reason_to_stay_offline()
    assert reason is not None
    assert "timed out" in reason
    assert time.perf_counter() - started < 5
