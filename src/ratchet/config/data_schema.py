"""What may stand in a data set's configuration, conf/data/*.yaml, and in a slice's."""

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from ratchet.config.fields import bounded, unhashed


class Format(Enum):
    """How a file of records is written; `auto` goes by its suffix."""

    auto = "auto"
    csv = "csv"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"
    parquet = "parquet"


class LabelKind(Enum):
    """How a record's labels are written: a list, a separated string, indices into a label file, or one column."""

    list = "list"
    separated = "separated"
    indices = "indices"
    single = "single"


class SplitMethod(Enum):
    """How records are divided into train, val and test."""

    stratified = "stratified"
    temporal = "temporal"
    given = "given"


class SliceKind(Enum):
    """Ways to name a group of records; see `ratchet.evaluation.slices`."""

    short_text = "short_text"
    label_not_named = "label_not_named"
    rare_labels = "rare_labels"
    date = "date"
    labels = "labels"
    column = "column"


class DateStep(Enum):
    """How long a date slice is."""

    year = "year"
    quarter = "quarter"
    month = "month"


@dataclass
class FileConfig:
    """A file by local path or URL (none without a path); `url` is where to fetch it from when nothing is at `path`."""

    path: str | None = unhashed(None)
    url: str | None = unhashed(None)
    sha256: str | None = None


@dataclass
class LabelsConfig:
    """Where a record's labels stand. `names` is the label file that indices point into, one label a line or JSON."""

    column: str = MISSING
    kind: LabelKind = LabelKind.list
    separator: str = ","
    names: FileConfig | None = field(default_factory=FileConfig)


@dataclass
class FilterConfig:
    """What is left out, and reported as left out: labels first, then records that lost all their labels."""

    taxonomy_only: bool = False
    exclude: list[str] = field(default_factory=list)
    min_records: int = bounded(1, low=1)
    drop_unlabelled: bool = False


@dataclass
class DataSplitConfig:
    """How this data set is divided; shares of all records. `column` holds given parts (train, val, test)."""

    method: SplitMethod = SplitMethod.stratified
    val: float = bounded(0.15, above=0, high=0.8)
    test: float = bounded(0.15, above=0, high=0.8)
    column: str | None = None


@dataclass
class SliceConfig:
    """A group of records. `kind` says which one of the other keys it needs."""

    kind: SliceKind = MISSING
    max_words: int | None = bounded(None, low=1)
    max_train_records: int | None = bounded(None, low=1)
    every: DateStep | None = None
    labels: list[str] | None = None
    column: str | None = None


@dataclass
class DataConfig:
    """A data set: the file, which columns mean what, what is left out, how it is divided, its own slices."""

    name: str = MISSING
    records: FileConfig = field(default_factory=FileConfig)
    format: Format = Format.auto
    encoding: str = "utf-8"
    header: bool = True
    column_names: list[str] | None = None
    id: str | None = None
    text: list[str] = MISSING
    text_separator: str = " "
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    created_at: str | None = None
    date_format: str | None = None
    taxonomy: FileConfig | None = field(default_factory=FileConfig)
    behaviour: FileConfig | None = unhashed(default_factory=FileConfig)
    drop_bad_rows: bool = False
    filter: FilterConfig = field(default_factory=FilterConfig)
    split: DataSplitConfig = field(default_factory=DataSplitConfig)
    slices: dict[str, SliceConfig] = unhashed(default_factory=dict)
