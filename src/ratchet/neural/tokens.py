"""Convert texts to token ids, with a vocabulary learnt from train texts or that of a pretrained encoder."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import regex
from tokenizers import Encoding, Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from tokenizers.trainers import BpeTrainer, Trainer, WordLevelTrainer

from ratchet.neural.settings import Tokens

TokenIds = npt.NDArray[np.int64]
PADDING = 0  # the id of "[PAD]" in every vocabulary that is learnt here
_UNKNOWN = "[UNK]"
_WORD = Regex(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*")
_NO_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]{100,}")


def learn_tokenizer(texts: Sequence[str], tokens: Tokens, *, vocabulary_size: int, min_count: int) -> Tokenizer:
    """Return a tokenizer with the most frequent tokens of `texts` (train only); id 0 is padding, id 1 is unknown.

    Words are runs of letters and digits, compatibility-normalised and in lower case; sub-words are byte-pair merges
    within words of up to 100 letters (Sennrich et al. 2016); characters include blanks.
    """
    assert tokens is not Tokens.pretrained, "an encoder brings its own"
    size, special = max(vocabulary_size, 2), ["[PAD]", _UNKNOWN]
    model = BPE(unk_token=_UNKNOWN) if tokens is Tokens.subword else WordLevel({"[PAD]": 0, _UNKNOWN: 1}, _UNKNOWN)
    tokenizer = Tokenizer(model)
    blanks = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), blanks])
    if tokens is Tokens.character:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(_WORD, "removed", invert=True)
    known: dict[str, Any] = {
        "vocab_size": size,
        "min_frequency": min_count,
        "show_progress": False,
        "special_tokens": special,
    }
    trainer: Trainer = WordLevelTrainer(**known)
    if tokens is Tokens.subword:
        # No prefix for tokens within words, and our own alphabet: the trainer is not deterministic in either.
        alphabet = _commonest_characters(tokenizer, texts, size - len(special))
        trainer = BpeTrainer(initial_alphabet=alphabet, limit_alphabet=len(alphabet), **known)
        # Learning merges takes quadratic time in the length of a word: half a minute for 20,000 letters.
        texts = [_NO_WORD.sub(" ", text) for text in texts]
    tokenizer.train_from_iterator(map(readable, texts), trainer)
    return tokenizer


def _commonest_characters(tokenizer: Tokenizer, texts: Sequence[str], most: int) -> list[str]:
    """Return the characters of the words of `texts`, most frequent first; ties in the order of Unicode."""
    counts: Counter[str] = Counter()
    for text in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(readable(text))):
            counts.update(word)
    return sorted(counts, key=lambda character: (-counts[character], character))[:most]


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Encoding]:
    """Return tokens with their positions; a text that contains "[SEP]" gets its letters, not the special token."""
    tokenizer.encode_special_tokens = True
    return list(tokenizer.encode_batch([readable(text) for text in texts]))


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], padding: int) -> list[TokenIds]:
    """Return the token ids of each text, at least one (`padding` if a text has no token)."""
    return [np.array(encoding.ids or [padding], dtype=np.int64) for encoding in encode(tokenizer, texts)]


def readable(text: str) -> str:
    """Return `text` with lone surrogates replaced by question marks: tokenizers accept only UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def limit_length(tokenizer: Tokenizer, max_length: int) -> None:
    """Truncate texts at `max_length` tokens, and leave padding to the batches."""
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
