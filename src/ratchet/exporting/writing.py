"""`ratchet export RUN`: write the export beside its place, check it against the run, then put it there."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ratchet.config import Config, load
from ratchet.data.dataset import Dataset
from ratchet.data.prepared import prepare
from ratchet.errors import UserError
from ratchet.evaluation.cost import size_mb
from ratchet.exporting.checking import check_scores
from ratchet.exporting.manifest import MANIFEST, Check, Manifest, write_manifest
from ratchet.exporting.reading import PLACE
from ratchet.models import all_settings, tagger_class
from ratchet.models.base import Exporter
from ratchet.neural.settings import ExportPrecision
from ratchet.process import available_cores, limited_threads
from ratchet.runs import StoredRun
from ratchet.runs.predictions import check_scores as keep_contract
from ratchet.scoring import Scorer, load_scorer

STEPS = 3  # that `advance` is told of: written, scored by the run, scored by the export
_FILES = ("labels.json", "thresholds.json", "calibration.json")
_PACKAGES = ("ratchet", "numpy", "scipy", "scikit-learn", "tokenizers", "torch", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Export:
    """Where an export was written, how large it and the run's model are (MB of 10**6 bytes), and its manifest."""

    directory: Path
    size_mb: float
    model_mb: float
    manifest: Manifest


def export_run(
    run: StoredRun,
    *,
    precision: ExportPrecision = ExportPrecision.float32,
    out: Path | None = None,
    replace: bool = False,
    advance: Callable[[int], None] = lambda steps: None,
) -> Export:
    """Write a finished run's export to `out`, by default into the run, once it scored the val texts as the run does.

    Raises:
        UserError: the run did not finish, its data are not what they were, there is something at `out` already (an
            export is replaced with `replace`, nothing else is), int8 of a model without matrix products, or the
            libraries for it are not installed.
        ExportRefused: it does not score as the run does.
    """
    directory = run.path / PLACE if out is None else out
    _refuse_taken(directory, replace)
    scorer = load_scorer(run)
    if precision is ExportPrecision.int8 and not isinstance(scorer.tagger, Exporter):
        raise UserError(f"{run.record.name} has no int8: it is no network, leave precision=int8 out")
    config = load(run.path / "config.yaml", all_settings())
    val, metric = _val_texts(run, config), f"f1_{config.threshold.average.name}"
    with limited_threads(available_cores()), _beside(directory) as unfinished:
        _write_files(run, scorer, unfinished, precision)
        advance(1)
        own = keep_contract(scorer.scores(val.texts), val.targets.shape)
        advance(1)
        exported = Scorer(
            tagger_class(run.record.model).load(unfinished / "model"),
            scorer.labels,
            scorer.calibration,
            scorer.thresholds,
        )
        found = keep_contract(exported.scores(val.texts), val.targets.shape)
        advance(1)
        is_network = isinstance(scorer.tagger, Exporter)
        check = check_scores(scorer, val, own, found, metric, precision if is_network else None)
        manifest = _manifest(run, config, precision.value if is_network else None, check)
        write_manifest(unfinished, manifest)
    return Export(directory, size_mb(directory), size_mb(run.path / "model"), manifest)


def _refuse_taken(directory: Path, replace: bool) -> None:
    if not os.path.lexists(directory):
        return
    if not (directory / MANIFEST).is_file():
        raise UserError(f"{directory}: is there already and is no export: choose another place with out=DIR")
    if not replace:
        raise UserError(f"{directory}: an export is there already: replace=true puts the new one in its place")


def _val_texts(run: StoredRun, config: Config) -> Dataset:
    """The run's val part.

    Raises:
        UserError: the data are not those that the run was made with.
    """
    prepared = prepare(config.data)
    if prepared.version != run.record.dataset_version:
        raise UserError(
            f"{run.path}: the run was made with version {str(run.record.dataset_version)[:12]} of {config.data.name}, "
            f"the records are now version {prepared.version[:12]}: an export is checked on the run's own val texts"
        )
    return prepared.part(run.read_json("split.json")["val"])


def _write_files(run: StoredRun, scorer: Scorer, directory: Path, precision: ExportPrecision) -> None:
    for name in _FILES:
        shutil.copyfile(run.path / name, directory / name)
    model = directory / "model"
    model.mkdir()
    if isinstance(scorer.tagger, Exporter):
        scorer.tagger.export(model, precision)
    else:
        scorer.tagger.save(model)


def _manifest(run: StoredRun, config: Config, precision: str | None, check: Check) -> Manifest:
    record = run.record
    return Manifest(
        module=record.model,
        name=record.name,
        run=record.id,
        config_hash=record.config_hash,
        dataset_version=str(record.dataset_version),
        split_hash=str(record.split_hash),
        task=str(record.task),
        text=list(config.data.text),
        text_separator=config.data.text_separator,
        precision=precision,
        check=check,
        versions=_versions(),
    )


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@contextmanager
def _beside(directory: Path) -> Iterator[Path]:
    """A directory to write into; it takes the place of `directory` when the block ends well, else it goes away."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    unfinished = directory.with_name(f".{directory.name}.{os.getpid()}.tmp")
    old = directory.with_name(f".{directory.name}.{os.getpid()}.old")
    unfinished.mkdir()
    try:
        yield unfinished
        if directory.exists():
            directory.rename(old)
        try:
            unfinished.rename(directory)
        except OSError:
            old.rename(directory)
            raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
