"""Read what is known about labels besides the records (aliases, parents), and find their names in texts."""

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
    """The words of `text`: NFKC-normalised and case folded, so that "PyTorch" and "pytorch" are one word."""
    found: list[str] = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    return found


@lru_cache(maxsize=1)
def english_stemmer() -> Callable[[str], str]:
    """Snowball's English stemmer (Porter 2), with a cache."""
    import snowballstemmer

    return lru_cache(maxsize=100_000)(snowballstemmer.stemmer("english").stemWord)


@dataclass(frozen=True)
class Taxonomy:
    """`aliases` and `parents` by label; every label of the taxonomy is a key of both."""

    aliases: Mapping[str, tuple[str, ...]]
    parents: Mapping[str, tuple[str, ...]]

    @classmethod
    def from_labels(cls, labels: Iterable[str]) -> "Taxonomy":
        """The taxonomy of labels about which nothing more is known: their names, no parents."""
        names = list(labels)
        return cls(dict.fromkeys(names, ()), dict.fromkeys(names, ()))

    def names(self, label: str) -> tuple[str, ...]:
        """The label and its aliases."""
        return (label, *self.aliases.get(label, ()))

    def ancestors(self, label: str) -> set[str]:
        """Parents, their parents, and so on, without the label itself; a cycle does no harm."""
        found: set[str] = set()
        waiting = list(self.parents.get(label, ()))
        while waiting:
            parent = waiting.pop()
            if parent not in found and parent != label:
                found.add(parent)
                waiting.extend(self.parents.get(parent, ()))
        return found

    def to_json(self) -> list[dict[str, Any]]:
        """The form that `parse_taxonomy` reads."""
        return [
            {"tag": label, "aliases": list(self.aliases[label]), "parents": list(self.parents.get(label, ()))}
            for label in self.aliases
        ]


def parse_taxonomy(content: Content) -> Taxonomy:
    """Read a JSON list of `{"tag": ..., "aliases": [...], "parents": [...]}`.

    Raises:
        UserError: not JSON, an entry without a tag, a tag twice, aliases or parents that are no lists of strings.
    """
    return taxonomy_from_json(parse_json(content.name, decode(content, "utf-8")), content.name)


def taxonomy_from_json(entries: Any, name: str) -> Taxonomy:
    """The checked taxonomy of parsed JSON; `name` is the file that messages name."""
    if not isinstance(entries, list):
        raise UserError(f"{name}: holds no list of tags but a {type(entries).__name__}")
    aliases: dict[str, tuple[str, ...]] = {}
    parents: dict[str, tuple[str, ...]] = {}
    for number, entry in enumerate(entries, start=1):
        place = f"{name}, item {number}"
        label = entry.get("tag") if isinstance(entry, dict) else None
        if not isinstance(label, str) or not label.strip():
            raise UserError(f"{place}: has no 'tag'")
        if label in aliases:
            raise UserError(f"{place}: tag {label!r} a second time")
        aliases[label] = _strings(entry, "aliases", place)
        parents[label] = _strings(entry, "parents", place)
    return Taxonomy(aliases, parents)


def _strings(entry: dict[str, Any], key: str, place: str) -> tuple[str, ...]:
    values = entry.get(key) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UserError(f"{place}: {key!r} must be a list of strings")
    return tuple(values)


@dataclass(frozen=True)
class Match:
    """A name found in a text: the label it belongs to and the words, as the text has them (case folded)."""

    label: str
    words: str


class NameMatcher:
    """Finds the names of labels in texts, as whole words; hyphens, case and (if asked) endings do not matter."""

    def __init__(self, taxonomy: Taxonomy, labels: Iterable[str], *, stemming: bool) -> None:
        self._stem = english_stemmer() if stemming else str
        self._labels_of: dict[tuple[str, ...], list[str]] = {}
        for label in labels:
            for name in taxonomy.names(label):
                key = tuple(self._stem(word) for word in words(name))
                if key and label not in self._labels_of.setdefault(key, []):
                    self._labels_of[key].append(label)
        self._lengths = sorted({len(key) for key in self._labels_of})

    def find(self, text: str) -> list[Match]:
        """Every occurrence of every name, in the order of the text."""
        found = words(text)
        stems = [self._stem(word) for word in found]
        matches = []
        for start in range(len(stems)):
            for length in self._lengths:
                if start + length > len(stems):
                    break
                for label in self._labels_of.get(tuple(stems[start : start + length]), ()):
                    matches.append(Match(label, " ".join(found[start : start + length])))
        return matches
