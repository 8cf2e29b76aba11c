"""Tests for the hashes of the texts that a run was trained on: they find equal words, whatever the id or the case."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ratchet.errors import UserError
from ratchet.runs import StoredRun
from ratchet.runs.trained_texts import Seen, count_trained_texts, write_trained_texts

Store = Callable[..., StoredRun]


@pytest.fixture
def run(store: Store) -> StoredRun:
    return store("model=rule")


def test_texts_are_found_by_their_words(run: StoredRun) -> None:
    write_trained_texts(run.path, ["One text.", "Another", "both"], ["a third", "Both!"])
    texts = ["one  TEXT", "another one", "A third?", "both", "new", "one text"]
    assert count_trained_texts(run, texts) == Seen(train=3, val=1)
    assert count_trained_texts(run, []) == Seen(0, 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text()), st.lists(st.text()), st.lists(st.text()))
@example(["", " ", "\ud800"], [], ["", "!", "?"])
def test_counts_are_those_of_the_texts(run: StoredRun, train: list[str], val: list[str], others: list[str]) -> None:
    write_trained_texts(run.path, train, val)
    seen = count_trained_texts(run, [*train, *val])
    assert seen is not None
    assert seen.train + seen.val == len(train) + len(val)
    assert seen.train >= len(train)
    assert count_trained_texts(run, others) is not None


def test_files_of_equal_texts_are_equal_and_small(run: StoredRun) -> None:
    texts = [f"text number {number}" for number in range(10_000)]
    contents = []
    for ordered in (texts, texts[::-1]):
        write_trained_texts(run.path, ordered, sorted(ordered)[:10])
        contents.append((run.path / "seen_texts.npz").read_bytes())
    assert contents[0] == contents[1]
    assert len(contents[0]) < 8 * 10_010 + 1_000


def test_run_without_hashes_knows_nothing(run: StoredRun) -> None:
    assert count_trained_texts(run, ["a text"]) is None


@pytest.mark.parametrize("content", [b"", b"PK", b"not an archive"], ids=len)
def test_damaged_file_is_named(content: bytes, run: StoredRun) -> None:
    (run.path / "seen_texts.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"seen_texts\.npz: cannot be read: .*delete it"):
        count_trained_texts(run, ["a text"])
