"""Profile the columns of a table, and guess their role: text, id, part of a given split, or group of records."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ratchet.data.values import BadValue, check_characters, get_value, is_plain, to_string
from ratchet.errors import UserError, did_you_mean

SAMPLE = 5_000  # values of a column that decide about its role, evenly spaced
_DEPTH = 4  # levels of keys at which objects are opened
_MOST_KEYS = 50  # objects with more keys are not opened
PART_NAMES = {"train", "training", "val", "valid", "validation", "dev", "test"}  # those that a given split may have
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*([eE][+-]?\d+)?")
ID_NAME = re.compile(r"(.*[_ .-])?(id|ids|uuid|guid|key|nr|no|number|nummer|index|ticket)|.*[a-z]I[dD]", re.IGNORECASE)
_TEXT_NAME = re.compile(
    r"(.*[_ .-])?(text|title|subject|body|description|message|comment|content|summary|abstract|question|review|"
    r"betreff|nachricht|beschreibung|titel|inhalt)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Column:
    """A column of the table, or a path into its objects, and what a sample of its values looks like.

    A column with `is_repeated` is the list of the values of several columns of this name.
    """

    name: str
    values: list[Any]
    is_repeated: bool = False

    @cached_property
    def sample(self) -> list[Any]:
        """Return at most `SAMPLE` values that are not empty, evenly spaced."""
        step = max(1, -(-len(self.values) // SAMPLE))
        return [value for value in self.values[::step] if not is_empty(value)]

    @cached_property
    def texts(self) -> list[str]:
        """Return the sampled values as texts; none of a list or an object."""
        return [to_string(value).strip() for value in self.sample if is_plain(value)]

    @cached_property
    def counts(self) -> Counter[str]:
        """Return how often each text occurs in the sample."""
        return Counter(self.texts)

    @cached_property
    def num_empty(self) -> int:
        """Return the number of empty values in all rows."""
        return sum(map(is_empty, self.values))

    @property
    def is_list(self) -> bool:
        """Return whether most values are lists."""
        return sum(isinstance(value, list) for value in self.sample) > len(self.sample) / 2

    @property
    def is_plain(self) -> bool:
        """Return whether it has values, and none is a list or an object."""
        return 0 < len(self.sample) == len(self.texts)

    @cached_property
    def is_numeric(self) -> bool:
        """Return whether all values are numbers, or texts that look like numbers."""
        return self.is_plain and all(map(_NUMBER.fullmatch, self.counts))

    @property
    def words_per_value(self) -> float:
        """Return the mean number of words."""
        return sum(len(text.split()) for text in self.texts) / max(1, len(self.texts))

    @property
    def is_text(self) -> bool:
        """Return whether it looks like free text: several words, hardly ever repeated."""
        least = 2 if _TEXT_NAME.fullmatch(self.name) else 4
        is_varied = len(self.counts) > 0.5 * len(self.texts)
        return self.is_plain and not self.is_numeric and is_varied and self.words_per_value >= least


def is_empty(value: Any) -> bool:
    """Return whether a value of a table is empty: null, NaN, blank, or a list without items."""
    return not get_text(value) if is_plain(value) else not value


def get_text(value: Any) -> str:
    """Return a value as text; "" for a list or an object."""
    return to_string(value).strip() if is_plain(value) else ""


def profile_columns(columns: Mapping[str, list[Any]], repeated: Collection[str] = ()) -> dict[str, Column]:
    """Return the columns of a table by name, and the paths into its objects, as `meta.channel`.

    `repeated` are the columns that occur several times.
    """
    profiled = {name: Column(name, values, name in repeated) for name, values in columns.items()}
    for column in list(profiled.values()):
        for path in _open_objects(column):
            profiled.setdefault(path.name, path)
    return profiled


def _open_objects(column: Column, depth: int = _DEPTH) -> Iterator[Column]:
    """Yield a column for each key of objects; none if they seem to be a score for each label."""
    objects = [value for value in column.sample if isinstance(value, dict)]
    keys = dict.fromkeys(key for value in objects for key in value if isinstance(key, str))
    if len(objects) <= len(column.sample) / 2 or len(keys) > _MOST_KEYS or holds_scores(objects):
        return
    for key in keys:
        values = [value.get(key) if isinstance(value, dict) else None for value in column.values]
        path = Column(f"{column.name}.{key}", values)
        yield path
        if depth > 1:
            yield from _open_objects(path, depth - 1)


def make_path(columns: Mapping[str, Column], path: str) -> Column | None:
    """Return a path into objects and lists as a column; None if there are no values."""
    inside = [name for name in columns if path.startswith((f"{name}.", f"{name}["))]
    if not inside:
        return None
    name = max(inside, key=len)
    column = Column(path, [get_value({name: value}, path) for value in columns[name].values])
    return column if column.sample else None


def holds_scores(objects: Sequence[Mapping[Any, Any]]) -> bool:
    """Return whether objects have a score from 0 to 1, or a truth value, for each of several labels."""
    numbers = {value for item in objects for value in item.values() if isinstance(value, (int, float))}
    num_values = sum(len(item) for item in objects)
    num_numbers = sum(isinstance(value, (int, float)) for item in objects for value in item.values())
    several = len({key for item in objects for key in item}) > 1
    return several and num_values == num_numbers and all(0 <= number <= 1 or number == -1 for number in numbers)


def require_column(file: str, columns: dict[str, Column], name: str, argument: str, header: str) -> Column:
    """Return the column that the user named in `argument`; `header` says whether the file has a header, and why.

    Raises:
        UserError: there is no such column; the message suggests the nearest name.
    """
    if name not in columns:
        near = did_you_mean(name, columns)
        raise UserError(f"{file}: no column {name!r} ({argument}); {near}{f' ({header})' if header else ''}")
    return columns[name]


def guess_texts(file: str, columns: Sequence[Column], existing: str = "") -> tuple[list[Column], str]:
    """Return the columns of the text, and what they were chosen by; `existing` lists all columns, for the message.

    Raises:
        UserError: no column looks like text.
    """
    chosen = [column for column in columns if column.is_text]
    if chosen:
        means = " and ".join(f"{column.words_per_value:.0f}" for column in chosen)
        return chosen, f"free text of {means} words on average, hardly ever repeated"
    chosen = [column for column in columns if _TEXT_NAME.fullmatch(column.name) and column.is_plain][:2]
    if not chosen:
        raise UserError(
            f"{file}: no column looks like text: name the columns with text=NAME or text=NAME,NAME{existing}"
        )
    return chosen, "chosen by name; the values are short or often repeated"


def looks_like_id(column: Column) -> bool:
    """Return whether the column is named like an id and has a short value in each row."""
    is_short = all(len(text) <= 64 and len(text.split()) == 1 for text in column.texts)
    return column.is_plain and bool(ID_NAME.fullmatch(column.name)) and not column.num_empty and is_short


def find_repeated(column: Column) -> list[int]:
    """Return the indices of the rows whose value occurs in an earlier row."""
    seen: set[str] = set()
    repeated = []
    for index, value in enumerate(column.values):
        text = get_text(value)
        if text in seen:
            repeated.append(index)
        seen.add(text)
    return repeated


def holds_parts(column: Column) -> bool:
    """Return whether each value names a part of a split, and both train and test occur."""
    if not column.is_plain or len(column.counts) > len(PART_NAMES):
        return False
    names = {get_text(value).casefold() for value in column.values}
    return names <= PART_NAMES and bool(names & {"train", "training"}) and "test" in names


def find_groups(columns: Iterable[Column]) -> list[tuple[Column, bool]]:
    """Return the columns with few distinct values, and whether each is clearly categorical."""
    groups = []
    for column in columns:
        distinct = len(column.counts)
        if not column.name.strip() or not column.is_plain or not 2 <= distinct <= min(50, len(column.texts) / 5):
            continue
        if not all(map(_can_be_shown, column.counts)):
            continue
        is_clear = distinct <= min(12, len(column.texts) / 20) and not column.is_numeric and not column.num_empty
        groups.append((column, is_clear and min(column.counts.values()) >= 5))
    return groups


def _can_be_shown(text: str) -> bool:
    """Return whether a text can be the value of a slice: without control characters and unpaired surrogates."""
    try:
        check_characters(text, "")
    except BadValue:
        return False
    return True
