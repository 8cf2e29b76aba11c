"""Words of a text, the same way everywhere: Unicode letters and digits, case folded, hyphens separate."""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of `text`: NFKC-normalised and case folded, so that "PyTorch" and "pytorch" are one word."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


@lru_cache(maxsize=1)
def english_stemmer() -> Callable[[str], str]:
    """Snowball's English stemmer (Porter 2), with a cache."""
    import snowballstemmer

    return lru_cache(maxsize=100_000)(snowballstemmer.stemmer("english").stemWord)
