"""Build the text of a record from its columns, in the same way for training and for later predictions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from ratchet.config import DataConfig


class NotText(ValueError):
    """Report that a value of a text column is not text, such as a list."""


@dataclass(frozen=True)
class TextColumns:
    """The columns that form a text, in their order, and the separator between them. Empty values are skipped."""

    names: tuple[str, ...]
    separator: str = " "

    @classmethod
    def from_config(cls, config: DataConfig) -> Self:
        """Return the text columns of a data set."""
        return cls(tuple(config.text), config.text_separator)

    def text(self, values: Sequence[Any]) -> str:
        """Return the text of one record, given its values of the columns `names`; "" if all are empty.

        Raises:
            NotText: a value is a list or an object; the message gives its column.
        """
        for name, value in zip(self.names, values, strict=True):
            if isinstance(value, (list, dict)):
                raise NotText(f"{name} must hold text, but holds a {type(value).__name__}")
        text = self.separator.join(part for part in map(to_string, values) if part)
        # Joining may put the two surrogates of one character next to each other. Merge them: a text that is written
        # to a file and read back has the character, too.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def to_string(value: Any) -> str:
    """Return a value of a table as text; "" for None and NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # tools such as pandas turn an integer column with a gap into floats
    return value if isinstance(value, str) else str(value)
