"""A tracker that records its calls, and a reader of W&B's offline files."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.commands import run_command

from ratchet.tracking.tracker import Description, Report


class Listener:
    """A tracker that records its calls; `fails` names the methods that raise."""

    def __init__(self, *fails: str) -> None:
        self.fails = fails
        self.told: list[tuple[str, Any]] = []

    def _tell(self, method: str, content: Any) -> None:
        self.told.append((method, content))
        if method in self.fails:
            raise OSError(f"no {method} today")

    def configure(self, values: Mapping[str, Any]) -> None:
        self._tell("configure", values)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._tell("log", (step, metrics))

    def report(self, make: Callable[[], Report]) -> None:
        self._tell("report", make())

    def finish(self, error: str | None = None) -> None:
        self._tell("finish", error)


def make_description(identifier: str = "one", **config: Any) -> Description:
    return Description(identifier, f"name of {identifier}", "a group", "train", ("first",), config, "why")


def inspect_wandb_run(directory: Path, *flags: str) -> Any:
    """Return what `wandb leet inspect` prints for the only run below `directory`: without flags, its records."""
    [path] = directory.glob("wandb/*run-*/*.wandb")
    program = Path(sys.executable).with_name("wandb")
    process = run_command(program, "leet", "inspect", "--json", *flags, path, cwd=directory)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout) if flags else [json.loads(line) for line in process.stdout.splitlines()]
