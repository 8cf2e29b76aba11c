"""A run that was stopped goes on where its last epoch ended, and ends as if it had never been stopped."""

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
DIFFERS = {"record.json", "code.diff", "cost.json", "config.yaml", "log.txt"}  # who ran when, and where


def results(run: Path) -> dict[str, bytes]:
    assert json.loads((run / "record.json").read_text())["status"] == "finished"
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name not in DIFFERS
    }


def record(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((run / "record.json").read_text())
    return content


def stopped(directory: Path, run: str, *arguments: str, epochs: int, pause: float, sent: signal.Signals) -> int:
    """Start a run, stop it `pause` seconds after so many epochs are in its history; its exit code."""
    with subprocess.Popen(
        [sys.executable, PROJECT / "train.py", *arguments],
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def is_trained() -> bool:
            assert process.poll() is None, process.communicate()
            return (directory / run / "config.yaml").is_file() and epochs_in(directory / run) >= epochs

        wait_until(is_trained)
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


def killed_while_writing(directory: Path, checkpoint: int, *arguments: str) -> int:
    """The exit code of a run that is killed when half of its so-manieth checkpoint is on disk."""
    done = run_command(sys.executable, "-c", KILLED_WHILE_WRITING, str(checkpoint), *arguments, cwd=directory)
    return done.returncode


def epochs_in(run: Path) -> int:
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
def test_killed_at_random_moments_it_ends_byte_for_byte_as_an_undisturbed_run(
    settings: tuple[str, ...], kills: int, tmp_path: Path
) -> None:
    draw = random.Random()
    arguments = [*settings, "model.max_epochs=6"]
    done = run_command(sys.executable, PROJECT / "train.py", *arguments, "run_dir=undisturbed", cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    written, moments = draw.randint(1, 5), [(epochs, draw.uniform(0, 0.1)) for epochs in (4, 5)[: kills - 1]]
    told = f"killed while it wrote checkpoint {written}, then after epochs and s: {moments}"
    assert killed_while_writing(tmp_path, written, *arguments, "run_dir=killed") == -9, told
    [half] = (tmp_path / "killed" / "checkpoints").glob(".*.tmp")
    assert half.stat().st_size > 10_000, told
    for epochs, pause in moments:
        code = stopped(tmp_path, "killed", "resume=killed", epochs=epochs, pause=pause, sent=signal.SIGKILL)
        assert code == -9, told
    resume(tmp_path, "killed")

    one, two = results(tmp_path / "undisturbed"), results(tmp_path / "killed")
    assert sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name)) == [], told
    assert {"history.csv", "model/weights.safetensors", "predictions/test.parquet", "metrics.json"} <= one.keys()
    assert [each["after"] for each in record(tmp_path / "killed")["resumes"]] == ["killed"] * kills
    assert not (tmp_path / "killed" / "checkpoints").exists()


def test_stopped_politely_amid_an_epoch_it_says_so_and_goes_on_with_the_same_data_only(tmp_path: Path) -> None:
    records = tmp_path / "records.jsonl"
    text = (PROJECT / "data/sample/projects.jsonl").read_text(encoding="utf-8")
    records.write_text(text, encoding="utf-8")
    run, arguments = tmp_path / "stopped", [*QUICK, "data.records.path=records.jsonl", "run_dir=stopped"]
    for sent, code, epochs in ((signal.SIGINT, 130, 2), (signal.SIGTERM, 143, 5)):
        assert stopped(tmp_path, "stopped", *arguments, epochs=epochs, pause=0.01, sent=sent) == code
        assert record(run)["status"] == "interrupted"
        assert not list(run.rglob("*.tmp"))
        arguments = ["resume=stopped"]

    records.write_text(text.replace("Skat against myself", "Chess against myself"), encoding="utf-8")
    refused = run_command(sys.executable, PROJECT / "train.py", "resume=stopped", cwd=tmp_path)
    assert refused.returncode == 2
    assert "data changed" in refused.stderr

    records.write_text(text, encoding="utf-8")
    resume(tmp_path, "stopped")
    assert epochs_in(run) == 10
    assert [each["after"] for each in record(run)["resumes"]][:2] == ["interrupted", "interrupted"]


def test_a_run_without_epochs_starts_again_in_its_place(tmp_path: Path, train: Command) -> None:
    records = tmp_path / "records.jsonl"
    records.write_text('{"id": "1"\n', encoding="utf-8")
    assert train("data.records.path=records.jsonl", "run_dir=broken").returncode == 2
    records.write_text((PROJECT / "data/sample/projects.jsonl").read_text(encoding="utf-8"), encoding="utf-8")

    done = train("resume=broken")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("rule on sample")
    assert record(tmp_path / "broken")["status"] == "finished"
    assert record(tmp_path / "broken")["error"] is None


def test_what_cannot_be_resumed_is_said_with_its_reason(tmp_path: Path, train: Command) -> None:
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
    assert record(tmp_path / "done")["resumes"] == []
