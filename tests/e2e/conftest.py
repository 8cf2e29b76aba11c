"""Fixtures to watch commands while they run, and to hold a file back until the test releases it."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.commands import HANG_SECONDS, PROJECT

SAMPLE = PROJECT / "data" / "sample" / "projects.jsonl"


Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """Start `python train.py` in the directory of `train`, in a process group of its own."""
    return lambda *arguments: subprocess.Popen(
        [sys.executable, str(PROJECT / "train.py"), *arguments],
        cwd=tmp_path,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@dataclass
class HeldBack:
    """The records of the sample, at an address that answers once `release` is called.

    A job that requests them has started, and cannot finish before that.
    """

    url: str = ""
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, jobs: int) -> None:
        """Wait until so many jobs have requested their records."""
        for _ in range(jobs):
            assert self.asked.acquire(timeout=HANG_SECONDS), "no job asked for its records"

    def release(self) -> None:
        """Send the records to the jobs that wait and to all later ones."""
        self.released.set()

    def overrides(self, *seeds: int) -> list[str]:
        """Return a grid of jobs that wait for their records, then of jobs that read them at once."""
        digest = sha256(SAMPLE.read_bytes()).hexdigest()
        paths = f"data.records.path={self.url},{SAMPLE}"
        return ["-m", paths, f"data.records.sha256={digest}", f"seed={','.join(map(str, seeds))}"]


@pytest.fixture
def held_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldBack]:
    monkeypatch.setenv("RATCHET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    held = HeldBack()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            held.asked.release()
            held.released.wait()
            try:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(SAMPLE.read_bytes())
            except OSError:  # the job has been killed
                return

        def log_message(self, *_: object) -> None:
            """Log nothing, because tests check stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    held.url = f"http://127.0.0.1:{server.server_port}/projects.jsonl"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield held
    held.release()
    server.shutdown()
    server.server_close()
