"""`ratchet export RUN`: write the export beside its place, check it against the run, then put it there."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

from ratchet.config import Config, load
from ratchet.data.prepared import Prepared, prepare
from ratchet.errors import UserError
from ratchet.evaluation.cost import measure_size_mb
from ratchet.exporting.checking import check_f1, check_scores
from ratchet.exporting.manifest import MANIFEST, Check, Manifest, write_manifest
from ratchet.exporting.reading import PLACE
from ratchet.exporting.trial import STEPS, Trial, try_export
from ratchet.machine import available_cores, limited_threads
from ratchet.models import all_settings, tagger_class
from ratchet.runs import StoredRun
from ratchet.runs.stored import repeats_of
from ratchet.taggers import Exporter, ExportPrecision

Advance = Callable[[int], None]
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
    begin: Callable[[int], Advance] = lambda steps: lambda done: None,
) -> Export:
    """Write a finished run's export to `out`, by default into the run, once it scored the val texts as the run does.

    What int8 costs is asked of all repeats of the run's candidate that lie beside it. `begin` is told the number of
    steps and gives what counts them, for a progress bar.

    Raises:
        UserError: the run did not finish, its data are not what they were, there is something at `out` already (an
            export is replaced with `replace`, nothing else is), int8 of a model without matrix products, or the
            libraries for it are not installed.
        ExportRefused: it does not score as the run does.
    """
    directory = run.path / PLACE if out is None else out
    _refuse_taken(directory, replace)
    if run.status != "finished":
        raise UserError(f"{run.path}: the run is {run.status}, only a finished one can be exported")
    is_network = issubclass(tagger_class(run.record.model), Exporter)
    int8 = precision is ExportPrecision.int8
    if int8 and not is_network:
        raise UserError(f"{run.record.name} has no int8: it is no network, leave precision=int8 out")
    config = load(run.path / "config.yaml", all_settings())
    data, metric = _data_of(run, config), f"f1_{config.threshold.average.name}"
    repeats = repeats_of(run) if int8 else [run]
    advance = begin(len(repeats) * STEPS)
    with limited_threads(available_cores()), _beside(directory) as unfinished:
        trial = try_export(run, data, config.threshold, unfinished, precision, advance)
        if int8:
            others = [_tried(other, data, config, unfinished, advance) for other in repeats[1:]]
            check = check_f1([trial, *others], metric, config.split)
        else:
            check = check_scores(trial, metric)
        manifest = _manifest(run, config, precision if is_network else None, check)
        write_manifest(unfinished, manifest)
    return Export(directory, measure_size_mb(directory), measure_size_mb(run.path / "model"), manifest)


def _tried(run: StoredRun, data: Prepared, config: Config, within: Path, advance: Advance) -> Trial:
    """How a repeat's export in int8 scores; nothing of it is kept."""
    with TemporaryDirectory(dir=within) as directory:
        return try_export(run, data, config.threshold, Path(directory), ExportPrecision.int8, advance)


def _refuse_taken(directory: Path, replace: bool) -> None:
    if not os.path.lexists(directory):
        return
    if not (directory / MANIFEST).is_file():
        raise UserError(f"{directory}: is there already and is no export: choose another place with out=DIR")
    if not replace:
        raise UserError(f"{directory}: an export is there already: replace=true puts the new one in its place")


def _data_of(run: StoredRun, config: Config) -> Prepared:
    """The data that the run was made with.

    Raises:
        UserError: they have changed since.
    """
    prepared = prepare(config.data)
    if prepared.version != run.record.dataset_version:
        raise UserError(
            f"{run.path}: the run was made with version {str(run.record.dataset_version)[:12]} of {config.data.name}, "
            f"the records are now version {prepared.version[:12]}: an export is checked on the run's own val texts"
        )
    return prepared


def _manifest(run: StoredRun, config: Config, precision: ExportPrecision | None, check: Check) -> Manifest:
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
        precision=precision.value if precision else None,
        thresholds="export" if precision is ExportPrecision.int8 else "run",
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
