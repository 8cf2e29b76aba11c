from pathlib import Path

import pytest
from tests.comparison.test_evidence import of_name, rewrite

from ratchet.comparison.compare import compare
from ratchet.comparison.evidence import gather
from ratchet.runs import StoredRun
from ratchet.runs.selection import select
from ratchet.runs.stored import read_run
from ratchet.tracking.baseline import SHOWN, against_baseline


def regression(runs_dir: Path) -> StoredRun:
    return of_name(runs_dir, "regression")[0]


def test_the_figures_are_those_of_compare(runs_dir: Path) -> None:
    run = regression(runs_dir)
    [rule] = [each for each in of_name(runs_dir, "rule") if each.record.split_hash == run.record.split_hash]
    found = against_baseline(run, runs_dir, "rule")
    evidence = gather(select(runs_dir, ids=[run.record.id, rule.record.id]))
    shown = compare(evidence, runs_dir=runs_dir, metric="f1_weighted", baseline="rule", promoted={}, parents={})
    [expected] = [each.baseline for each in shown.candidates if each.baseline]
    assert found["delta/p"] == expected.p
    for name in SHOWN:
        interval = expected.metrics[name]
        assert (found[f"delta/{name}"], found[f"delta/{name}_low"], found[f"delta/{name}_high"]) == (
            interval.value,
            interval.low,
            interval.high,
        )
        ours, theirs = (each.figures()[f"test/{name}"] for each in (run, rule))
        assert found[f"baseline/{name}"] == theirs
        assert found[f"delta/{name}"] == pytest.approx(ours - theirs)


def test_while_it_is_told_the_run_is_still_running(runs_dir: Path) -> None:
    run = regression(runs_dir)
    expected = against_baseline(run, runs_dir, "rule")
    rewrite(run.path, status="running", finished_at=None)
    assert against_baseline(read_run(run.path), runs_dir, "rule") == expected


def test_the_baseline_has_its_own_value_and_no_difference(runs_dir: Path) -> None:
    run = of_name(runs_dir, "rule")[0]
    found = against_baseline(run, runs_dir, "rule")
    assert found["baseline/f1_weighted"] == run.figures()["test/f1_weighted"]
    assert not [key for key in found if not key.startswith("baseline/")]


@pytest.mark.parametrize(
    "fields",
    [{"split_hash": "another"}, {"dataset_version": "another"}, {"status": "failed"}, {"tags": ["debug"]}],
    ids=lambda fields: next(iter(fields)),
)
def test_without_a_run_on_the_same_split_there_is_nothing(
    fields: dict[str, object], runs_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for rule in of_name(runs_dir, "rule"):
        rewrite(rule.path, **fields)
    assert against_baseline(regression(runs_dir), runs_dir, "rule") == {}
    assert "no finished run of rule" in caplog.text


def test_the_newest_run_is_taken(runs_dir: Path) -> None:
    run = regression(runs_dir)
    [rule] = [each for each in of_name(runs_dir, "rule") if each.record.split_hash == run.record.split_hash]
    other = of_name(runs_dir, "regression")[1]
    rewrite(other.path, name="rule", split_hash="another", started_at="2999-01-01T00:00:00+00:00")
    assert against_baseline(run, runs_dir, "rule")["baseline/f1_weighted"] == rule.figures()["test/f1_weighted"]


def test_a_run_on_val_is_compared_on_val(runs_dir: Path) -> None:
    run = regression(runs_dir)
    rewrite(run.path, evaluate="val")
    found = against_baseline(read_run(run.path), runs_dir, "rule")
    [rule] = [each for each in of_name(runs_dir, "rule") if each.record.split_hash == run.record.split_hash]
    assert found["baseline/f1_weighted"] == rule.figures()["val/f1_weighted"]
