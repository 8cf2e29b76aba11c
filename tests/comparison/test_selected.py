"""A selection compared as it stands, with what lies beside it."""

import shutil
from pathlib import Path

import pytest
from tests.comparison.test_evidence import of_name, rewrite, trained_on_the_sample

from ratchet.comparison.selected import compare_selected
from ratchet.errors import UserError
from ratchet.runs.selection import select


@pytest.fixture
def runs_dir(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained_on_the_sample(tmp_path_factory.getbasetemp()), tmp_path / "runs"))


def test_a_parent_that_was_not_selected_is_found_beside_the_runs(runs_dir: Path) -> None:
    rule, regression = of_name(runs_dir, "rule"), of_name(runs_dir, "regression")
    for run in regression:
        rewrite(run.path, parent=rule[0].record.id)
    selection = select(runs_dir, names=["regression"])
    evidence, found = compare_selected(
        selection, runs_dir=runs_dir, metric="f1_weighted", baseline="regression", resamples=100
    )
    assert [each.name for each in evidence.candidates] == ["regression"]
    [changes] = [each.changes for each in found.candidates]
    assert changes is not None
    assert (changes.parent, changes.parent_name) == (rule[0].record.id, "rule")
    assert changes.effect is not None
    assert changes.effect.value > 0


def test_readings_are_those_of_the_directory_or_those_that_the_runs_noted(runs_dir: Path) -> None:
    selection = select(runs_dir)
    (runs_dir / "sample/test_readings.jsonl").unlink()
    compared = {
        count: compare_selected(
            selection, runs_dir=runs_dir, metric="f1_macro", baseline="rule", resamples=100, count_readings=count
        )[1]
        for count in (True, False)
    }
    assert [split.test_readings for split in compared[True].splits] == [0, 0, 0]
    assert [split.test_readings for split in compared[False].splits] == [2, 2, 2]


def test_a_baseline_that_is_not_there_is_told_before_anything_is_drawn(runs_dir: Path) -> None:
    begun: list[str] = []
    with pytest.raises(UserError, match="baseline=cnn: no such candidate"):
        compare_selected(
            select(runs_dir),
            runs_dir=runs_dir,
            metric="f1_weighted",
            baseline="cnn",
            bar=lambda what: begun.append(what) or (lambda steps: lambda done: None),  # type: ignore[func-returns-value]
        )
    assert begun == []
