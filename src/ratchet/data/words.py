"""Words of a text, the same way everywhere: letters and digits of any script, case folded, hyphens separate."""

import unicodedata
from collections.abc import Callable
from functools import lru_cache

import regex

_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*")


def words(text: str) -> list[str]:
    """The words of `text`: NFKC-normalised and case folded, so that "PyTorch" and "pytorch" are one word."""
    found: list[str] = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return found


@lru_cache(maxsize=1)
def english_stemmer() -> Callable[[str], str]:
    """Snowball's English stemmer (Porter 2), with a cache."""
    import snowballstemmer

    return lru_cache(maxsize=100_000)(snowballstemmer.stemmer("english").stemWord)
