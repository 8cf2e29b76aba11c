"""Export a finished run: write the export next to its location, check it against the run, then move it there."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ratchet.config import Config, load, require_model_packages
from ratchet.data.prepared import Prepared, prepare
from ratchet.data.texts import TextColumns
from ratchet.errors import UserError
from ratchet.evaluation.cost import measure_size_mb
from ratchet.extras import DISTRIBUTION, require_extra
from ratchet.files import replacing_directory
from ratchet.inference.export_checks import STEPS, Trial, check_float32, check_int8, try_export
from ratchet.inference.manifest import MANIFEST, Check, Manifest, read_manifest, write_manifest
from ratchet.inference.scorer import EXPORT
from ratchet.machine import available_cores, limited_threads
from ratchet.models import all_settings, tagger_class
from ratchet.runs.provenance import read_package_versions
from ratchet.runs.stored import StoredRun, find_repeats
from ratchet.taggers import Exporter, ExportPrecision

Advance = Callable[[int], None]

_PACKAGES = (DISTRIBUTION, "numpy", "scipy", "scikit-learn", "tokenizers", "torch", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Export:
    """A written export: its directory, its size and that of the run's model (MB of 10**6 bytes), its manifest."""

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
    """Write a finished run's export, after a check that it scores the val texts as the run does.

    The loss of F1 by int8 is measured over all repeats of the run's candidate in the same runs directory.

    Args:
        run: the run.
        precision: of the large matrix products of a network.
        out: the directory to write; by default `export` in the run's directory.
        replace: replace an export at `out`. Anything else there is never replaced.
        begin: called with the number of steps; returns what counts them, for a progress bar.

    Raises:
        UserError: the run did not finish, its data have changed, `out` exists, the model is no network and int8 is
            asked for, or the libraries to export it are not installed.
        ExportRefused: the export does not score as the run does.
    """
    directory = run.path / EXPORT if out is None else out
    _refuse_existing(directory, replace)
    if run.status != "finished":
        raise UserError(f"{run.path}: the run is {run.status}, only a finished one can be exported")
    is_network = issubclass(tagger_class(run.record.model), Exporter)
    int8 = precision is ExportPrecision.int8
    if int8 and not is_network:
        raise UserError(f"{run.record.name} has no int8: it is not a network, leave precision=int8 out")
    config = load(run.path / "config.yaml", all_settings())
    require_model_packages(config.model)
    if is_network:
        require_extra("export", what=f"exporting {run.record.name}")
    data, metric = _prepare_data(run, config), f"f1_{config.threshold.average.name}"
    repeats = find_repeats(run) if int8 else [run]
    advance = begin(len(repeats) * STEPS)
    with limited_threads(available_cores()), replacing_directory(directory) as unfinished:
        trial = try_export(run, data, config.threshold, unfinished, precision, advance)
        if int8:
            others = [_try_int8(other, data, config, unfinished, advance) for other in repeats[1:]]
            check = check_int8([trial, *others], metric, config.split)
        else:
            check = check_float32(trial, metric)
        manifest = _describe(run, config, precision if is_network else None, check)
        write_manifest(unfinished, manifest)
    return Export(directory, measure_size_mb(directory), measure_size_mb(run.path / "model"), manifest)


def _try_int8(run: StoredRun, data: Prepared, config: Config, parent: Path, advance: Advance) -> Trial:
    """Score with a repeat's export in int8, and delete it."""
    with TemporaryDirectory(dir=parent) as directory:
        return try_export(run, data, config.threshold, Path(directory), ExportPrecision.int8, advance)


def _refuse_existing(directory: Path, replace: bool) -> None:
    if not os.path.lexists(directory):
        return
    try:
        manifest = read_manifest(directory)
    except UserError as error:
        remedy = "choose another directory with out=DIR, or delete it yourself"
        raise UserError(f"{directory}: exists already and is no export: {remedy}") from error
    if not replace:
        raise UserError(f"{directory}: an export exists already: replace=true replaces it")
    written = {MANIFEST, *manifest.files}
    names = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir())
    other = next((name for name in names if name not in written), None)
    if other is not None or directory.is_symlink():
        what = "is a link" if other is None else f"has a file that the export did not write: {other}"
        raise UserError(f"{directory} {what}: move it away, or choose another directory with out=DIR")


def _prepare_data(run: StoredRun, config: Config) -> Prepared:
    """Prepare the data that the run was trained on.

    Raises:
        UserError: the data have changed since.
    """
    prepared = prepare(config.data)
    if prepared.version != run.record.dataset_version:
        raise UserError(
            f"{run.path}: the run was trained on version {str(run.record.dataset_version)[:12]} of {config.data.name}, "
            f"the records are now version {prepared.version[:12]}: an export is checked on the run's own val texts"
        )
    return prepared


def _describe(run: StoredRun, config: Config, precision: ExportPrecision | None, check: Check) -> Manifest:
    record, text = run.record, TextColumns.from_config(config.data)
    return Manifest(
        module=record.model,
        name=record.name,
        run=record.id,
        config_hash=record.config_hash,
        dataset_version=str(record.dataset_version),
        split_hash=str(record.split_hash),
        task=str(record.task),
        text=list(text.names),
        text_separator=text.separator,
        text_files=list(text.files),
        text_encoding=text.encoding,
        precision=precision.value if precision else None,
        thresholds="export" if precision is ExportPrecision.int8 else "run",
        check=check,
        versions=read_package_versions(_PACKAGES),
    )
