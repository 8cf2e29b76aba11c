"""What may stand in a configuration: one dataclass a node, checked by Hydra when it composes.

A field made by `bounded` carries its range, a field made by `unhashed` does not count for a candidate's identity
(see `ratchet.config.config_hash`). The dataclasses are not frozen: Hydra could not override them then.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from ratchet.errors import UserError


def bounded(
    default: Any = MISSING, *, low: float | None = None, high: float | None = None, above: float | None = None
) -> Any:
    """A field whose value lies within [low, high], and above `above`; checked before any work starts."""
    return field(default=default, metadata={"low": low, "high": high, "above": above})


def unhashed(default: Any = None, **kwargs: Any) -> Any:
    """A field that says where, when or on what a run happens, not what is trained."""
    metadata = {"hashed": False}
    if "default_factory" in kwargs:
        return field(default_factory=kwargs["default_factory"], metadata=metadata)
    return field(default=default, metadata=metadata)


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


class Part(Enum):
    """The part whose figures are final: `val` while anything is still being chosen, `test` to report."""

    val = "val"
    test = "test"


class ThresholdMethod(Enum):
    """How scores become decisions: one value tuned on val, one for each label, or a fixed value."""

    tuned = "tuned"
    per_label = "per_label"
    fixed = "fixed"


class CalibrationMethod(Enum):
    """How scores become probabilities: as the model gives them, or sharpened by one temperature fitted on val."""

    none = "none"
    temperature = "temperature"


class Accelerator(Enum):
    """What a network trains on."""

    cpu = "cpu"
    gpu = "gpu"


class Precision(Enum):
    """The numbers a network is trained with: 32 bit floats, or mostly bfloat16 (faster on recent GPUs, less exact)."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class Average(Enum):
    """How per-label (or per-record) F1 values become one number."""

    weighted = "weighted"
    micro = "micro"
    macro = "macro"
    samples = "samples"


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


class InvalidSetting(UserError):
    """What a model's settings raise in `__post_init__` when they do not fit together; `key` is the setting."""

    def __init__(self, key: str, value: Any, message: str) -> None:
        super().__init__(f"model.{key}={value!r} {message}")
        self.key = f"model.{key}"


@dataclass
class ModelConfig:
    """What every model's settings have: its name, the module of `ratchet.models` it stands in, its complexity.

    `complexity` orders the ladder (rule 0, regression 1, ...): of two models that are equally good the simpler ships.
    """

    name: str = MISSING
    module: str = "${.name}"
    complexity: int = bounded(low=0)


@dataclass
class SplitConfig:
    """The division in force: the data set's own, drawn with `seed`."""

    seed: int = field(default=0, metadata={"hashed": False, "low": 0, "high": 2**32 - 1})
    method: SplitMethod = "${data.split.method}"  # type: ignore[assignment]
    val: float = bounded("${data.split.val}", above=0, high=0.8)
    test: float = bounded("${data.split.test}", above=0, high=0.8)


@dataclass
class ThresholdConfig:
    """How scores become decisions. `average` is the F1 that tuning maximises on val; `value` is for `fixed`."""

    method: ThresholdMethod = ThresholdMethod.tuned
    average: Average = Average.weighted
    value: float = bounded(0.5, low=0, high=1)


@dataclass
class CalibrationConfig:
    """Whether scores are calibrated before thresholds are chosen."""

    method: CalibrationMethod = CalibrationMethod.none


@dataclass
class TrainerConfig:
    """On what models that train in epochs are trained, and how much of the data (all of it, unless one debugs).

    `fast_dev_run` is one batch of train and val; `overfit_batches` trains and validates on the same few batches;
    `limit_train_batches` and `limit_val_batches` end an epoch early. Models without epochs have no use for any of it.
    """

    accelerator: Accelerator = unhashed(Accelerator.cpu)
    precision: Precision = Precision.float32
    progress_bar: bool = unhashed(True)
    fast_dev_run: bool = False
    overfit_batches: int = bounded(0, low=0)
    limit_train_batches: int | None = bounded(None, low=1)
    limit_val_batches: int | None = bounded(None, low=1)


@dataclass
class EvaluationConfig:
    """What is measured: cut-offs for precision@k and recall@k, bootstrap resamples, slices by name."""

    k: list[int] = field(default_factory=lambda: [1, 3, 5])
    resamples: int = bounded(1000, low=100, high=100_000)
    slices: dict[str, SliceConfig] = field(default_factory=dict)


@dataclass
class Config:
    """One run: `python train.py` composes it from conf/ and the command line."""

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = MISSING
    split: SplitConfig = field(default_factory=SplitConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    evaluation: EvaluationConfig = unhashed(default_factory=EvaluationConfig)
    evaluate: Part = unhashed(Part.test)
    seed: int = field(default=0, metadata={"hashed": False, "low": 0, "high": 2**32 - 1})
    threads: int | None = field(default=None, metadata={"hashed": False, "low": 1})
    name: str = unhashed("${model.name}")
    parent: str | None = unhashed()
    hypothesis: str | None = unhashed()
    tags: list[str] = unhashed(default_factory=list)
    sweep_id: str | None = unhashed()
    runs_dir: str = unhashed("runs")
    run_dir: str | None = unhashed()
    resume: str | None = unhashed()
