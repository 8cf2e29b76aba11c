"""A random history of a run store, with real kills: nothing promised is ever lost, in whatever order it happens.

Runs are made by child processes of one server, which imports Ratchet once and forks. A run that is in progress waits
until it is killed or let go, while the test promotes, prunes, moves and copies around it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ratchet.objective.promote import roll_back
from ratchet.project import MARKER
from ratchet.runs import StoredRun, find_runs
from ratchet.runs.accesses import count_test_accesses
from ratchet.runs.promotions import Promotion, add_decision, find_promoted, read_decisions
from ratchet.runs.pruning import (
    Request,
    delete_leftovers,
    delete_runs,
    find_promotion_directories,
    plan_pruning,
)
from ratchet.runs.pruning import (
    find_promoted as find_promoted_ids,
)

SERVER = """
import copy, json, os, signal, sys, time
from pathlib import Path
from ratchet.config import compose, register
from ratchet.models import all_settings
from ratchet.runs import open_run, recording, resuming
from ratchet.runs.accesses import record_test_access
from ratchet.runs.stored import read_run
register(all_settings())
base = compose(["model=rule"])
for module in (recording, resuming):
    module.code_of_run = lambda model: {}  # slow, and tested elsewhere
recording.find_changed_code = lambda model: []
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # a killed child leaves no zombie

def make(order):
    os.chdir(order["project"])
    config = copy.deepcopy(base)
    config.split.seed, config.parent = order["split"], order["parent"]
    resume = read_run(Path(order["resume"])) if order["resume"] else None
    with open_run(config, threads=1, overrides=[], resume=resume) as run:
        if config.parent:
            run.update(parent=config.parent)
        run.update(dataset_version="data", split_hash=f"split {order['split']}")
        run.directory("checkpoints")
        answer = {"pid": os.getpid(), "path": str(run.path.resolve())}
        print(json.dumps(answer), flush=True)
        while order["wait"] and not Path(order["go"] + str(os.getpid())).exists():
            time.sleep(0.005)
        record_test_access(Path("runs"), read_run(run.path), run.record.data, "data", run.record.split_hash)
        if order["fail"]:
            raise ValueError("as asked")
        run.write_json("metrics.json", {"test/f1_weighted": 0.5})
    print("{}", flush=True)

for line in sys.stdin:
    order = json.loads(line)
    if os.fork() == 0:
        try:
            make(order)
        except Exception as error:
            print(json.dumps({"error": str(error)}), flush=True)
        os._exit(0)
"""
Answer = dict[str, Any]


class Server:
    """Make runs in child processes. `ask` returns when the run has begun, and if it does not wait, has ended."""

    def __init__(self, directory: Path) -> None:
        self.go = directory / "go"
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=directory
        )

    def ask(self, project: Path, *, split: int = 0, parent: str | None = None, resume: Path | None = None,
            fail: bool = False, wait: bool = False) -> Answer:  # fmt: skip
        assert self._process.stdin is not None
        order = {"project": str(project), "split": split, "parent": parent, "fail": fail, "wait": wait}
        order |= {"resume": resume and str(resume), "go": str(self.go)}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self.read()
        if not wait and "error" not in answer:
            self.read()
        return answer

    def read(self) -> Answer:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the server ended"
        content: Answer = json.loads(line)
        return content

    def release(self, pid: int) -> Answer:
        """Let a waiting run continue; return when it has ended."""
        Path(f"{self.go}{pid}").touch()
        return self.read()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def working_directory(directory: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


def hash_tree(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


class RunStore(RuleBasedStateMachine):
    """The model: which runs exist, which are promised, and what their files contained when they finished."""

    server: Server

    def __init__(self) -> None:
        super().__init__()
        self.top = Path(tempfile.mkdtemp(dir=self.server.go.parent))
        self.project = self.top / "project-0"
        self.project.mkdir()
        (self.project / MARKER).write_text('schema: 1\nratchet: "0"\n')
        self.live: dict[str, int] = {}  # id of a run in progress -> pid
        self.finished: dict[str, dict[str, bytes]] = {}
        self.broken: set[str] = set()  # failed or killed, and can be resumed
        self.parents: set[str] = set()
        self.decisions = 0
        self.accesses = dict.fromkeys(range(2), 0)
        self.left_behind: dict[Path, dict[str, bytes]] = {}  # copies that nothing may change

    # --- what the store holds ---

    @property
    def runs_dir(self) -> Path:
        return self.project / "runs"

    @property
    def promotions_dir(self) -> Path:
        return self.project / "promotions"

    def read_runs(self) -> dict[str, StoredRun]:
        return {run.record.id: run for run in find_runs(self.runs_dir)}

    def promised(self) -> set[str]:
        return set(find_promoted_ids([self.promotions_dir])) | self.parents | set(self.live)

    def note_finished(self, identifier: str) -> None:
        self.finished[identifier] = hash_tree(self.read_runs()[identifier].path)

    # --- what happens to it ---

    @rule(split=st.integers(0, 1), outcome=st.sampled_from(["finish", "fail", "wait"]), with_parent=st.booleans())
    def create(self, split: int, outcome: str, with_parent: bool) -> None:
        parent = max(self.finished, default=None) if with_parent else None
        answer = self.server.ask(
            self.project, split=split, parent=parent, fail=outcome == "fail", wait=outcome == "wait"
        )
        identifier = Path(answer["path"]).name
        if parent is not None:
            self.parents.add(parent)
        if outcome == "wait":
            self.live[identifier] = answer["pid"]
            return
        self.accesses[split] += 1
        if outcome == "fail":
            self.broken.add(identifier)
        else:
            self.note_finished(identifier)

    @precondition(lambda self: self.live)
    @rule()
    def kill(self) -> None:
        identifier, pid = self.live.popitem()
        os.kill(pid, signal.SIGKILL)
        wait_until_dead(pid)
        self.broken.add(identifier)

    @precondition(lambda self: self.live)
    @rule()
    def let_finish(self) -> None:
        identifier, pid = self.live.popitem()
        answer = self.server.release(pid)
        assert answer == {}
        self.accesses[self.read_runs()[identifier].record.split_seed] += 1
        self.note_finished(identifier)

    @precondition(lambda self: self.broken)
    @rule()
    def resume(self) -> None:
        identifier = min(self.broken)
        run = self.read_runs().get(identifier)
        self.broken.discard(identifier)
        if run is None:
            return  # it was pruned
        answer = self.server.ask(self.project, split=run.record.split_seed, resume=run.path)
        assert "error" not in answer
        self.accesses[run.record.split_seed] += 1
        self.note_finished(identifier)

    @precondition(lambda self: self.live)
    @rule()
    def resume_in_progress(self) -> None:
        run = self.read_runs()[next(iter(self.live))]
        answer = self.server.ask(self.project, split=run.record.split_seed, resume=run.path)
        assert "is still running" in answer["error"]

    @precondition(lambda self: self.finished)
    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        runs = self.read_runs()
        present = [identifier for identifier in sorted(self.finished) if identifier in runs]
        if not present:
            return
        record = runs[data.draw(st.sampled_from(present))].record
        decision = Promotion(
            at="2026-01-01T00:00:00+00:00", action="promote", data=record.data, name=record.name, model=record.model,
            config_hash=record.config_hash, runs={record.id: str(record.split_hash)}, why="test", gate="ships",
            forced=False, code=[record.id],
        )  # fmt: skip
        add_decision(self.promotions_dir, decision)
        self.decisions += 1

    @precondition(lambda self: self.decisions)
    @rule()
    def roll_back(self) -> None:
        before = read_decisions(self.promotions_dir, "sample")
        in_force = find_promoted(self.promotions_dir, "sample")
        if in_force is None:
            return
        with working_directory(self.top):
            roll_back(self.promotions_dir, "sample", "test", before)
        self.decisions += 1
        after = find_promoted(self.promotions_dir, "sample")
        assert after is None or after.runs != in_force.runs

    @rule(
        statuses=st.sets(st.sampled_from(["failed", "interrupted", "killed"])),
        superseded=st.booleans(),
        place=st.sampled_from([".", "runs", ".."]),
    )
    def prune(self, statuses: set[str], superseded: bool, place: str) -> None:
        before, promised = self.read_runs(), self.promised()
        if not self.runs_dir.is_dir():
            return
        with working_directory(self.project / place):
            runs_dir = Path(os.path.relpath(self.runs_dir))
            request, runs = Request(sorted(statuses), superseded), find_runs(runs_dir)
            given = Path("promotions")  # of the working directory, which may be another one
            promoted = find_promoted_ids(find_promotion_directories(runs_dir, runs, given))
            plan = plan_pruning(runs, request, promoted)
            deleted = delete_runs(runs_dir, plan.runs, request, promotions_dir=given, keep=promoted)
            delete_leftovers(runs_dir)
        lost = before.keys() - self.read_runs().keys()
        assert lost == {run.record.id for run in deleted}
        assert not lost & promised
        assert all(
            before[name].status in statuses or (superseded and before[name].status == "finished") for name in lost
        )
        assert not list(self.runs_dir.glob("*/*/.*.pruned"))
        self.broken -= lost
        for identifier in lost & self.finished.keys():
            split = before[identifier].record.split_seed
            assert any(run.record.split_seed == split and run.status == "finished" for run in self.read_runs().values())
            del self.finished[identifier]

    @rule()
    def move(self) -> None:
        target = self.top / f"project-{len(list(self.top.iterdir()))}"
        self.project.rename(target)
        self.project = target

    @rule()
    def copy(self) -> None:
        """Go on in the original. Nothing may change the copy."""
        target = self.top / f"copy-{len(list(self.top.iterdir()))}"
        shutil.copytree(self.project, target)
        self.left_behind[target] = hash_tree(target)

    # --- what must hold at any time ---

    @invariant()
    def promised_runs_exist(self) -> None:
        runs = self.read_runs()
        assert self.promised() <= runs.keys()
        for identifier in self.live:
            assert runs[identifier].status == "running"
        for identifier in self.broken & runs.keys():
            assert runs[identifier].status in ("failed", "killed")

    @invariant()
    def finished_runs_are_unchanged(self) -> None:
        runs = self.read_runs()
        for identifier, files in self.finished.items():
            assert hash_tree(runs[identifier].path) == files

    @invariant()
    def decisions_and_accesses_are_kept(self) -> None:
        assert len(read_decisions(self.promotions_dir, "sample")) == self.decisions
        for split, count in self.accesses.items():
            assert count_test_accesses(self.runs_dir, "data", f"split {split}") == count

    @invariant()
    def copies_are_untouched(self) -> None:
        for directory, files in self.left_behind.items():
            assert hash_tree(directory) == files

    def teardown(self) -> None:
        for pid in self.live.values():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.top, ignore_errors=True)


def wait_until_dead(pid: int) -> None:
    """Wait until a child of the server, which reaps it, no longer exists."""
    while Path(f"/proc/{pid}").exists():
        os.sched_yield()


@pytest.mark.parametrize(
    ("examples", "steps"), [(6, 25), pytest.param(60, 50, marks=pytest.mark.thorough)], ids=["few", "many"]
)
def test_nothing_promised_is_ever_lost(tmp_path: Path, examples: int, steps: int) -> None:
    RunStore.server = Server(tmp_path)
    checks = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
    try:
        run_state_machine_as_test(
            RunStore,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                phases=[Phase.reuse, Phase.generate],  # to shrink a history takes many minutes
                deadline=None,
                suppress_health_check=checks,
            ),
        )
    finally:
        RunStore.server.close()
