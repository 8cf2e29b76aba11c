import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.data import near_duplicates
from ratchet.data.near_duplicates import group_duplicates
from ratchet.data.taxonomy import words

LONG = (
    "A convolutional network that reads handwritten weather diaries from lighthouses, line by line, "
    "and turns two hundred years of wind and fog into a table"
)


def share_group(texts: list[str]) -> bool:
    return len(set(group_duplicates(texts).tolist())) == 1


def cut_shingles(text: str) -> set[str]:
    return {text[start : start + 5] for start in range(len(text) - 4)}


def compute_similarity(left: str, right: str) -> float:
    return len(cut_shingles(left) & cut_shingles(right)) / len(cut_shingles(left) | cut_shingles(right))


def make_sentences(count: int, seed: int) -> list[list[str]]:
    """Return `count` sentences of twenty random words each."""
    generator = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [["".join(generator.choices(letters, k=generator.randint(3, 9))) for _ in range(20)] for _ in range(count)]


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        LONG.upper(),
        LONG.replace(",", " -- ").replace(" ", "\n"),
        f"  {LONG}!",
        LONG.replace("two", "2"),
        LONG.replace("diaries", "diarys"),
    ],
)
def test_near_duplicates_share_a_group(text: str) -> None:
    assert share_group([LONG, text])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A convolutional network",
        LONG.replace("weather diaries from lighthouses", "recipes"),
        LONG[: len(LONG) // 2],
    ],
)
def test_texts_with_a_common_part_have_separate_groups(text: str) -> None:
    assert not share_group([LONG, text])


def test_each_text_has_a_group_number() -> None:
    groups = group_duplicates([LONG, "something else entirely", LONG, "a third thing, unlike the others"])
    assert groups.shape == (4,)
    assert groups[0] == groups[2]
    assert len(set(groups.tolist())) == 3


def test_chain_of_small_changes_is_one_group() -> None:
    chain = [LONG]
    for old, new in [("weather", "tide"), ("lighthouses", "harbours"), ("wind", "rain"), ("table", "map")]:
        chain.append(chain[-1].replace(old, new))
        assert compute_similarity(chain[-2], chain[-1]) >= 0.8
    assert share_group(chain)
    assert not share_group([chain[0], chain[-1]])


@pytest.mark.parametrize("text", ["", "!!!", "🎉🎉", "a", "日本", "\ud800 half a surrogate pair"])
def test_short_and_odd_texts_match_only_themselves(text: str) -> None:
    groups = group_duplicates([text, LONG, text]).tolist()
    assert groups[0] == groups[2] != groups[1]


def test_texts_without_words_are_distinguished() -> None:
    assert not share_group(["🎉🎉🎉🎉🎉🎉", "!!!"])


def test_one_changed_word_in_twenty_is_a_near_duplicate() -> None:
    # An undetected pair may be split between train and test. All pairs here have a similarity of at least .8.
    generator = random.Random(1)
    texts: list[str] = []
    for original, replacements in zip(make_sentences(150, seed=0), make_sentences(150, seed=2), strict=True):
        position = generator.randrange(20)
        changed = [*original[:position], replacements[0], *original[position + 1 :]]
        texts += [" ".join(original), " ".join(changed)]
    assert all(compute_similarity(texts[index], texts[index + 1]) >= 0.8 for index in range(0, len(texts), 2))
    groups = group_duplicates(texts)
    same_group = groups[::2] == groups[1::2]
    assert same_group.mean() > 0.99


def test_dissimilar_sentences_are_never_grouped() -> None:
    texts = [" ".join(words) for words in make_sentences(300, seed=3)]
    assert len(set(group_duplicates(texts).tolist())) == 300


def test_groups_do_not_depend_on_text_order() -> None:
    texts = [" ".join(words) for words in make_sentences(40, seed=4)]
    texts += [f"{text} more" for text in texts[::3]] + texts[::5]
    order = np.random.default_rng(0).permutation(len(texts))
    expected = group_duplicates(texts)
    permuted = np.empty_like(expected)
    permuted[order] = group_duplicates([texts[index] for index in order])
    assert ((expected[:, None] == expected) == (permuted[:, None] == permuted)).all()


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=[])), min_size=1, max_size=6), position=st.integers(0, 5)
)
def test_equal_texts_are_always_grouped_together(texts: list[str], position: int) -> None:
    repeated = [*texts, texts[position % len(texts)]]
    groups = group_duplicates(repeated)
    assert groups.shape == (len(repeated),)
    assert groups[-1] == groups[position % len(texts)]


def list_similar_pairs(texts: list[str], similarity: float) -> list[set[int]]:
    """Return the pairs of similar texts, by comparing all of them."""
    shingles = [cut_shingles(text) for text in texts]
    return [
        {left, right}
        for left in range(len(texts))
        for right in range(left)
        if len(shingles[left] & shingles[right]) >= similarity * len(shingles[left] | shingles[right])
    ]


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.7, 0.8, 0.9])
def test_nearly_all_similar_pairs_and_no_others_are_grouped(similarity: float) -> None:
    generator = random.Random(5)
    texts: list[str] = []
    for sentence in make_sentences(100, seed=6):
        text = " ".join(sentence)
        added = int(2 * generator.random() * len(text) * (1 / similarity - 1))  # half of the pairs are similar
        texts += [text, text + " " + "".join(generator.choices("abcdefghijk", k=added))]
    groups = group_duplicates(texts, similarity)
    similar = list_similar_pairs(texts, similarity)
    found = [len({int(groups[row]) for row in pair}) == 1 for pair in similar]
    assert len(similar) > 10
    assert np.mean(found) >= 0.99
    # The pairs are disjoint, so that every group of two is one of them: no other texts are joined.
    assert len(texts) - len(set(groups.tolist())) == sum(found)


def test_pairs_clearly_above_the_similarity_are_found_among_many_texts() -> None:
    generator = random.Random(7)
    originals = make_sentences(1500, seed=8)
    texts = [" ".join(original) for original in originals]
    copies = []
    for original in originals:
        position = generator.randrange(19)
        copies.append(" ".join([*original[:position], original[position][::-1], *original[position + 1 :]]))
    pairs = [row for row in range(1500) if compute_similarity(texts[row], copies[row]) >= 0.85]
    groups = group_duplicates(texts + copies)
    assert len(pairs) > 300
    assert np.mean([groups[row] == groups[1500 + row] for row in pairs]) >= 0.99


@pytest.mark.parametrize(
    "form",
    [
        "Your parcel number {} has left our warehouse and will reach you within the next three or four working days.",
        "ALERT {}: the temperature of the cooling unit in the northern hall has been above its limit for ten minutes",
        "Guten Tag, zu Ihrer Anfrage {} haben wir heute eine Antwort geschrieben; sie liegt in Ihrem Postfach bereit.",
    ],
)
def test_texts_of_one_template_are_one_group(form: str) -> None:
    assert share_group([form.format(number * 7919 % 99_991) for number in range(3000)])


def test_texts_of_several_templates_are_separate_groups() -> None:
    templates = [" ".join(words) for words in make_sentences(40, seed=9)]
    texts = [f"{template} {number}" for number in range(60) for template in templates]
    assert group_duplicates(texts).tolist() == list(range(40)) * 60


def test_work_grows_linearly_with_texts_that_are_almost_similar(monkeypatch: pytest.MonkeyPatch) -> None:
    # Texts with a long common part and a similarity of about .7 are candidates, but no pair is similar.
    generator = random.Random(10)
    form = "we have received the order {} and shall send the goods to your address within the next two weeks"
    texts = [form.format("".join(generator.choices("abcdefghijklmnopqrstuvwxyz", k=14))) for _ in range(800)]
    assert 0.6 < compute_similarity(texts[0], texts[1]) < 0.8
    compared = 0
    join = near_duplicates.DisjointSets.find

    def count(sets: near_duplicates.DisjointSets, row: int) -> int:
        nonlocal compared
        compared += 1
        return join(sets, row)

    monkeypatch.setattr(near_duplicates.DisjointSets, "find", count)
    assert len(set(group_duplicates(texts).tolist())) == 800
    assert compared < 800 * 200  # all pairs would be 800 * 799


def test_exact_duplicates_ignore_case_and_punctuation_only() -> None:
    texts = [LONG, LONG.upper(), f"  {LONG}!", LONG.replace("two", "2"), "another text", "Another, text"]
    assert group_duplicates(texts, near=False).tolist() == [0, 0, 0, 1, 2, 2]


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_texts_are_normalised_like_others(text: str) -> None:
    assert near_duplicates.normalise(text) == (" ".join(words(text)) or text)


def test_long_texts_are_compared_over_their_full_length() -> None:
    long = [" ".join(" ".join(words) for words in make_sentences(200, seed=seed)) for seed in (11, 12)]
    assert len(long[0]) > 20_000
    half = long[0][: len(long[0]) // 2] + long[1][len(long[1]) // 2 :]
    groups = group_duplicates([*long, f"{long[0]} and a few more words", half])
    assert groups.tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize("texts", [[], ["one text"], ["a", "a"], ["", ""]])
def test_few_texts_are_grouped(texts: list[str]) -> None:
    assert group_duplicates(texts).tolist() == [0] * len(texts)


def test_groups_are_numbered_by_their_first_text() -> None:
    assert group_duplicates(["c", "a", "c", "b", "a"]).tolist() == [0, 1, 0, 2, 1]


def test_sets_are_joined_transitively() -> None:
    sets = near_duplicates.DisjointSets(6)
    for left, right in [(4, 5), (2, 4), (0, 2), (1, 3)]:
        sets.join(left, right)
    assert sets.number().tolist() == [0, 1, 0, 1, 0, 0]
