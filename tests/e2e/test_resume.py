"""Tests for resuming: a stopped run continues after its last epoch, with the same results as an undisturbed run."""

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.commands import HANG_SECONDS, PROJECT, run_command, wait_until

Command = Callable[..., "subprocess.CompletedProcess[str]"]
SHORT = ("threads=1", "evaluation.resamples=100", "model.patience=20")
CNN = ("model=cnn", "model.filters=32", *SHORT)
TINY = ("model=transformer_tiny", *SHORT)
QUICK = (*CNN, "model.tokens=word", "model.embedding_size=32", "model.teacher_share=0", "model.max_epochs=10")
DIFFERS = {"record.json", "code.diff", "cost.json", "config.yaml", "log.txt", "accesses.jsonl"}  # of time and place


def read_results(run: Path) -> dict[str, bytes]:
    assert json.loads((run / "record.json").read_text())["status"] == "finished"
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name not in DIFFERS
    }


def read_record(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "record.json").read_text())
    return content


def run_and_stop(directory: Path, run: str, *arguments: str, epochs: int, pause: float, sent: signal.Signals) -> int:
    """Start a run, stop it `pause` seconds after so many epochs are in its history; return its exit code."""
    with subprocess.Popen(
        [sys.executable, PROJECT / "train.py", *arguments],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def has_trained() -> bool:
            assert process.poll() is None, process.communicate()
            return (directory / run / "config.yaml").is_file() and count_epochs(directory / run) >= epochs

        wait_until(has_trained)
        time.sleep(pause)
        process.send_signal(sent)
        _, errors = process.communicate(timeout=HANG_SECONDS)
    assert "Traceback" not in errors
    return process.returncode


KILLED_WHILE_WRITING = f"""
import os, signal, sys, torch
from ratchet.cli.train import main
whole, left = torch.save, int(sys.argv.pop(1))
def save(content, file):
    global left
    whole(content, file)
    left -= 1
    if left == 0:
        file.flush()
        os.truncate(file.name, os.path.getsize(file.name) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
torch.save = save
sys.argv[0] = {str(PROJECT / "train.py")!r}
sys.exit(main())
"""


def run_and_kill_while_writing(directory: Path, checkpoint: int, *arguments: str) -> int:
    """Kill a run when half of its checkpoint number `checkpoint` is on disk; return its exit code."""
    done = run_command(sys.executable, "-c", KILLED_WHILE_WRITING, str(checkpoint), *arguments, cwd=directory)
    return done.returncode


def count_epochs(run: Path) -> int:
    history = run / "history.csv"
    return len({line.split(",")[0] for line in history.read_text().splitlines()[1:]}) if history.is_file() else 0


def resume(directory: Path, run: str) -> None:
    done = run_command(sys.executable, PROJECT / "train.py", f"resume={run}", cwd=directory)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("settings", "kills"),
    [
        pytest.param(CNN, 2, id="cnn"),
        pytest.param(TINY, 1, id="transformer_tiny", marks=pytest.mark.thorough),
    ],
)
def test_run_killed_at_random_moments_equals_undisturbed_run(
    settings: tuple[str, ...], kills: int, tmp_path: Path
) -> None:
    generator = random.Random()
    arguments = [*settings, "model.max_epochs=6"]
    done = run_command(sys.executable, PROJECT / "train.py", *arguments, "run_dir=undisturbed", cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    written, moments = generator.randint(1, 5), [(epochs, generator.uniform(0, 0.1)) for epochs in (4, 5)[: kills - 1]]
    moments_of_kills = f"killed while it wrote checkpoint {written}, then after epochs and s: {moments}"
    assert run_and_kill_while_writing(tmp_path, written, *arguments, "run_dir=killed") == -9, moments_of_kills
    [partial] = (tmp_path / "killed" / "checkpoints").glob(".*.tmp")
    assert partial.stat().st_size > 10_000, moments_of_kills
    for epochs, pause in moments:
        code = run_and_stop(tmp_path, "killed", "resume=killed", epochs=epochs, pause=pause, sent=signal.SIGKILL)
        assert code == -9, moments_of_kills
    resume(tmp_path, "killed")

    undisturbed, killed = read_results(tmp_path / "undisturbed"), read_results(tmp_path / "killed")
    assert (
        sorted(name for name in undisturbed.keys() | killed.keys() if undisturbed.get(name) != killed.get(name)) == []
    ), moments_of_kills
    assert {
        "history.csv",
        "model/weights.safetensors",
        "predictions/test.parquet",
        "metrics.json",
    } <= undisturbed.keys()
    assert [entry["after"] for entry in read_record(tmp_path / "killed")["resumes"]] == ["killed"] * kills
    assert not (tmp_path / "killed" / "checkpoints").exists()


def test_interrupted_run_resumes_on_the_same_data_only(tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    text = (PROJECT / "data/sample/projects.jsonl").read_text(encoding="utf-8")
    records.write_text(text, encoding="utf-8")
    run, arguments = tmp_path / "stopped", [*QUICK, "data.records.path=records.jsonl", "run_dir=stopped"]
    for sent, code, epochs in ((signal.SIGINT, 130, 2), (signal.SIGTERM, 143, 5)):
        assert run_and_stop(tmp_path, "stopped", *arguments, epochs=epochs, pause=0.01, sent=sent) == code
        assert read_record(run)["status"] == "interrupted"
        assert not list(run.rglob("*.tmp"))
        arguments = ["resume=stopped"]

    records.write_text(text.replace("Skat against myself", "Chess against myself"), encoding="utf-8")
    refused = run_command(sys.executable, PROJECT / "train.py", "resume=stopped", cwd=tmp_path)
    assert refused.returncode == 2
    assert "data changed" in refused.stderr

    records.write_text(text, encoding="utf-8")
    resume(tmp_path, "stopped")
    assert count_epochs(run) == 10
    assert [entry["after"] for entry in read_record(run)["resumes"]][:2] == ["interrupted", "interrupted"]


def test_run_without_epochs_restarts_in_its_directory(tmp_path: Path, train: Command) -> None:
    records = tmp_path / "records.jsonl"
    records.write_text('{"id": "1"\n', encoding="utf-8")
    assert train("data.records.path=records.jsonl", "run_dir=broken").returncode == 2
    records.write_text((PROJECT / "data/sample/projects.jsonl").read_text(encoding="utf-8"), encoding="utf-8")

    done = train("resume=broken")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("rule on sample")
    assert read_record(tmp_path / "broken")["status"] == "finished"
    assert read_record(tmp_path / "broken")["error"] is None


def test_resume_error_gives_the_reason(tmp_path: Path, train: Command) -> None:
    assert train("run_dir=done").returncode == 0
    for arguments, message in (
        (["resume=done"], "is finished"),
        (["resume=done", "model=cnn"], "model=cnn"),
        (["resume=nothing"], "no run 'nothing'"),
        (["-m", "resume=done"], "-m"),
    ):
        refused = train(*arguments)
        assert refused.returncode == 2, refused.stdout
        assert message in refused.stderr
        assert refused.stderr.count("error: ") == 1
        assert "Traceback" not in refused.stderr
    assert read_record(tmp_path / "done")["resumes"] == []
