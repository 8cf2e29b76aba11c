"""Train a run, load one, read its results as frames, and load what scores texts.

A function works in the current project, as the commands do, or in the one that `project` names: its runs and
promotions, its conf/ and its models. The working directory stays what it is. Importing this module loads neither
Hydra nor polars: an exported model is loaded without them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ratchet.api import display
from ratchet.errors import UserError
from ratchet.files import expand_home
from ratchet.inference import scorer
from ratchet.machine import environment
from ratchet.project import VARIABLE, Project, current_project
from ratchet.reporting.blocks import Cell, Column, Paragraph, Table, TextBlock, amount, format_metric, text
from ratchet.reporting.comparison_tables import BRIEF_COSTS
from ratchet.reporting.markdown import to_markdown
from ratchet.runs.stored import RunRecord, StoredRun, find_run, read_run

if TYPE_CHECKING:
    import polars as pl

_KINDS = {"labels": "label", "slices": "slice"}  # second part of a key of metrics.json -> kind of the row
_BOUNDS = ("_ci_low", "_ci_high")


@dataclass(frozen=True, repr=False, eq=False)
class Run:
    """A run: its directory, its record, and the results that it stored, which are read when they are asked for.

    `project` is the project that the run was loaded in.
    """

    _stored: StoredRun
    project: Project

    @property
    def path(self) -> Path:
        """Return the directory of the run."""
        return self._stored.path

    @property
    def id(self) -> str:
        """Return the id of the run."""
        return self.record.id

    @property
    def name(self) -> str:
        """Return the name of the candidate, which is that of the model unless `name=` was set."""
        return self.record.name

    @property
    def status(self) -> str:
        """Return running, finished, failed, interrupted, pruned or killed."""
        return self._stored.status

    @property
    def record(self) -> RunRecord:
        """Return the record: configuration hash, data version, split, seeds, commit, packages, error."""
        return self._stored.record

    @property
    def metrics(self) -> dict[str, Any]:
        """Return the metrics by key, such as `test/f1_weighted`; empty if the run stored none."""
        return {key: value for key, value in self._stored.read_metrics().items() if not key.startswith("cost/")}

    @property
    def cost(self) -> dict[str, Any]:
        """Return the costs by name, such as `fit_seconds`; empty if the run stored none."""
        metrics = self._stored.read_metrics()
        return {key.removeprefix("cost/"): value for key, value in metrics.items() if key.startswith("cost/")}

    @property
    def labels(self) -> list[str]:
        """Return the labels, in the order of the scores.

        Raises:
            UserError: the run did not get as far as storing them.
        """
        labels: list[str] = self._stored.read_json("labels.json")
        return labels

    @property
    def history(self) -> "pl.DataFrame":
        """Return the curves of the training: epoch, key, value. A model that logs none has no rows."""
        import polars as pl

        columns = {"epoch": pl.Int64, "key": pl.String, "value": pl.Float64}
        return pl.DataFrame([vars(point) for point in self._stored.read_history()], schema=columns)

    def predictions(self, part: Literal["val", "test"] | None = None) -> "pl.DataFrame":
        """Return the predictions of one part; without `part`, of the one that the run measured.

        Columns: id, `true` and `predicted` (lists of labels), `slices`, and `score/<label>` for each label; `unknown`
        (the labels whose state is unknown) only where there are any.

        Raises:
            UserError: the run has no predictions of that part.
        """
        import polars as pl

        from ratchet.evaluation.thresholds import Thresholds
        from ratchet.runs.predictions import read_predictions

        part = part or ("val" if self.record.evaluate == "val" else "test")
        path = self.path / "predictions" / f"{part}.parquet"
        if not path.is_file():
            stored = ", ".join(sorted(other.stem for other in path.parent.glob("*.parquet"))) or "none"
            raise UserError(f"{self.path}: no predictions of {part}; the run has: {stored}")
        predictions, labels = read_predictions(path), self.labels
        thresholds = Thresholds.from_json(self._stored.read_json("thresholds.json"), labels)
        decided = thresholds.decide(predictions.scores)

        def list_labels(rows: Any) -> "pl.Series":
            names = [[labels[column] for column in row.nonzero()[0]] for row in rows]
            return pl.Series(names, dtype=pl.List(pl.String))

        return pl.DataFrame(
            {
                "id": pl.Series(predictions.ids, dtype=pl.String),
                "true": list_labels(predictions.targets),
                "predicted": list_labels(decided),
                **({} if predictions.known is None else {"unknown": list_labels(~predictions.known)}),
                "slices": pl.Series(predictions.slices, dtype=pl.List(pl.String)),
                **{f"score/{label}": predictions.scores[:, column] for column, label in enumerate(labels)},
            }
        )

    def to_polars(self) -> "pl.DataFrame":
        """Return a row for each metric: part, kind, name, metric, value, low, high.

        `kind` is all, label, slice or behaviour; `name` is the label or the slice. `low` and `high` bound the 95 %
        interval over records, where there is one.
        """
        import polars as pl

        texts = dict.fromkeys(("part", "kind", "name", "metric"), pl.String)
        columns: dict[str, Any] = {**texts, **dict.fromkeys(("value", "low", "high"), pl.Float64)}
        return pl.DataFrame(list(_list_metrics(self.metrics)), schema=columns, orient="row", strict=False)

    def to_pandas(self) -> Any:
        """Return `to_polars()` as a `pandas.DataFrame`.

        Raises:
            UserError: pandas is not installed.
        """
        return display.to_pandas(self.to_polars())

    def __repr__(self) -> str:
        record, part = self.record, self.record.evaluate
        f1 = format_metric(self.metrics, f"{part}/f1_weighted")
        return f"<Run {self.id}: {record.name} on {record.data}, {self.status}, weighted F1 on {part} {f1}>"

    def __str__(self) -> str:
        return to_markdown(self._list_blocks()).rstrip()

    def _repr_html_(self) -> str:
        return display.to_html(self._list_blocks())

    def _list_blocks(self) -> list[TextBlock]:
        record, part, metrics = self.record, self.record.evaluate, self._stored.read_metrics()
        f1 = f"{part}/f1_weighted"
        cells = {
            Column("run", whole=True): text(record.id),
            Column("name"): text(record.name),
            Column("status", whole=True): text(self.status),
            Column("data"): text(record.data),
            Column("split", numeric=True): text(str(record.split_seed)),
            Column("seed", numeric=True): text(str(record.seed)),
            Column(f"weighted F1 on {part}", numeric=True): Cell(format_metric(metrics, f1)),
            **{Column(title, numeric=True): amount(metrics.get(f"cost/{key}")) for title, key in BRIEF_COSTS.items()},
        }
        error = [Paragraph(f"{record.error['type']}: {record.error['message']}")] if record.error else []
        return [Table("", list(cells), [list(cells.values())]), *error]


def _list_metrics(metrics: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    for key, value in metrics.items():
        if key.endswith(_BOUNDS):
            continue
        part, _, rest = key.partition("/")
        group, _, named = rest.partition("/")
        bounds = [metrics.get(f"{key}{bound}") for bound in _BOUNDS]
        if part == "behaviour":
            yield None, "behaviour", None, rest, value, *bounds
        elif group in _KINDS and named:
            name, _, metric = named.rpartition("/")  # a label may contain a slash, a metric does not
            yield part, _KINDS[group], name, metric, value, *bounds
        else:
            yield part, "all", None, rest, value, *bounds


def train(*overrides: str, project: Project | str | Path | None = None, config_dir: str | Path | None = None) -> Run:
    """Train and evaluate one run, as `python train.py` does, and return it.

    Several values of a key are a loop in Python: `[train("model=regression", f"seed={seed}") for seed in range(3)]`.

    Args:
        overrides: those of the command line, such as `"model=regression"` and `"model.C=5"`. Relative paths of
            `runs_dir`, `run_dir` and `promotions_dir` are in the project.
        project: the root of another project than the current one.
        config_dir: a further directory of configurations, which is searched first.

    Raises:
        UserError: an override is wrong, or the data cannot be read.
        RunFailed: the run failed later; its record has the reason.
    """
    from ratchet.config import compose, register, take_config_dir
    from ratchet.models import all_settings
    from ratchet.sweeps.jobs import recorded_overrides
    from ratchet.training import train as train_config

    for override in overrides:
        if override.startswith("-"):
            raise UserError(
                f"train, {override}: a flag of the command line: give overrides such as 'seed=1', and call train in a "
                "loop for several runs"
            )
    found = find_project(project)
    flags = [] if config_dir is None else ["--config-dir", str(config_dir)]
    directory = take_config_dir(flags)[1]
    with acting_in(found):
        register(all_settings())
        config = compose(overrides, directory)
        for key, is_set in (("resume", config.resume is not None), ("sweep", bool(config.sweep.space))):
            if is_set:
                raise UserError(f"train, {key}=...: train starts one new run: use `python train.py {key}=...`")
        config.runs_dir, config.promotions_dir = (
            str(found.root / directory) for directory in (config.runs_dir, config.promotions_dir)
        )
        if config.run_dir is not None:
            config.run_dir = str(found.root / config.run_dir)
        outcome = train_config(config, recorded_overrides(overrides), config_dir=directory)
    return Run(read_run(outcome.path.resolve()), found)


def load_run(
    name: str | Path = "last",
    *,
    project: Project | str | Path | None = None,
    runs_dir: str | Path | None = None,
) -> Run:
    """Return a run that was trained before.

    Args:
        name: `last`, an id, the unique beginning or end of one, or the directory of a run.
        project: the root of another project than the current one.
        runs_dir: where runs are, if not in the project's `runs`; a relative path is in the project.

    Raises:
        UserError: no run or several runs match.
    """
    found = find_project(project)
    return Run(find_run(find_runs_dir(found, runs_dir), str(name)), found)


def load_scorer(
    source: str | Path | Run | StoredRun = "last",
    *,
    project: Project | str | Path | None = None,
    runs_dir: str | Path | None = None,
    use_export: bool = True,
) -> scorer.Scorer:
    """Load what scores texts: a run, an exported model, or the promoted model.

    Args:
        source: a run, or what names one, as in `load_run`; the directory of an export; a log of promotions
            (`promotions/<data>.jsonl`) for the promoted model.
        project: the root of another project than the current one; that of `source` if it is a `Run`.
        runs_dir: where runs are, if not in the project's `runs`; a relative path is in the project.
        use_export: load the export of a run that has one, which needs neither torch nor Hydra.

    Raises:
        UserError: no such run or several, a run that did not finish or whose weights were not kept, a damaged export,
            nothing is promoted, or a library that the model needs is not installed.
    """
    if isinstance(source, Run):
        project, source = project or source.project, source._stored
    found = find_project(project)
    with acting_in(found):
        return scorer.load_scorer(source, runs_dir=find_runs_dir(found, runs_dir), use_export=use_export)


# --- the project of a call --------------------------------------------------------------------------------------------


def find_project(project: Project | str | Path | None) -> Project:
    """Return the project that an argument names; None is the current one.

    Raises:
        UserError: the directory does not exist, or is not a project.
    """
    if project is None:
        return current_project()
    root = project.root if isinstance(project, Project) else Path(project)
    if root.resolve() == current_project().root:
        return current_project()
    try:
        with environment(**{VARIABLE: str(root.resolve())}):
            return Project.find()
    except UserError as error:  # it names the variable, which the caller did not set
        raise UserError(str(error).replace(f"{VARIABLE}=", "project=")) from None


@contextmanager
def acting_in(project: Project) -> Iterator[None]:
    """Make this project the current one until the block ends. The working directory stays what it is."""
    if project == current_project():
        yield
        return
    with environment(**{VARIABLE: str(project.root)}):
        yield


def find_runs_dir(project: Project, runs_dir: str | Path | None) -> Path:
    """Return the directory of runs: that of the project, or the one that an argument names."""
    return project.runs_dir if runs_dir is None else project.root / expand_home(runs_dir)
