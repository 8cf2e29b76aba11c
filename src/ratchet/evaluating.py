"""Evaluate a finished run on other records than those it was trained and tested on, or on its own again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

from ratchet.config import Config, compose, load
from ratchet.data.dataset import Dataset
from ratchet.data.prepared import Prepared, build_known_matrix, build_target_matrix, prepare
from ratchet.data.records import Record
from ratchet.data.splits import PARTS, make_split
from ratchet.errors import UserError, did_you_mean
from ratchet.evaluation.cost import measure_serving
from ratchet.evaluation.measures import Metrics
from ratchet.evaluation.slices import assign_slices, divide_by_leaks
from ratchet.files import replacing_directory, write_json
from ratchet.inference.scorer import load_scorer
from ratchet.machine import limited_threads, machine
from ratchet.models import all_settings
from ratchet.runs.accesses import find_runs_dir, record_test_access
from ratchet.runs.stored import MEASUREMENTS, StoredRun
from ratchet.runs.trained_texts import Seen, count_trained_texts
from ratchet.training import measure


@dataclass(frozen=True)
class Evaluation:
    """The metrics, where they were written, and what limits their meaning.

    `seen` counts the evaluated records that the run was trained and tuned on; None if that is not known.
    `unknown_labels` counts the labels that it cannot predict, `test_accesses` all accesses to the test split so far;
    None if it was not read.
    """

    directory: Path
    metrics: Metrics
    records: int
    seen: Seen | None
    unknown_labels: dict[str, int]
    test_accesses: int | None


def compose_evaluation(run: StoredRun, overrides: Sequence[str], config_dir: Path | None = None) -> Config:
    """Return the run's own configuration with `overrides`; with another data set, that one's, and its split seed.

    Raises:
        UserError: an override is wrong.
    """
    path = run.path / "config.yaml"
    if not any(override.startswith("data=") for override in overrides):
        return load(path, all_settings(), overrides)
    seed = load(path, all_settings()).split.seed
    return compose([f"split.seed={seed}", *overrides], config_dir)


def evaluate_run(run: StoredRun, config: Config, part: str) -> Evaluation:
    """Score `run` on `part` (train, val, test or all) of `config.data`; write into the run's `evaluations/`.

    The run's thresholds decide, and its labels are the columns: labels that it does not know cannot be predicted, and
    are counted. Each access to a test part is logged before it is scored.

    Raises:
        UserError: an unknown part, the run did not finish, or the data share no label with it.
    """
    if part not in (*PARTS, "all"):
        raise UserError(f"part={part!r}: {did_you_mean(part, (*PARTS, 'all'))}")
    scorer = load_scorer(run, use_export=False)
    labels = list(scorer.labels)
    prepared = prepare(config.data, other_records=True)
    if prepared.task.value != run.record.task:
        raise UserError(f"{config.data.name} is {prepared.task.value}, the run was trained on {run.record.task} data")
    if set(labels).isdisjoint(prepared.labels):
        raise UserError(f"{config.data.name} has none of the run's labels ({', '.join(labels[:5])}, ...)")
    ids, leaked, split_hash = _select_ids(run, prepared, config, part)
    dataset = _with_labels(prepared, ids, labels)
    unknown = _count_unknown_labels(prepared.select(ids), labels)
    own = load(run.path / "config.yaml", all_settings())
    record_of = {record.id: record for record in prepared.records}
    slices = assign_slices(
        [_with_known_labels(record_of[identifier], set(labels)) for identifier in ids],
        {**own.evaluation.slices, **config.data.slices},
        labels=sorted({*labels, *prepared.labels}),
        taxonomy=prepared.taxonomy,
        train_counts=run.record.train_label_counts,
    )
    slices = divide_by_leaks(slices, ids, leaked)

    seen = _count_seen(run, config, prepared.version, dataset)
    accesses = None
    if part in ("test", "all"):
        runs_dir = find_runs_dir(run, own.runs_dir, has_own_place=own.run_dir is not None)
        accesses = record_test_access(runs_dir, run, config.data.name, prepared.version, split_hash)
    directory = run.path / "evaluations" / f"{config.data.name}-{part}-{token_hex(3)}"
    with replacing_directory(directory) as unfinished:
        scores = scorer.score(dataset.texts).scores
        metrics = measure(unfinished, own, dataset, scores, scorer.thresholds, slices, part)
        write_json(unfinished / "metrics.json", metrics)
        write_json(
            unfinished / "evaluation.json",
            {
                "run": run.record.id,
                "data": config.data.name,
                "part": part,
                "dataset_version": prepared.version,
                "split_hash": split_hash,
                "records": len(ids),
                "seen_in_training": seen.train if seen else None,
                "seen_in_val": seen.val if seen else None,
                "unknown_labels": unknown,
            },
        )
    return Evaluation(directory, metrics, len(ids), seen, unknown, accesses)


def _select_ids(run: StoredRun, prepared: Prepared, config: Config, part: str) -> tuple[list[str], list[str], str]:
    """Return the ids of `part`, those that leak, and the hash of the split that is read; `all` needs no split."""
    if part == "all":
        same = prepared.version == run.record.dataset_version
        return [record.id for record in prepared.records], [], str(run.record.split_hash) if same else "all"
    split = make_split(prepared, config.split, config.data.split.column, config.data.split.group)
    return getattr(split, part), split.leaked, split.hash


def _with_labels(prepared: Prepared, ids: list[str], labels: list[str]) -> Dataset:
    """Return the records with the run's labels as columns."""
    dataset = prepared.select(ids)
    record_of = {record.id: record for record in prepared.records}
    records = [record_of[identifier] for identifier in ids]
    targets = build_target_matrix([record.labels for record in records], labels)
    known = build_known_matrix([record.unknown for record in records], labels)
    return replace(dataset, targets=targets, labels=labels, known=known)


def _with_known_labels(record: Record, labels: set[str]) -> Record:
    """Return the record with those of its labels that the run can predict."""
    return replace(record, labels=tuple(label for label in record.labels if label in labels))


def _count_unknown_labels(dataset: Dataset, labels: list[str]) -> dict[str, int]:
    counts = dict(zip(dataset.labels, dataset.targets.sum(axis=0, dtype=int).tolist(), strict=True))
    return {label: count for label, count in counts.items() if count and label not in set(labels)}


def _count_seen(run: StoredRun, config: Config, version: str, dataset: Dataset) -> Seen | None:
    """Count the records whose text was in train or val of the run; None if that is not known.

    A run of an earlier version stored only ids, which mean the same records in the same version of the data alone.
    """
    seen = count_trained_texts(run, dataset.texts)
    if seen is None and (run.record.data, run.record.dataset_version) == (config.data.name, version):
        split = run.read_json("split.json")
        return Seen(*(len(set(dataset.ids) & set(split[part])) for part in ("train", "val")))
    return seen


def measure_cost_again(run: StoredRun) -> dict[str, Any]:
    """Measure latency and throughput of a finished run again, and return its new costs. Nothing is trained.

    The texts and the number of threads are those of its training. Its cost.json is replaced; the earlier measurement
    and this one, with the machine, are kept in `costs/`.

    Raises:
        UserError: the run did not finish, its weights were not kept, or the data set changed.
    """
    before = run.read_json("cost.json")
    with limited_threads(run.record.threads):
        scorer = load_scorer(run, use_export=False)
        prepared = prepare(load(run.path / "config.yaml", all_settings()).data)
        if prepared.version != run.record.dataset_version:
            raise UserError(
                f"{run.path}: the data set {run.record.data} changed since the training (version "
                f"{str(run.record.dataset_version)[:12]} then, {prepared.version[:12]} now): restore it, since latency "
                "is measured on the same texts"
            )
        texts = prepared.select(run.read_json("split.json")["val"]).texts
        serving = measure_serving(scorer.tagger.predict_proba, texts)
    fit_load = before.get("cost/fit_load_average", before.get("cost/load_average"))
    costs = {**before, "cost/fit_load_average": fit_load, **serving}
    directory = run.path / MEASUREMENTS
    directory.mkdir(exist_ok=True)
    first = {"at": run.record.finished_at, "machine": run.record.machine, "costs": before}
    if not any(directory.iterdir()):
        write_json(directory / "0-training.json", first)
    now = datetime.now(UTC)
    measured = {"at": now.isoformat(timespec="seconds"), "machine": machine(), "costs": costs}
    write_json(directory / f"{now:%Y%m%dT%H%M%SZ}-{token_hex(3)}.json", measured)
    write_json(run.path / "cost.json", costs)
    return costs
