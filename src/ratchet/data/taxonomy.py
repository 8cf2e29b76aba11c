"""Read the taxonomy of labels (aliases and parents), and find the names of labels in texts."""

import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

from ratchet.data.labels import normalise_label
from ratchet.data.opening import decode, parse_json
from ratchet.data.sources import Content
from ratchet.data.values import BadValue, check_characters
from ratchet.errors import UserError

# Letters of the scripts that do not separate words: Chinese, Japanese, and those whose lines break only where a
# dictionary says so (Thai, Lao, Khmer, Burmese). Tibetan has a mark after each syllable, Korean has spaces.
_UNSPACED = r"[[\p{L}\p{Nl}]&&[\p{Han}\p{Hiragana}\p{Katakana}\p{Line_Break=Complex_Context}]]"
_SPACED = rf"[[\p{{L}}\p{{N}}]--{_UNSPACED}]"
_LENGTH_MARKS = "\u30fc"  # of Japanese: a letter of no script that lengthens the one before it
_WORD = regex.compile(rf"{_UNSPACED}[\p{{M}}{_LENGTH_MARKS}]*|{_SPACED}(?:{_SPACED}|\p{{M}})*", regex.VERSION1)
_UNSPACED_WORD = regex.compile(_UNSPACED, regex.VERSION1)
_SPACED_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*")  # twice as fast, for texts that need no more
_HIGH = regex.compile("[\u0e00-\U0010ffff]")  # all scripts without spaces are in this range, most others are not
_ASCII_WORD = regex.compile("[a-z0-9]+")
_CAMEL_CASE = regex.compile(r"(?<=\p{Ll}\p{Ll})(?=\p{Lu}\p{L})|(?<=\p{Lu}\p{Lu})(?=\p{Lu}\p{Ll}\p{Ll})")
_GAP = 3  # other words between the words of a name that may be apart
_FUNCTION_WORDS = (
    "a an and are as at be been by can could did do does for from how i if in into is it its my not of on or our that "
    "the their these this those to was were what when where which who why will with would you your"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())


def words(text: str) -> list[str]:
    """Return the words of `text`, NFKC-normalised and case-folded: "PyTorch" and "pytorch" are the same word.

    In scripts without spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) each letter is a word.
    """
    matches: list[str]
    if text.isascii():
        matches = _ASCII_WORD.findall(text.lower())
    else:
        text = unicodedata.normalize("NFKC", text).casefold()
        is_unspaced = _HIGH.search(text) and _UNSPACED_WORD.search(text)
        matches = (_WORD if is_unspaced else _SPACED_WORD).findall(text)
    return matches


def join_words(parts: Sequence[str]) -> str:
    """Return words as one text, with a space between two of them unless their script has none."""
    joined = "".join(parts[:1])
    for left, right in pairwise(parts):
        joined += right if _UNSPACED_WORD.match(left) and _UNSPACED_WORD.match(right) else f" {right}"
    return joined


@lru_cache(maxsize=1)
def load_english_stemmer() -> Callable[[str], str]:
    """Return Snowball's English stemmer (Porter 2), with a cache."""
    import snowballstemmer

    return lru_cache(maxsize=100_000)(snowballstemmer.stemmer("english").stemWord)


@dataclass(frozen=True)
class Taxonomy:
    """The aliases and the parents of each label; every label of the taxonomy is a key of both mappings.

    The words of the names of labels in `near` may be apart in a text, and in another order: see `NameMatcher`.
    """

    aliases: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, tuple[str, ...]]
    near: Collection[str] = frozenset()

    @classmethod
    def from_labels(cls, labels: Iterable[str]) -> "Taxonomy":
        """Return a taxonomy of `labels` without aliases and parents. The words of all names may be apart."""
        names = list(labels)
        return cls(dict.fromkeys(names, ()), dict.fromkeys(names, ()), frozenset(names))

    def names(self, label: str) -> tuple[str, ...]:
        """Return the label and its aliases."""
        return (label, *self.aliases.get(label, ()))

    def ancestors(self, label: str) -> set[str]:
        """Return the parents of the label, their parents, and so on, without the label itself. Cycles are allowed."""
        ancestors: set[str] = set()
        pending = list(self.parents.get(label, ()))
        while pending:
            parent = pending.pop()
            if parent not in ancestors and parent != label:
                ancestors.add(parent)
                pending.extend(self.parents.get(parent, ()))
        return ancestors

    def to_json(self) -> list[dict[str, Any]]:
        """Return the taxonomy in the format that `parse_taxonomy` reads."""
        return [
            {
                "tag": label,
                "aliases": list(self.aliases[label]),
                "parents": list(self.parents.get(label, ())),
                **({"near": True} if label in self.near else {}),
            }
            for label in self.aliases
        ]


def parse_taxonomy(content: Content) -> Taxonomy:
    """Parse a JSON list of `{"tag": ..., "aliases": [...], "parents": [...], "near": false}`; only the tag is required.

    Tags, aliases and parents are in the Unicode form of the labels of records (NFC), without spaces around them.

    Raises:
        UserError: it is not JSON, an entry has no tag, a tag occurs twice, aliases or parents are not lists of
            strings, or a name has half a character or a control character.
    """
    written = taxonomy_from_json(parse_json(content.name, decode(content, "utf-8")), content.name)
    entries = []
    for number, entry in enumerate(written.to_json(), start=1):
        location = f"{content.name}, item {number}"
        tag = _normalise(entry["tag"], "tag", location)
        lists = {key: [_normalise(name, key, location) for name in entry[key]] for key in ("aliases", "parents")}
        entries.append({**entry, **lists, "tag": tag})
    return taxonomy_from_json(entries, content.name)


def _normalise(name: str, key: str, location: str) -> str:
    name = normalise_label(name)
    try:
        check_characters(name, repr(key))
    except BadValue as error:
        raise UserError(f"{location}: {error}: correct it in the taxonomy (data.taxonomy.path)") from None
    return name


def taxonomy_from_json(entries: Any, name: str) -> Taxonomy:
    """Check parsed JSON and return its taxonomy; `name` is the file name for messages.

    Raises:
        UserError: an entry has no tag, a tag occurs twice, aliases or parents are not lists of strings, or `near` is
            not true or false.
    """
    if not isinstance(entries, list):
        raise UserError(f"{name}: must be a list of tags, but is a {type(entries).__name__}")
    aliases: dict[str, tuple[str, ...]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    near = set()
    for number, entry in enumerate(entries, start=1):
        location = f"{name}, item {number}"
        label = entry.get("tag") if isinstance(entry, dict) else None
        if not isinstance(label, str) or not label.strip():
            raise UserError(f"{location}: the 'tag' is missing")
        if label in aliases:
            raise UserError(f"{location}: tag {label!r} occurs twice: merge the two entries")
        aliases[label] = _read_strings(entry, "aliases", location)
        parents[label] = _read_strings(entry, "parents", location)
        if not isinstance(entry.get("near", False), bool):
            raise UserError(f"{location}: 'near' must be true or false")
        if entry.get("near"):
            near.add(label)
    return Taxonomy(aliases, parents, frozenset(near))


def _read_strings(entry: dict[str, Any], key: str, location: str) -> tuple[str, ...]:
    values = entry.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UserError(f"{location}: {key!r} must be a list of strings")
    return tuple(values)


def list_columns(labels: Sequence[str], taxonomy: Taxonomy, *, parents: bool = True) -> dict[str, list[int]]:
    """Return the columns of the labels that each name stands for: its own and, with `parents`, its ancestors'.

    Names are those of the labels and of the other entries of the taxonomy. Those that stand for no label are left out.
    """
    column = {label: index for index, label in enumerate(labels)}
    columns = {}
    for name in dict.fromkeys([*labels, *taxonomy.aliases]):
        implied = {name} | (taxonomy.ancestors(name) if parents else set())
        found = sorted(column[entry] for entry in implied if entry in column)
        if found:
            columns[name] = found
    return columns


def find_texts_without_rule(
    texts: Iterable[str], labels: Sequence[str], taxonomy: Taxonomy, *, stemming: bool = True, parents: bool = True
) -> npt.NDArray[np.bool_]:
    """Return which texts hold no name of a label, of shape (num_texts,): those on which the rule model has no rule."""
    matcher = NameMatcher(taxonomy, list_columns(labels, taxonomy, parents=parents), stemming=stemming)
    return np.array([not matcher.find(text) for text in texts], dtype=np.bool_)


@dataclass(frozen=True)
class Match:
    """A label's name in a text. `words` are the words of the text, case-folded; `length` counts them."""

    label: str
    words: str
    length: int = field(default=1, compare=False)


class NameMatcher:
    """Find the names of labels in texts as complete words; ignore hyphens, case and (with `stemming`) word endings.

    The words of a name follow each other in the text. Those of a label in `taxonomy.near` may be apart, in any order,
    with up to three other words between them; words such as "of" or "not" may be missing, and "cardArrival" is
    "card arrival". This needs two words that are not of that kind, so that "card_not_working" is not found in "card".
    """

    def __init__(self, taxonomy: Taxonomy, labels: Iterable[str], *, stemming: bool) -> None:
        self._stem = load_english_stemmer() if stemming else str
        self._labels_of: dict[tuple[str, ...], list[str]] = {}
        self._near: dict[str, list[tuple[str, frozenset[str]]]] = {}  # by the first of the words
        for label in labels:
            for name in taxonomy.names(label):
                key = tuple(self._stem(word) for word in words(name))
                if key and label not in self._labels_of.setdefault(key, []):
                    self._labels_of[key].append(label)
            if label in taxonomy.near:
                self._add_near(label)
        self._lengths = sorted({len(key) for key in self._labels_of})
        self._near_stems = {stem for names in self._near.values() for _, stems in names for stem in stems}

    def _add_near(self, label: str) -> None:
        parts = words(_CAMEL_CASE.sub(" ", label))
        if any(_UNSPACED_WORD.match(part) for part in parts):
            return
        stems = sorted({self._stem(part) for part in parts if part not in FUNCTION_WORDS})
        if len(stems) > 1:
            self._near.setdefault(stems[0], []).append((label, frozenset(stems)))

    def find(self, text: str) -> list[Match]:
        """Return every occurrence of every name in the order of the text, then the labels whose words are only near."""
        text_words = words(text)
        stems = [self._stem(word) for word in text_words]
        matches = []
        for start in range(len(stems)):
            for length in self._lengths:
                if start + length > len(stems):
                    break
                for label in self._labels_of.get(tuple(stems[start : start + length]), ()):
                    matches.append(Match(label, join_words(text_words[start : start + length]), length))
        if self._near:
            found = {match.label for match in matches}
            matches += [match for match in self._find_near(text_words, stems) if match.label not in found]
        return matches

    def _find_near(self, text_words: list[str], stems: list[str]) -> Iterable[Match]:
        """Yield the labels of whose names all words are near each other, once each."""
        places: dict[str, list[int]] = {}
        for place, stem in enumerate(stems):
            if stem in self._near_stems:
                places.setdefault(stem, []).append(place)
        for first in places:
            for label, needed in self._near.get(first, ()):
                if needed <= places.keys():
                    nearest = _find_window(sorted((place, stem) for stem in needed for place in places[stem]), needed)
                    if nearest[-1] - nearest[0] < len(needed) + _GAP:
                        yield Match(label, join_words([text_words[place] for place in nearest]), len(needed))


def _find_window(places: list[tuple[int, str]], needed: Collection[str]) -> list[int]:
    """Return the places of all `needed` words that are closest to each other; `places` are sorted."""
    last: dict[str, int] = {}
    windows = []
    for place, stem in places:
        last[stem] = place
        if len(last) == len(needed):
            windows.append(sorted(last.values()))
    return min(windows, key=lambda window: window[-1] - window[0])
