"""After a promotion a new run iterates on what was promoted, unless it says otherwise; and promoted runs stay."""

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
    """Regression is."""
    assert verb("promote", "resamples=500")[0] == 0


def new_run(*overrides: str) -> StoredRun:
    return read_run(train_run(compose(["experiment=rule_exact", "evaluation.resamples=100", *overrides])).path)


def test_before_any_promotion_a_run_has_no_parent() -> None:
    assert new_run().record.parent is None


@pytest.mark.usefixtures("promoted")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_promoted_run_of_the_same_split_is_the_parent(seed: int, runs: Path) -> None:
    assert new_run(f"split.seed={seed}").record.parent == find_named_runs(runs, "regression")[seed].record.id


@pytest.mark.usefixtures("promoted")
def test_on_another_split_some_promoted_run_is_the_parent(runs: Path) -> None:
    ids = [run.record.id for run in find_named_runs(runs, "regression")]
    assert new_run("split.seed=7").record.parent in ids


@pytest.mark.usefixtures("promoted")
def test_none_is_a_fresh_start() -> None:
    run = new_run("parent=none")
    assert run.record.parent is None


@pytest.mark.usefixtures("promoted")
def test_a_named_parent_comes_before_what_is_promoted(runs: Path) -> None:
    rule = find_named_runs(runs, "rule")[2].record.id
    assert new_run(f"parent={rule}").record.parent == rule


@pytest.mark.usefixtures("promoted")
def test_after_a_rollback_there_is_none_again(verb: Verb) -> None:
    verb("promote", "rollback", "reason=oops")
    assert new_run().record.parent is None


def test_an_unknown_parent_makes_no_run(runs: Path, train: Command) -> None:
    before = sorted(runs.rglob("*"))
    done = train("model=rule", "parent=unknown", "hypothesis='it helps'")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'unknown'" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(runs.rglob("*")) == before


def test_broken_promotions_fail_a_run_with_file_and_line() -> None:
    PROMOTIONS.parent.mkdir()
    PROMOTIONS.write_text("<<<<<<< HEAD\n")
    with pytest.raises(Exception, match=r"sample\.jsonl, line 1: ") as caught:
        new_run()
    assert isinstance(caught.value.__cause__, UserError)
    assert new_run("parent=none").status == "finished", "who asks for no parent needs no promotions"


@pytest.mark.usefixtures("promoted")
def test_pruning_never_takes_a_promoted_run(runs: Path, verb: Verb) -> None:
    everything = ("status=[finished,failed]", "superseded=true")
    kept = find_named_runs(runs, "regression")
    shown = verb("runs", "prune", *everything)[1]
    assert "3 runs would be removed" in shown
    assert not any(run.record.id in shown for run in kept)
    verb("runs", "prune", *everything, "delete=true")
    assert [run.record.id for run in find_named_runs(runs, "regression")] == [run.record.id for run in kept]
    assert find_named_runs(runs, "rule") == []


def test_pruning_keeps_what_was_rolled_back_too(runs: Path, verb: Verb) -> None:
    verb("promote", "resamples=500")
    verb("promote", "rollback", "reason=oops")
    verb("runs", "prune", "status=[finished]", "delete=true")
    assert len(find_named_runs(runs, "regression")) == 3
    assert verb("runs", "prune", "status=[finished]", "promotions_dir=nowhere")[1].count("regression") == 3


@pytest.mark.usefixtures("promoted")
def test_pruning_stops_at_promotions_that_it_cannot_read(runs: Path, verb: Verb) -> None:
    with PROMOTIONS.open("a") as file:
        file.write("{\n")
    code, _, err = verb("runs", "prune", "status=[finished]", "delete=true")
    assert code == 2
    assert "sample.jsonl, line 2" in err
    assert len(find_named_runs(runs, "rule")) == 3, "nothing was removed"


@pytest.mark.usefixtures("promoted")
def test_a_promotion_survives_its_runs(runs: Path, verb: Verb) -> None:
    """Whoever removes them by hand: the history stands in the file alone."""
    shutil.rmtree(runs)
    assert json.loads(verb("promote", "show", "format=json")[1])["promoted"]["name"] == "regression"


def test_an_id_that_looks_like_a_number_is_an_id(runs: Path, train: Command) -> None:
    """Six hexadecimal digits may read as a number: 26e551 is one too large for any float."""
    run = find_named_runs(runs, "rule")[0]
    record = json.loads((run.path / "record.json").read_text(encoding="utf-8"))
    record["id"] = "20260101T000000Z-26e551"
    (run.path / "record.json").write_text(json.dumps(record), encoding="utf-8")
    done = train("experiment=rule_exact", "evaluation.resamples=100", "parent=26e551")
    assert done.returncode == 0, done.stderr
    [new] = find_named_runs(runs, "rule_exact")
    assert new.record.parent == record["id"]
