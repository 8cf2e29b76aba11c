"""Score a finished run on other records than those it was made with: `ratchet evaluate RUN data=... part=...`."""

import secrets
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from ratchet.config import Config, load
from ratchet.data.dataset import Dataset
from ratchet.data.prepared import Prepared, build_target_matrix, prepare
from ratchet.data.records import Record
from ratchet.data.splits import PARTS, make_split
from ratchet.errors import UserError, did_you_mean
from ratchet.evaluation.measures import Metrics
from ratchet.evaluation.slices import assign_slices
from ratchet.files import write_json
from ratchet.models import all_settings
from ratchet.runs import StoredRun
from ratchet.runs.accesses import note_reading
from ratchet.scoring import load_scorer
from ratchet.training import measure, predict


@dataclass(frozen=True)
class Rescored:
    """Where the figures were written, and what a reader of them must know."""

    directory: Path
    figures: Metrics
    records: int
    seen_in_training: int
    unknown_labels: dict[str, int]
    test_readings: int | None


def rescore(run: StoredRun, config: Config, part: str) -> Rescored:
    """Score `run` on `part` (train, val, test or all) of `config.data`; writes into the run's `evaluations/`.

    The run's own thresholds decide, its own labels are the columns: labels that it does not know cannot be
    predicted, they are counted in `unknown_labels`. Each look at a test part is counted as one.

    Raises:
        UserError: an unknown part, the run did not finish, or the data share no label with it.
    """
    if part not in (*PARTS, "all"):
        raise UserError(f"part={part!r}: {did_you_mean(part, (*PARTS, 'all'))}")
    scorer = load_scorer(run)
    labels = scorer.labels
    prepared = prepare(config.data)
    if prepared.task.value != run.record.task:
        raise UserError(f"{config.data.name} is {prepared.task.value}, the run was trained on {run.record.task} data")
    if set(labels).isdisjoint(prepared.labels):
        raise UserError(f"{config.data.name} has none of the run's labels ({', '.join(labels[:5])}, ...)")
    ids, split_hash = _ids(run, prepared, config, part)
    dataset = _with_labels(prepared, ids, labels)
    unknown = _unknown_labels(prepared.select(ids), labels)
    own = load(run.path / "config.yaml", all_settings())
    record_of = {record.id: record for record in prepared.records}
    slices = assign_slices(
        [_known(record_of[identifier], set(labels)) for identifier in ids],
        {**own.evaluation.slices, **config.data.slices},
        labels=sorted({*labels, *prepared.labels}),
        taxonomy=prepared.taxonomy,
        train_counts=run.record.train_label_counts,
    )

    directory = run.path / "evaluations" / f"{config.data.name}-{part}-{secrets.token_hex(3)}"
    unfinished = directory.with_name(f".{directory.name}.tmp")
    unfinished.mkdir(parents=True)
    try:
        scores = scorer.calibration.apply(predict(scorer.tagger, dataset))
        found = measure(unfinished, own, dataset, scores, scorer.thresholds, slices, part)
        seen = _seen_in_training(run, config, ids)
        write_json(unfinished / "metrics.json", found)
        write_json(
            unfinished / "evaluation.json",
            {
                "run": run.record.id,
                "data": config.data.name,
                "part": part,
                "dataset_version": prepared.version,
                "split_hash": split_hash,
                "records": len(ids),
                "seen_in_training": seen,
                "unknown_labels": unknown,
            },
        )
        unfinished.rename(directory)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    readings = None
    if part in ("test", "all"):
        runs_dir = Path(own.runs_dir) if own.run_dir else run.path.resolve().parents[2]
        readings = note_reading(runs_dir, config.data.name, prepared.version, split_hash, run.record.id)
    return Rescored(directory, found, len(ids), seen, unknown, readings)


def _unknown_labels(dataset: Dataset, labels: list[str]) -> dict[str, int]:
    counts = dict(zip(dataset.labels, dataset.targets.sum(axis=0, dtype=int).tolist(), strict=True))
    return {label: count for label, count in counts.items() if count and label not in set(labels)}


def _known(record: Record, labels: set[str]) -> Record:
    """The record with those of its labels that the run can predict."""
    return replace(record, labels=tuple(label for label in record.labels if label in labels))


def _ids(run: StoredRun, prepared: Prepared, config: Config, part: str) -> tuple[list[str], str]:
    """The ids of `part`, and the hash of the split that is looked at; all records need no split."""
    if part == "all":
        same = prepared.version == run.record.dataset_version
        return [record.id for record in prepared.records], str(run.record.split_hash) if same else "all"
    split = make_split(prepared, config.split, config.data.split.column)
    return getattr(split, part), split.hash


def _with_labels(prepared: Prepared, ids: list[str], labels: list[str]) -> Dataset:
    dataset = prepared.select(ids)
    record_of = {record.id: record for record in prepared.records}
    targets = build_target_matrix([record_of[identifier].labels for identifier in ids], labels)
    return replace(dataset, targets=targets, labels=labels)


def _seen_in_training(run: StoredRun, config: Config, ids: list[str]) -> int:
    """How many of `ids` the run was trained on; another data set's ids are taken for other records."""
    if run.record.data != config.data.name:
        return 0
    return len(set(ids) & set(run.read_json("split.json")["train"]))
