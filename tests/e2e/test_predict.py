"""Test that a killed prediction resumes where it stopped and writes the same bytes."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.commands import wait_for_file

from ratchet.config import compose
from ratchet.training import train

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_killed_prediction_resumes(tmp_path: Path, ratchet: Command) -> None:
    train(compose([f"runs_dir={tmp_path / 'runs'}", "evaluation.resamples=100"]))
    rows = [f"{number:04d},A GAN that speaks,{'and draws graphs ' * (number % 50)}" for number in range(1500)]
    (tmp_path / "texts.csv").write_text("\n".join(["id,title,description", *rows]) + "\n")
    arguments = ["predict", "last", "input=texts.csv", "batch_size=10"]
    assert ratchet(*arguments, "output=whole.csv").returncode == 0

    program = str(Path(sys.executable).with_name("ratchet"))
    process = subprocess.Popen([program, *arguments, "output=out.csv"], cwd=tmp_path)
    try:
        wait_for_file(tmp_path, "out.csv.parts/part-000005", process)
        process.send_signal(signal.SIGSTOP)
        second = ratchet(*arguments, "output=out.csv")
        assert second.returncode == 2
        assert f"process {process.pid} on " in second.stderr
    finally:
        process.kill()
        assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out.csv").exists()

    done = ratchet(*arguments, "output=out.csv")
    assert (done.returncode, done.stderr) == (0, "")
    [row] = re.findall(r"^resuming after row ([\d,]+) of 1,500$", done.stdout, re.M)
    assert 50 <= int(row.replace(",", "")) < 1500
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not (tmp_path / "out.csv.parts").exists()
