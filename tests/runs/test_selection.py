"""One grammar for which runs are read: the newest of each kind, on the same splits, and nothing left out in silence."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ratchet.cli.runs import run as runs_verb
from ratchet.errors import UserError
from ratchet.runs import StoredRun, find_runs
from ratchet.runs.selection import Selection, find_prunable, remove, select

Store = Callable[..., StoredRun]
Chosen = Callable[..., Selection]
ENDED_BADLY = ["failed", "interrupted", "killed"]


@pytest.fixture
def finish(store: Store) -> Store:
    """`finish("model=rule", split=1)`: a finished run with test predictions on that split."""

    def make(*overrides: str, split: int = 0, seed: int = 0, **fields: Any) -> StoredRun:
        measured = {"dataset_version": "version-1", "split_hash": f"split-{split}", "deterministic": False}
        return store(*overrides, f"split.seed={split}", f"seed={seed}", **{**measured, **fields})

    return make


@pytest.fixture
def chosen(tmp_path: Path) -> Chosen:
    return lambda **options: select(tmp_path / "runs", **options)


def ids(runs: list[StoredRun]) -> list[str]:
    return [run.record.id for run in runs]


def names(selection: Selection) -> list[str]:
    return [each.name for each in selection.candidates]


def test_a_candidate_is_what_its_runs_have_in_common(finish: Store, chosen: Chosen) -> None:
    run = finish("model=regression")
    found = chosen()
    [candidate] = found.candidates
    assert (candidate.name, candidate.model, candidate.complexity) == ("regression", "regression", 1)
    assert candidate.config_hash == run.record.config_hash
    assert (found.data, found.part, found.dataset_version) == ("sample", "test", "version-1")
    assert ids(found.runs) == [run.record.id]
    assert found.left_out == ()


def test_the_newest_configuration_of_a_name_is_taken(finish: Store, chosen: Chosen) -> None:
    old = finish("model=regression", "model.C=1")
    new = finish("model=regression", "model.C=2")
    found = chosen()
    assert ids(found.runs) == [new.record.id]
    shown = old.record.config_hash[:8]
    assert found.left_out == (f"1 run of regression: an older configuration ({shown}; all=true includes it)",)


def test_a_configuration_is_as_new_as_its_newest_run(finish: Store, chosen: Chosen) -> None:
    finish("model=regression", "model.C=1")
    finish("model=regression", "model.C=2")
    again = finish("model=regression", "model.C=1", split=1)
    found = chosen()
    assert found.candidates[0].config_hash == again.record.config_hash
    assert len(found.runs) == 2, "with its older run of another split"


def test_the_newest_run_of_a_split_and_seed_is_taken(finish: Store, chosen: Chosen) -> None:
    finish()
    newer = finish()
    other_seed, other_split = finish(seed=1), finish(split=1)
    found = chosen()
    assert ids(found.runs) == ids([newer, other_seed, other_split]), "ordered by split and seed"
    assert found.left_out == ("1 of rule: newer runs of the same splits and seeds replace them",)


def test_one_run_without_randomness_stands_for_every_seed_of_its_split(finish: Store, chosen: Chosen) -> None:
    finish(deterministic=True)
    newer = finish(seed=1, deterministic=True)
    other_split = finish(split=1, deterministic=True)
    learnt = [finish("model=regression", seed=seed, split=split) for split in (0, 1) for seed in (0, 1)]
    found = chosen()
    assert [ids(list(each.runs)) for each in found.candidates] == [ids([newer, other_split]), ids(learnt)]
    assert found.left_out == ("1 of rule: one run per split is enough for a deterministic model",)


@pytest.mark.parametrize(
    ("overrides", "fields", "reason"),
    [
        ([], {"status": "failed"}, "failed"),
        ([], {"status": "interrupted"}, "interrupted"),
        ([], {"status": "running"}, "running"),
        ([], {"status": "running", "process_started": 1.0}, "killed"),
        (["tags=[debug]"], {}, "debug"),
        (["evaluate=val"], {}, "evaluate=val"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_that_cannot_be_compared_is_left_out_and_said(
    overrides: list[str], fields: dict[str, Any], reason: str, finish: Store, chosen: Chosen
) -> None:
    kept = finish()
    finish(*overrides, split=1, **fields)
    found = chosen()
    assert ids(found.runs) == [kept.record.id]
    [line] = found.left_out
    assert line.startswith("1 run: ")
    assert reason in line
    finish(*overrides, split=2, **fields)
    [line] = chosen().left_out
    assert line.startswith("2 runs: "), "one line for all of a kind"
    assert reason in line


def test_on_val_every_finished_run_counts(finish: Store, chosen: Chosen) -> None:
    runs = [finish("evaluate=val"), finish(split=1)]
    found = chosen(part="val")
    assert ids(found.runs) == ids(runs)
    assert (found.part, found.left_out) == ("val", ())


def test_a_name_is_chosen(finish: Store, chosen: Chosen) -> None:
    finish("model=rule")
    finish("model=regression")
    finish("model=cnn")
    assert names(chosen()) == ["rule", "regression", "cnn"]
    assert names(chosen(names=["cnn", "rule"])) == ["rule", "cnn"]


def test_an_unknown_name_is_told_with_the_nearest(finish: Store, chosen: Chosen) -> None:
    finish("model=regression")
    finish("model=cnn", status="failed")
    with pytest.raises(UserError, match=r"name=regresion: .*'regression'"):
        chosen(names=["regression", "regresion"])
    with pytest.raises(UserError, match=r"name=cnn: .*regression"):
        chosen(names=["cnn"])


def test_of_several_data_sets_one_must_be_named(finish: Store, chosen: Chosen) -> None:
    finish()
    other = finish("data.name=other")
    with pytest.raises(UserError, match=r"\b2 data sets.*data=other.*data=sample"):
        chosen()
    assert ids(chosen(data="other").runs) == [other.record.id]
    with pytest.raises(UserError, match=r"data=smaple: .*'sample'"):
        chosen(data="smaple")


def test_nothing_to_select_from_is_told_with_what_makes_some(chosen: Chosen) -> None:
    with pytest.raises(UserError, match=r"`python train\.py -m model=rule,regression`"):
        chosen()


def test_nothing_usable_is_told_with_the_reasons(finish: Store, chosen: Chosen) -> None:
    finish(status="failed")
    finish("evaluate=val")
    with pytest.raises(UserError) as caught:
        chosen()
    for part in ("data=sample", "of test", "1 run: the run is failed", "1 run: made with evaluate"):
        assert part in str(caught.value)


def test_ids_take_those_runs_and_no_others(finish: Store, chosen: Chosen) -> None:
    old, older_split = finish("model=regression", "model.C=1"), finish("model=regression", "model.C=1", split=1)
    finish("model=regression", "model.C=1")
    debug = finish("tags=[debug]", split=1)
    found = chosen(ids=[old.record.id, older_split.path.name[-6:]])
    assert ids(found.runs) == ids([old, older_split])
    assert found.left_out == ()
    assert ids(chosen(ids=[debug.record.id]).runs) == [debug.record.id], "who asks for a debug run gets it"


def test_ids_of_two_configurations_of_a_name_are_two_candidates(finish: Store, chosen: Chosen) -> None:
    runs = [finish("model=regression", f"model.C={value}") for value in (1, 2)]
    found = chosen(ids=ids(runs))
    assert sorted(names(found)) == sorted(f"regression@{run.record.config_hash[:8]}" for run in runs)


@pytest.mark.parametrize(
    ("overrides", "fields", "reason"),
    [([], {"status": "failed"}, "failed"), (["evaluate=val"], {}, "evaluate=val")],
)
def test_a_run_that_was_asked_for_must_be_usable(
    overrides: list[str], fields: dict[str, str], reason: str, finish: Store, chosen: Chosen
) -> None:
    good, bad = finish(), finish(*overrides, split=1, **fields)
    with pytest.raises(UserError, match=f"{bad.record.id}: .*{reason}"):
        chosen(ids=ids([good, bad]))
    with pytest.raises(UserError, match="'nobody'"):
        chosen(ids=["nobody"])


def test_every_configuration_of_a_name_carries_its_hash(finish: Store, chosen: Chosen) -> None:
    runs = [finish("model=regression", f"model.C={value}") for value in (1, 2)]
    finish("model=rule")
    found = chosen(every=True)
    rule, *others = names(found)
    assert rule == "rule", "a name with one configuration stays as it is"
    assert sorted(others) == sorted(f"regression@{run.record.config_hash[:8]}" for run in runs)
    assert found.left_out == ()


def test_runs_of_a_name_on_other_data_are_left_out_and_said(finish: Store, chosen: Chosen) -> None:
    finish(split=1, dataset_version="version-0")
    newest = finish()
    found = chosen()
    assert ids(found.runs) == [newest.record.id]
    assert found.dataset_version == "version-1"
    assert found.left_out == ("1 of rule: another version of the data",)


def test_candidates_on_other_data_are_refused_and_named(finish: Store, chosen: Chosen) -> None:
    finish("model=rule", dataset_version="version-0")
    finish("model=regression")
    finish("model=cnn")
    told = r"rule .*version-0.*regression, cnn .*version-1"
    with pytest.raises(UserError, match=told):
        chosen()
    assert names(chosen(names=["regression", "cnn"])) == ["regression", "cnn"]


def test_one_split_seed_with_two_divisions_is_refused(finish: Store, chosen: Chosen) -> None:
    finish("model=rule")
    finish("model=regression", split_hash="another-division")
    with pytest.raises(UserError, match=r"split\.seed=0 .*rule.*regression.*split-0"):
        chosen()


def test_candidates_are_cut_to_their_common_splits_and_it_is_said(finish: Store, chosen: Chosen) -> None:
    for split in (0, 1, 2):
        finish("model=rule", split=split)
    for split in (1, 2, 3, 4):
        finish("model=regression", split=split)
    found = chosen()
    assert [[run.record.split_seed for run in each.runs] for each in found.candidates] == [[1, 2], [1, 2]]
    assert found.left_out == (
        "split.seed=0 of rule: not all candidates were measured there",
        "split.seed=3,4 of regression: not all candidates were measured there",
    )


def test_no_common_split_is_refused_and_shown(finish: Store, chosen: Chosen) -> None:
    finish("model=rule", split=0)
    finish("model=regression", split=1)
    finish("model=regression", split=2)
    with pytest.raises(UserError, match=r"rule: 0; regression: 1,2"):
        chosen()


def test_the_simplest_comes_first_and_equals_by_name(finish: Store, chosen: Chosen) -> None:
    finish("model=cnn")
    finish("model=regression")
    finish("model=rule", "name=zebra")
    finish("model=rule", "name=antelope")
    assert names(chosen()) == ["antelope", "zebra", "regression", "cnn"]


def ids_of_pruning(runs: list[StoredRun]) -> set[str]:
    return {run.record.id for run in runs}


def found(tmp_path: Path, *, statuses: list[str] = ENDED_BADLY, superseded: bool = False, days: float = 0) -> set[str]:
    runs = find_runs(tmp_path / "runs")
    return ids_of_pruning(find_prunable(runs, statuses=statuses, superseded=superseded, older_than_days=days))


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_runs_go_by_their_status(store: Store, tmp_path: Path, dead_pid: int) -> None:
    runs = {status: store(status=status) for status in ("finished", "failed", "interrupted")}
    runs["killed"] = store(status="running", pid=dead_pid)
    runs["running"] = store(status="running")
    identifier = {status: run.record.id for status, run in runs.items()}
    assert found(tmp_path) == {identifier[status] for status in ENDED_BADLY}
    assert found(tmp_path, statuses=["killed"]) == {identifier["killed"]}
    assert found(tmp_path, statuses=["finished"]) == {identifier["finished"]}
    assert found(tmp_path, statuses=[]) == set()
    assert identifier["running"] not in found(tmp_path, statuses=[*ENDED_BADLY, "finished", "running"])


@pytest.mark.parametrize("tag", ["keep", "promoted"])
def test_tagged_runs_stay_whatever_became_of_them(store: Store, tmp_path: Path, tag: str) -> None:
    store(status="failed", tags=["note", tag])
    store(tags=[tag])
    other = store(status="failed", tags=["note"])
    last = store()
    statuses = ["failed", "finished"]
    assert found(tmp_path, statuses=statuses, superseded=True) == {other.record.id, last.record.id}


def test_runs_that_are_to_be_kept_stay(store: Store, tmp_path: Path) -> None:
    """Those that a promotion rests on: their records do not say so, the caller does."""
    failed, kept_failed = store(status="failed"), store(status="failed")
    kept_old, old, newest = store(started_at=at(1)), store(started_at=at(2)), store(started_at=at(3))
    keep = {kept_failed.record.id, kept_old.record.id, "no longer there"}
    runs = find_runs(tmp_path / "runs")
    whole = find_prunable(runs, statuses=["failed"], superseded=True, older_than_days=0)
    spared = find_prunable(runs, statuses=["failed"], superseded=True, older_than_days=0, keep=keep)
    assert ids_of_pruning(whole) - ids_of_pruning(spared) == {kept_failed.record.id, kept_old.record.id}
    assert ids_of_pruning(spared) == {failed.record.id, old.record.id}
    assert newest.record.id not in ids_of_pruning(whole)


def test_parents_of_other_runs_stay(store: Store, tmp_path: Path) -> None:
    parent = store(status="failed")
    child = store(status="failed", parent=parent.record.id)
    grandparent_of_none = store(status="failed", parent="no longer there")
    assert found(tmp_path) == {child.record.id, grandparent_of_none.record.id}


def at(hour: int) -> str:
    return f"2026-01-01T{hour:02}:00:00+00:00"


def test_only_older_finished_runs_are_superseded(store: Store, tmp_path: Path) -> None:
    split = {"split_hash": "s", "dataset_version": "v"}
    old, middle = store(started_at=at(1), **split), store(started_at=at(2), **split)
    store(started_at=at(3), **split)
    store(started_at=at(4), status="failed", **split)  # a failure replaces nothing
    assert found(tmp_path, statuses=[]) == set()
    assert found(tmp_path, statuses=[], superseded=True) == {old.record.id, middle.record.id}


@pytest.mark.parametrize(
    ("overrides", "fields"),
    [
        ([], {"split_hash": "other"}),
        ([], {"dataset_version": "other"}),
        (["seed=1"], {}),
        (["evaluate=val"], {}),
        (["name=other"], {}),
        (["model=regression", "name=rule"], {}),
        (["model.stemming=false"], {}),
        (["data.name=other"], {}),
    ],
    ids=["split", "data version", "seed", "part", "name", "model", "settings", "data"],
)
def test_a_run_of_something_else_supersedes_nothing(
    store: Store, tmp_path: Path, overrides: list[str], fields: dict[str, str]
) -> None:
    split = {"split_hash": "s", "dataset_version": "v"}
    store(started_at=at(1), **split)
    store(*overrides, started_at=at(2), **{**split, **fields})
    assert found(tmp_path, statuses=[], superseded=True) == set()


def test_where_and_by_what_it_was_run_makes_no_other_candidate(store: Store, tmp_path: Path) -> None:
    old = store(started_at=at(1))
    store("threads=1", "hypothesis=again", "evaluation.resamples=200", started_at=at(2))
    assert found(tmp_path, statuses=[], superseded=True) == {old.record.id}


def test_a_superseded_run_that_is_a_parent_or_tagged_stays(store: Store, tmp_path: Path) -> None:
    parent = store(started_at=at(1))
    store(started_at=at(2), tags=["keep"])
    store(started_at=at(3), parent=parent.record.id)
    assert found(tmp_path, statuses=[], superseded=True) == set()


def test_young_runs_can_be_spared(store: Store, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old = store(status="failed", started_at=(now - timedelta(days=8)).isoformat())
    young = store(status="failed", started_at=(now - timedelta(days=6)).isoformat())
    assert found(tmp_path, days=7) == {old.record.id}
    assert found(tmp_path, days=0.5) == {old.record.id, young.record.id}
    assert found(tmp_path, days=30) == set()


def test_removing_takes_the_directory_and_nothing_beside_it(store: Store, tmp_path: Path) -> None:
    gone, kept = store(), store()
    (gone.path / "model").mkdir()
    (gone.path / "model" / "weights.npz").write_bytes(b"x")
    remove(gone)
    assert not gone.path.exists()
    assert ids_of_pruning(find_runs(tmp_path / "runs")) == {kept.record.id}


def test_the_command_removes_nothing_until_it_is_told_to(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failed, finished = store(status="failed"), store()
    where = f"runs_dir={tmp_path / 'runs'}"

    runs_verb(["prune", where])
    said = capsys.readouterr().out
    assert failed.record.id in said
    assert finished.record.id not in said
    assert "1 run would be removed" in said
    assert "delete=true" in said
    assert ids_of_pruning(find_runs(tmp_path / "runs")) == {failed.record.id, finished.record.id}

    runs_verb(["prune", where, "delete=true"])
    assert "1 run removed" in capsys.readouterr().out
    assert ids_of_pruning(find_runs(tmp_path / "runs")) == {finished.record.id}

    runs_verb(["prune", where, "delete=true"])
    assert "nothing to prune" in capsys.readouterr().out


def test_the_command_takes_statuses_and_superseded_runs(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, failed = store(started_at=at(1)), store(started_at=at(2), status="failed")
    newest = store(started_at=at(3))
    where = f"runs_dir={tmp_path / 'runs'}"
    runs_verb(["prune", where, "status=[]", "superseded=true"])
    said = capsys.readouterr().out
    assert old.record.id in said
    assert failed.record.id not in said
    assert newest.record.id not in said


@pytest.mark.parametrize("status", ["running", "fialed"])
def test_the_command_refuses_a_status_that_cannot_be_pruned(store: Store, tmp_path: Path, status: str) -> None:
    run = store(status="running")
    with pytest.raises(UserError, match=f"status={status}"):
        runs_verb(["prune", f"runs_dir={tmp_path / 'runs'}", f"status=[{status}]", "delete=true"])
    assert run.path.exists()
