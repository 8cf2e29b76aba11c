"""Texts to token ids: vocabularies learnt from train texts, or those that came with a pretrained encoder."""

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
    """A tokenizer with the commonest tokens of `texts` (train alone); id 0 is padding, id 1 anything unknown.

    Words are runs of letters and digits, compatibility-normalised and in lower case; sub-words are byte-pair merges
    within words of up to 100 letters (Sennrich et al. 2016); characters are all there are, blanks included.
    """
    assert tokens is not Tokens.pretrained, "these come with an encoder"
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
        # Without a prefix for tokens within words, and with an alphabet of ours: the trainer goes by chance in both.
        alphabet = _commonest_characters(tokenizer, texts, size - len(special))
        trainer = BpeTrainer(initial_alphabet=alphabet, limit_alphabet=len(alphabet), **known)
        # Learning merges costs the square of a word's length: half a minute for 20,000 letters without a blank.
        texts = [_NO_WORD.sub(" ", text) for text in texts]
    tokenizer.train_from_iterator(map(readable, texts), trainer)
    return tokenizer


def _commonest_characters(tokenizer: Tokenizer, texts: Sequence[str], most: int) -> list[str]:
    """The characters of the words of `texts`, commonest first, of equals the first in Unicode."""
    counts: Counter[str] = Counter()
    for text in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(readable(text))):
            counts.update(word)
    return sorted(counts, key=lambda character: (-counts[character], character))[:most]


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[Encoding]:
    """Tokens with their places; a text that spells "[SEP]" or the like gets the letters, not the special token."""
    tokenizer.encode_special_tokens = True
    return list(tokenizer.encode_batch([readable(text) for text in texts]))


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], padding: int) -> list[TokenIds]:
    """The token ids of each text, at least one (`padding`, where a text holds no token)."""
    return [np.array(each.ids or [padding], dtype=np.int64) for each in encode(tokenizer, texts)]


def readable(text: str) -> str:
    """`text` with half a surrogate pair replaced by a question mark: tokenizers take UTF-8 only."""
    return text.encode("utf-8", "replace").decode("utf-8")


def limit_length(tokenizer: Tokenizer, max_length: int) -> None:
    """Cut texts after `max_length` tokens, and leave padding to the batches."""
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
