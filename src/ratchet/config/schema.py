"""Define the configuration of a run: one dataclass per node, checked by Hydra when it composes.

The schema of a data set is in `data_schema.py`, that of an objective in `objective_schema.py`. `fields.py` declares
ranges (`bounded`) and what does not identify a candidate (`unhashed`, see `ratchet.config.config_hash`), and explains
the help sentence below each field. The dataclasses are not frozen: Hydra could not override them then.
"""

from dataclasses import dataclass, field, fields
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from ratchet.config.data_schema import DataConfig, Duplicates, Leaks, SliceConfig, SplitMethod
from ratchet.config.fields import MISSING, bounded, located, unhashed
from ratchet.config.objective_schema import Metric
from ratchet.errors import UserError
from ratchet.extras import require_extra
from ratchet.files import expand_home


class TrackerKind(Enum):
    """Where runs are reported in addition to the run directory: nowhere, or Weights & Biases."""

    none = "none"
    wandb = "wandb"


class TrackerMode(Enum):
    """Whether reports stay in the run directory, to be uploaded later, or go to the server at once."""

    offline = "offline"
    online = "online"


@dataclass
class TrackerConfig:
    """Where a run is reported in addition to its directory."""

    kind: TrackerKind = TrackerKind.none
    """Where runs are reported."""
    mode: TrackerMode = TrackerMode.offline
    """Whether reports are kept for a later upload, or sent at once."""
    project: str = "ratchet"
    """Project on the server."""
    entity: str | None = None
    """Account or team that owns the project; null is the default of the account."""
    group: str | None = None
    """Group of the run on the server; null is the grid's id, or the name of the data set."""
    baseline: str = "rule"
    """Model whose newest run on the same split gives the values delta/... are computed from."""


class Cost(Enum):
    """Costs that a search may minimise in addition to maximising a metric: keys of cost.json."""

    fit_seconds = "fit_seconds"
    latency_ms_p50 = "latency_ms_p50"
    latency_ms_p95 = "latency_ms_p95"
    peak_memory_mb = "peak_memory_mb"
    size_mb = "size_mb"


@dataclass
class ParameterConfig:
    """The values of one key that a search tries: an interval, or one of several choices."""

    low: Any = None
    """Lowest value; only whole numbers are tried if both bounds are whole."""
    high: Any = None
    """Highest value."""
    log: bool = False
    """Whether trials are spread evenly over orders of magnitude."""
    step: Any = None
    """Smallest distance between two values."""
    choices: list[Any] | None = None
    """Values to choose from, instead of an interval."""


@dataclass
class SearchConfig:
    """A search: trials of a space of keys, judged on val.

    The best trial becomes an experiment. With a cost, there are two objectives.
    """

    trials: int = bounded(30, low=1)
    """Number of trials of the study, including those of earlier calls."""
    minutes: float | None = bounded(None, above=0)
    """No trial starts later than this many minutes after the start; null is no limit."""
    metric: Metric = Metric.f1_weighted
    """Metric on val to maximise."""
    cost: Cost | None = None
    """Cost to minimise as well; null maximises the metric alone."""
    margin: float = bounded(0.005, low=0, high=1)
    """With a cost: the cheapest trial whose metric is this close to the highest is the best."""
    parallel: int = bounded(1, low=1)
    """Number of trials that are proposed at once."""
    prune: bool = True
    """Stop trials that are worse than the median of earlier ones after an epoch."""
    seed: int = bounded(0, low=0, high=2**32 - 1)
    """Seed of the search."""
    experiment: str | None = None
    """Name of the experiment file that the best trial is written to; null is <model>_tuned."""
    space: dict[str, ParameterConfig] = field(default_factory=dict)
    """Keys to search, such as model.dropout, each with an interval or with choices."""
    study: str | None = None
    """Id of the study; set by the search itself."""
    trial: int | None = None
    """Number of the trial; set by the search itself."""


class Part(Enum):
    """The part whose metrics are final: `val` while choices are still made, `test` to report."""

    val = "val"
    test = "test"


class ThresholdMethod(Enum):
    """How scores become decisions: one value tuned on val, one per label, or a fixed value."""

    tuned = "tuned"
    per_label = "per_label"
    fixed = "fixed"


class CalibrationMethod(Enum):
    """How scores become probabilities: as the model returns them, or scaled by one temperature fitted on val."""

    none = "none"
    temperature = "temperature"


class Accelerator(Enum):
    """Device that a network trains on."""

    cpu = "cpu"
    gpu = "gpu"


class Precision(Enum):
    """Numbers that a network trains with: 32-bit floats, or mostly bfloat16 (faster on recent GPUs, less exact)."""

    float32 = "float32"
    bfloat16 = "bfloat16"


class Average(Enum):
    """How F1 values per label (or per record) become one number."""

    weighted = "weighted"
    micro = "micro"
    macro = "macro"
    samples = "samples"


class InvalidSetting(UserError):
    """Raised in `__post_init__` by settings of a model that do not fit together; `key` is the setting."""

    def __init__(self, key: str, value: Any, message: str) -> None:
        super().__init__(f"model.{key}={value!r} {message}")
        self.key = f"model.{key}"


@dataclass
class ModelConfig:
    """The settings that every model has.

    A model with `trains_in_epochs` uses the settings of the trainer. `extra` is the extra of Ratchet without which it
    can neither be trained nor loaded.
    """

    trains_in_epochs: ClassVar[bool] = False
    extra: ClassVar[str | None] = None

    name: str = MISSING
    """Name of the model; a directory of the runs is called so."""
    module: str = "${.name}"
    """Module of ratchet.models that implements it."""
    complexity: int = bounded(low=0)
    """Order of the models from simple to complex: of two equally good ones the simpler ships."""

    def input_files(self) -> dict[str, Path]:
        """Return the files and directories other than data that a fit reads, by the setting that names them.

        Their content belongs to the identity of a candidate. By default these are the settings that `located` declares.

        Raises:
            UserError: there is no such file or directory; it is checked before a run starts.
        """
        named = {item.name: getattr(self, item.name) for item in fields(self) if item.metadata.get("path")}
        paths = {name: expand_home(value) for name, value in named.items() if value is not None}
        for name, path in paths.items():
            if not path.exists():
                raise UserError(f"model.{name}={named[name]}: no such file or directory")
        return paths


@dataclass
class SplitConfig:
    """The split of this run: the method and shares of the data set, drawn with `seed`."""

    seed: int = field(default=0, metadata={"hashed": False, "low": 0, "high": 2**32 - 1})
    """Seed that draws train, val and test."""
    method: SplitMethod = "${data.split.method}"  # type: ignore[assignment]
    """How records are divided; the data set's own method by default."""
    val: float = bounded("${data.split.val}", above=0, high=0.8)
    """Share of all records that goes to val; the data set's own share by default."""
    test: float = bounded("${data.split.test}", above=0, high=0.8)
    """Share of all records that goes to test; the data set's own share by default."""
    leaks: Leaks = "${data.split.leaks}"  # type: ignore[assignment]
    """What happens if two given parts share a text; as the data set says by default."""
    duplicates: Duplicates = "${data.split.duplicates}"  # type: ignore[assignment]
    """Which texts count as the same; as the data set says by default."""
    similarity: float = bounded("${data.split.similarity}", above=0, high=1)
    """Lowest similarity of nearly identical texts; the data set's own by default."""


@dataclass
class ThresholdConfig:
    """How scores become decisions."""

    method: ThresholdMethod = ThresholdMethod.tuned
    """Whether one threshold is tuned on val, one per label, or a fixed one is used."""
    average: Average = Average.weighted
    """Average of F1 on val that tuning maximises."""
    value: float = bounded(0.5, low=0, high=1)
    """Threshold of the method fixed."""


@dataclass
class CalibrationConfig:
    """Whether scores are calibrated before thresholds are chosen."""

    method: CalibrationMethod = CalibrationMethod.none
    """Whether one temperature is fitted on val before thresholds are chosen."""


@dataclass
class TrainerConfig:
    """Device and precision of models that train in epochs, and how much data they see while debugging.

    Other models ignore all of it.
    """

    accelerator: Accelerator = unhashed(Accelerator.cpu)
    """Device that a network trains on."""
    devices: int | None = field(default=1, metadata={"hashed": False, "low": 1, "high": 128})
    """Number of processes that share each batch, one GPU each on GPUs; null is one per GPU."""
    precision: Precision = Precision.float32
    """Numbers that a network trains with; bfloat16 is faster on GPUs and less exact."""
    progress_bar: bool = unhashed(True)
    """Show a progress bar in a terminal."""
    fast_dev_run: bool = False
    """Run only one batch of train and one of val, to test the code."""
    overfit_batches: int = bounded(0, low=0)
    """Train and validate on this many batches only, to test whether the network can learn; 0 is off."""
    limit_train_batches: int | None = bounded(None, low=1)
    """Largest number of train batches in an epoch; null is all."""
    limit_val_batches: int | None = bounded(None, low=1)
    """Largest number of val batches in an epoch; null is all."""


@dataclass
class EvaluationConfig:
    """What is measured."""

    k: list[int] = field(default_factory=lambda: [1, 3, 5])
    """Cut-offs of precision@k and recall@k."""
    resamples: int = bounded(1000, low=100, high=100_000)
    """Number of bootstrap resamples for the intervals."""
    slices: dict[str, SliceConfig] = field(default_factory=dict)
    """Slices to measure, by name."""


@dataclass
class Config:
    """One run, as `python train.py` composes it from conf/ and the command line."""

    data: DataConfig = field(default_factory=DataConfig)
    """Data set."""
    model: ModelConfig = MISSING
    """Model and its settings."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """How the records are divided."""
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    """Device, precision and limits of training."""
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    """How scores become probabilities."""
    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    """How scores become decisions."""
    evaluation: EvaluationConfig = unhashed(default_factory=EvaluationConfig)
    """What is measured."""
    evaluate: Part = unhashed(Part.test)
    """Part to measure; val reads no test record."""
    tracker: TrackerConfig = unhashed(default_factory=TrackerConfig)
    """Where the run is reported."""
    seed: int = field(default=0, metadata={"hashed": False, "low": 0, "high": 2**32 - 1})
    """Seed of the training."""
    threads: int | None = field(default=None, metadata={"hashed": False, "low": 1})
    """Threads of the numerical libraries; null is the number of available cores."""
    name: str = unhashed("${model.name}")
    """Name of the candidate in tables."""
    parent: str | None = unhashed()
    """Id of the run that this one iterates on; null is the promoted run, none is no parent."""
    hypothesis: str | None = unhashed()
    """What the change is expected to improve, in one sentence."""
    tags: list[str] = unhashed(default_factory=list)
    """Words to find the run by."""
    sweep_id: str | None = unhashed()
    """Id of the grid; set by the grid itself."""
    sweep: SearchConfig = unhashed(default_factory=SearchConfig)
    """Search over settings."""
    runs_dir: str = located("runs", hashed=False)
    """Directory of all runs."""
    promotions_dir: str = located("promotions", hashed=False)
    """Directory of the promotions log."""
    run_dir: str | None = located(None, hashed=False)
    """Directory of this run, which must not exist; null chooses a new one in runs_dir."""
    resume: str | None = unhashed()
    """Stopped run to resume after its last complete epoch: an id, a directory, or last."""
    fresh: bool = unhashed(False)
    """Whether a grid repeats jobs that finished before."""


def require_packages(config: Config) -> None:
    """Check that the packages of the model, the tracker and the search are installed, before a run starts.

    Raises:
        UserError: one is not; names what needs it and the command that installs it.
    """
    require_model_packages(config.model)
    if config.tracker.kind is not TrackerKind.none:
        require_extra(config.tracker.kind.name, what=f"tracker={config.tracker.kind.name}")
    if config.sweep.space:
        require_extra("search", what="a search (sweep=...)")


def require_model_packages(model: ModelConfig) -> None:
    """Check that the packages of a model are installed, before it is trained or loaded.

    Raises:
        UserError: one is not; names the model and the command that installs it.
    """
    if model.extra is not None:
        require_extra(model.extra, what=f"model={model.name}")
