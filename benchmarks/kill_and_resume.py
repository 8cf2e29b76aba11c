"""Kill a training at random moments, resume it, and compare it byte for byte with one that was never disturbed.

    python benchmarks/kill_and_resume.py               # cnn on the sample, 10 kills
    python benchmarks/kill_and_resume.py transformer 3

Every run is resumed until it ends; each attempt but the last is killed (SIGKILL) at a moment drawn between the start
and the end of the undisturbed run. Prints a line a kill, and exits with 1 if any file differs.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRAIN = Path(__file__).resolve().parents[1] / "train.py"
DIFFERS = {"record.json", "code.diff", "cost.json", "config.yaml", "log.txt"}  # who ran when, and where


def digests(run: Path) -> dict[str, str]:
    paths = [path for path in run.rglob("*") if path.is_file() and path.name not in DIFFERS]
    return {path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def start(directory: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, TRAIN, *arguments], cwd=directory, stdout=subprocess.DEVNULL)


def main(model: str = "cnn", kills: str = "10") -> int:
    seed = int.from_bytes(os.urandom(4))
    draw = random.Random(seed)
    left, number, differing = int(kills), 0, 0
    with tempfile.TemporaryDirectory() as directory:
        arguments = (f"model={model}", "evaluation.resamples=100")
        began = time.perf_counter()
        assert start(directory, *arguments, "run_dir=undisturbed").wait() == 0
        seconds = time.perf_counter() - began
        expected = digests(Path(directory, "undisturbed"))
        print(f"{model}, seed of the moments {seed}, undisturbed {seconds:.1f} s, {len(expected)} files")
        while left:
            number += 1
            command = (*arguments, f"run_dir=run{number}")
            for _ in range(min(left, draw.randint(1, 3))):
                process = start(directory, *command)
                moment = draw.uniform(0.25, 0.95) * seconds
                time.sleep(moment)
                if process.poll() is not None:
                    break  # quicker than the undisturbed one: nothing left to kill
                process.send_signal(signal.SIGKILL)
                process.wait()
                left -= 1
                print(f"run {number} killed after {moment:.1f} s")
                if Path(directory, f"run{number}", "config.yaml").is_file():
                    command = (f"resume=run{number}",)
            if process.returncode and start(directory, *command).wait():
                print(f"run {number} cannot be resumed")
                differing += 1
                continue
            found = digests(Path(directory, f"run{number}"))
            unequal = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            differing += bool(unequal)
            print(f"run {number} resumed: {'differs in ' + ', '.join(unequal) if unequal else 'identical'}")
    print(f"{kills} kills, {number} runs, {differing} differ")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
