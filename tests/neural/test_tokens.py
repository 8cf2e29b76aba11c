import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.commands import run_command
from tokenizers import Tokenizer

from ratchet.neural.settings import Tokens
from ratchet.neural.tokens import PADDING, learn_tokenizer, limit_length, readable, token_ids

LEARNT = [Tokens.character, Tokens.word, Tokens.subword]
KINDS = pytest.mark.parametrize("tokens", LEARNT, ids=lambda tokens: tokens.value)
ANY_TEXTS = st.lists(st.text(st.characters(exclude_categories=[])), max_size=5)  # including unpaired surrogates

LEARN = """
import json
from ratchet.neural.settings import Tokens
from ratchet.neural.tokens import learn_tokenizer
texts, size, kinds = json.load(open("texts.json", encoding="utf-8"))
kinds = [Tokens(kind) for kind in kinds]
print(json.dumps([learn_tokenizer(texts, each, vocabulary_size=size, min_count=1).to_str() for each in kinds]))
"""


def learn(tokens: Tokens, *texts: str, size: int = 1000, min_count: int = 1) -> Tokenizer:
    return learn_tokenizer(texts, tokens, vocabulary_size=size, min_count=min_count)


def tokenize(tokenizer: Tokenizer, text: str) -> list[str]:
    """Return the tokens of `text` as strings."""
    tokens: list[str] = tokenizer.encode(text).tokens
    return tokens


def make_texts_with_ties() -> list[str]:
    """Return texts of words that are about equally common, more words than a small vocabulary holds."""
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("abcdefghij"), 5)) for _ in range(150)]
    return [" ".join(words[start : start + 10]) for start in range(0, 150, 10)]


@KINDS
def test_learning_is_deterministic_with_ties(tokens: Tokens) -> None:
    texts = make_texts_with_ties()
    assert len({learn(tokens, *texts, size=80).to_str() for _ in range(10)}) == 1


def test_learning_in_another_process_gives_same_tokens(tmp_path: Path) -> None:
    texts, size = make_texts_with_ties(), 80
    (tmp_path / "texts.json").write_text(json.dumps([texts, size, [kind.value for kind in LEARNT]]), encoding="utf-8")
    expected = [learn(tokens, *texts, size=size).to_str() for tokens in LEARNT]
    for hash_seed in ("1", "2"):
        process = run_command(sys.executable, "-c", LEARN, cwd=tmp_path, PYTHONHASHSEED=hash_seed)
        assert process.returncode == 0, process.stderr
        assert json.loads(process.stdout) == expected


@KINDS
def test_padding_is_0_and_unknown_is_1(tokens: Tokens) -> None:
    tokenizer = learn(tokens, "abc")
    assert PADDING == 0
    assert (tokenizer.id_to_token(0), tokenizer.id_to_token(1)) == ("[PAD]", "[UNK]")
    (ids,) = token_ids(tokenizer, ["z"], PADDING)
    assert ids.tolist() == [1]


@KINDS
@pytest.mark.parametrize("special", ["[PAD]", "[UNK]"])
def test_special_token_in_text_is_ordinary_text(tokens: Tokens, special: str) -> None:
    texts = ["pad unk", "[pad] [unk]", special]
    ordinary, spelt = token_ids(learn(tokens, *texts), [special.lower(), special], PADDING)
    assert spelt.tolist() == ordinary.tolist()


@pytest.mark.parametrize("tokens", [Tokens.character, Tokens.word])
def test_tokens_below_min_count_are_unknown(tokens: Tokens) -> None:
    tokenizer = learn(tokens, "a a a b b c", min_count=2)
    assert set(tokenizer.get_vocab()) - {" "} == {"[PAD]", "[UNK]", "a", "b"}


def test_merges_below_min_count_are_not_learnt() -> None:
    assert tokenize(learn(Tokens.subword, "ab ab cd", min_count=2), "ab cd") == ["ab", "c", "d"]


def test_most_frequent_tokens_are_kept() -> None:
    tokenizer = learn(Tokens.word, "four one two four three four three two three four", size=4)
    assert set(tokenizer.get_vocab()) == {"[PAD]", "[UNK]", "four", "three"}


@KINDS
@pytest.mark.parametrize("size", [2, 3, 10, 60])
def test_vocabulary_does_not_exceed_requested_size(tokens: Tokens, size: int) -> None:
    texts = [*make_texts_with_ties(), "the quick brown fox jumps over the lazy dog 0123456789"]
    assert learn(tokens, *texts, size=size).get_vocab_size() <= size


@KINDS
def test_empty_vocabulary_still_encodes_texts(tokens: Tokens) -> None:
    tokenizer = learn(tokens, size=0)
    assert tokenizer.get_vocab_size() == 2
    (ids,) = token_ids(tokenizer, ["word"], PADDING)
    assert set(ids.tolist()) == {1}


def test_words_are_lowercase_runs_of_letters_and_digits() -> None:
    tokenizer = learn(Tokens.word, "Ｃｏｎｖ-Nets, GPT4_turbo (don't)!")
    assert tokenize(tokenizer, "conv nets gpt4 turbo don t") == ["conv", "nets", "gpt4", "turbo", "don", "t"]
    assert "[UNK]" not in tokenize(tokenizer, "CONV/NETS")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा"]),  # vowel signs and the virama are marks within a word
        ("cafe\u0301 x\u0301y", ["café", "x\u0301y"]),
        ("Ünïcödé ﬁne ①", ["ünïcödé", "fine", "1"]),
        ("🎤 speech 👩🏽\u200d💻", ["speech"]),
        ("機械 学習", ["機械", "学習"]),
    ],
)
def test_words_of_any_script_are_not_split(text: str, words: list[str]) -> None:
    assert tokenize(learn(Tokens.word, text), text) == words


def test_character_tokens_collapse_blanks_to_one() -> None:
    assert tokenize(learn(Tokens.character, "A-b 🎤\t\n  c"), "a-b\u3000🎤 \r\n C") == list("a-b 🎤 c")


def test_subwords_spell_words_without_crossing_word_boundaries() -> None:
    tokenizer = learn(Tokens.subword, "low lower lowest newer wider " * 5, size=25)
    assert tokenize(tokenizer, "low") == ["low"]
    assert "".join(tokenize(tokenizer, "lowest-widest slower")) == "lowestwidestslower"
    assert len(tokenize(tokenizer, "slower")) > 1
    together = learn(Tokens.subword, "new york " * 50)
    assert tokenize(together, "newyork") == ["new", "york"], "merges stop where words end"


@KINDS
def test_unpaired_surrogate_is_read_as_question_mark(tokens: Tokens) -> None:
    tokenizer = learn(tokens, "a?b \ud83d")
    broken, mark = token_ids(tokenizer, ["a\ud800b", "a?b"], PADDING)
    assert broken.tolist() == mark.tolist()
    assert readable("\udc00 🎤") == "? 🎤"


@pytest.mark.parametrize(
    ("tokens", "text"),
    [(tokens, "") for tokens in LEARNT] + [(tokens, " 🎤 !?") for tokens in (Tokens.word, Tokens.subword)],
)
def test_text_without_tokens_is_one_padding_token(tokens: Tokens, text: str) -> None:
    (ids,) = token_ids(learn(tokens, "a b", text), [text], 7)
    assert ids.tolist() == [7]


@KINDS
def test_texts_are_truncated_to_length_limit(tokens: Tokens) -> None:
    tokenizer = learn(tokens, "a b c d e f")
    full = token_ids(tokenizer, ["a b c d e f", "a"], PADDING)
    limit_length(tokenizer, 4)
    truncated = token_ids(tokenizer, ["a b c d e f", "a"], PADDING)
    assert [ids.tolist() for ids in truncated] == [ids.tolist()[:4] for ids in full]


def test_token_ids_are_not_padded() -> None:
    tokenizer = learn(Tokens.word, "a b c")
    tokenizer.enable_padding(length=10)
    limit_length(tokenizer, 5)
    assert [len(ids) for ids in token_ids(tokenizer, ["a", "a b c"], PADDING)] == [1, 3]


@KINDS
def test_no_texts_give_no_token_ids(tokens: Tokens) -> None:
    assert token_ids(learn(tokens, "a"), [], PADDING) == []


@KINDS
@given(texts=ANY_TEXTS)
@hypothesis_settings(max_examples=50, deadline=None)
def test_ids_of_any_text_are_within_vocabulary(tokens: Tokens, texts: list[str]) -> None:
    for tokenizer in (learn(tokens, "some words of train"), learn(tokens, *texts, size=20)):
        limit_length(tokenizer, 8)
        encoded = token_ids(tokenizer, texts, PADDING)
        assert len(encoded) == len(texts)
        for ids in encoded:
            assert ids.dtype == np.int64
            assert 1 <= len(ids) <= 8
            assert ((ids >= 0) & (ids < tokenizer.get_vocab_size())).all()


@KINDS
@given(texts=ANY_TEXTS)
@hypothesis_settings(max_examples=50, deadline=None)
def test_learning_from_any_texts_is_deterministic(tokens: Tokens, texts: list[str]) -> None:
    assert learn(tokens, *texts, size=20).to_str() == learn(tokens, *texts, size=20).to_str()


def test_overlong_word_adds_only_its_letters() -> None:
    """Such a text once took half a minute to learn from."""
    texts = ["the cats and the dogs"] * 3
    endless = "".join(chr(97 + number % 26) for number in range(200_000))
    without, with_endless = learn(Tokens.subword, *texts), learn(Tokens.subword, *texts, endless)
    assert {token for token in with_endless.get_vocab() if len(token) > 1} == {
        token for token in without.get_vocab() if len(token) > 1
    }
    assert "xxxx" in learn(Tokens.subword, "x" * 100).get_vocab(), "a word of a hundred letters is still learnt from"
