import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ratchet.runs import StoredRun
from ratchet.runs.repeats import repeats_of
from ratchet.runs.stored import read_run

Store = Callable[..., StoredRun]


@pytest.fixture
def finish(store: Store) -> Store:
    """`finish("model.C=1", split=1)`: a finished run of a regression on that split."""

    def make(*overrides: str, split: int = 0, seed: int = 0, **fields: Any) -> StoredRun:
        measured = {"dataset_version": "version-1", "split_hash": f"split-{split}", "deterministic": False}
        seeds = (f"split.seed={split}", f"seed={seed}")
        return store("model=regression", *overrides, *seeds, **{**measured, **fields})

    return make


def ids(run: StoredRun) -> list[str]:
    return [each.record.id for each in repeats_of(run)]


def test_a_run_comes_first_then_the_other_splits_and_seeds_in_their_order(finish: Store) -> None:
    other_split, run, other_seed = finish(split=2), finish(split=1), finish(split=1, seed=1)
    assert ids(run) == [each.record.id for each in (run, other_seed, other_split)]
    assert ids(other_split)[0] == other_split.record.id


@pytest.mark.parametrize(
    ("overrides", "fields"),
    [
        (["model.C=7"], {}),
        (["name=another"], {}),
        ([], {"dataset_version": "version-2"}),
        ([], {"status": "failed"}),
        ([], {"data": "another"}),
    ],
    ids=str,
)
def test_another_candidate_or_other_data_are_no_repeat(
    finish: Store, overrides: list[str], fields: dict[str, Any]
) -> None:
    run, repeat = finish(), finish(split=1)
    finish(*overrides, split=2, **fields)
    assert ids(run) == [run.record.id, repeat.record.id]


def test_the_newest_run_of_a_split_and_seed_counts_but_the_run_itself_always(finish: Store) -> None:
    run, _, _, newer = finish(), finish(), finish(split=1), finish(split=1)
    assert ids(run) == [run.record.id, newer.record.id]


def test_without_randomness_seeds_of_a_split_are_no_repeats(finish: Store) -> None:
    run, _ = finish(deterministic=True), finish(seed=1, deterministic=True)
    assert ids(run) == [run.record.id]


def test_a_run_that_was_taken_elsewhere_is_alone(finish: Store, tmp_path: Path) -> None:
    run, _ = finish(), finish(split=1)
    moved = read_run(Path(shutil.copytree(run.path, tmp_path / "elsewhere")))
    assert repeats_of(moved) == [moved]
