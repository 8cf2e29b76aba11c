"""Run commands as a user does, and wait for the files that they write."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CONF = PROJECT / "conf"
PROGRAMS = Path(sys.executable).parent
PATH = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
HANG_SECONDS = 1200  # no command takes a tenth of this on idle cores: it only ends a test that hangs

Command = Callable[..., "subprocess.CompletedProcess[str]"]

WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "pytorch_lightning", "onnx", "onnxscript"}:
            raise ModuleNotFoundError(f"no {name} here", name=name)
sys.meta_path.insert(0, Absent())  # None in sys.modules would do, but libraries look there to see what is loaded
"""  # put before a program, to run it as if these were not installed


def run_command(*command: str | Path, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; return its exit code and output."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=HANG_SECONDS,
        check=False,
    )


def run_program(directory: Path, program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a program of this environment, with the environment's other programs on PATH."""
    return run_command(PROGRAMS / program, *arguments, cwd=directory, PATH=PATH)


def git(directory: Path, *arguments: str) -> str:
    """Run a git command that must succeed; return its output."""
    done = run_command("git", "-c", "user.name=n", "-c", "user.email=e@e", *arguments, cwd=directory)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def wait_for_file(directory: Path, pattern: str, process: "subprocess.Popen[str]") -> Path:
    """Wait until a file below `directory` matches `pattern`; return the first. The process must still be running."""

    def exists() -> bool:
        assert process.poll() is None, process.communicate()
        return any(directory.glob(pattern))

    wait_until(exists, lambda: f"no {pattern}")
    return next(directory.glob(pattern))


def wait_until(condition: Callable[[], bool], describe: Callable[[], str] = str) -> None:
    """Wait until `condition` holds, however slow the machine is. Fail with `describe` if it never does."""
    give_up = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < give_up, describe()
        time.sleep(0.01)


def read_files(directory: Path) -> dict[str, bytes]:
    """Return the content of every file below `directory`, by its path."""
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
