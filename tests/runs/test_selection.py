"""Tests for the selection of runs: the newest of each kind, on common splits, with every omission reported."""

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
Choose = Callable[..., Selection]
ENDED_BADLY = ["failed", "interrupted", "killed"]


@pytest.fixture
def finish(store: Store) -> Store:
    """Return a function such that `finish("model=rule", split=1)` writes a finished run on that split."""

    def write_run(*overrides: str, split: int = 0, seed: int = 0, **fields: Any) -> StoredRun:
        measured = {"dataset_version": "version-1", "split_hash": f"split-{split}", "deterministic": False}
        return store(*overrides, f"split.seed={split}", f"seed={seed}", **{**measured, **fields})

    return write_run


@pytest.fixture
def choose(tmp_path: Path) -> Choose:
    return lambda **options: select(tmp_path / "runs", **options)


def get_ids(runs: list[StoredRun]) -> list[str]:
    return [run.record.id for run in runs]


def get_names(selection: Selection) -> list[str]:
    return [candidate.name for candidate in selection.candidates]


def test_candidate_has_common_settings_of_its_runs(finish: Store, choose: Choose) -> None:
    run = finish("model=regression")
    selection = choose()
    [candidate] = selection.candidates
    assert (candidate.name, candidate.model, candidate.complexity) == ("regression", "regression", 1)
    assert candidate.config_hash == run.record.config_hash
    assert (selection.data, selection.part, selection.dataset_version) == ("sample", "test", "version-1")
    assert get_ids(selection.runs) == [run.record.id]
    assert selection.left_out == ()


def test_newest_configuration_of_a_name_is_selected(finish: Store, choose: Choose) -> None:
    old = finish("model=regression", "model.C=1")
    new = finish("model=regression", "model.C=2")
    selection = choose()
    assert get_ids(selection.runs) == [new.record.id]
    old_hash = old.record.config_hash[:8]
    assert selection.left_out == (f"1 run of regression: an older configuration ({old_hash}; all=true includes it)",)


def test_configuration_is_as_new_as_its_newest_run(finish: Store, choose: Choose) -> None:
    finish("model=regression", "model.C=1")
    finish("model=regression", "model.C=2")
    newest = finish("model=regression", "model.C=1", split=1)
    selection = choose()
    assert selection.candidates[0].config_hash == newest.record.config_hash
    assert len(selection.runs) == 2, "its older run of another split is included"


def test_newest_run_of_split_and_seed_is_selected(finish: Store, choose: Choose) -> None:
    finish()
    newer = finish()
    other_seed, other_split = finish(seed=1), finish(split=1)
    selection = choose()
    assert get_ids(selection.runs) == get_ids([newer, other_seed, other_split]), "ordered by split and seed"
    assert selection.left_out == ("1 of rule: newer runs of the same splits and seeds replace them",)


def test_deterministic_model_needs_one_run_per_split(finish: Store, choose: Choose) -> None:
    finish(deterministic=True)
    newer = finish(seed=1, deterministic=True)
    other_split = finish(split=1, deterministic=True)
    regressions = [finish("model=regression", seed=seed, split=split) for split in (0, 1) for seed in (0, 1)]
    selection = choose()
    assert [get_ids(list(candidate.runs)) for candidate in selection.candidates] == [
        get_ids([newer, other_split]),
        get_ids(regressions),
    ]
    assert selection.left_out == ("1 of rule: one run per split is enough for a deterministic model",)


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
def test_unusable_run_is_left_out_and_reported(
    overrides: list[str], fields: dict[str, Any], reason: str, finish: Store, choose: Choose
) -> None:
    kept = finish()
    finish(*overrides, split=1, **fields)
    selection = choose()
    assert get_ids(selection.runs) == [kept.record.id]
    [line] = selection.left_out
    assert line.startswith("1 run: ")
    assert reason in line
    finish(*overrides, split=2, **fields)
    [line] = choose().left_out
    assert line.startswith("2 runs: "), "one line per reason"
    assert reason in line


def test_every_finished_run_is_selected_on_val(finish: Store, choose: Choose) -> None:
    runs = [finish("evaluate=val"), finish(split=1)]
    selection = choose(part="val")
    assert get_ids(selection.runs) == get_ids(runs)
    assert (selection.part, selection.left_out) == ("val", ())


def test_names_select_candidates(finish: Store, choose: Choose) -> None:
    finish("model=rule")
    finish("model=regression")
    finish("model=cnn")
    assert get_names(choose()) == ["rule", "regression", "cnn"]
    assert get_names(choose(names=["cnn", "rule"])) == ["rule", "cnn"]


def test_unknown_name_error_suggests_nearest_name(finish: Store, choose: Choose) -> None:
    finish("model=regression")
    finish("model=cnn", status="failed")
    with pytest.raises(UserError, match=r"name=regresion: .*'regression'"):
        choose(names=["regression", "regresion"])
    with pytest.raises(UserError, match=r"name=cnn: .*regression"):
        choose(names=["cnn"])


def test_one_of_several_data_sets_must_be_named(finish: Store, choose: Choose) -> None:
    finish()
    other = finish("data.name=other")
    with pytest.raises(UserError, match=r"\b2 data sets.*data=other.*data=sample"):
        choose()
    assert get_ids(choose(data="other").runs) == [other.record.id]
    with pytest.raises(UserError, match=r"data=smaple: .*'sample'"):
        choose(data="smaple")


def test_error_without_runs_suggests_a_command(choose: Choose) -> None:
    with pytest.raises(UserError, match=r"`ratchet train -m model=rule,regression`"):
        choose()


def test_error_without_usable_runs_lists_reasons(finish: Store, choose: Choose) -> None:
    finish(status="failed")
    finish("evaluate=val")
    with pytest.raises(UserError) as error:
        choose()
    for part in ("data=sample", "of test", "1 run: the run is failed", "1 run: made with evaluate"):
        assert part in str(error.value)


def test_ids_select_exactly_those_runs(finish: Store, choose: Choose) -> None:
    old, older_split = finish("model=regression", "model.C=1"), finish("model=regression", "model.C=1", split=1)
    finish("model=regression", "model.C=1")
    debug = finish("tags=[debug]", split=1)
    selection = choose(ids=[old.record.id, older_split.path.name[-6:]])
    assert get_ids(selection.runs) == get_ids([old, older_split])
    assert selection.left_out == ()
    assert get_ids(choose(ids=[debug.record.id]).runs) == [debug.record.id], "a debug run can be selected by its id"


def test_ids_of_two_configurations_give_two_candidates(finish: Store, choose: Choose) -> None:
    runs = [finish("model=regression", f"model.C={value}") for value in (1, 2)]
    selection = choose(ids=get_ids(runs))
    assert sorted(get_names(selection)) == sorted(f"regression@{run.record.config_hash[:8]}" for run in runs)


@pytest.mark.parametrize(
    ("overrides", "fields", "reason"),
    [([], {"status": "failed"}, "failed"), (["evaluate=val"], {}, "evaluate=val")],
)
def test_requested_run_must_be_usable(
    overrides: list[str], fields: dict[str, str], reason: str, finish: Store, choose: Choose
) -> None:
    good, bad = finish(), finish(*overrides, split=1, **fields)
    with pytest.raises(UserError, match=f"{bad.record.id}: .*{reason}"):
        choose(ids=get_ids([good, bad]))
    with pytest.raises(UserError, match="'unknown'"):
        choose(ids=["unknown"])


def test_names_of_several_configurations_include_hash(finish: Store, choose: Choose) -> None:
    runs = [finish("model=regression", f"model.C={value}") for value in (1, 2)]
    finish("model=rule")
    selection = choose(every=True)
    rule, *regressions = get_names(selection)
    assert rule == "rule", "a name with one configuration is unchanged"
    assert sorted(regressions) == sorted(f"regression@{run.record.config_hash[:8]}" for run in runs)
    assert selection.left_out == ()


def test_runs_on_other_data_are_left_out_and_reported(finish: Store, choose: Choose) -> None:
    finish(split=1, dataset_version="version-0")
    newest = finish()
    selection = choose()
    assert get_ids(selection.runs) == [newest.record.id]
    assert selection.dataset_version == "version-1"
    assert selection.left_out == ("1 of rule: another version of the data",)


def test_candidates_on_different_data_raise(finish: Store, choose: Choose) -> None:
    finish("model=rule", dataset_version="version-0")
    finish("model=regression")
    finish("model=cnn")
    message = r"rule .*version-0.*regression, cnn .*version-1"
    with pytest.raises(UserError, match=message):
        choose()
    assert get_names(choose(names=["regression", "cnn"])) == ["regression", "cnn"]


def test_split_seed_with_two_different_splits_raises(finish: Store, choose: Choose) -> None:
    finish("model=rule")
    finish("model=regression", split_hash="another-division")
    with pytest.raises(UserError, match=r"split\.seed=0 .*rule.*regression.*split-0"):
        choose()


def test_candidates_are_limited_to_common_splits(finish: Store, choose: Choose) -> None:
    for split in (0, 1, 2):
        finish("model=rule", split=split)
    for split in (1, 2, 3, 4):
        finish("model=regression", split=split)
    selection = choose()
    assert [[run.record.split_seed for run in candidate.runs] for candidate in selection.candidates] == [[1, 2], [1, 2]]
    assert selection.left_out == (
        "split.seed=0 of rule: not all candidates were measured there",
        "split.seed=3,4 of regression: not all candidates were measured there",
    )


def test_error_without_common_split_lists_splits(finish: Store, choose: Choose) -> None:
    finish("model=rule", split=0)
    finish("model=regression", split=1)
    finish("model=regression", split=2)
    with pytest.raises(UserError, match=r"rule: 0; regression: 1,2"):
        choose()


def test_candidates_are_ordered_by_complexity_then_name(finish: Store, choose: Choose) -> None:
    finish("model=cnn")
    finish("model=regression")
    finish("model=rule", "name=zebra")
    finish("model=rule", "name=antelope")
    assert get_names(choose()) == ["antelope", "zebra", "regression", "cnn"]


def collect_ids(runs: list[StoredRun]) -> set[str]:
    return {run.record.id for run in runs}


def find_prunable_ids(
    tmp_path: Path, *, statuses: list[str] = ENDED_BADLY, superseded: bool = False, days: float = 0
) -> set[str]:
    runs = find_runs(tmp_path / "runs")
    return collect_ids(find_prunable(runs, statuses=statuses, superseded=superseded, older_than_days=days))


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_runs_are_pruned_by_status(store: Store, tmp_path: Path, dead_pid: int) -> None:
    runs = {status: store(status=status) for status in ("finished", "failed", "interrupted")}
    runs["killed"] = store(status="running", pid=dead_pid)
    runs["running"] = store(status="running")
    identifier = {status: run.record.id for status, run in runs.items()}
    assert find_prunable_ids(tmp_path) == {identifier[status] for status in ENDED_BADLY}
    assert find_prunable_ids(tmp_path, statuses=["killed"]) == {identifier["killed"]}
    assert find_prunable_ids(tmp_path, statuses=["finished"]) == {identifier["finished"]}
    assert find_prunable_ids(tmp_path, statuses=[]) == set()
    assert identifier["running"] not in find_prunable_ids(tmp_path, statuses=[*ENDED_BADLY, "finished", "running"])


@pytest.mark.parametrize("tag", ["keep", "promoted"])
def test_tagged_runs_are_never_pruned(store: Store, tmp_path: Path, tag: str) -> None:
    store(status="failed", tags=["note", tag])
    store(tags=[tag])
    prunable = store(status="failed", tags=["note"])
    last = store()
    statuses = ["failed", "finished"]
    assert find_prunable_ids(tmp_path, statuses=statuses, superseded=True) == {prunable.record.id, last.record.id}


def test_runs_to_keep_are_not_pruned(store: Store, tmp_path: Path) -> None:
    """Records do not show that a run was promoted, so the caller passes the ids to keep."""
    failed, kept_failed = store(status="failed"), store(status="failed")
    kept_old, old, newest = (
        store(started_at=format_time(1)),
        store(started_at=format_time(2)),
        store(started_at=format_time(3)),
    )
    keep = {kept_failed.record.id, kept_old.record.id, "no longer there"}
    runs = find_runs(tmp_path / "runs")
    without_keep = find_prunable(runs, statuses=["failed"], superseded=True, older_than_days=0)
    with_keep = find_prunable(runs, statuses=["failed"], superseded=True, older_than_days=0, keep=keep)
    assert collect_ids(without_keep) - collect_ids(with_keep) == {kept_failed.record.id, kept_old.record.id}
    assert collect_ids(with_keep) == {failed.record.id, old.record.id}
    assert newest.record.id not in collect_ids(without_keep)


def test_parents_of_other_runs_are_not_pruned(store: Store, tmp_path: Path) -> None:
    parent = store(status="failed")
    child = store(status="failed", parent=parent.record.id)
    orphan = store(status="failed", parent="no longer there")
    assert find_prunable_ids(tmp_path) == {child.record.id, orphan.record.id}


def format_time(hour: int) -> str:
    return f"2026-01-01T{hour:02}:00:00+00:00"


def test_only_older_finished_runs_are_superseded(store: Store, tmp_path: Path) -> None:
    split = {"split_hash": "s", "dataset_version": "v"}
    old, middle = store(started_at=format_time(1), **split), store(started_at=format_time(2), **split)
    store(started_at=format_time(3), **split)
    store(started_at=format_time(4), status="failed", **split)  # a failed run supersedes nothing
    assert find_prunable_ids(tmp_path, statuses=[]) == set()
    assert find_prunable_ids(tmp_path, statuses=[], superseded=True) == {old.record.id, middle.record.id}


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
def test_run_with_other_settings_supersedes_nothing(
    store: Store, tmp_path: Path, overrides: list[str], fields: dict[str, str]
) -> None:
    split = {"split_hash": "s", "dataset_version": "v"}
    store(started_at=format_time(1), **split)
    store(*overrides, started_at=format_time(2), **{**split, **fields})
    assert find_prunable_ids(tmp_path, statuses=[], superseded=True) == set()


def test_threads_and_resamples_do_not_prevent_superseding(store: Store, tmp_path: Path) -> None:
    old = store(started_at=format_time(1))
    store("threads=1", "hypothesis=again", "evaluation.resamples=200", started_at=format_time(2))
    assert find_prunable_ids(tmp_path, statuses=[], superseded=True) == {old.record.id}


def test_superseded_parent_or_tagged_run_is_kept(store: Store, tmp_path: Path) -> None:
    parent = store(started_at=format_time(1))
    store(started_at=format_time(2), tags=["keep"])
    store(started_at=format_time(3), parent=parent.record.id)
    assert find_prunable_ids(tmp_path, statuses=[], superseded=True) == set()


def test_recent_runs_can_be_kept(store: Store, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old = store(status="failed", started_at=(now - timedelta(days=8)).isoformat())
    recent = store(status="failed", started_at=(now - timedelta(days=6)).isoformat())
    assert find_prunable_ids(tmp_path, days=7) == {old.record.id}
    assert find_prunable_ids(tmp_path, days=0.5) == {old.record.id, recent.record.id}
    assert find_prunable_ids(tmp_path, days=30) == set()


def test_remove_deletes_only_the_run_directory(store: Store, tmp_path: Path) -> None:
    removed, kept = store(), store()
    (removed.path / "model").mkdir()
    (removed.path / "model" / "weights.npz").write_bytes(b"x")
    remove(removed)
    assert not removed.path.exists()
    assert collect_ids(find_runs(tmp_path / "runs")) == {kept.record.id}


def test_prune_deletes_only_with_delete_true(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed, finished = store(status="failed"), store()
    where = f"runs_dir={tmp_path / 'runs'}"

    runs_verb(["prune", where])
    output = capsys.readouterr().out
    assert failed.record.id in output
    assert finished.record.id not in output
    assert "1 run would be removed" in output
    assert "delete=true" in output
    assert collect_ids(find_runs(tmp_path / "runs")) == {failed.record.id, finished.record.id}

    runs_verb(["prune", where, "delete=true"])
    assert "1 run removed" in capsys.readouterr().out
    assert collect_ids(find_runs(tmp_path / "runs")) == {finished.record.id}

    runs_verb(["prune", where, "delete=true"])
    assert "nothing to prune" in capsys.readouterr().out


def test_prune_accepts_statuses_and_superseded(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, failed = store(started_at=format_time(1)), store(started_at=format_time(2), status="failed")
    newest = store(started_at=format_time(3))
    where = f"runs_dir={tmp_path / 'runs'}"
    runs_verb(["prune", where, "status=[]", "superseded=true"])
    output = capsys.readouterr().out
    assert old.record.id in output
    assert failed.record.id not in output
    assert newest.record.id not in output


@pytest.mark.parametrize("status", ["running", "fialed"])
def test_prune_refuses_invalid_status(store: Store, tmp_path: Path, status: str) -> None:
    run = store(status="running")
    with pytest.raises(UserError, match=f"status={status}"):
        runs_verb(["prune", f"runs_dir={tmp_path / 'runs'}", f"status=[{status}]", "delete=true"])
    assert run.path.exists()
