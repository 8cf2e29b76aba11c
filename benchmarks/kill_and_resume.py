"""Kill a training run at random moments, resume it, and compare it byte for byte with an undisturbed run.

    python benchmarks/kill_and_resume.py               # cnn on the sample, 10 kills
    python benchmarks/kill_and_resume.py transformer 3

Every run is resumed until it ends. Each attempt except the last is killed (SIGKILL) at a random moment between the
start and the end of the undisturbed run. Prints one line per kill, and exits with 1 if any file differs.
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
DIFFERS = {"record.json", "code.diff", "cost.json", "config.yaml", "log.txt"}  # depend on time and path


def hash_files(run: Path) -> dict[str, str]:
    paths = [path for path in run.rglob("*") if path.is_file() and path.name not in DIFFERS]
    return {path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def start_training(directory: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, TRAIN, *arguments], cwd=directory, stdout=subprocess.DEVNULL)


def main(model: str = "cnn", kills: str = "10") -> int:
    seed = int.from_bytes(os.urandom(4))
    generator = random.Random(seed)
    remaining, number, differing = int(kills), 0, 0
    with tempfile.TemporaryDirectory() as directory:
        arguments = (f"model={model}", "evaluation.resamples=100")
        started = time.perf_counter()
        assert start_training(directory, *arguments, "run_dir=undisturbed").wait() == 0
        seconds = time.perf_counter() - started
        expected = hash_files(Path(directory, "undisturbed"))
        print(f"{model}, seed of the moments {seed}, undisturbed {seconds:.1f} s, {len(expected)} files")
        while remaining:
            number += 1
            command = (*arguments, f"run_dir=run{number}")
            for _ in range(min(remaining, generator.randint(1, 3))):
                process = start_training(directory, *command)
                moment = generator.uniform(0.25, 0.95) * seconds
                time.sleep(moment)
                if process.poll() is not None:
                    break  # it finished before the kill
                process.send_signal(signal.SIGKILL)
                process.wait()
                remaining -= 1
                print(f"run {number} killed after {moment:.1f} s")
                if Path(directory, f"run{number}", "config.yaml").is_file():
                    command = (f"resume=run{number}",)
            if process.returncode and start_training(directory, *command).wait():
                print(f"run {number} cannot be resumed")
                differing += 1
                continue
            hashes = hash_files(Path(directory, f"run{number}"))
            unequal = sorted(name for name in expected.keys() | hashes.keys() if expected.get(name) != hashes.get(name))
            differing += bool(unequal)
            print(f"run {number} resumed: {'differs in ' + ', '.join(unequal) if unequal else 'identical'}")
    print(f"{kills} kills, {number} runs, {differing} differ")
    return int(differing > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
