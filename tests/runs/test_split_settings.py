"""Tests that an error about different splits names the settings that differ and a command that works."""

import shlex
from collections.abc import Callable
from typing import Any

import pytest

from ratchet.config import compose
from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.runs.selection import Selection, select
from ratchet.runs.split_settings import explain_different_splits

Store = Callable[..., StoredRun]


def finish(store: Store, *overrides: str, split_hash: str) -> StoredRun:
    return store(*overrides, dataset_version="version-1", split_hash=split_hash, status="finished")


def read_settings(command: str) -> list[str]:
    return [word for word in shlex.split(command) if "=" in word]


@pytest.mark.parametrize(
    ("key", "mine", "theirs"),
    [
        ("split.leaks", "drop_from_train", "report"),
        ("split.duplicates", "near", "exact"),
        ("split.similarity", "0.8", "0.9"),
        ("split.test", "0.2", "0.3"),
        ("data.split.group", "author", "null"),
        ("data.split.group", '"an author: x"', '"year, month"'),
    ],
)
def test_only_the_setting_that_differs_is_named(key: str, mine: str, theirs: str, store: Store) -> None:
    first = finish(store, "model=rule", f"{key}={mine}", split_hash="one")
    second = finish(store, "model=regression", "evaluation.resamples=100", f"{key}={theirs}", split_hash="two")
    explanation, command = explain_different_splits(first, second).split(". To compare them: ")
    assert explanation == f"{key} is {mine} for rule, {theirs} for regression"
    assert read_settings(command) == ["model=regression", "evaluation.resamples=100", f"{key}={mine}"]
    assert compose(read_settings(command)).split == compose(first.record.overrides).split
    assert compose(read_settings(command)).data.split == compose(first.record.overrides).data.split


def test_several_settings_are_all_named(store: Store) -> None:
    first = finish(store, "model=rule", split_hash="one")
    second = finish(store, "model=regression", "split.leaks=report", "split.duplicates=exact", split_hash="two")
    explanation = explain_different_splits(first, second)
    assert "split.leaks is stop for rule, report for regression" in explanation
    assert "split.duplicates is near for rule, exact for regression" in explanation
    for key in ("split.method", "split.val", "split.test", "split.seed"):
        assert f"{key} is" not in explanation


def test_equal_settings_are_not_blamed(store: Store) -> None:
    runs = [finish(store, f"model={name}", split_hash=name) for name in ("rule", "regression")]
    explanation = explain_different_splits(runs[0], runs[1])
    assert "no setting of the split differs" in explanation
    assert "split.method" not in explanation


@pytest.mark.parametrize("content", [None, "", "[1, 2]", "split: 3\ndata: {}\n", "split: {", "data: {split: 1}"])
def test_an_unreadable_configuration_is_named(content: str | None, store: Store) -> None:
    first, second = (finish(store, f"model={name}", split_hash=name) for name in ("rule", "regression"))
    path = second.path / "config.yaml"
    path.unlink() if content is None else path.write_text(content)
    assert str(path) in explain_different_splits(first, second)


def test_selection_refuses_with_the_setting(store: Store, tmp_path: Any) -> None:
    finish(store, "model=rule", split_hash="one")
    finish(store, "model=regression", "split.leaks=report", split_hash="two")
    choose: Callable[..., Selection] = select
    with pytest.raises(UserError, match=r"split\.leaks is stop for rule, report for regression"):
        choose(tmp_path / "runs", part="val")
