"""What the pipeline costs, and whether killing it does harm: `dvc repro` in a copy of this checkout.

    python benchmarks/pipeline.py                          # rule, regression and cnn, two repeats, five kills
    python benchmarks/pipeline.py 5 rule,regression        # that many kills, these models

Runs the pipeline from clean, then with nothing to do (against `dvc status` of a pipeline of two `echo` stages), then in
a second copy again from clean, with the whole process group killed (SIGKILL) at random moments and started anew.
Exits with 1 if a final prediction or metric differs from the undisturbed pipeline's.
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


def copy_of(directory: Path, models: str) -> Path:
    """A clone of the checkout as it stands, changes included, without anything that was run."""
    run("git", "clone", "--quiet", str(PROJECT), str(directory), cwd=PROJECT)
    changed = subprocess.run(["git", "diff", "HEAD", "--binary"], cwd=PROJECT, capture_output=True, check=True).stdout
    if changed:
        subprocess.run(["git", "apply", "--binary"], cwd=directory, input=changed, check=True)
    (directory / "params.yaml").write_text(PLAN.format(models=models.replace(",", ", ")), encoding="utf-8")
    return directory


def run(*command: str, cwd: Path) -> float:
    """Seconds of a command that must succeed."""
    began = time.perf_counter()
    subprocess.run(command, cwd=cwd, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def results(directory: Path) -> dict[str, str]:
    """Hashes of everything that must not differ from run to run."""
    names = ("predictions/*.parquet", "metrics.json", "thresholds.json", "model/**/*")
    paths = [path for name in names for path in directory.glob(f"build/runs/*/*/*/{name}") if path.is_file()]
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def killed(directory: Path, seconds: float) -> bool:
    """Start `dvc repro`, kill it and all that it started after so many seconds; False if it was done before."""
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
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        undisturbed = copy_of(Path(name, "undisturbed"), models)
        whole = run("dvc", "repro", cwd=undisturbed)
        nothing = statistics.median(run("dvc", "repro", cwd=undisturbed) for _ in range(5))
        small = Path(name, "small")
        small.mkdir()
        (small / "dvc.yaml").write_text(TWO_STAGES, encoding="utf-8")
        run("dvc", "init", "--quiet", "--no-scm", cwd=small)
        run("dvc", "repro", cwd=small)
        peer = statistics.median(run("dvc", "status", cwd=small) for _ in range(5))
        print(f"{models}, two repeats, from clean: {whole:.0f} s")
        print(f"nothing to do: {nothing:.2f} s; dvc status of two stages: {peer:.2f} s; ratio {nothing / peer:.1f}")
        disturbed = copy_of(Path(name, "disturbed"), models)
        done = 0
        while done < int(kills):
            moment = draw.uniform(0.05, 0.5) * whole
            if killed(disturbed, moment):
                done += 1
                print(f"killed after {moment:.1f} s (moments drawn with seed {seed})")
            else:  # it was done before: from clean again
                for left in ("build", ".dvc/cache"):
                    shutil.rmtree(disturbed / left)
        run("dvc", "repro", cwd=disturbed)
        expected, found = results(undisturbed), results(disturbed)
        unequal = sorted(path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path))
        print(f"{done} kills, {len(expected)} files of predictions, metrics and models, {len(unequal)} differ")
        print("\n".join(unequal), end="\n" if unequal else "")
    return int(bool(unequal) or not expected)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
