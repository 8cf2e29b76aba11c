"""Find labels that are probably not meant: two spellings of one label, a missing value, or a layout read as a name."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import regex

from ratchet.config import DataConfig, LabelKind
from ratchet.data.problems import Problem
from ratchet.data.records import Record

# Texts that programs write for a missing value. The spelling counts: `none` is a name that people give to a class.
_MISSING = frozenset(
    {"nan", "NaN", "NAN", "-nan", "-NaN", "null", "NULL", "Null", "None", "NONE", "nil", "NIL", "NaT", "N/A", "n/a"}
    | {"NA", "#N/A", "#NA", "<NA>", "-", "--", "?"}
)
_INVISIBLE = regex.compile(r"[\p{Cf}\p{Cc}\uFE00-\uFE0F\u115F\u1160\u3164]")
# Letters of Cyrillic and Greek that look like Latin ones, after case folding.
_LOOKS_LATIN = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458\u0501\u04bb\u03bf\u03b1\u03bd\u03c1",
    "aeopcyxisjdhoavp",
)
_BETWEEN_WORDS = re.compile(r"(?<!\d)[\s_.\-]+|[\s_.\-]+(?!\d)")  # a point between two digits is part of a number
_SEPARATORS = ",;|/\t"
_SCORED = re.compile(r".*\S\s*:\s*[-+]?\d*\.?\d+(e-?\d+)?", re.IGNORECASE | re.DOTALL)
_STRUCTURED = re.compile(r"""[\[{]\s*(['"].*|\d+(\s*[,:].*)?[\]}])|.*['"]\s*[\]}]|\[\s*\]|\{\s*\}""", re.DOTALL)
_NUMBER = re.compile(r"(0|[1-9]\d*)(\.0)?")
_NAMED = (LabelKind.list, LabelKind.separated, LabelKind.single, LabelKind.rows)  # kinds that hold names as text
_SHORTEST = 6  # letters of a word in which one letter too many or too few counts as a misspelling
_SHORTEST_REPLACED = 8  # letters of a word in which a similar letter does, however frequent the two labels are
_LONG = 10  # letters of a word that has few other words next to it
_MISTAKEN = ("aeiouy", "szck")  # letters that are written for each other
_RARE = 0.2  # share of the records of a label that a misspelling of it has at most
_NAMED_LEFT_OUT = 5  # labels that a filter left out which are named
_LARGEST_FAMILY = 8  # more words that differ in the same letter are a series of names


@dataclass(frozen=True)
class LabelUse:
    """The number of records with a label, the location of the first, and the number where its state is unknown."""

    count: int
    first: str
    unknown: int = 0


def count_labels(records: Sequence[Record]) -> dict[str, LabelUse]:
    """Return how often each label is used, in the order of the labels."""
    counts = Counter(label for record in records for label in record.labels)
    unknown = Counter(label for record in records for label in record.unknown)
    first: dict[str, str] = {}
    for record in records:
        for label in record.labels:
            first.setdefault(label, record.place)
        if len(first) == len(counts):
            break
    return {label: LabelUse(count, first[label], unknown[label]) for label, count in sorted(counts.items())}


def name_left_out(labels_left_out: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the first labels that were left out for each reason, in quotes; with escapes if a character is invisible.

    `labels_left_out` maps each label to its reason.
    """
    names: dict[str, list[str]] = defaultdict(list)
    for label, reason in labels_left_out.items():
        if len(names[reason]) < _NAMED_LEFT_OUT:
            names[reason].append(ascii(label) if _INVISIBLE.search(label) else repr(label))
    return dict(names)


def is_missing_word(text: str) -> bool:
    """Return whether `text` is what a program writes for a missing value, such as nan or NULL."""
    return text in _MISSING


def find_odd_names(
    uses: Mapping[str, LabelUse], total: int, config: DataConfig, named: Collection[str] = ()
) -> list[Problem]:
    """Return what is odd about the names of the labels of `total` records.

    The labels include those that a filter leaves out as rare: a misspelt one often is. `named` are the labels of a
    taxonomy or label file: each is meant as it is written.
    """
    return [
        *_find_look_alikes(uses),
        *_find_near_spellings(uses, named),
        *_find_missing_words(uses, total),
        *_find_layouts(uses, config),
    ]


def _report(kind: str, place: str, message: str) -> Problem:
    return Problem(kind, place, message, "kept")


def find_rare_and_constant(uses: Mapping[str, LabelUse], total: int) -> Iterator[Problem]:
    """Yield the labels that are on very few, or on all, of `total` records."""
    for label, use in uses.items():
        if use.count < 3:
            message = f"{use.count} of {total} records: too few for train, val and test (data.filter.min_records)"
            yield _report("label with too few records", f"label {label!r}", message)
        elif use.count + use.unknown == total:
            known = " where it is known" if use.unknown else ""
            message = f"on all {use.count} records{known}: there is nothing to decide (data.filter.exclude)"
            yield _report("label on every record", f"label {label!r}", message)


# --- spellings --------------------------------------------------------------------------------------------------------


def _fold(label: str) -> str:
    """Return what labels that look alike have in common."""
    visible = _INVISIBLE.sub("", unicodedata.normalize("NFKC", label))
    folded = unicodedata.normalize("NFKC", visible.casefold()).translate(_LOOKS_LATIN)
    return " ".join(folded.split())


def _find_look_alikes(uses: Mapping[str, LabelUse]) -> Iterator[Problem]:
    groups: dict[str, list[str]] = defaultdict(list)
    for label in uses:
        groups[_fold(label)].append(label)
    for group in groups.values():
        for other in group[1:]:
            reason = _explain_difference(group[0], other)
            first = _find_rarer(group[0], other, uses).first
            yield _report(
                "labels that look alike",
                _name_pair(group[0], other, uses),
                f"differ only in {reason}, first {first}: write one of them in the file",
            )


def _find_rarer(one: str, two: str, uses: Mapping[str, LabelUse]) -> LabelUse:
    """Return the use of the label that is probably the mistake."""
    return uses[one] if uses[one].count < uses[two].count else uses[two]


def _explain_difference(one: str, two: str) -> str:
    steps: dict[str, Callable[[str], str]] = {
        "invisible characters": lambda label: _INVISIBLE.sub("", unicodedata.normalize("NFC", label)),
        "case": str.casefold,
        "spaces": lambda label: " ".join(label.split()),
        "width or other forms of a letter (NFKC)": lambda label: unicodedata.normalize("NFKC", label),
    }
    for reason, step in steps.items():
        if step(one) == step(two):
            return reason
    reasons = [reason for reason, step in steps.items() if step(one) != one or step(two) != two]
    return " and ".join(reasons[:2]) or "letters of two scripts that look the same"


def _name_pair(one: str, two: str, uses: Mapping[str, LabelUse]) -> str:
    """Return two labels with their counts; with escapes where they would print alike."""
    show = ascii if one.casefold() != two.casefold() and _fold(one) == _fold(two) else repr
    return f"labels {show(one)} ({uses[one].count}) and {show(two)} ({uses[two].count})"


def _find_near_spellings(uses: Mapping[str, LabelUse], named: Collection[str]) -> Iterator[Problem]:
    """Yield pairs that differ in what is between words, or in one letter of a long word."""
    label_of: dict[str, str] = {}
    joined: dict[str, str] = {}
    for label in uses:
        folded = _fold(label)
        if folded in label_of:  # reported as a look-alike
            continue
        label_of[folded] = label
        key = _BETWEEN_WORDS.sub("", folded)
        if len(key) > 2 and key in joined:
            yield _report_near(joined[key], label, uses, "differ only in what is between the words")
        joined.setdefault(key, label)
    for pair, mistake in _find_misspellings(list(label_of)).items():
        one, two = (label_of[name] for name in pair)
        rarer, other = sorted((uses[one].count, uses[two].count))
        rare = other > 2 and rarer <= max(2, _RARE * other)
        if (mistake or rare) and not (one in named and two in named):
            swapped = sorted(pair[0]) == sorted(pair[1])
            yield _report_near(one, two, uses, f"differ in {'two swapped letters' if swapped else 'one letter'}")


def _report_near(one: str, two: str, uses: Mapping[str, LabelUse], how: str) -> Problem:
    message = (
        f"{how}, first {_find_rarer(one, two, uses).first}: if they are one label, write it in one way in the file"
    )
    return _report("labels with nearly the same spelling", _name_pair(one, two, uses), message)


def _find_misspellings(names: Sequence[str]) -> dict[tuple[str, str], bool]:
    """Return the pairs of names that differ in one letter of one word, or two swapped ones; is it a usual mistake?

    Deletion neighbourhoods make it linear in time. Unless it is swapped, the first letter of the word is the same:
    mistakes are rare there, and a prefix (a-, un-) makes another word.
    """
    neighbours: dict[tuple[str, str, str], dict[str, str]] = defaultdict(dict)
    for name in names:
        for word in re.finditer(r"[^\W\d_]+", name):
            letters = word[0]
            if _SHORTEST - 1 <= len(letters) <= 40:
                for shorter in {letters, *(letters[:at] + letters[at + 1 :] for at in range(len(letters)))}:
                    neighbours[name[: word.start()], shorter, name[word.end() :]][letters] = name
    pairs = {}
    for family in neighbours.values():
        if 1 < len(family) <= _LARGEST_FAMILY:
            for one, two in combinations(sorted(family), 2):
                mistake = _compare_words(one, two)
                if mistake is not None:
                    pairs[family[one], family[two]] = mistake
    return dict(sorted(pairs.items()))


def _compare_words(one: str, two: str) -> bool | None:
    """Return whether the letter in which the words differ is a usual mistake; None if more differs, or they are short.

    Usual mistakes are a plural, a double letter, two letters swapped, a letter for a similar one in a long word, and
    any letter too many in a very long word. Others, such as another letter, are mistakes only in a rare label.
    """
    longest = max(len(one), len(two))
    if longest < _SHORTEST:
        return None
    if len(one) != len(two):
        shorter, longer = sorted((one, two), key=len)
        at = next((at for at in range(len(shorter)) if shorter[at] != longer[at]), len(shorter))
        if at == 0 or longer[:at] + longer[at + 1 :] != shorter:
            return None
        plural = at == len(shorter) and longer[-1] == "s"
        return plural or longer[at] == longer[at - 1] or longest >= _LONG
    differing = [at for at in range(len(one)) if one[at] != two[at]]
    replaced = {one[at] for at in differing} | {two[at] for at in differing}
    if len(differing) == 1 and differing[0] > 0:
        return longest >= _SHORTEST_REPLACED and any(replaced <= set(letters) for letters in _MISTAKEN)
    swapped = len(differing) == 2 and differing[1] == differing[0] + 1 and len(replaced) == 2
    return True if swapped else None


# --- missing values and layouts ---------------------------------------------------------------------------------------


def _find_missing_words(uses: Mapping[str, LabelUse], total: int) -> Iterator[Problem]:
    written = [label for label in uses if is_missing_word(label)]
    for label in written:
        yield _report(
            "label that may be a missing value",
            f"label {label!r}",
            f"on {uses[label].count} of {total} records, first {uses[label].first}: if it means that there is no "
            f"label, set data.missing={format_list(written)}",
        )


def format_list(values: Sequence[str]) -> str:
    """Return a list for a configuration file, with quotes where YAML would read another value."""
    plain = re.compile(r"(?-i:nan)|(?!(?:null|nan|inf|true|false|yes|no|on|off|y|n)$)[A-Za-z]+", re.IGNORECASE)
    return f"[{', '.join(value if plain.fullmatch(value) else repr(value) for value in values)}]"


def _find_layouts(uses: Mapping[str, LabelUse], config: DataConfig) -> Iterator[Problem]:
    """Yield at most one problem: labels that hold a structure which another kind reads."""
    if config.labels.kind not in _NAMED or not uses:
        return
    structured = [label for label in uses if _STRUCTURED.fullmatch(label.strip())]
    scored = [label for label in uses if _SCORED.fullmatch(label)]
    separator = _find_separator(uses, config)
    if structured:
        example = structured[0]
        remedy = "data.labels.kind=list reads lists, kind=scores objects, data.labels.key names in objects"
        yield _describe_layout("labels that look like lists or objects", example, len(structured), uses, remedy)
    elif len(scored) > 1 and len(scored) >= 0.8 * len(uses):
        yield _describe_layout(
            "labels that end in numbers", scored[0], len(scored), uses, "label and score are data.labels.kind=scores"
        )
    elif separator is not None:
        holding = [label for label in uses if separator in label]
        kind = "data.labels.kind=separated " if config.labels.kind is not LabelKind.separated else ""
        remedy = f"several labels are {kind}data.labels.separator={separator!r}"
        yield _describe_layout("labels with a separator", holding[0], len(holding), uses, remedy)
    elif len(uses) > 1 and _are_numbers(list(uses)):
        flags = set(uses) == {"0", "1"} and config.labels.kind in (LabelKind.list, LabelKind.separated)
        remedy = (
            "a vector of 0 and 1 is data.labels.kind=binary"
            if flags
            else "if they stand for names, set data.labels.kind=indices and data.labels.names.path"
        )
        yield _describe_layout("labels that are numbers", next(iter(uses)), len(uses), uses, remedy)


def _describe_layout(kind: str, example: str, count: int, uses: Mapping[str, LabelUse], remedy: str) -> Problem:
    shown = example if len(example) <= 60 else f"{example[:57]}..."
    return _report(kind, f"label {shown!r}", f"{count} of {len(uses)} labels, first {uses[example].first}: {remedy}")


def _find_separator(uses: Mapping[str, LabelUse], config: DataConfig) -> str | None:
    """Return the character that separates several labels within most labels.

    Its pieces are then labels, too: they occur alone or in other labels. The levels of a path do not, except the first.
    """
    if config.labels.kind not in (LabelKind.separated, LabelKind.single) or config.labels.levels is not None:
        return None
    for separator in _SEPARATORS:
        holding = [label for label in uses if separator in label]
        if len(holding) < 2 or (config.labels.kind is LabelKind.separated and separator == config.labels.separator):
            continue
        labels_with = Counter(piece for label in uses for piece in {part.strip() for part in label.split(separator)})
        pieces = {part.strip() for label in holding for part in label.split(separator)} - {""}
        repeated = sum(labels_with[piece] > 1 for piece in pieces)
        if repeated >= 2 and repeated >= 2 / 3 * len(pieces) and len(holding) >= len(uses) / 3:
            return separator
    return None


def _are_numbers(labels: Sequence[str]) -> bool:
    """Return whether the labels are nearly all numbers from 0 (or 1) to a largest one, as numbers of classes are."""
    if not all(_NUMBER.fullmatch(label) for label in labels):
        return False
    numbers = {int(float(label)) for label in labels}
    return min(numbers) <= 1 and len(numbers) >= 0.8 * (max(numbers) - min(numbers) + 1)
