"""Measure the time of the pipeline, and whether killing it does harm: `dvc repro` in a copy of this checkout.

    python benchmarks/pipeline.py                          # rule, regression and cnn, two repeats, five kills
    python benchmarks/pipeline.py 5 rule,regression        # that many kills, these models

Runs the pipeline from clean, then with nothing to do (against `dvc status` of a pipeline of two `echo` stages), then
from clean in a second copy, where the process group is killed (SIGKILL) at random moments and restarted.
Exits with 1 if a final prediction or metric differs from that of the undisturbed pipeline.
"""

import hashlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PLAN = "data: sample\nmodels: [{models}]\nrepeats: [0, 1]\nbaseline: rule\nobjective: default\noverrides: []\n"
TWO_STAGES = (
    "stages:\n  a: {cmd: echo 1 > a.txt, outs: [a.txt]}\n  b: {cmd: cat a.txt > b.txt, deps: [a.txt], outs: [b.txt]}\n"
)


def clone_checkout(directory: Path, models: str) -> Path:
    """Clone the checkout with its uncommitted changes but without results. Return the directory."""
    run_command("git", "clone", "--quiet", str(PROJECT), str(directory), cwd=PROJECT)
    changed = subprocess.run(["git", "diff", "HEAD", "--binary"], cwd=PROJECT, capture_output=True, check=True).stdout
    if changed:
        subprocess.run(["git", "apply", "--binary"], cwd=directory, input=changed, check=True)
    (directory / "params.yaml").write_text(PLAN.format(models=models.replace(",", ", ")), encoding="utf-8")
    return directory


def run_command(*command: str, cwd: Path) -> float:
    """Run a command that must succeed. Return its seconds."""
    started = time.perf_counter()
    subprocess.run(command, cwd=cwd, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def hash_results(directory: Path) -> dict[str, str]:
    """Return the hashes of all files that must not differ from run to run."""
    names = ("predictions/*.parquet", "metrics.json", "thresholds.json", "model/**/*")
    paths = [path for name in names for path in directory.glob(f"build/runs/*/*/*/{name}") if path.is_file()]
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def run_and_kill(directory: Path, seconds: float) -> bool:
    """Start `dvc repro` and kill its process group after so many seconds. Return False if it finished before."""
    process = subprocess.Popen(["dvc", "repro"], cwd=directory, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def main(kills: str = "5", models: str = "rule,regression,cnn") -> int:
    seed = int.from_bytes(os.urandom(4))
    generator = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        undisturbed = clone_checkout(Path(name, "undisturbed"), models)
        clean_seconds = run_command("dvc", "repro", cwd=undisturbed)
        idle = statistics.median(run_command("dvc", "repro", cwd=undisturbed) for _ in range(5))
        small = Path(name, "small")
        small.mkdir()
        (small / "dvc.yaml").write_text(TWO_STAGES, encoding="utf-8")
        run_command("dvc", "init", "--quiet", "--no-scm", cwd=small)
        run_command("dvc", "repro", cwd=small)
        peer = statistics.median(run_command("dvc", "status", cwd=small) for _ in range(5))
        print(f"{models}, two repeats, from clean: {clean_seconds:.0f} s")
        print(f"nothing to do: {idle:.2f} s; dvc status of two stages: {peer:.2f} s; ratio {idle / peer:.1f}")
        disturbed = clone_checkout(Path(name, "disturbed"), models)
        kill_count = 0
        while kill_count < int(kills):
            moment = generator.uniform(0.05, 0.5) * clean_seconds
            if run_and_kill(disturbed, moment):
                kill_count += 1
                print(f"killed after {moment:.1f} s (moments drawn with seed {seed})")
            else:  # it finished before the kill: start again from clean
                for output in ("build", ".dvc/cache"):
                    shutil.rmtree(disturbed / output)
        run_command("dvc", "repro", cwd=disturbed)
        expected, hashes = hash_results(undisturbed), hash_results(disturbed)
        unequal = sorted(path for path in expected.keys() | hashes.keys() if expected.get(path) != hashes.get(path))
        print(f"{kill_count} kills, {len(expected)} files of predictions, metrics and models, {len(unequal)} differ")
        print("\n".join(unequal), end="\n" if unequal else "")
    return int(bool(unequal) or not expected)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
