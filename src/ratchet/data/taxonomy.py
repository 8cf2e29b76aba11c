"""Read the taxonomy of labels (aliases and parents), and find the names of labels in texts."""

import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import regex

from ratchet.data.reading import decode, parse_json
from ratchet.data.sources import Content
from ratchet.errors import UserError

_WORD = regex.compile(r"[\p{L}\p{N}][\p{L}\p{N}\p{M}]*")


def words(text: str) -> list[str]:
    """Return the words of `text`, NFKC-normalised and case-folded: "PyTorch" and "pytorch" are the same word."""
    matches: list[str] = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return matches


@lru_cache(maxsize=1)
def load_english_stemmer() -> Callable[[str], str]:
    """Return Snowball's English stemmer (Porter 2), with a cache."""
    import snowballstemmer

    return lru_cache(maxsize=100_000)(snowballstemmer.stemmer("english").stemWord)


@dataclass(frozen=True)
class Taxonomy:
    """The aliases and the parents of each label; every label of the taxonomy is a key of both mappings."""

    aliases: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_labels(cls, labels: Iterable[str]) -> "Taxonomy":
        """Return a taxonomy of `labels` without aliases and parents."""
        names = list(labels)
        return cls(dict.fromkeys(names, ()), dict.fromkeys(names, ()))

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
            {"tag": label, "aliases": list(self.aliases[label]), "parents": list(self.parents.get(label, ()))}
            for label in self.aliases
        ]


def parse_taxonomy(content: Content) -> Taxonomy:
    """Parse a JSON list of `{"tag": ..., "aliases": [...], "parents": [...]}`.

    Raises:
        UserError: it is not JSON, an entry has no tag, a tag occurs twice, or aliases or parents are not lists of
            strings.
    """
    return taxonomy_from_json(parse_json(content.name, decode(content, "utf-8")), content.name)


def taxonomy_from_json(entries: Any, name: str) -> Taxonomy:
    """Check parsed JSON and return its taxonomy; `name` is the file name for messages.

    Raises:
        UserError: an entry has no tag, a tag occurs twice, or aliases or parents are not lists of strings.
    """
    if not isinstance(entries, list):
        raise UserError(f"{name}: must be a list of tags, but is a {type(entries).__name__}")
    aliases: dict[str, tuple[str, ...]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    for number, entry in enumerate(entries, start=1):
        location = f"{name}, item {number}"
        label = entry.get("tag") if isinstance(entry, dict) else None
        if not isinstance(label, str) or not label.strip():
            raise UserError(f"{location}: the 'tag' is missing")
        if label in aliases:
            raise UserError(f"{location}: tag {label!r} occurs twice: merge the two entries")
        aliases[label] = _read_strings(entry, "aliases", location)
        parents[label] = _read_strings(entry, "parents", location)
    return Taxonomy(aliases, parents)


def _read_strings(entry: dict[str, Any], key: str, location: str) -> tuple[str, ...]:
    values = entry.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UserError(f"{location}: {key!r} must be a list of strings")
    return tuple(values)


@dataclass(frozen=True)
class Match:
    """An occurrence of a label's name in a text. `words` are the words of the text, case-folded."""

    label: str
    words: str


class NameMatcher:
    """Find the names of labels in texts as complete words; ignore hyphens, case and (with `stemming`) word endings."""

    def __init__(self, taxonomy: Taxonomy, labels: Iterable[str], *, stemming: bool) -> None:
        self._stem = load_english_stemmer() if stemming else str
        self._labels_of: dict[tuple[str, ...], list[str]] = {}
        for label in labels:
            for name in taxonomy.names(label):
                key = tuple(self._stem(word) for word in words(name))
                if key and label not in self._labels_of.setdefault(key, []):
                    self._labels_of[key].append(label)
        self._lengths = sorted({len(key) for key in self._labels_of})

    def find(self, text: str) -> list[Match]:
        """Return every occurrence of every name, in the order of the text."""
        text_words = words(text)
        stems = [self._stem(word) for word in text_words]
        matches = []
        for start in range(len(stems)):
            for length in self._lengths:
                if start + length > len(stems):
                    break
                for label in self._labels_of.get(tuple(stems[start : start + length]), ()):
                    matches.append(Match(label, " ".join(text_words[start : start + length])))
        return matches
