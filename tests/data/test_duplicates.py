import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.data.duplicates import duplicate_groups

LONG = (
    "A convolutional network that reads handwritten weather diaries from lighthouses, line by line, "
    "and turns two hundred years of wind and fog into a table"
)


def same(texts: list[str]) -> bool:
    return len(set(duplicate_groups(texts).tolist())) == 1


def shingles(text: str) -> set[str]:
    return {text[start : start + 5] for start in range(len(text) - 4)}


def similarity(left: str, right: str) -> float:
    return len(shingles(left) & shingles(right)) / len(shingles(left) | shingles(right))


def sentences(count: int, seed: int) -> list[list[str]]:
    """Sentences of twenty invented words each."""
    chance = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [["".join(chance.choices(letters, k=chance.randint(3, 9))) for _ in range(20)] for _ in range(count)]


@pytest.mark.parametrize(
    "other",
    [
        LONG,
        LONG.upper(),
        LONG.replace(",", " -- ").replace(" ", "\n"),
        f"  {LONG}!",
        LONG.replace("two", "2"),
        LONG.replace("diaries", "diarys"),
    ],
)
def test_texts_that_are_nearly_the_same_share_a_group(other: str) -> None:
    assert same([LONG, other])


@pytest.mark.parametrize(
    "other",
    [
        "",
        "A convolutional network",
        LONG.replace("weather diaries from lighthouses", "recipes"),
        LONG[: len(LONG) // 2],
    ],
)
def test_texts_that_share_a_part_do_not(other: str) -> None:
    assert not same([LONG, other])


def test_there_is_a_number_for_each_text() -> None:
    groups = duplicate_groups([LONG, "something else entirely", LONG, "a third thing, unlike the others"])
    assert groups.shape == (4,)
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 3


def test_a_chain_of_small_changes_is_one_group() -> None:
    chain = [LONG]
    for old, new in [("weather", "tide"), ("lighthouses", "harbours"), ("wind", "rain"), ("table", "map")]:
        chain.append(chain[-1].replace(old, new))
        assert similarity(chain[-2], chain[-1]) >= 0.8
    assert same(chain)
    assert not same([chain[0], chain[-1]])


@pytest.mark.parametrize("text", ["", "!!!", "🎉🎉", "a", "日本", "\ud800 half a surrogate pair"])
def test_short_and_odd_texts_equal_themselves_and_nothing_else(text: str) -> None:
    groups = duplicate_groups([text, LONG, text]).tolist()
    assert groups[0] == groups[2] != groups[1]


def test_texts_without_any_word_are_told_apart() -> None:
    assert not same(["🎉🎉🎉🎉🎉🎉", "!!!"])


def test_one_changed_word_in_a_sentence_of_twenty_is_found() -> None:
    # A pair that is missed can stand in train and test. All of these pairs are above the documented .8.
    chance = random.Random(1)
    texts: list[str] = []
    for words, others in zip(sentences(150, seed=0), sentences(150, seed=2), strict=True):
        position = chance.randrange(20)
        texts += [" ".join(words), " ".join([*words[:position], others[0], *words[position + 1 :]])]
    assert all(similarity(texts[index], texts[index + 1]) >= 0.8 for index in range(0, len(texts), 2))
    groups = duplicate_groups(texts)
    found = groups[::2] == groups[1::2]
    assert found.mean() > 0.99


def test_unlike_sentences_are_never_grouped() -> None:
    texts = [" ".join(words) for words in sentences(300, seed=3)]
    assert len(set(duplicate_groups(texts).tolist())) == 300


def test_groups_do_not_depend_on_the_order_of_the_texts() -> None:
    texts = [" ".join(words) for words in sentences(40, seed=4)]
    texts += [f"{text} more" for text in texts[::3]] + texts[::5]
    order = np.random.default_rng(0).permutation(len(texts))
    straight = duplicate_groups(texts)
    turned = np.empty_like(straight)
    turned[order] = duplicate_groups([texts[index] for index in order])
    assert ((straight[:, None] == straight) == (turned[:, None] == turned)).all()


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=[])), min_size=1, max_size=6), again=st.integers(0, 5))
def test_any_texts_are_grouped_and_equal_ones_together(texts: list[str], again: int) -> None:
    repeated = [*texts, texts[again % len(texts)]]
    groups = duplicate_groups(repeated)
    assert groups.shape == (len(repeated),)
    assert groups[-1] == groups[again % len(texts)]
