"""Read Parquet and Arrow block by block, only the columns in use, with the class names that `datasets` stores."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.config import Format
from ratchet.data.directories import INFO
from ratchet.data.formats.rows import Row, Rows, decode_values, is_used
from ratchet.data.problems import Problem
from ratchet.errors import UserError

if TYPE_CHECKING:
    import polars as pl

_BLOCK = 8192  # rows in memory
_FILE_FORMAT = b"ARROW1"  # an Arrow file begins so; a stream of Arrow, which `save_to_disk` writes, does not
_TITLES = {Format.parquet: "a Parquet file", Format.arrow: "an Arrow file"}


def open_columnar(
    path: Path, name: str, form: Format, columns: Collection[str] | None = None, *, class_names: bool = True
) -> Rows:
    """Open a Parquet or Arrow file, and return its rows; `columns` are those in use (None: all).

    Bytes of a column in use are text in UTF-8. With `class_names`, the number of a class is replaced by its name if the
    file (or dataset_info.json next to it) has the names: those of a `ClassLabel` of Hugging Face.

    Raises:
        UserError: the file is not in its format.
    """
    file = _ColumnarFile(path, name, form)
    schema = file.read_schema()
    used = [column for column in schema if is_used(column, columns)]
    features = file.read_features() if class_names else {}
    classes = {column: features[column] for column in used if _has_classes(features.get(column))}

    def iterate() -> Iterator[Row | Problem]:
        for number, values in enumerate(file.iterate_values(used), start=1):
            row = dict(zip(used, values, strict=True))
            yield _make_row(row, number, name, classes)

    return Rows(name, "row", list(schema), iterate)


@dataclass(frozen=True)
class _ColumnarFile:
    path: Path
    name: str
    form: Format

    def read_schema(self) -> list[str]:
        """Return the names of all columns."""
        import polars as pl  # slow to import, and models need `data` only for their taxonomy

        try:
            if self.is_stream:
                return pl.read_ipc_stream(self.path, n_rows=0).columns
            return self._scan().collect_schema().names()
        except (Exception, pl.exceptions.PanicException) as error:
            raise self._explain(error) from error

    @property
    def is_stream(self) -> bool:
        if self.form is Format.parquet:
            return False
        with self.path.open("rb") as file:
            return file.read(len(_FILE_FORMAT)) != _FILE_FORMAT

    def iterate_values(self, columns: list[str]) -> Iterator[tuple[Any, ...]]:
        """Yield the values of each row in the order of `columns`."""
        import polars as pl

        try:
            if self.is_stream:
                frame = pl.read_ipc_stream(self.path, columns=columns or None)
                blocks: Iterator[pl.DataFrame] = frame.select(columns).iter_slices(_BLOCK)
                height = frame.height
            else:
                scanned = self._scan()
                blocks = iter(scanned.select(columns).collect_batches(chunk_size=_BLOCK, maintain_order=True))
                height = 0 if columns else scanned.select(pl.len()).collect().item()
            if not columns:
                yield from [()] * height
                return
            yield from chain.from_iterable(block.iter_rows() for block in blocks)
        except (Exception, pl.exceptions.PanicException) as error:
            raise self._explain(error) from error

    def read_features(self) -> dict[str, Any]:
        """Return what `datasets` stores of each column: in the schema of Parquet, next to Arrow files."""
        if self.form is Format.parquet:
            import polars as pl

            stored: str | bytes = pl.read_parquet_metadata(self.path).get("huggingface", "{}")
        else:
            info_file = self.path.with_name(INFO)
            stored = info_file.read_bytes() if info_file.is_file() else "{}"
        try:
            content = json.loads(stored)
        except ValueError as error:
            raise UserError(f"{self.name}: its Hugging Face metadata is not valid JSON: {error}") from error
        info = content.get("info", content) if isinstance(content, dict) else None
        features = info.get("features") if isinstance(info, dict) else None
        return features if isinstance(features, dict) else {}

    def _scan(self) -> "pl.LazyFrame":
        import polars as pl

        scan = pl.scan_parquet if self.form is Format.parquet else pl.scan_ipc
        return scan(self.path, glob=False, hive_partitioning=False)

    def _explain(self, error: BaseException) -> UserError:
        lines = str(error).splitlines()
        return UserError(f"{self.name}: not {_TITLES[self.form]}: {lines[0] if lines else type(error).__name__}")


def _make_row(row: dict[str, Any], number: int, name: str, classes: Mapping[str, Any]) -> Row | Problem:
    problem = decode_values(row, f"{name}, row {number}")
    if problem is not None:
        return problem
    for column, feature in classes.items():
        try:
            row[column] = _name_classes(row[column], feature)
        except IndexError as error:
            message = f"{column} holds class {error}, which has no name in the file's metadata"
            return Problem("unknown label", f"{name}, row {number}", message, "stops")
    return Row(number, row)


def _get_names(feature: Any) -> list[str] | None:
    """Return the names of a `ClassLabel`; None if the feature is something else."""
    if not isinstance(feature, dict) or feature.get("_type") != "ClassLabel":
        return None
    names = feature.get("names")
    return names if isinstance(names, list) and names else None


def _get_item_feature(feature: Any) -> Any:
    """Return the feature of the items of a list, which releases of `datasets` write in three ways; else None."""
    if isinstance(feature, list):
        return feature[0] if feature else None
    if isinstance(feature, dict) and feature.get("_type") in ("Sequence", "List", "LargeList"):
        return feature.get("feature")
    return None


def _has_classes(feature: Any) -> bool:
    if _get_names(feature) is not None:
        return True
    item = _get_item_feature(feature)
    if item is not None:
        return _has_classes(item)
    return isinstance(feature, dict) and "_type" not in feature and any(map(_has_classes, feature.values()))


def _name_classes(value: Any, feature: Any) -> Any:
    """Return a value with the names of its classes; class -1 means that there is none.

    Raises:
        IndexError: a class has no name.
    """
    if value is None:
        return None
    names = _get_names(feature)
    if names is not None:
        if isinstance(value, int) and not isinstance(value, bool):
            if not -1 <= value < len(names):
                raise IndexError(value)
            return None if value == -1 else names[value]
        return value
    item = _get_item_feature(feature)
    if isinstance(value, list):
        return value if item is None else [_name_classes(part, item) for part in value]
    if isinstance(value, dict):
        of_key = item if isinstance(item, dict) else feature  # a sequence of objects is stored as an object of lists
        if isinstance(of_key, dict):
            return {key: _name_classes(part, of_key[key]) if key in of_key else part for key, part in value.items()}
    return value
