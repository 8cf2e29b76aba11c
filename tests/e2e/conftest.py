"""A file that a test hands out when it likes: a job that asks for it is known to have begun, and does not end."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.conftest import PROJECT

SAMPLE = PROJECT / "data" / "sample" / "projects.jsonl"


@dataclass
class HeldBack:
    """The records of the sample, at an address that answers once `release` is called."""

    url: str = ""
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, jobs: int) -> None:
        """Until so many jobs wait for their records."""
        for _ in range(jobs):
            assert self.asked.acquire(timeout=60), "no job asked for its records"

    def release(self) -> None:
        """Hand the records out, to those who wait and to all who come after them."""
        self.released.set()

    def overrides(self, *seeds: int) -> list[str]:
        """A grid of jobs that wait for their records, then of jobs that have them at once."""
        digest = sha256(SAMPLE.read_bytes()).hexdigest()
        paths = f"data.records.path={self.url},{SAMPLE}"
        return ["-m", paths, f"data.records.sha256={digest}", f"seed={','.join(map(str, seeds))}"]


@pytest.fixture
def held_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldBack]:
    monkeypatch.setenv("RATCHET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    held = HeldBack()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            held.asked.release()
            held.released.wait()
            try:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(SAMPLE.read_bytes())
            except OSError:  # who asked has been killed
                return

        log_message: Callable[..., None] = lambda *_: None  # noqa: E731

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    held.url = f"http://127.0.0.1:{server.server_port}/projects.jsonl"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield held
    held.release()
    server.shutdown()
    server.server_close()
