"""Leave out rows by the value of a column (data.filter.where), and count them."""

from collections.abc import Mapping
from typing import Any

from ratchet.data.values import BadValue, NotText, make_getter, to_string
from ratchet.errors import UserError

_MOST_SUGGESTED = 1000  # values of the column that are kept, for messages


class Where:
    """The values that a column must have. `unmet` are those that no row has so far, `seen` the other values."""

    def __init__(self, column: str, wanted: Any, missing: list[str]) -> None:
        self.column = column
        self._missing = missing
        values = wanted if isinstance(wanted, list) else [wanted]
        self.truths = {to_string(value) for value in values if isinstance(value, bool)}
        try:
            texts = [self._fold(to_string(value, f"data.filter.where.{column}")) for value in values]
        except NotText as error:
            raise UserError(str(error)) from None
        self.wanted = list(dict.fromkeys(texts))
        self.unmet = set(self.wanted)
        self.seen: set[str] = set()
        self.left_out = 0
        self._get = make_getter(column)
        if not self.wanted:
            raise UserError(f"data.filter.where.{column} names no value: name those of the rows to keep")

    def keeps(self, values: Mapping[str, Any]) -> bool:
        """Return whether a row has one of the values; of a list, such as a path into a list gives, every item must."""
        value = self._get(values)
        items = value if isinstance(value, list) and value else [None if isinstance(value, list) else value]
        try:
            texts = {self._fold(to_string(item, self.column).strip()) for item in items}
        except NotText as error:
            raise BadValue("bad value", f"{error} (data.filter.where)") from None
        if texts.issubset(self.wanted):
            self.unmet -= texts
            return True
        if len(self.seen) < _MOST_SUGGESTED:
            self.seen |= texts
        return False

    def _fold(self, text: str) -> str:
        """Return the form in which values are compared: "" for a missing value, truth values in lower case."""
        if text in self._missing:
            return ""
        is_truth = self.truths and text.lower() in self.truths  # CSV often has True where JSON and YAML have true
        return text.lower() if is_truth else text

    @property
    def reason(self) -> str:
        """Return what the report calls the rows that are left out."""
        return f"rows with {self.column} other than {' or '.join(value or 'nothing' for value in self.wanted)}"
