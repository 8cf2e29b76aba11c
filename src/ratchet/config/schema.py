"""What may stand in a configuration: one dataclass a node, checked by Hydra when it composes.

A data set's schema is in `data_schema.py`, an objective's in `objective_schema.py`, a tracker's in `tracker_schema.py`;
`fields.py` has `bounded` (a value with a range) and `unhashed` (it does not count for a candidate's identity, see
`ratchet.config.config_hash`).
The dataclasses are not frozen: Hydra could not override them then.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from omegaconf import MISSING

from ratchet.config.data_schema import DataConfig, SliceConfig, SplitMethod
from ratchet.config.fields import bounded, unhashed
from ratchet.config.objective_schema import Metric
from ratchet.errors import UserError


class TrackerKind(Enum):
    """Whom runs are told to: nobody, or Weights & Biases."""

    none = "none"
    wandb = "wandb"


class TrackerMode(Enum):
    """Whether what is told stays in the run directory, to be uploaded later, or goes to the server at once."""

    offline = "offline"
    online = "online"


@dataclass
class TrackerConfig:
    """Where a run shows up. `group` is the grid's id or the data set's name unless given.

    `baseline` names the MVP: its newest run on the same data and split is what `delta/...` is measured against.
    """

    kind: TrackerKind = TrackerKind.none
    mode: TrackerMode = TrackerMode.offline
    project: str = "ratchet"
    entity: str | None = None
    group: str | None = None
    baseline: str = "rule"


class Cost(Enum):
    """What a search may want low beside a metric that it wants high: keys of cost.json."""

    fit_seconds = "fit_seconds"
    latency_ms_p50 = "latency_ms_p50"
    latency_ms_p95 = "latency_ms_p95"
    peak_memory_mb = "peak_memory_mb"
    size_mb = "size_mb"


@dataclass
class ParameterConfig:
    """The values of a key that are tried: between `low` and `high`, whole numbers if both are, or one of `choices`.

    `log` spreads trials evenly over orders of magnitude; `step` is the least distance between values.
    """

    low: Any = None
    high: Any = None
    log: bool = False
    step: Any = None
    choices: list[Any] | None = None


@dataclass
class SearchConfig:
    """One search: `trials` of `space` (keys such as model.dropout), judged by `metric` on val.

    `trials` counts those that an earlier call left, too; `minutes` is when the last one begins. With a `cost` two
    things are wanted at once, and the best trial is the cheapest whose metric is within `margin` of the highest.
    `parallel` trials are asked for at once. `prune` stops trials that do worse, epoch by epoch, than half of those
    before. The best one becomes the `experiment` of that name, <model>_tuned
    unless set. `study` and `trial` are set by the search itself.
    """

    trials: int = bounded(30, low=1)
    minutes: float | None = bounded(None, above=0)
    metric: Metric = Metric.f1_weighted
    cost: Cost | None = None
    margin: float = bounded(0.005, low=0, high=1)
    parallel: int = bounded(1, low=1)
    prune: bool = True
    seed: int = bounded(0, low=0, high=2**32 - 1)
    experiment: str | None = None
    space: dict[str, ParameterConfig] = field(default_factory=dict)
    study: str | None = None
    trial: int | None = None


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


class InvalidSetting(UserError):
    """What a model's settings raise in `__post_init__` when they do not fit together; `key` is the setting."""

    def __init__(self, key: str, value: Any, message: str) -> None:
        super().__init__(f"model.{key}={value!r} {message}")
        self.key = f"model.{key}"


@dataclass
class ModelConfig:
    """What every model's settings have: its name, the module of `ratchet.models` it stands in, its complexity.

    `complexity` orders the ladder (rule 0, regression 1, ...): of two models that are equally good the simpler ships.
    A model with `trains_in_epochs` uses the settings of the trainer.
    """

    trains_in_epochs: ClassVar[bool] = False

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
    `limit_train_batches` and `limit_val_batches` end an epoch early. `devices` processes share every batch, each on a
    GPU of its own where they are GPUs; null: one for each GPU that is there. Models without epochs have no use for any
    of it.
    """

    accelerator: Accelerator = unhashed(Accelerator.cpu)
    devices: int | None = field(default=1, metadata={"hashed": False, "low": 1, "high": 128})
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
    tracker: TrackerConfig = unhashed(default_factory=TrackerConfig)
    seed: int = field(default=0, metadata={"hashed": False, "low": 0, "high": 2**32 - 1})
    threads: int | None = field(default=None, metadata={"hashed": False, "low": 1})
    name: str = unhashed("${model.name}")
    parent: str | None = unhashed()
    hypothesis: str | None = unhashed()
    tags: list[str] = unhashed(default_factory=list)
    sweep_id: str | None = unhashed()
    sweep: SearchConfig = unhashed(default_factory=SearchConfig)
    runs_dir: str = unhashed("runs")
    promotions_dir: str = unhashed("promotions")
    run_dir: str | None = unhashed()
    resume: str | None = unhashed()
    fresh: bool = unhashed(False)
