"""Prepare a data set: read, check, filter and version the records of a data configuration."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ratchet.config import DataConfig, FilterConfig, LabelKind
from ratchet.data.dataset import Dataset, Task
from ratchet.data.reading import Problem, Report, decode, parse_json, read_table
from ratchet.data.records import Record, build_records
from ratchet.data.sources import Content, read_file
from ratchet.data.taxonomy import Taxonomy, parse_taxonomy
from ratchet.errors import UserError


@dataclass(frozen=True)
class Prepared:
    """A data set that is ready to be split: records sorted by id, labels in a fixed order, and a report.

    `version` is the sha256 of the canonical records and the label order: equal versions mean equal data.
    """

    name: str
    task: Task
    records: list[Record]
    labels: list[str]
    targets: npt.NDArray[np.uint8]
    taxonomy: Taxonomy
    version: str
    report: Report

    def select(self, ids: list[str]) -> Dataset:
        """Return the records with `ids`, in that order, in the form that a tagger receives."""
        index_of = {record.id: index for index, record in enumerate(self.records)}
        rows = [index_of[identifier] for identifier in ids]
        return Dataset(
            ids=list(ids),
            texts=[self.records[row].text for row in rows],
            targets=self.targets[rows],
            labels=self.labels,
            taxonomy=self.taxonomy,
            task=self.task,
        )


def prepare(config: DataConfig, *, packaged: bool = True) -> Prepared:
    """Read, check and filter a data set. Return its records with a report of what was left out.

    With `packaged`, files that the project lacks are read from the packaged data.

    Raises:
        UserError: a file is missing or invalid, rows are bad (unless `drop_bad_rows`), or no label is left.
    """
    content = read_file(config.records, "records", packaged=packaged)
    report = Report(files=[content.name])
    taxonomy = None
    if config.taxonomy is not None and config.taxonomy.path is not None:
        taxonomy_content = read_file(config.taxonomy, "taxonomy", packaged=packaged)
        report.files.append(taxonomy_content.name)
        taxonomy = parse_taxonomy(taxonomy_content)
    label_names = _read_label_names(config, report, packaged)

    table = read_table(content, config)
    report.rows_read = len(table.rows) + len(table.problems)
    known = None
    if label_names is not None:
        known = set(label_names)
    elif taxonomy is not None and not config.filter.taxonomy_only:
        known = set(taxonomy.aliases)
    records, problems = build_records(table, config, label_names, known)
    report.problems += table.problems + problems
    report.stop_if_fatal()

    curated = set(taxonomy.aliases) if taxonomy is not None and config.filter.taxonomy_only else None
    task = Task.multiclass if config.labels.kind is LabelKind.single else Task.multilabel
    records = _filter_records(records, config.filter, curated, task, report)
    labels = sorted({label for record in records for label in record.labels})
    if not labels:
        raise UserError(
            f"{content.name}: no label is left of the {len(table.rows)} rows: check data.filter and data.labels"
        )
    records.sort(key=lambda record: record.id)
    _report_rare_labels(records, report)
    _report_repeated_texts(records, report)
    return Prepared(
        name=config.name,
        task=task,
        records=records,
        labels=labels,
        targets=build_target_matrix([record.labels for record in records], labels),
        taxonomy=taxonomy or Taxonomy.from_labels(labels),
        version=hash_dataset(records, labels),
        report=report,
    )


def build_target_matrix(labels_of: list[tuple[str, ...]], labels: list[str]) -> npt.NDArray[np.uint8]:
    """Return a matrix of shape (len(labels_of), len(labels)) with 1 where the record has the label, else 0.

    Labels of a record that are not in `labels` have no column.
    """
    column_of = {label: index for index, label in enumerate(labels)}
    targets = np.zeros((len(labels_of), len(labels)), dtype=np.uint8)
    for row, record_labels in enumerate(labels_of):
        for label in record_labels:
            if label in column_of:
                targets[row, column_of[label]] = 1
    return targets


def _read_label_names(config: DataConfig, report: Report, packaged: bool) -> list[str] | None:
    """Read the label file: a JSON list, or one label per line. Return None if none is configured."""
    if config.labels.names is None or config.labels.names.path is None:
        if config.labels.kind is LabelKind.indices:
            raise UserError("data.labels.kind=indices needs a label file: set data.labels.names.path")
        return None
    content: Content = read_file(config.labels.names, "label file", packaged=packaged)
    report.files.append(content.name)
    text = decode(content, config.encoding)
    if content.name.endswith(".json"):
        names = parse_json(content.name, text)
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"{content.name}: a label file in JSON must be a list of strings")
        return names
    names = [line.strip() for line in text.rstrip().splitlines()]
    if "" in names:
        raise UserError(
            f"{content.name}, line {names.index('') + 1}: the line is empty, but an index is a line number (from 0): "
            "write a label name on every line"
        )
    return names


def _filter_records(
    records: list[Record], config: FilterConfig, curated: set[str] | None, task: Task, report: Report
) -> list[Record]:
    """Remove labels, then records that have none left. Add each removed label and its reason to the report."""
    counts = Counter(label for record in records for label in record.labels)
    for label, count in sorted(counts.items()):
        if label in config.exclude:
            report.labels_left_out[label] = "excluded"
        elif curated is not None and label not in curated:
            report.labels_left_out[label] = "not in the taxonomy"
        elif count < config.min_records:
            report.labels_left_out[label] = f"on fewer than {config.min_records} records"
    left_out = report.labels_left_out
    kept = [
        replace(record, labels=tuple(label for label in record.labels if label not in left_out)) for record in records
    ]
    if config.drop_unlabelled or task is Task.multiclass:  # a multi-class record must have exactly one label
        report.filtered["records without a label"] = sum(not record.labels for record in kept)
        kept = [record for record in kept if record.labels]
    return kept


def _report_rare_labels(records: list[Record], report: Report) -> None:
    counts = Counter(label for record in records for label in record.labels)
    for label, count in sorted(counts.items()):
        if count < 3:
            message = f"{count} of {len(records)} records: too few for train, val and test (data.filter.min_records)"
            report.problems.append(Problem("label with too few records", f"label {label!r}", message, "kept"))


def _report_repeated_texts(records: list[Record], report: Report) -> None:
    first_with_text: dict[str, Record] = {}
    for record in records:
        first = first_with_text.setdefault(record.text, record)
        if first is not record:
            message = f"the same text as record {first.id!r}; both stay in the same part"
            report.problems.append(Problem("repeated text", record.place, message, "kept"))


def hash_dataset(records: list[Record], labels: list[str]) -> str:
    """Return the sha256 of the canonical records, sorted by id, and the label order."""
    digest = hashlib.sha256(json.dumps(labels, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    for record in records:
        date = record.created_at.isoformat() if record.created_at else None
        canonical = [record.id, record.text, record.labels, date, record.columns]
        line = json.dumps(canonical, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        digest.update(b"\n" + line.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def list_known_labels(prepared: Prepared) -> set[str]:
    """Return all labels of the data set, including aliases and labels removed by a filter."""
    return {*prepared.labels, *prepared.taxonomy.aliases, *prepared.report.labels_left_out}
