"""Commands that are watched while they run, and a file that is handed out when the test likes."""

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
    """`python train.py ...` where `train` runs it, not waited for, in a process group as a shell makes it."""
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

    A job that asks for them is known to have begun, and does not end before.
    """

    url: str = ""
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    released: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, jobs: int) -> None:
        """Until so many jobs wait for their records."""
        for _ in range(jobs):
            assert self.asked.acquire(timeout=HANG_SECONDS), "no job asked for its records"

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
        def do_GET(self) -> None:
            held.asked.release()
            held.released.wait()
            try:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(SAMPLE.read_bytes())
            except OSError:  # who asked has been killed
                return

        def log_message(self, *_: object) -> None:
            """Nothing: stderr is the test's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    held.url = f"http://127.0.0.1:{server.server_port}/projects.jsonl"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield held
    held.release()
    server.shutdown()
    server.server_close()
