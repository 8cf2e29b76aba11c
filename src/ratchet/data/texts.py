"""Which columns make a record's text, and how: the same for what is trained on and for what is scored later."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from ratchet.config import DataConfig


class NotText(ValueError):
    """A value of a text column that is no text, such as a list."""


@dataclass(frozen=True)
class TextColumns:
    """The columns that make a text, in their order, and what stands between them; an empty value is left out."""

    names: tuple[str, ...]
    separator: str = " "

    @classmethod
    def of(cls, config: DataConfig) -> Self:
        """Those of a data set."""
        return cls(tuple(config.text), config.text_separator)

    def text(self, values: Sequence[Any]) -> str:
        """The text of one record, from its values of `names` in their order; "" where all are empty.

        Raises:
            NotText: a value is a list or an object; the message names its column.
        """
        for name, value in zip(self.names, values, strict=True):
            if isinstance(value, (list, dict)):
                raise NotText(f"{name} holds no text but a {type(value).__name__}")
        text = self.separator.join(part for part in map(as_string, values) if part)
        # Two halves of a character that meet here are that character: no file would bring them back as halves.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def as_string(value: Any) -> str:
    """A value of a table as text; nothing (None, NaN) is ""."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # an id column that a tool once turned into floats
    return value if isinstance(value, str) else str(value)
