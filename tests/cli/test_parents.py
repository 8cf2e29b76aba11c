"""Tests for promotions: the promoted run is the default parent of a new run, and pruning keeps promoted runs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.sample_runs import find_named_runs

from ratchet.config import compose
from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.runs.stored import read_run
from ratchet.training import train as train_run

Verb = Callable[..., tuple[int, str, str]]
Command = Callable[..., "CompletedProcess[str]"]
PROMOTIONS = Path("promotions/sample.jsonl")


@pytest.fixture(autouse=True)
def runs(ladder_here: Path) -> Path:
    return ladder_here


@pytest.fixture
def promoted(verb: Verb) -> None:
    """Promote the regression."""
    assert verb("promote", "resamples=500")[0] == 0


def train_new_run(*overrides: str) -> StoredRun:
    return read_run(train_run(compose(["experiment=rule_exact", "evaluation.resamples=100", *overrides])).path)


def test_run_has_no_parent_before_any_promotion() -> None:
    assert train_new_run().record.parent is None


@pytest.mark.usefixtures("promoted")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_promoted_run_of_same_split_is_parent(seed: int, runs: Path) -> None:
    assert train_new_run(f"split.seed={seed}").record.parent == find_named_runs(runs, "regression")[seed].record.id


@pytest.mark.usefixtures("promoted")
def test_any_promoted_run_is_parent_on_other_split(runs: Path) -> None:
    ids = [run.record.id for run in find_named_runs(runs, "regression")]
    assert train_new_run("split.seed=7").record.parent in ids


@pytest.mark.usefixtures("promoted")
def test_parent_none_disables_default_parent() -> None:
    run = train_new_run("parent=none")
    assert run.record.parent is None


@pytest.mark.usefixtures("promoted")
def test_named_parent_overrides_promoted_run(runs: Path) -> None:
    rule = find_named_runs(runs, "rule")[2].record.id
    assert train_new_run(f"parent={rule}").record.parent == rule


@pytest.mark.usefixtures("promoted")
def test_run_has_no_parent_after_rollback(verb: Verb) -> None:
    verb("promote", "rollback", "reason=oops")
    assert train_new_run().record.parent is None


def test_unknown_parent_creates_no_run(runs: Path, train: Command) -> None:
    before = sorted(runs.rglob("*"))
    process = train("model=rule", "parent=unknown", "hypothesis='it helps'")
    assert (process.returncode, process.stdout) == (2, "")
    assert "'unknown'" in process.stderr
    assert "Traceback" not in process.stderr
    assert sorted(runs.rglob("*")) == before


def test_broken_promotions_error_names_file_and_line() -> None:
    PROMOTIONS.parent.mkdir()
    PROMOTIONS.write_text("<<<<<<< HEAD\n")
    with pytest.raises(Exception, match=r"sample\.jsonl, line 1: ") as caught:
        train_new_run()
    assert isinstance(caught.value.__cause__, UserError)
    assert train_new_run("parent=none").status == "finished", "parent=none does not read the promotions"


@pytest.mark.usefixtures("promoted")
def test_pruning_keeps_promoted_runs(runs: Path, verb: Verb) -> None:
    selection = ("status=[finished,failed]", "superseded=true")
    kept = find_named_runs(runs, "regression")
    report = verb("runs", "prune", *selection)[1]
    assert "3 runs would be removed" in report
    assert not any(run.record.id in report for run in kept)
    verb("runs", "prune", *selection, "delete=true")
    assert [run.record.id for run in find_named_runs(runs, "regression")] == [run.record.id for run in kept]
    assert find_named_runs(runs, "rule") == []


def test_pruning_keeps_rolled_back_runs(runs: Path, verb: Verb) -> None:
    verb("promote", "resamples=500")
    verb("promote", "rollback", "reason=oops")
    verb("runs", "prune", "status=[finished]", "delete=true")
    assert len(find_named_runs(runs, "regression")) == 3
    out = verb("runs", "prune", "status=[finished]", "promotions_dir=nowhere")[1]
    assert "kept: 3 runs, promoted" in out, "the promotions of the project protect their runs in any case"


@pytest.mark.usefixtures("promoted")
def test_pruning_stops_at_unreadable_promotions(runs: Path, verb: Verb) -> None:
    with PROMOTIONS.open("a") as file:
        file.write("{\n")
    code, _, err = verb("runs", "prune", "status=[finished]", "delete=true")
    assert code == 2
    assert "sample.jsonl, line 2" in err
    assert len(find_named_runs(runs, "rule")) == 3, "nothing was removed"


@pytest.mark.usefixtures("promoted")
def test_promotion_remains_after_runs_are_deleted(runs: Path, verb: Verb) -> None:
    """The history is kept in the promotions file only, so runs may be deleted by hand."""
    shutil.rmtree(runs)
    assert json.loads(verb("promote", "show", "format=json")[1])["promoted"]["name"] == "regression"


def test_id_that_looks_like_number_is_accepted(runs: Path, train: Command) -> None:
    """Six hexadecimal digits may parse as a number: 26e551 overflows a float."""
    run = find_named_runs(runs, "rule")[0]
    record = json.loads((run.path / "record.json").read_text(encoding="utf-8"))
    record["id"] = "20260101T000000Z-26e551"
    (run.path / "record.json").write_text(json.dumps(record), encoding="utf-8")
    process = train("experiment=rule_exact", "evaluation.resamples=100", "parent=26e551")
    assert process.returncode == 0, process.stderr
    [new] = find_named_runs(runs, "rule_exact")
    assert new.record.parent == record["id"]
