"""Which run a candidate iterates on, and what came of the change, also where the parent is not among the selected."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.comparison.test_evidence import of_name, rewrite, trained_on_the_sample

from ratchet.comparison.compare import compare
from ratchet.comparison.evidence import gather
from ratchet.comparison.lineage import other_parents, parents_of
from ratchet.comparison.results import Changes, Comparison
from ratchet.config import compose
from ratchet.runs import find_runs
from ratchet.runs.selection import select
from ratchet.training import train


@pytest.fixture(scope="module")
def descended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """rule, regression, and regression_words on the same splits, each run after regression's."""
    trained = trained_on_the_sample(tmp_path_factory.getbasetemp())
    runs_dir = Path(shutil.copytree(trained, tmp_path_factory.mktemp("descended") / "runs"))
    for run in of_name(runs_dir, "regression"):
        overrides = ["experiment=regression_words", f"split.seed={run.record.split_seed}", f"parent={run.record.id}"]
        overrides += ["hypothesis='words suffice'", "evaluation.resamples=100", f"runs_dir={runs_dir.as_posix()}"]
        train(compose(overrides), overrides)
    return runs_dir


def lineage(runs_dir: Path, *names: str) -> Comparison:
    """As `ratchet compare` puts it together."""
    selection, runs = select(runs_dir, names=names), find_runs(runs_dir)
    parents = parents_of(selection, runs)
    evidence = gather(selection, others=other_parents(selection, parents, runs), resamples=200)
    settings: dict[str, Any] = {"metric": "f1_weighted", "baseline": names[0], "promoted": {}}
    return compare(evidence, runs_dir=runs_dir, parents=parents, **settings)


def changes_of(found: Comparison, name: str) -> Changes:
    changes = next(each.changes for each in found.candidates if each.name == name)
    assert changes is not None
    return changes


def test_a_change_is_told_beside_its_effect(descended: Path) -> None:
    found = lineage(descended, "rule", "regression", "regression_words")
    assert [each.changes is not None for each in found.candidates] == [False, False, True]
    changes = changes_of(found, "regression_words")
    newest = of_name(descended, "regression")[-1]
    assert (changes.parent, changes.parent_name) == (newest.record.id, "regression")
    assert changes.hypothesis == "words suffice"
    assert list(changes.changed) == ["model"]
    assert changes.warning is None
    words, regression = (next(each for each in found.candidates if each.name == name) for name in
                         ("regression_words", "regression"))  # fmt: skip
    assert changes.effect is not None
    assert changes.effect.to == "regression"
    assert changes.effect.value == pytest.approx(
        words.metrics["f1_weighted"].value - regression.metrics["f1_weighted"].value
    )
    assert changes.effect.splits == 3
    assert changes.effect.p_adjusted is None, "it stands by itself"


def test_a_parent_that_is_not_selected_is_measured_all_the_same(descended: Path) -> None:
    beside = changes_of(lineage(descended, "rule", "regression_words", "regression"), "regression_words")
    found = lineage(descended, "rule", "regression_words")
    assert [each.name for each in found.candidates] == ["rule", "regression_words"]
    changes = changes_of(found, "regression_words")
    assert changes.effect is not None
    assert beside.effect is not None
    assert changes.effect.to == f"regression@{of_name(descended, 'regression')[0].record.config_hash[:8]}"
    assert changes.effect.value == beside.effect.value
    assert found.left_out == ["not named: regression"]


def test_a_parent_on_other_splits_leaves_the_effect_open(descended: Path, tmp_path: Path) -> None:
    runs_dir = Path(shutil.copytree(descended, tmp_path / "runs"))
    for run in of_name(runs_dir, "regression"):
        rewrite(run.path, split_hash=f"other-{run.record.split_seed}")
    changes = changes_of(lineage(runs_dir, "rule", "regression_words"), "regression_words")
    assert changes.parent_name == "regression"
    assert changes.effect is None
    assert list(changes.changed) == ["model"]


def test_a_parent_on_some_of_the_splits_is_compared_on_those(descended: Path, tmp_path: Path) -> None:
    runs_dir = Path(shutil.copytree(descended, tmp_path / "runs"))
    shutil.rmtree(of_name(runs_dir, "regression")[0].path)
    effect = changes_of(lineage(runs_dir, "rule", "regression_words"), "regression_words").effect
    assert effect is not None
    assert effect.splits == 2


def test_a_parent_that_was_pruned_is_not_told(descended: Path, tmp_path: Path) -> None:
    runs_dir = Path(shutil.copytree(descended, tmp_path / "runs"))
    shutil.rmtree(runs_dir / "sample" / "regression")
    assert all(each.changes is None for each in lineage(runs_dir, "rule", "regression_words").candidates)


@pytest.mark.parametrize("fields", [{"status": "failed"}, {"dataset_version": "other"}, {"evaluate": "val"}])
def test_runs_of_the_parent_that_cannot_be_compared_are_not(
    fields: dict[str, Any], descended: Path, tmp_path: Path
) -> None:
    runs_dir = Path(shutil.copytree(descended, tmp_path / "runs"))
    first, *_ = of_name(runs_dir, "regression")
    rewrite(first.path, **fields)
    effect = changes_of(lineage(runs_dir, "rule", "regression_words"), "regression_words").effect
    assert effect is not None
    assert effect.splits == 2


def test_the_newest_run_says_which_parent_a_candidate_has(descended: Path, tmp_path: Path) -> None:
    runs_dir = Path(shutil.copytree(descended, tmp_path / "runs"))
    rule = of_name(runs_dir, "rule")[0]
    oldest, *_, newest = of_name(runs_dir, "regression_words")
    rewrite(oldest.path, parent=rule.record.id)
    assert changes_of(lineage(runs_dir, "rule", "regression_words"), "regression_words").parent_name == "regression"
    rewrite(newest.path, parent=rule.record.id)
    changes = changes_of(lineage(runs_dir, "rule", "regression_words"), "regression_words")
    assert changes.parent == rule.record.id
    assert changes.effect is not None
    assert changes.effect.to == "rule"
