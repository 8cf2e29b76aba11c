"""Kill commands at random moments (SIGKILL), and check that nothing is half-written, lost or wrong.

    python benchmarks/kills.py               # 50 kills at random moments, and promote before each of its writes
    python benchmarks/kills.py 20 7          # 20 kills, with the seed 7

A project with finished runs and a promotion is prepared once. Each kill works on a copy of it: start a command, kill it
and all of its processes at a random moment, check the copy, run the command again, and check its result. The checks
after the kill: every JSON file can be read, every run that was there has the files it had, the log of promotions has
the lines that it had, and no count of test-set accesses decreased. The check after the command ran again: its result is
that of a command that was not killed. Prints one line per kill, and exits with 1 if any check fails.
"""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parents[1]
FEW = "evaluation.resamples=100"
SMALL = ("model.max_epochs=3", "model.patience=3", FEW)
# Files that differ between equal runs: they hold times, costs, ids and paths.
VARY = {
    "record.json",
    "accesses.jsonl",
    "cost.json",
    "config.yaml",
    "log.txt",
    "code.diff",
    "lock",
    ".lock",
    "run.lock",
}
AT_WRITE = """
import os, runpy, signal, sys
wanted, made = int(sys.argv[1]), 0
def killing(function):
    def call(*arguments, **named):
        global made
        made += 1
        if made == wanted:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call
for name in ("write", "fsync", "replace", "rename", "unlink", "mkdir", "ftruncate"):
    setattr(os, name, killing(getattr(os, name)))
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""  # kills the process before its Nth call that changes a file


@dataclass(frozen=True)
class Case:
    """A command, how to prepare its project, and how to describe its result; equal results have equal descriptions."""

    name: str
    command: tuple[str, ...]
    describe: Callable[[Path], object]
    prepare: Callable[[Path], tuple[str, ...]] | None = None  # returns the command, if it depends on the project
    again: tuple[str, ...] | None = None  # after the kill, if it is not the same command
    may_change: tuple[str, ...] = ()  # names of the runs whose files the command may change or delete


def run(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    program = [str(PROGRAMS / command[0]), *command[1:]]
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        program, cwd=project, capture_output=True, text=True, check=False, env={**os.environ, "PATH": path}
    )


def run_successfully(project: Path, *command: str) -> None:
    done = run(project, *command)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def kill_at(project: Path, command: tuple[str, ...], seconds: float) -> bool:
    """Start a command, and kill it and its process group after `seconds`. Return whether it still ran."""
    process = subprocess.Popen(
        [str(PROGRAMS / command[0]), *command[1:]],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"},
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def kill_at_write(project: Path, command: tuple[str, ...], number: int) -> bool:
    """Run a command that is killed before its Nth call that changes a file. Return whether it made so many calls."""
    program = [sys.executable, "-c", AT_WRITE, str(number), str(PROGRAMS / command[0]), *command[1:]]
    return subprocess.run(program, cwd=project, capture_output=True, check=False).returncode == -signal.SIGKILL


def find_records(project: Path, data: str = "sample") -> Iterator[tuple[Path, dict]]:
    for path in sorted(project.glob(f"runs/{data}/*/[!.]*/record.json")):
        yield path.parent, json.loads(path.read_text(encoding="utf-8"))


def hash_files(directory: Path, *, without: set[str] = frozenset()) -> dict[str, str]:
    files = [path for path in directory.rglob("*") if path.is_file() and path.name not in without]
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def describe_runs(project: Path) -> object:
    """Return the finished runs by name, split and seed, with the hashes of everything that repeats."""
    return sorted(
        [
            record["name"],
            record["split_seed"],
            record["seed"],
            record["evaluate"],
            *sorted(hash_files(path, without=VARY).items()),
        ]
        for path, record in find_records(project)
        if record["status"] == "finished" and "export" not in {child.name for child in path.iterdir()}
    )


def describe_promotions(project: Path) -> object:
    lines = (project / "promotions" / "sample.jsonl").read_text(encoding="utf-8").splitlines()
    return [(content["action"], content["name"]) for content in map(json.loads, lines)]


def describe_statuses(project: Path) -> object:
    return sorted((record["name"], record["status"]) for _, record in find_records(project))


def read_state(project: Path, may_change: tuple[str, ...]) -> dict[str, object]:
    """Return what a killed command must leave as it is."""
    log = project / "promotions" / "sample.jsonl"
    return {
        "runs": {
            str(path.relative_to(project)): hash_files(path)
            for path, record in find_records(project)
            if record["name"] not in may_change
        },
        "promotions": log.read_text(encoding="utf-8").splitlines() if log.is_file() else [],
        "accesses": len((project / "runs" / "sample" / "test_readings.jsonl").read_text().splitlines()),
    }


def find_damage(project: Path, before: dict, may_change: tuple[str, ...]) -> list[str]:
    """Return what is half-written or lost in a project in which a command was killed."""
    damage = []
    for path in project.rglob("*.json"):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            damage.append(f"half-written: {path.relative_to(project)}")
        except FileNotFoundError:
            continue
    now = read_state(project, may_change)
    for name, files in before["runs"].items():
        left = now["runs"].get(name)
        if left is None:
            damage.append(f"lost: {name}")
        elif any(left.get(file) != digest for file, digest in files.items()):
            damage.append(f"changed: {name}")
    if now["promotions"][: len(before["promotions"])] != before["promotions"]:
        damage.append("promotions: lines were lost")
    if now["accesses"] < before["accesses"]:
        damage.append("test-set accesses: the count decreased")
    listed = run(project, "ratchet", "runs", "list", "format=json")
    if listed.returncode or "skipped" in listed.stderr:
        damage.append(f"runs list: {listed.stderr.strip()}")
    return damage


def start_resumable(project: Path) -> tuple[str, ...]:
    """Leave a network that was killed in its second epoch; return the command that resumes it."""
    process = subprocess.Popen(
        [
            str(PROGRAMS / "ratchet"),
            "train",
            "model=cnn",
            "model.max_epochs=40",
            "model.patience=40",
            FEW,
            "run_dir=runs/sample/cnn/killed",
        ],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not list(project.glob("runs/sample/cnn/killed/checkpoints/*")) and process.poll() is None:
        time.sleep(0.1)
    time.sleep(1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return "ratchet", "train", "resume=runs/sample/cnn/killed"


def add_failed_runs(project: Path) -> tuple[str, ...]:
    """Add copies of the rule's run that failed; return the command that deletes them."""
    path, record = next((path, record) for path, record in find_records(project) if record["name"] == "rule")
    for number in range(30):
        copy = path.parents[1] / "broken" / f"{number}"
        shutil.copytree(path, copy)
        changed = {**record, "id": copy.name, "name": "broken", "status": "failed"}
        (copy / "record.json").write_text(json.dumps(changed))
    return "ratchet", "runs", "prune", "delete=true"


def write_texts(project: Path) -> tuple[str, ...]:
    rows = "".join(
        f'{{"id": "{number}", "title": "text {number}", "description": "graphs {number}"}}\n'
        for number in range(150_000)
    )
    (project / "texts.jsonl").write_text(rows)
    path = next(path for path, record in find_records(project) if record["name"] == "regression")
    return "ratchet", "predict", str(path.relative_to(project)), "input=texts.jsonl", "output=scored.jsonl"


def describe_predictions(project: Path) -> object:
    assert not (project / "scored.jsonl.parts").exists()
    return hashlib.sha256((project / "scored.jsonl").read_bytes()).hexdigest()


def export_command(project: Path) -> tuple[str, ...]:
    path = next(path for path, record in find_records(project) if record["name"] == "regression")
    return "ratchet", "export", str(path.relative_to(project)), "out=exported", "replace=true"


def describe_export(project: Path) -> object:
    return sorted(hash_files(project / "exported"))


def describe_pipeline(project: Path) -> object:
    return hash_files(project / "build" / "runs", without=VARY)


def describe_best(project: Path) -> object:
    [study] = (project / "runs" / ".studies").iterdir()
    done = run(project, "ratchet", "sweep", "show", study.name, "format=json")
    assert done.returncode == 0, done.stderr
    return sum(record["status"] == "finished" and record["name"] == "rule" for _, record in find_records(project)) >= 4


PROMOTE = ("ratchet", "promote", "candidate=rule", "force=true", "reason=trial")
GRID = ("ratchet", "train", "-m", "model=rule,regression", "split.seed=5,6", FEW)
CASES = [
    Case("train", ("ratchet", "train", "model=cnn", "split.seed=7", *SMALL), describe_runs, may_change=("cnn",)),
    Case("resume", (), describe_runs, prepare=start_resumable, may_change=("cnn",)),
    Case("grid", GRID, describe_runs),
    Case("search", ("ratchet", "train", "-m", "model=rule", "sweep=rule", "sweep.trials=4", FEW), describe_best),
    Case("promote", PROMOTE, lambda project: describe_promotions(project)[-1]),
    Case("predict", (), describe_predictions, prepare=write_texts),
    Case("export", (), describe_export, prepare=export_command, may_change=("regression",)),
    Case("repro", ("dvc", "repro", "--quiet"), describe_pipeline),
    Case("prune", (), describe_statuses, prepare=add_failed_runs, may_change=("broken",)),
]


def prepare_project(directory: Path) -> Path:
    """Clone this project, and add two finished runs, a promotion and an export."""
    project = directory / "template"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(project)], check=True)
    params = (project / "params.yaml").read_text(encoding="utf-8")
    lines = [
        "models: [rule, regression]"
        if line.startswith("models:")
        else "repeats: [0]"
        if line.startswith("repeats:")
        else line
        for line in params.splitlines()
    ]
    (project / "params.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (project / "dvc.lock").unlink()
    run_successfully(project, "ratchet", "train", "-m", "model=rule,regression", FEW)
    run_successfully(project, "ratchet", "promote", "candidate=regression", "force=true", "reason=start")
    return project


class Bench:
    """The prepared project, its copies, and the results of commands that were not killed."""

    def __init__(self, directory: Path, generator: random.Random) -> None:
        self.directory, self.generator = directory, generator
        self.template = prepare_project(directory)
        self.failed = 0
        self._undisturbed: dict[str, tuple[float, object]] = {}

    def copy(self) -> Path:
        project = self.directory / "copy"
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(self.template, project, symlinks=True)
        return project

    def measure(self, case: Case) -> tuple[float, object]:
        """Return the seconds and the result of the command of a case without a kill."""
        if case.name not in self._undisturbed:
            project = self.copy()
            command = case.prepare(project) if case.prepare else case.command
            started = time.perf_counter()
            run_successfully(project, *command)
            self._undisturbed[case.name] = time.perf_counter() - started, case.describe(project)
        return self._undisturbed[case.name]

    def try_kill(self, case: Case, kill: Callable[[Path, tuple[str, ...]], bool], moment: str) -> bool:
        """Kill the command of a case and check; return whether it was killed before it ended."""
        _, expected = self.measure(case)
        project = self.copy()
        command = case.prepare(project) if case.prepare else case.command
        before = read_state(project, case.may_change)
        was_killed = kill(project, command)
        problems = find_damage(project, before, case.may_change)
        if was_killed:
            problems += self.run_again(case, command, project, expected)
        outcome = "killed" if was_killed else "ended first"
        print(
            f"{case.name:8} {moment:>14}  {outcome}: {'; '.join(problems) or 'nothing half-written, lost or wrong'}",
            flush=True,
        )
        self.failed += bool(problems)
        return was_killed

    def run_again(self, case: Case, command: tuple[str, ...], project: Path, expected: object) -> list[str]:
        done = run(project, *command)
        if done.returncode and "is finished, there is nothing to resume" not in done.stderr:
            return [f"the command cannot run again: {(done.stderr or done.stdout).strip().splitlines()[-1]}"]
        return [] if self.is_expected(case, case.describe(project), expected) else ["the result differs"]

    @staticmethod
    def is_expected(case: Case, result: object, expected: object) -> bool:
        """Compare results. A run that finished just before its command was killed is there twice after `train`."""
        if isinstance(result, list) and isinstance(expected, list):
            return {json.dumps(item) for item in result} == {json.dumps(item) for item in expected}
        return result == expected


def main(kills: str = "50", seed: str = "") -> int:
    number = int(seed) if seed else int.from_bytes(os.urandom(2))
    print(f"seed of the moments: {number}")
    generator = random.Random(number)
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(Path(directory), generator)
        for index in range(int(kills)):
            case = CASES[index % len(CASES)]
            seconds = bench.measure(case)[0] * generator.uniform(0.05, 1.0)
            bench.try_kill(
                case, lambda project, command, limit=seconds: kill_at(project, command, limit), f"{seconds:.1f} s"
            )
        promote = next(case for case in CASES if case.name == "promote")
        write = 1
        while bench.try_kill(
            promote, lambda project, command, nth=write: kill_at_write(project, command, nth), f"write {write}"
        ):
            write += 1
    print(f"{kills} kills at random moments, {write - 1} before a write of promote: {bench.failed} with a problem")
    return int(bench.failed > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
