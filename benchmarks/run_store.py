"""Measure how commands that look through stored runs grow with their number.

    python benchmarks/run_store.py [runs=500,2000] [jobs=100] [data=sample]

Trains one run of the rule, and copies it with other ids and training seeds (files that all copies share are linked).
Prints the seconds of `runs list`, of `runs prune` (which finds nothing to delete), and of a grid all of whose jobs
finished before: without runs in the directory's way (as many runs as jobs), then with each number of runs.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RATCHET = Path(sys.executable).with_name("ratchet")
SETTINGS = ["model=rule", "evaluation.resamples=100", "threads=1"]


def main(*arguments: str) -> None:
    """Print one row for each number of runs."""
    options = {"runs": "500,2000", "jobs": "100", "data": "sample"}
    options |= dict(argument.split("=") for argument in arguments)
    jobs = int(options["jobs"])
    print(f"{'runs':>6}{'runs list':>15}{'runs prune':>15}{f'grid of {jobs}':>15}   seconds (of the processor)")
    with tempfile.TemporaryDirectory() as directory:
        first = _train_one(Path(directory, "first"), options["data"])
        for count in [jobs, *map(int, options["runs"].split(","))]:
            runs = Path(directory, str(count))
            _copy_run(first, runs, count)
            grid = ["train", "-m", *SETTINGS, f"data={options['data']}", f"seed=range(0,{jobs})"]
            commands = [["runs", "list"], ["runs", "prune", "superseded=true"], grid]
            measured = [_measure(*command, f"runs_dir={runs}") for command in commands]
            print(f"{count:>6}" + "".join(f"{wall:>9.1f} ({cpu:.1f})" for wall, cpu in measured), flush=True)
            shutil.rmtree(runs)


def _train_one(runs: Path, data: str) -> Path:
    subprocess.run([RATCHET, "train", *SETTINGS, f"data={data}", f"runs_dir={runs}"], check=True, capture_output=True)
    return next(runs.glob("*/*/*/record.json")).parent


def _copy_run(run: Path, runs: Path, count: int) -> None:
    """Write copies that differ in id, start and training seed."""
    record = json.loads((run / "record.json").read_text())
    config = (run / "config.yaml").read_text()
    for seed in range(count):
        path = runs / record["data"] / record["name"] / f"20260101T000000Z-{seed:06x}"
        shutil.copytree(run, path, copy_function=os.link, ignore=shutil.ignore_patterns("record.json", "config.yaml"))
        started = f"2026-01-01T{seed // 3600:02}:{seed // 60 % 60:02}:{seed % 60:02}+00:00"
        content = {**record, "id": path.name, "seed": seed, "deterministic": False, "started_at": started}
        (path / "record.json").write_text(json.dumps(content))
        (path / "config.yaml").write_text(re.sub(r"(?m)^seed: 0$", f"seed: {seed}", config))


def _measure(*command: str) -> tuple[float, float]:
    """Run a command; return its seconds, and those of the processor, which other processes do not change much."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([RATCHET, *command], capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    if command[0] == "train":
        assert done.stdout.count("done before") == done.stdout.count("\n#") + done.stdout.startswith("#"), done.stdout
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main(*sys.argv[1:])
