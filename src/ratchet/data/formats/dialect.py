"""Define how a file is written: its format, and what the format leaves open."""

from dataclasses import dataclass
from typing import Self

from ratchet.config import DataConfig, Format, LabelKind

_OF_THE_RECORDS = ("under", "query", "sheet")  # keys of data.records; all others are keys of data


@dataclass(frozen=True)
class Dialect:
    """How a file is written. See `DataConfig` for the meaning.

    `repeated` are the names of columns that may occur several times; their value is then a list. `option_prefix` is
    the start of the options of a command that reads a file without a data configuration, such as "input_".
    """

    format: Format = Format.auto
    encoding: str = "utf-8"
    header: bool = True
    column_names: tuple[str, ...] | None = None
    separator: str | None = None
    quote: str | None = '"'
    escape: str | None = None
    skip_initial_space: bool = False
    comment: str | None = None
    skip_rows: int = 0
    under: str | None = None
    query: str | None = None
    sheet: str | None = None
    repeated: tuple[str, ...] = ()
    option_prefix: str | None = None

    @classmethod
    def from_config(cls, config: DataConfig) -> Self:
        """Return the dialect of a data set."""
        repeats = config.labels.kind is LabelKind.names and config.labels.column is not None
        return cls(
            format=config.format,
            encoding=config.encoding,
            header=config.header,
            column_names=None if config.column_names is None else tuple(config.column_names),
            separator=config.separator,
            quote=config.quote,
            escape=config.escape,
            skip_initial_space=config.skip_initial_space,
            comment=config.comment,
            skip_rows=config.skip_rows,
            under=config.records.under,
            query=config.records.query,
            sheet=config.records.sheet,
            repeated=(str(config.labels.column),) if repeats else (),
        )

    def key(self, name: str) -> str:
        """Return the key (or the option of the command) that sets the field `name`, for messages."""
        if self.option_prefix is not None:
            return f"{self.option_prefix}{name}"
        return f"data.records.{name}" if name in _OF_THE_RECORDS else f"data.{name}"
