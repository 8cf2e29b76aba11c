import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.data.words import english_stemmer, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PyTorch, and TensorFlow 2.0!", ["pytorch", "and", "tensorflow", "2", "0"]),
        ("time-series_analysis/forecasting", ["time", "series", "analysis", "forecasting"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ﬁne-tuning", ["fine", "tuning"]),
        ("ＧＰＴ", ["gpt"]),
        ("Модель 模型 ３", ["модель", "模型", "3"]),
        ("don't", ["don", "t"]),
        ("", []),
        (" -–_…🎉 ", []),
    ],
)
def test_words_are_letters_and_digits_in_one_form(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("word", ["हिन्दी", "தமிழ்", "Μαΐου", "İstanbul"])
def test_a_word_written_with_combining_marks_stays_whole(word: str) -> None:
    # Vowel signs are marks, not letters; folding case splits marks off some letters (Greek ΐ, Turkish İ).
    assert len(words(word)) == 1


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_the_unicode_normal_form_of_a_text_does_not_matter(text: str) -> None:
    forms = {tuple(words(unicodedata.normalize(form, text))) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert forms == {tuple(words(text))}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1)), st.sampled_from([" ", "-", "_", ", ", "\n"])
)
def test_words_come_back_in_their_order_whatever_separates_them(expected: list[str], separator: str) -> None:
    assert words(separator.join(expected).upper()) == expected


@pytest.mark.parametrize(
    ("word", "stem"),
    [("transformers", "transform"), ("segmentation", "segment"), ("networks", "network"), ("gan", "gan"), ("", "")],
)
def test_the_stemmer_takes_english_endings_off(word: str, stem: str) -> None:
    assert english_stemmer()(word) == stem
