"""The settings of the lexical classifier: which n-grams, how much names of labels count, how much freedom."""

from dataclasses import dataclass, field

from ratchet.config import InvalidSetting, bounded


@dataclass
class LexicalSettings:
    """N-gram lengths as [shortest, longest], words and characters within words; `C` is 1 / regularisation.

    `min_df` drops n-grams of fewer train texts, `stop_words` (english or null) drops words before n-grams are made.
    A name of a label or of another entry of the taxonomy that stands in a text is a feature of `mention_weight`; all
    n-grams of a kind have length 1 together.
    """

    word_ngrams: list[int] = field(default_factory=lambda: [1, 2])
    char_ngrams: list[int] | None = field(default_factory=lambda: [3, 5])
    stop_words: str | None = "english"
    min_df: int = bounded(1, low=1)
    mention_weight: float = bounded(0.3, low=0, high=10)  # far above either bound, the texts' products are no longer
    C: float = bounded(1.5, above=0, high=1000)  # positive definite: they are rounded to float32


def check_lexical(settings: LexicalSettings, within: str = "") -> None:
    """Refuse what no type tells; `within` is the path of the settings, as in "lexical.".

    Raises:
        InvalidSetting: no range of n-grams, or stop words of another language.
    """
    for name in ("word_ngrams", "char_ngrams"):
        ngrams = getattr(settings, name)
        if isinstance(ngrams, list) and not (len(ngrams) == 2 and 1 <= ngrams[0] <= ngrams[1]):
            raise InvalidSetting(within + name, ngrams, "must be [shortest, longest], as [1, 2]")
    if settings.stop_words not in (None, "english"):
        raise InvalidSetting(f"{within}stop_words", settings.stop_words, "must be english or null")
