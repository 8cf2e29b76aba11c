"""One run, from configuration to record: reads top to bottom, and is the only place where the parts meet."""

import logging
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ratchet.config import Config, Part
from ratchet.data.dataset import Dataset
from ratchet.data.prepared import Prepared, prepare
from ratchet.data.splits import PARTS, Split, make_split
from ratchet.evaluation.cost import measure_serving, peak_memory_mb, reset_peak_memory, size_mb
from ratchet.evaluation.figures import Figures, figures
from ratchet.evaluation.slices import assign_slices
from ratchet.evaluation.thresholds import Thresholds, choose_thresholds
from ratchet.models import tagger_class
from ratchet.models.base import FitContext, Scores, Tagger
from ratchet.runs import Recording, open_run
from ratchet.runs.predictions import Predictions, check_scores, write_predictions
from ratchet.runs.readings import note_reading

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a finished run tells its caller; everything else is in its directory."""

    path: Path
    test_readings: int | None


def train(config: Config, overrides: Sequence[str] = ()) -> Outcome:
    """Run `config` and write down what happened.

    Raises:
        UserError: the run directory cannot be had.
        RunFailed: anything that went wrong after that; the record says `failed` and why.
    """
    threads = config.threads or available_cores()
    with open_run(config, threads=threads, overrides=overrides) as run, limited_threads(threads):
        reset_peak_memory()
        seed_everything(config.seed)

        prepared = prepare(config.data)
        split = make_split(prepared, config.split, config.data.split.column)
        train_part, val_part = prepared.part(split.train), prepared.part(split.val)
        record_data(run, prepared, split, train_part)

        tagger = tagger_class(config.model.module)(config.model)
        started = time.perf_counter()
        tagger.fit(train_part, val_part, FitContext(run.directory("checkpoints"), config.seed, run.log))
        fit_seconds = time.perf_counter() - started
        tagger.save(run.directory("model"))

        scores = predict(tagger, val_part)
        thresholds = choose_thresholds(val_part.targets, scores, config.threshold, prepared.task)
        run.write_json("thresholds.json", thresholds.to_json(prepared.labels))

        slices = slices_of(config, prepared, val_part, run)
        metrics = measure(run.path, config, val_part, scores, thresholds, slices, "val")
        readings = None
        if config.evaluate is Part.test:
            runs_dir = Path(config.runs_dir)  # the reading is noted first: a run that dies in between has still looked
            readings = note_reading(runs_dir, config.data.name, prepared.version, split.hash, run.record.id)
            test_part = prepared.part(split.test)
            slices = slices_of(config, prepared, test_part, run)
            metrics |= measure(run.path, config, test_part, predict(tagger, test_part), thresholds, slices, "test")
        run.write_json("metrics.json", metrics)

        record_cost(run, tagger, val_part.texts, fit_seconds)
        run.update(
            deterministic=tagger.deterministic, num_parameters=tagger.num_parameters, size_bytes=tagger.size_bytes
        )
    return Outcome(run.path, readings)


def predict(tagger: Tagger, dataset: Dataset) -> Scores:
    """The tagger's scores of `dataset`; a tagger that breaks the contract is told here."""
    return check_scores(tagger.predict_proba(dataset.texts), dataset.targets.shape)


def slices_of(config: Config, prepared: Prepared, dataset: Dataset, run: Recording) -> list[list[str]]:
    """The names of the slices that each record of `dataset` is in."""
    record_of = {record.id: record for record in prepared.records}
    return assign_slices(
        [record_of[identifier] for identifier in dataset.ids],
        {**config.evaluation.slices, **config.data.slices},
        labels=prepared.labels,
        taxonomy=prepared.taxonomy,
        train_counts=run.record.train_label_counts,
    )


def measure(
    directory: Path,
    config: Config,
    dataset: Dataset,
    scores: Scores,
    thresholds: Thresholds,
    slices: list[list[str]],
    part: str,
) -> Figures:
    """Predictions of `dataset` into `directory`, and their figures under keys that begin with `part`."""
    write_predictions(
        directory / "predictions" / f"{part}.parquet", Predictions(dataset.ids, dataset.targets, scores, slices)
    )
    return figures(
        part,
        dataset.targets,
        scores,
        thresholds.decide(scores),
        dataset.labels,
        slices,
        cutoffs=config.evaluation.k,
        resamples=config.evaluation.resamples,
    )


def record_data(run: Recording, prepared: Prepared, split: Split, train_part: Dataset) -> None:
    """Which records went where, and what was left out on the way."""
    run.write_json("labels.json", prepared.labels)
    run.write_json("split.json", {"hash": split.hash, **{part: getattr(split, part) for part in PARTS}})
    for problem in prepared.report.problems:
        log.info("data: %s: %s: %s (%s)", problem.place, problem.kind, problem.message, problem.outcome)
    counts = train_part.targets.sum(axis=0, dtype=int).tolist()
    run.update(
        task=prepared.task.value,
        dataset_version=prepared.version,
        split_hash=split.hash,
        records={part: len(getattr(split, part)) for part in PARTS},
        train_label_counts=dict(zip(prepared.labels, counts, strict=True)),
    )
    absent = [label for label, count in run.record.train_label_counts.items() if count == 0]
    if absent:
        log.warning("labels without a train record, which nothing can be learnt about: %s", ", ".join(absent))


def record_cost(run: Recording, tagger: Tagger, texts: Sequence[str], fit_seconds: float) -> None:
    """cost.json: what differs from machine to machine and from run to run, kept apart from metrics.json."""
    memory = peak_memory_mb()
    run.write_json(
        "cost.json",
        {
            "cost/fit_seconds": fit_seconds,
            **measure_serving(tagger.predict_proba, texts),
            "cost/peak_memory_mb": memory,
            "cost/size_mb": size_mb(run.path / "model"),
            "cost/threads": run.record.threads,
            "cost/load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        },
    )


def seed_everything(seed: int) -> None:
    """Seed every generator that a model of this process may use; torch only where it is loaded already."""
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """BLAS and OpenMP limited to `threads` until the block ends, also where a library is loaded inside of it."""
    from threadpoolctl import threadpool_limits

    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        with threadpool_limits(threads):
            yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before
