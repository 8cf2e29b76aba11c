"""Texts to token ids: vocabularies learnt from train texts, or those that came with a pretrained encoder."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from tokenizers.trainers import BpeTrainer, Trainer, WordLevelTrainer

from ratchet.neural.settings import Tokens

TokenIds = npt.NDArray[np.int64]
PADDING = 0  # the id of "[PAD]" in every vocabulary that is learnt here
_UNKNOWN = "[UNK]"
_WORD = Regex(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*")


def learn_tokenizer(texts: Sequence[str], tokens: Tokens, *, vocabulary_size: int, min_count: int) -> Tokenizer:
    """A tokenizer with the commonest tokens of `texts` (train alone); id 0 is padding, id 1 anything unknown.

    Words are runs of letters and digits, compatibility-normalised and in lower case; sub-words are byte-pair merges
    within words (Sennrich et al. 2016); characters are all there are, blanks included.
    """
    size, special = max(vocabulary_size, 2), ["[PAD]", _UNKNOWN]
    trainer: Trainer
    if tokens is Tokens.subword:
        tokenizer = Tokenizer(BPE(unk_token=_UNKNOWN))
        # Without a prefix for tokens within words: the trainer would number those in an order of chance.
        trainer = BpeTrainer(vocab_size=size, min_frequency=min_count, show_progress=False, special_tokens=special)
    else:
        tokenizer = Tokenizer(WordLevel({"[PAD]": PADDING, _UNKNOWN: 1}, unk_token=_UNKNOWN))
        trainer = WordLevelTrainer(
            vocab_size=size, min_frequency=min_count, show_progress=False, special_tokens=special
        )
    blanks = normalizers.Replace(Regex(r"\s+"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), blanks])
    if tokens is Tokens.character:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(_WORD, "removed", invert=True)
    tokenizer.train_from_iterator(map(readable, texts), trainer)
    return tokenizer


def token_ids(tokenizer: Tokenizer, texts: Sequence[str], padding: int) -> list[TokenIds]:
    """The token ids of each text, at least one (`padding`, where a text holds no token)."""
    encoded = tokenizer.encode_batch([readable(text) for text in texts])
    return [np.array(each.ids or [padding], dtype=np.int64) for each in encoded]


def readable(text: str) -> str:
    """`text` with half a surrogate pair replaced by a question mark: tokenizers take UTF-8 only."""
    return text.encode("utf-8", "replace").decode("utf-8")


def limit_length(tokenizer: Tokenizer, max_length: int) -> None:
    """Cut texts after `max_length` tokens, and leave padding to the batches."""
    tokenizer.enable_truncation(max_length)
    tokenizer.no_padding()
