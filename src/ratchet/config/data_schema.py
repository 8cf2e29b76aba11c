"""Define the configuration of a data set (conf/data/*.yaml) and of a slice."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ratchet.config.fields import MISSING, bounded, located, unhashed


class Format(Enum):
    """File format of the records; `auto` uses the suffix of the file."""

    auto = "auto"
    csv = "csv"
    tsv = "tsv"
    json = "json"
    jsonl = "jsonl"
    parquet = "parquet"
    arrow = "arrow"
    excel = "excel"
    sqlite = "sqlite"
    fasttext = "fasttext"


class RecordsLayout(Enum):
    """What the path of the records holds: rows of tables, or a directory of text files for each class."""

    table = "table"
    directory = "directory"


class LabelKind(Enum):
    """How a record's labels are written; see docs/own-data.md for an example of each kind."""

    list = "list"
    separated = "separated"
    indices = "indices"
    single = "single"
    binary = "binary"
    columns = "columns"
    names = "names"
    rows = "rows"
    scores = "scores"


class SplitMethod(Enum):
    """How records are divided into train, val and test."""

    stratified = "stratified"
    temporal = "temporal"
    given = "given"


class Leaks(Enum):
    """What happens to (nearly) identical texts in two given parts."""

    stop = "stop"
    drop_from_train = "drop_from_train"
    report = "report"


class Duplicates(Enum):
    """Which texts count as the same when records are divided: nearly identical ones, or only identical ones."""

    near = "near"
    exact = "exact"


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
class RecordsConfig(FileConfig):
    """The file of the records, or several: a directory, a pattern, or a file for each given part."""

    train: str | None = located(None, hashed=False)
    """File, directory or pattern of the train records, for split.method=given."""
    val: str | None = located(None, hashed=False)
    """File, directory or pattern of the val records; without it, they are sampled from train."""
    test: str | None = located(None, hashed=False)
    """File, directory or pattern of the test records."""
    layout: RecordsLayout = RecordsLayout.table
    """Whether the path holds tables, or a directory of text files for each class."""
    under: str | None = None
    """Key of a JSON file below which its records are, as data.items."""
    keys: dict[str, str] = field(default_factory=dict)
    """Key of a JSON file below which the records of a part are: {train: train, val: dev, test: test}."""
    query: str | None = None
    """Query that selects the records of an SQLite file."""
    sheet: str | None = None
    """Sheet of an Excel workbook; null reads the first."""


@dataclass
class LabelsConfig:
    """Where the labels of a record are, and how they are written."""

    column: str | None = None
    """Column that holds the labels; a path as meta.tags leads into objects."""
    columns: list[str] | None = None
    """Columns of the labels, for the kinds columns (1 or 0 each) and names (a label or nothing each)."""
    kind: LabelKind = LabelKind.list
    """How the labels are written."""
    one: bool | None = None
    """Whether a record has exactly one label; null means yes for the kind single, no for the others."""
    separator: str = ","
    """Text between two labels (kind separated), numbers of labels (indices, binary) or scores in a text."""
    key: str | None = None
    """Key of the name in a label that is an object, as name in {"id": 1, "name": "bug"}."""
    levels: str | None = None
    """Text between the levels of a label, as " > ": a record with "a > b" then also has "a"."""
    prefix: str | None = None
    """Text that is removed from the start of every label, as __label__."""
    first: int = bounded(0, low=0)
    """Number of the first label, for labels of kind indices."""
    positive: float = 0.5
    """Lowest score of a label that a record has, for labels of kind scores; if it has one label, the highest counts."""
    unknown: list[str] = field(default_factory=list)
    """Values that mean that it is not known whether a record has the label, as "-1"."""
    names: FileConfig | None = field(default_factory=FileConfig)
    """Label file that indices point into: JSON, one label per line, or a number and a label per line."""
    file: FileConfig | None = field(default_factory=FileConfig)
    """File of the labels if they are not in that of the records; both have the column data.id."""


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
    where: dict[str, Any] = field(default_factory=dict)
    """Values that a column must have, as {answer: accept}; other rows are left out and counted."""


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
    group: str | None = None
    """Column whose records with the same value stay in one part, such as an author or a thread."""
    leaks: Leaks = Leaks.stop
    """What happens if two given parts share a text: stop, drop it from train (then val), or only report it."""
    duplicates: Duplicates = Duplicates.near
    """Which texts count as the same."""
    similarity: float = bounded(0.8, above=0, high=1)
    """Lowest similarity of nearly identical texts (Jaccard, five characters)."""


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
    records: RecordsConfig = field(default_factory=RecordsConfig)
    """File of the records, or several."""
    format: Format = Format.auto
    """Format of the file; auto uses its suffix."""
    encoding: str = "utf-8"
    """Text encoding of the file."""
    header: bool = True
    """Whether the first line of a CSV or TSV file names its columns."""
    column_names: list[str] | None = None
    """Names of the columns of a file without a header."""
    separator: str | None = None
    """Character between two fields of CSV; null is a comma, or a tab for TSV."""
    quote: str | None = '"'
    """Character around fields of CSV or TSV; null means that nothing is quoted."""
    escape: str | None = None
    """Character before a quote within a quoted field; null means that the quote is doubled."""
    skip_initial_space: bool = False
    """Whether spaces after a separator are skipped."""
    comment: str | None = None
    """Text at the start of lines that are skipped, as #."""
    skip_rows: int = bounded(0, low=0)
    """Number of lines before the header that are skipped."""
    missing: list[str] = field(default_factory=list)
    """Texts that mean that a value is missing, as nan or NULL."""
    id: str | None = None
    """Column of the record's id; null numbers the records."""
    text: list[str] = MISSING
    """Columns that are joined into the text."""
    text_separator: str = " "
    """What is put between the columns of the text."""
    text_files: list[str] = field(default_factory=list)
    """Columns of the text that hold names of files: their content is the text."""
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    """Labels of the records."""
    created_at: str | None = None
    """Column of the record's date; needed for temporal splits and date slices."""
    date_format: str | None = None
    """Format of the dates as in strptime, or unix (seconds or milliseconds since 1970); null expects ISO 8601."""
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
