"""Read the files of a directory or a pattern one after another, as one input."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

import polars as pl

from ratchet.data.directories import Located, is_pattern, list_record_files, list_saved_parts
from ratchet.data.formats import Dialect
from ratchet.data.texts import TextColumns
from ratchet.errors import UserError
from ratchet.inference.readers import INPUT_DIALECT, Advance, ParquetReader, Reader, Scan, reader_of
from ratchet.inference.rows import Batch


def open_input(path: Path, dialect: Dialect = INPUT_DIALECT) -> Reader:
    """Return the reader of an input: a file, a directory, or a pattern such as `texts/*.csv`.

    Raises:
        UserError: there is no such file, or none matches the pattern; the directory has no records, or files of
            several formats; or see `reader_of`.
    """
    if path.is_dir():
        directories = list_saved_parts(path).values() or [path]
        files = [directory / name for directory in directories for name in list_record_files(directory, "input")]
    elif path.exists():
        return reader_of(path, dialect)
    elif not is_pattern(str(path)):
        raise UserError(f"input={path}: no such file or directory")
    else:
        located = Located.from_pattern(path)
        files = [located.base / name for name in located.list_files()]
        if not files:
            raise UserError(f"input={path}: no file matches the pattern")
    readers = tuple(reader_of(file, dialect) for file in files)
    parquet = [reader for reader in readers if isinstance(reader, ParquetReader)]
    if parquet and len(parquet) < len(readers):
        other = next(reader for reader in readers if not isinstance(reader, ParquetReader))
        raise UserError(
            f"input={path}: {parquet[0].path.name} is Parquet, {other.path.name} is not: name files of one format"
        )
    return SeveralFiles(path, readers)


def find_conflict(output: Path, path: Path, files: list[Path]) -> str | None:
    """Return why a file cannot be the output of an input at `path`, which consists of `files`; None if it can."""
    if any(output.exists() and file.exists() and output.samefile(file) for file in files):
        return "is the input" if files == [path] else f"is a file of the input {path}"
    place = output.resolve()
    if path.is_dir() and place.parent == path.resolve():
        return f"would be in the input {path}"
    if files != [path] and not path.is_dir():
        located = Located.from_pattern(path)
        name_fits = PurePath(output.name).match(PurePath(path).name)
        if name_fits and place.is_relative_to(located.base.resolve()):
            return f"would match the input {path}"
    return None


@dataclass(frozen=True)
class SeveralFiles:
    """Read several files in the order of their names. No batch has rows of two files."""

    path: Path
    readers: tuple[Reader, ...]

    @property
    def files(self) -> list[Path]:
        """See `Reader`."""
        return [file for reader in self.readers for file in reader.files]

    def scan(self, text: TextColumns, advance: Advance) -> Scan:
        """See `Reader`."""
        rows = 0
        columns: dict[str, set[str]] = {}
        for reader in self.readers:
            scan = reader.scan(text, advance)
            rows += scan.rows
            for name, kinds in scan.columns.items():
                columns.setdefault(name, set()).update(kinds)
        return Scan(rows, {name: sorted(kinds) for name, kinds in columns.items()})

    def batches(self, size: int, start: int) -> Iterator[Batch]:
        """See `Reader`; `start` must be the start of a batch of this size."""
        for reader in self.readers:
            for batch in reader.batches(size, 0):
                if start >= len(batch):
                    start -= len(batch)
                else:
                    yield batch

    def schema(self, scan: Scan) -> pl.Schema:
        """See `Reader`.

        Raises:
            UserError: Parquet files have different columns or types.
        """
        schema = self.readers[0].schema(scan)
        for reader in self.readers[1:]:
            other = reader.schema(scan)
            if other != schema:
                names = [name for name in {**schema, **other} if schema.get(name) != other.get(name)]
                raise UserError(
                    f"{reader.path}: column {names[0]!r} is {_describe(other, names[0])}, in "
                    f"{self.readers[0].path.name} {_describe(schema, names[0])}: predict these files one by one"
                )
        return schema


def _describe(schema: pl.Schema, name: str) -> str:
    return str(schema[name]) if name in schema else "missing"
