"""Define the configuration of a data set (conf/data/*.yaml) and of a slice."""

from dataclasses import dataclass, field
from enum import Enum

from ratchet.config.fields import MISSING, bounded, located, unhashed


class Format(Enum):
    """File format of the records; `auto` uses the suffix of the file."""

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
    """Ways to define a group of records; see `ratchet.evaluation.slices`."""

    short_text = "short_text"
    label_not_named = "label_not_named"
    rare_labels = "rare_labels"
    date = "date"
    labels = "labels"
    column = "column"


class DateStep(Enum):
    """Length of a date slice."""

    year = "year"
    quarter = "quarter"
    month = "month"


@dataclass
class FileConfig:
    """A file, local or fetched. Without a path there is no file."""

    path: str | None = located(None, hashed=False)
    """Local path, or a URL; null means that there is no such file."""
    url: str | None = unhashed(None)
    """URL to fetch the file from if nothing is at its path."""
    sha256: str | None = None
    """Expected SHA-256 of the file; null accepts any content."""


@dataclass
class LabelsConfig:
    """Where the labels of a record are, and how they are written."""

    column: str = MISSING
    """Column that holds the labels."""
    kind: LabelKind = LabelKind.list
    """How the labels are written in the column."""
    separator: str = ","
    """Text between two labels, for labels of kind separated."""
    names: FileConfig | None = field(default_factory=FileConfig)
    """Label file that indices point into: JSON, or one label per line."""


@dataclass
class FilterConfig:
    """What is left out and reported as left out: labels first, then records that lost all their labels."""

    taxonomy_only: bool = False
    """Drop labels that are not in the taxonomy."""
    exclude: list[str] = field(default_factory=list)
    """Labels to drop."""
    min_records: int = bounded(1, low=1)
    """Drop labels that fewer records have."""
    drop_unlabelled: bool = False
    """Drop records that have no label left."""


@dataclass
class DataSplitConfig:
    """How this data set is divided."""

    method: SplitMethod = SplitMethod.stratified
    """How records are divided: at random by label, by date, or as a column says."""
    val: float = bounded(0.15, above=0, high=0.8)
    """Share of all records that goes to val."""
    test: float = bounded(0.15, above=0, high=0.8)
    """Share of all records that goes to test."""
    column: str | None = None
    """Column with train, val or test, for the method given."""


@dataclass
class SliceConfig:
    """A group of records that is measured separately."""

    kind: SliceKind = MISSING
    """What defines the group; decides which of the other keys is needed."""
    max_words: int | None = bounded(None, low=1)
    """Largest number of words of a short text, for the kind short_text."""
    max_train_records: int | None = bounded(None, low=1)
    """Largest number of train records of a rare label, for the kind rare_labels."""
    every: DateStep | None = None
    """Length of a period, for the kind date."""
    labels: list[str] | None = None
    """Labels that define the group, for the kind labels."""
    column: str | None = None
    """Column whose values define one group each, for the kind column."""


@dataclass
class DataConfig:
    """A data set: its file, the meaning of its columns, what is left out, how it is divided, its own slices."""

    name: str = MISSING
    """Name of the data set; a directory of the runs is called so."""
    records: FileConfig = field(default_factory=FileConfig)
    """File of the records."""
    format: Format = Format.auto
    """Format of the file; auto uses its suffix."""
    encoding: str = "utf-8"
    """Text encoding of the file."""
    header: bool = True
    """Whether the first line of a CSV or TSV file names its columns."""
    column_names: list[str] | None = None
    """Names of the columns of a file without a header."""
    id: str | None = None
    """Column of the record's id; null numbers the records."""
    text: list[str] = MISSING
    """Columns that are joined into the text."""
    text_separator: str = " "
    """What is put between the columns of the text."""
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    """Labels of the records."""
    created_at: str | None = None
    """Column of the record's date; needed for temporal splits and date slices."""
    date_format: str | None = None
    """Format of the dates as in strptime; null expects ISO 8601."""
    taxonomy: FileConfig | None = field(default_factory=FileConfig)
    """File of the labels with their aliases and parents."""
    behaviour: FileConfig | None = unhashed(default_factory=FileConfig)
    """File of the behavioural test cases."""
    drop_bad_rows: bool = False
    """Drop rows that cannot be read, and count them, instead of stopping."""
    filter: FilterConfig = field(default_factory=FilterConfig)
    """What is left out."""
    split: DataSplitConfig = field(default_factory=DataSplitConfig)
    """How the records are divided."""
    slices: dict[str, SliceConfig] = unhashed(default_factory=dict)
    """Slices of this data set by name, in addition to evaluation.slices."""
