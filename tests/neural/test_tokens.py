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
ANY_TEXTS = st.lists(st.text(st.characters(exclude_categories=[])), max_size=5)  # halves of surrogate pairs, too

LEARN = """
import json
from ratchet.neural.settings import Tokens
from ratchet.neural.tokens import learn_tokenizer
texts, size, kinds = json.load(open("texts.json", encoding="utf-8"))
kinds = [Tokens(kind) for kind in kinds]
print(json.dumps([learn_tokenizer(texts, each, vocabulary_size=size, min_count=1).to_str() for each in kinds]))
"""


def learnt(tokens: Tokens, *texts: str, size: int = 1000, min_count: int = 1) -> Tokenizer:
    return learn_tokenizer(texts, tokens, vocabulary_size=size, min_count=min_count)


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    """The tokens of `text` as strings."""
    tokens: list[str] = tokenizer.encode(text).tokens
    return tokens


def full_of_ties() -> list[str]:
    """Texts whose words are all about as common as each other, more of them than a small vocabulary holds."""
    generator = np.random.default_rng(0)
    words = ["".join(generator.choice(list("abcdefghij"), 5)) for _ in range(150)]
    return [" ".join(words[start : start + 10]) for start in range(0, 150, 10)]


@KINDS
def test_learning_again_gives_the_same_tokens_ties_included(tokens: Tokens) -> None:
    texts = full_of_ties()
    assert len({learnt(tokens, *texts, size=80).to_str() for _ in range(10)}) == 1


def test_learning_in_another_process_gives_the_same_tokens(tmp_path: Path) -> None:
    texts, size = full_of_ties(), 80
    (tmp_path / "texts.json").write_text(json.dumps([texts, size, [kind.value for kind in LEARNT]]), encoding="utf-8")
    here = [learnt(tokens, *texts, size=size).to_str() for tokens in LEARNT]
    for hash_seed in ("1", "2"):
        done = run_command(sys.executable, "-c", LEARN, cwd=tmp_path, PYTHONHASHSEED=hash_seed)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == here


@KINDS
def test_padding_is_0_and_unknown_is_1(tokens: Tokens) -> None:
    tokenizer = learnt(tokens, "abc")
    assert PADDING == 0
    assert (tokenizer.id_to_token(0), tokenizer.id_to_token(1)) == ("[PAD]", "[UNK]")
    (ids,) = token_ids(tokenizer, ["z"], PADDING)
    assert ids.tolist() == [1]


@KINDS
@pytest.mark.parametrize("special", ["[PAD]", "[UNK]"])
def test_a_text_that_spells_a_special_token_holds_ordinary_characters(tokens: Tokens, special: str) -> None:
    texts = ["pad unk", "[pad] [unk]", special]
    ordinary, spelt = token_ids(learnt(tokens, *texts), [special.lower(), special], PADDING)
    assert spelt.tolist() == ordinary.tolist()


@pytest.mark.parametrize("tokens", [Tokens.character, Tokens.word])
def test_tokens_below_the_minimal_count_are_unknown(tokens: Tokens) -> None:
    tokenizer = learnt(tokens, "a a a b b c", min_count=2)
    assert set(tokenizer.get_vocab()) - {" "} == {"[PAD]", "[UNK]", "a", "b"}


def test_merges_below_the_minimal_count_are_not_made() -> None:
    assert pieces(learnt(Tokens.subword, "ab ab cd", min_count=2), "ab cd") == ["ab", "c", "d"]


def test_the_commonest_tokens_are_kept() -> None:
    tokenizer = learnt(Tokens.word, "four one two four three four three two three four", size=4)
    assert set(tokenizer.get_vocab()) == {"[PAD]", "[UNK]", "four", "three"}


@KINDS
@pytest.mark.parametrize("size", [2, 3, 10, 60])
def test_a_vocabulary_is_no_larger_than_asked_for(tokens: Tokens, size: int) -> None:
    texts = [*full_of_ties(), "the quick brown fox jumps over the lazy dog 0123456789"]
    assert learnt(tokens, *texts, size=size).get_vocab_size() <= size


@KINDS
def test_a_vocabulary_of_nothing_still_encodes(tokens: Tokens) -> None:
    tokenizer = learnt(tokens, size=0)
    assert tokenizer.get_vocab_size() == 2
    (ids,) = token_ids(tokenizer, ["word"], PADDING)
    assert set(ids.tolist()) == {1}


def test_words_are_runs_of_letters_and_digits_in_lower_case() -> None:
    tokenizer = learnt(Tokens.word, "Ｃｏｎｖ-Nets, GPT4_turbo (don't)!")
    assert pieces(tokenizer, "conv nets gpt4 turbo don t") == ["conv", "nets", "gpt4", "turbo", "don", "t"]
    assert "[UNK]" not in pieces(tokenizer, "CONV/NETS")


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
def test_words_of_any_script_are_whole(text: str, words: list[str]) -> None:
    assert pieces(learnt(Tokens.word, text), text) == words


def test_characters_are_all_there_are_and_blanks_are_one_blank() -> None:
    assert pieces(learnt(Tokens.character, "A-b 🎤\t\n  c"), "a-b\u3000🎤 \r\n C") == list("a-b 🎤 c")


def test_subwords_are_parts_of_one_word_that_spell_it() -> None:
    tokenizer = learnt(Tokens.subword, "low lower lowest newer wider " * 5, size=25)
    assert pieces(tokenizer, "low") == ["low"]
    assert "".join(pieces(tokenizer, "lowest-widest slower")) == "lowestwidestslower"
    assert len(pieces(tokenizer, "slower")) > 1
    together = learnt(Tokens.subword, "new york " * 50)
    assert pieces(together, "newyork") == ["new", "york"], "merges stop where words end"


@KINDS
def test_half_a_surrogate_pair_is_read_as_a_question_mark(tokens: Tokens) -> None:
    tokenizer = learnt(tokens, "a?b \ud83d")
    broken, mark = token_ids(tokenizer, ["a\ud800b", "a?b"], PADDING)
    assert broken.tolist() == mark.tolist()
    assert readable("\udc00 🎤") == "? 🎤"


@pytest.mark.parametrize(
    ("tokens", "text"),
    [(tokens, "") for tokens in LEARNT] + [(tokens, " 🎤 !?") for tokens in (Tokens.word, Tokens.subword)],
)
def test_a_text_without_a_token_is_one_padding_token(tokens: Tokens, text: str) -> None:
    (ids,) = token_ids(learnt(tokens, "a b", text), [text], 7)
    assert ids.tolist() == [7]


@KINDS
def test_texts_are_cut_after_so_many_tokens(tokens: Tokens) -> None:
    tokenizer = learnt(tokens, "a b c d e f")
    whole = token_ids(tokenizer, ["a b c d e f", "a"], PADDING)
    limit_length(tokenizer, 4)
    cut = token_ids(tokenizer, ["a b c d e f", "a"], PADDING)
    assert [each.tolist() for each in cut] == [each.tolist()[:4] for each in whole]


def test_padding_is_left_to_the_batches() -> None:
    tokenizer = learnt(Tokens.word, "a b c")
    tokenizer.enable_padding(length=10)
    limit_length(tokenizer, 5)
    assert [len(each) for each in token_ids(tokenizer, ["a", "a b c"], PADDING)] == [1, 3]


@KINDS
def test_no_texts_have_no_tokens(tokens: Tokens) -> None:
    assert token_ids(learnt(tokens, "a"), [], PADDING) == []


@KINDS
@given(texts=ANY_TEXTS)
@hypothesis_settings(max_examples=50, deadline=None)
def test_any_text_has_ids_of_the_vocabulary_that_it_was_learnt_from_or_not(tokens: Tokens, texts: list[str]) -> None:
    for tokenizer in (learnt(tokens, "some words of train"), learnt(tokens, *texts, size=20)):
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
def test_any_texts_are_learnt_the_same_way_twice(tokens: Tokens, texts: list[str]) -> None:
    assert learnt(tokens, *texts, size=20).to_str() == learnt(tokens, *texts, size=20).to_str()


def test_what_is_too_long_for_a_word_teaches_nothing_but_its_letters() -> None:
    """It took half a minute, for one text of this kind."""
    texts = ["the cats and the dogs"] * 3
    endless = "".join(chr(97 + number % 26) for number in range(200_000))
    without, beside = learnt(Tokens.subword, *texts), learnt(Tokens.subword, *texts, endless)
    assert {token for token in beside.get_vocab() if len(token) > 1} == {
        token for token in without.get_vocab() if len(token) > 1
    }
    assert "xxxx" in learnt(Tokens.subword, "x" * 100).get_vocab(), "a word of a hundred letters still teaches"
