"""Build the text of a record from its columns, in the same way for training and for later predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Self

from ratchet.config import DataConfig
from ratchet.data.opening import find_codec
from ratchet.data.values import BadValue, to_string


@dataclass(frozen=True)
class TextColumns:
    """The columns that form a text, in their order, and the separator between them. Empty values are skipped.

    The columns in `files` hold names of files; the texts are in these files, in `encoding`.
    """

    names: tuple[str, ...]
    separator: str = " "
    files: tuple[str, ...] = ()
    encoding: str = "utf-8"

    @classmethod
    def from_config(cls, config: DataConfig) -> Self:
        """Return the text columns of a data set."""
        files = tuple(name for name in config.text if name in config.text_files)
        return cls(tuple(config.text), config.text_separator, files, config.encoding if files else "utf-8")

    def text(self, values: Sequence[Any], directory: Path = Path()) -> str:
        """Return the text of one record, given its values of the columns `names`; "" if all are empty.

        Names of files are relative to `directory`, which is that of the file with the records.

        Raises:
            NotText: a value is a list or an object; the message gives its column.
            BadValue: a file of a text cannot be read.
            UserError: there is no such encoding.
        """
        parts = [to_string(value, name) for name, value in zip(self.names, values, strict=True)]
        if self.files:
            parts = [
                self._read_file(part.strip(), name, directory) if name in self.files and part.strip() else part
                for name, part in zip(self.names, parts, strict=True)
            ]
        text = self.separator.join(part for part in parts if part)
        if text.isascii():
            return text
        # Joining may put the two surrogates of one character next to each other. Merge them: a text that is written
        # to a file and read back has the character, too.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")

    def _read_file(self, name: str, column: str, directory: Path) -> str:
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise BadValue(
                "bad text file",
                f"{column} {name[:80]!r} leads out of the directory of the records: name files below it "
                "(data.text_files)",
            )
        codec = find_codec(self.encoding)
        path = directory / name
        try:
            return path.read_bytes().decode(codec).removeprefix("\ufeff")
        except UnicodeDecodeError:
            message = f"is not {self.encoding} (data.encoding)"
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
        except ValueError as error:  # a name with a NUL
            message = f"cannot be read: {error}"
        raise BadValue("bad text file", f"{column}: {path} {message} (data.text_files)")
