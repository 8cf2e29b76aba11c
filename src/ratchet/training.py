"""Train one model: data, fit, predictions, metrics, record. The only module that connects all parts of a run."""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ratchet.config import Config, DataConfig, Part, TrainerConfig, hash_inputs
from ratchet.data.dataset import Dataset, Task
from ratchet.data.findings import find_label_problems, summarise_problems
from ratchet.data.prepared import Prepared, list_known_labels, prepare
from ratchet.data.problems import Report
from ratchet.data.progress import report_step
from ratchet.data.splits import PARTS, Split, make_split
from ratchet.data.storing import split_to_json
from ratchet.errors import UserError
from ratchet.evaluation.behaviour import (
    Case,
    compute_behaviour_metrics,
    hash_cases,
    outcomes_to_json,
    read_behaviour,
    run_behaviour,
)
from ratchet.evaluation.calibration import compute_reliability, fit_calibration
from ratchet.evaluation.cost import (
    Disturbance,
    measure_load,
    measure_peak_memory_mb,
    measure_serving,
    measure_size_mb,
    reset_peak_memory,
)
from ratchet.evaluation.measures import Metrics, compute_metrics
from ratchet.evaluation.slices import assign_slices, check_slices, divide_by_leaks
from ratchet.evaluation.thresholds import Thresholds, choose_thresholds, compute_tuned_f1
from ratchet.files import replacing_directory, write_json
from ratchet.machine import available_cores, available_gpus, limited_threads, seed_everything
from ratchet.models import check_ready, tagger_class
from ratchet.runs import Recording, StoredRun, open_run
from ratchet.runs.accesses import count_test_accesses, record_test_access
from ratchet.runs.predictions import Predictions, write_predictions
from ratchet.runs.promotions import NONE, find_named_parent, find_promoted_parent
from ratchet.runs.stored import hash_model_files, read_run
from ratchet.runs.trained_texts import write_trained_texts
from ratchet.taggers import FitContext, RuleBased, Scores, Tagger, ValidationMetric, check_scores
from ratchet.tracking import Tracker, open_tracker
from ratchet.tracking.reports import describe_run, report_run

log = logging.getLogger(__name__)
Watch = Callable[[int, Mapping[str, float]], None]


@dataclass(frozen=True)
class Inputs:
    """The prepared records, their split, and the behavioural test cases."""

    prepared: Prepared
    split: Split
    behaviour: list[Case]


def read_inputs(config: Config, prepare: Callable[[DataConfig], Prepared] = prepare) -> Inputs:
    """Prepare and split the data set of `config`, and read its behavioural test cases.

    Who reads the same data set for several splits passes a `prepare` that keeps it.

    Raises:
        UserError: a file is missing or invalid, or there are no records to train on.
    """
    prepared = prepare(config.data)
    check_slices(prepared.records, {**config.evaluation.slices, **config.data.slices}, prepared.labels, config.data)
    leaks_dir = Path(config.runs_dir) / config.data.name
    split = make_split(prepared, config.split, config.data.split.column, config.data.split.group, leaks_dir=leaks_dir)
    return Inputs(prepared, split, read_behaviour(config.data.behaviour, prepared.labels, list_known_labels(prepared)))


@dataclass(frozen=True)
class Outcome:
    """The result of a finished run: its directory, which holds everything, and the number of test-set accesses."""

    path: Path
    test_readings: int | None


def train(
    config: Config,
    overrides: Sequence[str] = (),
    resume: StoredRun | None = None,
    read: Callable[[Config], Inputs] = read_inputs,
    watch: Watch | None = None,
    config_dir: Path | None = None,
) -> Outcome:
    """Train and evaluate the model of `config` in a new run directory; with `resume`, continue that run in its own.

    `read` returns the data; a pipeline that prepared them earlier passes its own function. `watch` is called with
    the step and the metrics of each point of the curves, and may raise Pruned. `config_dir` is a directory of
    configurations that the configuration was composed with, for the record.

    Raises:
        UserError: a package, a device or an encoder that the run needs is missing, the run directory cannot be created,
            the run cannot be resumed, or its parent does not exist.
        RunFailed: the run failed later; its record has the status `failed` and the reason.
        Pruned: `watch` stopped the run; its record has the status `pruned`.
    """
    check_ready(config)
    inputs_of_model = hash_inputs(config)
    threads = resume.record.threads if resume else config.threads or available_cores()
    if resume is None:
        config.parent = find_named_parent(Path(config.runs_dir), config.parent)
        set_devices(config)
    report_step("starting the run")
    with (
        open_run(
            config, threads=threads, overrides=overrides, resume=resume, config_dir=config_dir, inputs=inputs_of_model
        ) as run,
        limited_threads(threads),
        open_tracker(config.tracker, run.path, lambda: describe_run(config, run.record, run.path)) as tracker,
    ):
        reset_peak_memory()
        seed_everything(config.seed)

        report_step("preparing the data")
        inputs = read(config)
        prepared, split = inputs.prepared, inputs.split
        train_part, val_part = prepared.select(split.train), prepared.select(split.val)
        record_data(run, prepared, split, train_part)
        write_trained_texts(run.path, train_part.texts, val_part.texts)
        run.update(behaviour_hash=hash_cases(inputs.behaviour))
        record_parent(run, config, split)
        data_keys = {"dataset_version": prepared.version, "split_hash": split.hash}
        tracker.configure({**data_keys, "parent": run.record.parent})

        if config.evaluate is Part.test:  # a log that cannot be read fails the run now, not after the fit
            count_test_accesses(Path(config.runs_dir), prepared.version, split.hash)
        tagger = tagger_class(config.model.module)(config.model)
        started, disturbance = time.perf_counter(), Disturbance()
        report_step(f"fitting {config.name}")
        tagger.fit(train_part, val_part, build_fit_context(config, run, tracker, threads, prepared.task, watch))
        fit_cost = {
            "cost/fit_seconds": time.perf_counter() - started,
            "cost/fit_waited": disturbance.measure_share(),
            "cost/fit_load_average": measure_load(),
        }
        if hash_inputs(config) != inputs_of_model:  # what was read is unknown
            raise UserError(
                "the files that model settings name, such as the encoder, changed during the fit: start again"
            )
        with replacing_directory(run.path / "model") as directory:
            tagger.save(directory)

        report_step("scoring val")
        record_texts_without_rule(run, tagger, "val", val_part.texts)
        raw = predict(tagger, val_part)
        calibration = fit_calibration(val_part.targets, raw, config.calibration, prepared.task, val_part.known)
        scores = calibration.apply(raw)
        thresholds = choose_thresholds(val_part.targets, scores, config.threshold, prepared.task, val_part.known)
        run.write_json("calibration.json", calibration.to_json())
        run.write_json("thresholds.json", thresholds.to_json(prepared.labels))
        run.update(model_files=hash_model_files(run.path))

        slices = list_slices(config, inputs, val_part, run)
        metrics = measure(run.path, config, val_part, scores, thresholds, slices, "val")
        test_accesses = None
        if config.evaluate is Part.test:
            report_step("scoring test")
            # Record the access before the test set is read, so that a run that dies in between is counted.
            test_accesses = record_test_access(
                Path(config.runs_dir),
                StoredRun(run.path, run.record),
                config.data.name,
                prepared.version,
                split.hash,
            )
            run.update(test_readings=test_accesses)
            test_part = prepared.select(split.test)
            slices = list_slices(config, inputs, test_part, run)
            record_texts_without_rule(run, tagger, "test", test_part.texts)
            scores = calibration.apply(predict(tagger, test_part))
            metrics |= measure(run.path, config, test_part, scores, thresholds, slices, "test")
        outcomes = run_behaviour(
            inputs.behaviour,
            lambda texts: calibration.apply(tagger.predict_proba(texts)),
            thresholds.decide,
            prepared.labels,
        )
        run.write_json("behaviour.json", outcomes_to_json(outcomes))
        run.write_json("metrics.json", metrics | compute_behaviour_metrics(outcomes))

        report_step("measuring latency")
        record_cost(run, tagger, val_part.texts, fit_cost)
        shutil.rmtree(run.path / "checkpoints")  # only a resumed run needs them; the best weights are in model/
        run.update(
            deterministic=tagger.deterministic, num_parameters=tagger.num_parameters, size_bytes=tagger.size_bytes
        )
        texts = {record.id: record.text for record in prepared.records}
        tracker.report(
            lambda: report_run(
                read_run(run.path),
                texts,
                runs_dir=get_comparison_dir(config, run.path),
                baseline=config.tracker.baseline,
            )
        )
    return Outcome(run.path, test_accesses)


def set_devices(config: Config) -> None:
    """Replace the default `trainer.devices` ("one process per GPU") by the number of GPUs, so that it is recorded."""
    if config.trainer.devices is None and config.model.trains_in_epochs:
        config.trainer.devices = max(1, available_gpus())


def get_comparison_dir(config: Config, path: Path) -> Path:
    """Return the directory of the runs to compare a run with: that of its own pipeline, else `runs_dir`."""
    data, name = path.parts[-3:-1] if len(path.parts) > 2 else ("", "")
    return path.parents[2] if (data, name) == (config.data.name, config.name) else Path(config.runs_dir)


def build_fit_context(
    config: Config, run: Recording, tracker: Tracker, threads: int, task: Task, watch: Watch | None = None
) -> FitContext:
    """Return the inputs of a fit other than data. Curves are logged to the run directory, then to the tracker."""

    def log_metrics(step: int, metrics: Mapping[str, float]) -> None:
        run.log(step, metrics)
        tracker.log(step, metrics)
        if watch is not None:
            watch(step, metrics)

    if config.trainer != TrainerConfig() and not config.model.trains_in_epochs:
        log.warning("%s is not trained in epochs: the trainer settings have no effect", config.model.module)
    return FitContext(
        directory=run.directory("checkpoints"),
        seed=config.seed,
        log=log_metrics,
        validation_metric=ValidationMetric(
            f"val/f1_{config.threshold.average.name}",
            lambda targets, scores, known=None: compute_tuned_f1(targets, scores, config.threshold, task, known),
        ),
        trainer=config.trainer,
        threads=threads,
        resume=run.resumed,
    )


def predict(tagger: Tagger, dataset: Dataset) -> Scores:
    """Return the scores of `dataset`, of shape (num_texts, num_labels).

    Raises:
        ValueError: the scores do not satisfy the Tagger contract.
    """
    return check_scores(tagger.predict_proba(dataset.texts), dataset.targets.shape)


def list_slices(config: Config, inputs: Inputs, dataset: Dataset, run: Recording) -> list[list[str]]:
    """Return the names of the slices of each record of `dataset`."""
    prepared = inputs.prepared
    record_of = {record.id: record for record in prepared.records}
    slices = assign_slices(
        [record_of[identifier] for identifier in dataset.ids],
        {**config.evaluation.slices, **config.data.slices},
        labels=prepared.labels,
        taxonomy=prepared.taxonomy,
        train_counts=run.record.train_label_counts,
    )
    return divide_by_leaks(slices, dataset.ids, inputs.split.leaked)


def measure(
    directory: Path,
    config: Config,
    dataset: Dataset,
    scores: Scores,
    thresholds: Thresholds,
    slices: list[list[str]],
    part: str,
) -> Metrics:
    """Write the predictions of `dataset` and their reliability into `directory`. Return its metrics.

    The keys of the metrics begin with `part`.
    """
    (directory / "reliability").mkdir(exist_ok=True)
    reliability = compute_reliability(dataset.targets, scores, dataset.task, dataset.known)
    write_json(directory / "reliability" / f"{part}.json", reliability)
    predictions = Predictions(dataset.ids, dataset.targets, scores, slices, dataset.known)
    write_predictions(directory / "predictions" / f"{part}.parquet", predictions)
    return compute_metrics(
        part,
        dataset.targets,
        scores,
        thresholds.decide(scores),
        dataset.labels,
        slices,
        task=dataset.task,
        cutoffs=config.evaluation.k,
        resamples=config.evaluation.resamples,
        known=dataset.known,
    )


def record_data(run: Recording, prepared: Prepared, split: Split, train_part: Dataset) -> None:
    """Record the labels, the split and the counts of the data set, and log its problems.

    Raises:
        UserError: a resumed run has other data than it started with.
    """
    run.check_same_data(prepared.version, split.hash)
    run.write_json("labels.json", prepared.labels)
    run.write_json("split.json", split_to_json(split))
    problems = [*split.problems, *find_label_problems(prepared, split), *prepared.report.problems]
    findings = [*list_left_out(prepared.report, split), *summarise_problems(problems)]
    if findings:
        run.write_json("findings.json", findings)
    for problem in problems:
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
        log.warning("labels without a train record cannot be learnt: %s", ", ".join(absent))


def list_left_out(report: Report, split: Split) -> list[dict[str, Any]]:
    """Return what `data.filter` left out, in the form of summarised problems without a location.

    The same for the records that the split dropped, if it was read from a file, which holds their ids alone.
    """
    dropped = 0 if split.problems else len(split.dropped)
    by_split = {"records of train or val that a later part has, too (split.leaks=drop_from_train)": dropped}
    labels = Counter(f"labels {reason}" for reason in report.labels_left_out.values())
    return [
        {"kind": kind, "outcome": "filtered", "count": count, "first": "", "places": []}
        for kind, count in {**by_split, **report.filtered, **labels}.items()
        if count
    ]


def record_texts_without_rule(run: Recording, tagger: Tagger, part: str, texts: Sequence[str]) -> None:
    """Record on how many texts of a part no rule fires, if the model consists of rules."""
    if isinstance(tagger, RuleBased):
        count = int(tagger.find_texts_without_rule(texts).sum())
        run.update(without_rule={**run.record.without_rule, part: count})


def record_parent(run: Recording, config: Config, split: Split) -> None:
    """Record the run that this one iterates on: the one named by `parent`, else a run of the promoted model."""
    if run.resumed:
        return
    if config.parent is None:
        run.update(parent=find_promoted_parent(Path(config.promotions_dir), config.data.name, split.hash))
    elif config.parent == NONE:
        run.update(parent=None)


def record_cost(run: Recording, tagger: Tagger, texts: Sequence[str], fit_cost: Mapping[str, float | None]) -> None:
    """Write cost.json: the measurements that vary between machines and runs, apart from the exact metrics.json."""
    memory = measure_peak_memory_mb()
    run.write_json(
        "cost.json",
        {
            **fit_cost,
            **measure_serving(tagger.predict_proba, texts),
            "cost/peak_memory_mb": memory,
            "cost/size_mb": measure_size_mb(run.path / "model"),
            "cost/threads": run.record.threads,
        },
    )
