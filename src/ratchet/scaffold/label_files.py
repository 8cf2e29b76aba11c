"""Find the label file that names the numbers of labels, next to the data file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ratchet.config import DataConfig, FileConfig, LabelKind, LabelsConfig
from ratchet.data.label_names import read_label_names
from ratchet.data.problems import Report
from ratchet.errors import UserError

_STEMS = (
    *("labels", "label_names", "label-names", "labelnames", "label", "classes", "class_names", "names", "id2label"),
    *("label_map", "categories", "topics", "tags", "targets", "intents"),
)
_SUFFIXES = (".txt", ".json", ".tsv", ".csv")
_LARGEST = 1 << 20  # bytes; more is no list of names


@dataclass(frozen=True)
class LabelFile:
    """A label file: its names, and the number of the first one, if the file states it."""

    path: Path
    names: list[str]
    first: int | None


def find_label_files(data: Path | None) -> Iterator[LabelFile]:
    """Yield the label files next to a data file, most likely ones first. Those that cannot be read are left out."""
    if data is None:
        return
    for path in _list_candidates(data):
        names = {first: read for first in (0, 1) if (read := _read(path, first)) is not None}
        if names:
            yield LabelFile(path, next(iter(names.values())), None if len(names) > 1 else next(iter(names)))


def _list_candidates(data: Path) -> list[Path]:
    """Return the files called like label files, also after a prefix, as tickets_labels.txt."""
    paths = [path for path in sorted(data.parent.iterdir()) if path.suffix.lower() in _SUFFIXES and path != data]
    ranks = {}
    for path in paths:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        stem = path.stem.lower()
        if stem in _STEMS or path.name == "config.json":
            ranks[path] = 0
        elif stem.endswith(tuple(f"{mark}{end}" for mark in "_-." for end in _STEMS)):
            ranks[path] = 1
    return sorted(ranks, key=lambda path: ranks[path])


def _read(path: Path, first: int) -> list[str] | None:
    labels = LabelsConfig(column="label", kind=LabelKind.indices, first=first, names=FileConfig(path=str(path)))
    try:
        return read_label_names(DataConfig(name="", text=[], labels=labels), Report(), packaged=False)
    except UserError:
        return None
