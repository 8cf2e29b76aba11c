"""Tests for changes between a run and its parent, by group, and their effect."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.sample_runs import copy_run, find_named_runs, rewrite_record

from ratchet.comparison.compare import compare
from ratchet.comparison.evidence import gather_evidence
from ratchet.comparison.lineage import build_warning, find_changes, find_other_parents, find_parents
from ratchet.comparison.results import Changes, Comparison
from ratchet.config import compose
from ratchet.errors import UserError
from ratchet.runs import StoredRun, find_runs
from ratchet.runs.selection import select
from ratchet.runs.stored import read_run
from ratchet.training import train

MakeRun = Callable[..., StoredRun]


@pytest.fixture
def parent(runs_dir: Path) -> StoredRun:
    """Return a run as if made by a checkout without changes, whatever the state of this one."""
    run = find_named_runs(runs_dir, "regression")[0]
    (run.path / "code.diff").unlink(missing_ok=True)
    rewrite_record(run.path, git={"commit": "c" * 40, "dirty": False, "diff_sha256": None})
    return read_run(run.path)


@pytest.fixture
def child(parent: StoredRun) -> MakeRun:
    """Make runs: `child({"model.C": 5}, lock_hash="other")` equals its parent except for these settings and fields."""

    def make(settings: dict[str, Any] | None = None, **fields: Any) -> StoredRun:
        run = copy_run(parent, "child", parent=parent.record.id, **fields)
        content = yaml.safe_load((run.path / "config.yaml").read_text())
        for key, value in (settings or {}).items():
            node = content
            *groups, last = key.split(".")
            for group in groups:
                node = node[group]
            node[last] = value
        (run.path / "config.yaml").write_text(yaml.safe_dump(content))
        return run

    return make


def test_unknown_changes_of_the_code_are_not_taken_for_none(parent: StoredRun, child: MakeRun) -> None:
    """Without the hashes of the definitions, only the state of git could show that the code is the same."""
    git = {"commit": "c" * 40, "dirty": None, "problem": "fatal: index file corrupt"}
    rewrite_record(parent.path, git=git, code_hash="before")
    run = child(git=git, code_hash="after")
    for stored in (parent, run):
        (stored.path / "code.json").unlink()
    assert find_changes(run, read_run(parent.path)) == {
        "code": ["commit cccccccc -> cccccccc (definitions not recorded)"]
    }


def test_identical_run_has_no_changes(parent: StoredRun, child: MakeRun) -> None:
    assert find_changes(child(), parent) == {}
    assert build_warning({}) is None


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ({"model.C": 5.0}, {"model": ["model.C: 1.5 -> 5.0"]}),
        ({"model.char_ngrams": None}, {"model": ["model.char_ngrams: [3, 5] -> None"]}),
        ({"data.encoding": "latin-1"}, {"data": ["data.encoding: utf-8 -> latin-1"]}),
        ({"split.test": 0.3}, {"data": ["split.test: 0.2 -> 0.3"]}),
        ({"threshold.method": "per_label"}, {"training": ["threshold.method: tuned -> per_label"]}),
        ({"trainer.precision": "bfloat16"}, {"training": ["trainer.precision: float32 -> bfloat16"]}),
        ({"seed": 7, "split.seed": 7, "name": "other", "threads": 9, "hypothesis": "x", "trainer.progress_bar": 0}, {}),
        ({"evaluation.k": [2], "data.slices": {}, "runs_dir": "elsewhere", "model.name": "other"}, {}),
    ],
    ids=lambda value: " ".join(value) or "nothing",
)
def test_changed_settings_are_listed_by_group(
    settings: dict[str, Any], changed: dict[str, list[str]], parent: StoredRun, child: MakeRun
) -> None:
    assert find_changes(child(settings), parent) == changed


def test_settings_of_only_one_run_are_listed(parent: StoredRun, child: MakeRun) -> None:
    run = child({"model.new": 1})
    assert find_changes(run, parent) == {"model": ["model.new: not set -> 1"]}
    assert find_changes(parent, run) == {"model": ["model.new: 1 -> not set"]}


def test_changed_model_is_listed_by_name_only(runs_dir: Path) -> None:
    rule, regression = find_named_runs(runs_dir, "rule")[0], find_named_runs(runs_dir, "regression")[0]
    assert find_changes(regression, rule) == {"model": ["rule -> regression"]}


def test_different_dataset_version_is_data_change(parent: StoredRun, child: MakeRun) -> None:
    assert find_changes(child(dataset_version="other"), parent) == {
        "data": ["other records or labels (dataset version)"]
    }


def test_changed_lock_lists_different_versions(parent: StoredRun, child: MakeRun) -> None:
    packages = {**parent.record.packages, "numpy": "0.1", "added": "2.0"}
    before = parent.record.packages["numpy"]
    assert find_changes(child(lock_hash="other", packages=packages), parent) == {
        "lock": ["requirements.lock", "added - -> 2.0", f"numpy {before} -> 0.1"]
    }


def test_long_list_is_truncated_and_counted(parent: StoredRun, child: MakeRun) -> None:
    packages = {f"package-{number}": "1" for number in range(9)} | dict(parent.record.packages)
    [items] = find_changes(child(lock_hash="other", packages=packages), parent).values()
    *shown, rest = items
    match = re.fullmatch(r"and (\d+) more", rest)
    assert match
    assert len(shown) + int(match[1]) == 10, "the lock and nine versions"
    assert len(shown) < 9


def record_code(run: StoredRun, **hashes: str) -> None:
    """Rewrite the definitions that a run recorded: `train="1"`."""
    content = {f"ratchet.training:{name}": f"{value}-0" for name, value in hashes.items()}
    (run.path / "code.json").write_text(json.dumps(content), encoding="utf-8")


def test_changed_definitions_are_named(parent: StoredRun, child: MakeRun) -> None:
    run = child(code_hash="other")
    record_code(parent, train="1", f1="2")
    record_code(run, train="1", f1="3", added="4")
    assert find_changes(run, parent) == {"code": ["added", "f1"]}


def test_moved_definitions_are_no_change(parent: StoredRun, child: MakeRun) -> None:
    run = child(code_hash="other")
    record_code(parent, train="1")
    content = {"ratchet.elsewhere:train": "1-0"}
    (run.path / "code.json").write_text(json.dumps(content), encoding="utf-8")
    assert find_changes(run, parent) == {}


@pytest.mark.parametrize("content", [None, "[", "[]"], ids=repr)
def test_commits_are_named_without_recorded_definitions(parent: StoredRun, child: MakeRun, content: str | None) -> None:
    """Use a run as older versions wrote it."""
    rewrite_record(parent.path, git={"commit": "a" * 40, "diff_sha256": None})
    run = child(code_hash="other", git={"commit": "b" * 40, "diff_sha256": None})
    (run.path / "code.json").unlink()
    if content is not None:
        (run.path / "code.json").write_text(content, encoding="utf-8")
    [[text]] = find_changes(run, read_run(parent.path)).values()
    assert "aaaaaaaa -> bbbbbbbb" in text
    rewrite_record(run.path, git={"commit": "a" * 40, "diff_sha256": None})
    assert find_changes(read_run(run.path), read_run(parent.path)) == {}


def test_changes_in_several_groups_give_warning(parent: StoredRun, child: MakeRun) -> None:
    assert build_warning({"model": ["C"]}) is None
    assert str(build_warning({"model": ["C"], "code": ["train.py"]})).startswith("model and code changed at once")
    changes = find_changes(child({"model.C": 5.0, "split.test": 0.3}, lock_hash="other"), parent)
    assert list(changes) == ["model", "data", "lock"]
    assert str(build_warning(changes)).startswith("model, data and lock changed at once")


def test_unreadable_configuration_is_rejected(parent: StoredRun, child: MakeRun) -> None:
    for text in ("{", "just text", None):
        run = child()
        path = run.path / "config.yaml"
        path.unlink() if text is None else path.write_text(text)
        with pytest.raises(UserError, match="not a run's configuration"):
            find_changes(run, parent)
        shutil.rmtree(run.path)


@pytest.fixture(scope="module")
def descended(sample_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build rule, regression and regression_words on the same splits; regression_words started after regression."""
    runs_dir = Path(shutil.copytree(sample_runs, tmp_path_factory.mktemp("descended") / "runs"))
    for run in find_named_runs(runs_dir, "regression"):
        overrides = ["experiment=regression_words", f"split.seed={run.record.split_seed}", f"parent={run.record.id}"]
        overrides += ["hypothesis='words suffice'", "evaluation.resamples=100", f"runs_dir={runs_dir.as_posix()}"]
        train(compose(overrides), overrides)
    return runs_dir


def compare_with_parents(runs_dir: Path, *names: str) -> Comparison:
    """Compare as `ratchet compare` does."""
    selection, runs = select(runs_dir, names=names), find_runs(runs_dir)
    parents = find_parents(selection, runs)
    evidence = gather_evidence(selection, others=find_other_parents(selection, parents, runs), resamples=200)
    settings: dict[str, Any] = {"metric": "f1_weighted", "baseline": names[0], "promoted": {}}
    return compare(evidence, runs_dir=runs_dir, parents=parents, **settings)


def get_changes(comparison: Comparison, name: str) -> Changes:
    changes = next(candidate.changes for candidate in comparison.candidates if candidate.name == name)
    assert changes is not None
    return changes


def test_changes_include_their_effect(descended: Path) -> None:
    comparison = compare_with_parents(descended, "rule", "regression", "regression_words")
    assert [candidate.changes is not None for candidate in comparison.candidates] == [False, False, True]
    changes = get_changes(comparison, "regression_words")
    newest = find_named_runs(descended, "regression")[-1]
    assert (changes.parent, changes.parent_name) == (newest.record.id, "regression")
    assert changes.hypothesis == "words suffice"
    assert list(changes.changed) == ["model"]
    assert changes.warning is None
    words, regression = (next(candidate for candidate in comparison.candidates if candidate.name == name) for name in
                         ("regression_words", "regression"))  # fmt: skip
    assert changes.effect is not None
    assert changes.effect.to == "regression"
    assert changes.effect.value == pytest.approx(
        words.metrics["f1_weighted"].value - regression.metrics["f1_weighted"].value
    )
    assert changes.effect.splits == 3
    assert changes.effect.p_adjusted is None, "a single comparison needs no adjustment"


def test_unselected_parent_is_measured(descended: Path) -> None:
    selected = get_changes(
        compare_with_parents(descended, "rule", "regression_words", "regression"), "regression_words"
    )
    comparison = compare_with_parents(descended, "rule", "regression_words")
    assert [candidate.name for candidate in comparison.candidates] == ["rule", "regression_words"]
    changes = get_changes(comparison, "regression_words")
    assert changes.effect is not None
    assert selected.effect is not None
    assert changes.effect.to == f"regression@{find_named_runs(descended, 'regression')[0].record.config_hash[:8]}"
    assert changes.effect.value == selected.effect.value
    assert comparison.left_out == ["not named: regression"]


def test_parent_on_other_splits_has_no_effect_estimate(descended: Path, tmp_path: Path) -> None:
    runs_dir = Path(shutil.copytree(descended, tmp_path / "runs"))
    for run in find_named_runs(runs_dir, "regression"):
        rewrite_record(run.path, split_hash=f"other-{run.record.split_seed}")
    changes = get_changes(compare_with_parents(runs_dir, "rule", "regression_words"), "regression_words")
    assert changes.parent_name == "regression"
    assert changes.effect is None
    assert list(changes.changed) == ["model"]


def test_parent_is_compared_on_shared_splits(descended: Path, tmp_path: Path) -> None:
    runs_dir = Path(shutil.copytree(descended, tmp_path / "runs"))
    shutil.rmtree(find_named_runs(runs_dir, "regression")[0].path)
    effect = get_changes(compare_with_parents(runs_dir, "rule", "regression_words"), "regression_words").effect
    assert effect is not None
    assert effect.splits == 2


def test_pruned_parent_is_ignored(descended: Path, tmp_path: Path) -> None:
    runs_dir = Path(shutil.copytree(descended, tmp_path / "runs"))
    shutil.rmtree(runs_dir / "sample" / "regression")
    assert all(
        candidate.changes is None for candidate in compare_with_parents(runs_dir, "rule", "regression_words").candidates
    )


@pytest.mark.parametrize("fields", [{"status": "failed"}, {"dataset_version": "other"}, {"evaluate": "val"}])
def test_incomparable_parent_runs_are_ignored(fields: dict[str, Any], descended: Path, tmp_path: Path) -> None:
    runs_dir = Path(shutil.copytree(descended, tmp_path / "runs"))
    first, *_ = find_named_runs(runs_dir, "regression")
    rewrite_record(first.path, **fields)
    effect = get_changes(compare_with_parents(runs_dir, "rule", "regression_words"), "regression_words").effect
    assert effect is not None
    assert effect.splits == 2


def test_newest_run_determines_parent(descended: Path, tmp_path: Path) -> None:
    runs_dir = Path(shutil.copytree(descended, tmp_path / "runs"))
    rule = find_named_runs(runs_dir, "rule")[0]
    oldest, *_, newest = find_named_runs(runs_dir, "regression_words")
    rewrite_record(oldest.path, parent=rule.record.id)
    assert (
        get_changes(compare_with_parents(runs_dir, "rule", "regression_words"), "regression_words").parent_name
        == "regression"
    )
    rewrite_record(newest.path, parent=rule.record.id)
    changes = get_changes(compare_with_parents(runs_dir, "rule", "regression_words"), "regression_words")
    assert changes.parent == rule.record.id
    assert changes.effect is not None
    assert changes.effect.to == "rule"
