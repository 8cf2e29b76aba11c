"""Prepare a data set: read, check, filter and version the records of a data configuration."""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.config import DataConfig, FilterConfig
from ratchet.data.dataset import Dataset, Task
from ratchet.data.findings import find_problems
from ratchet.data.label_findings import LabelUse, count_labels, find_odd_names
from ratchet.data.label_names import read_label_names
from ratchet.data.labels import is_multiclass, parents_of_levels
from ratchet.data.problems import Problem, Report
from ratchet.data.records import Record, build_records
from ratchet.data.sources import list_sources, locate_file, read_file
from ratchet.data.tables import open_tables
from ratchet.data.taxonomy import Taxonomy, parse_taxonomy
from ratchet.data.used_columns import complete_layout, list_used_columns
from ratchet.errors import UserError, did_you_mean

_EXCLUDED, _NOT_IN_TAXONOMY = "excluded", "not in the taxonomy"  # reasons why labels are left out


@dataclass(frozen=True)
class Prepared:
    """A data set that is ready to be split: records sorted by id, labels in a fixed order, and a report.

    `version` is the sha256 of the canonical records and the label order: equal versions mean equal data. `known` has
    the shape of `targets` and is False at unknown labels; None: all are known.
    """

    name: str
    task: Task
    records: list[Record]
    labels: list[str]
    targets: npt.NDArray[np.uint8]
    taxonomy: Taxonomy
    version: str
    report: Report
    known: npt.NDArray[np.bool_] | None = None

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
            known=None if self.known is None else self.known[rows],
        )


def prepare(config: DataConfig, *, packaged: bool = True, other_records: bool = False) -> Prepared:
    """Read, check and filter a data set. Return its records with a report of what was left out.

    With `packaged`, files that the project lacks are read from the packaged data. With `other_records`, the records
    are not those that the filter was written for: labels in data.filter.exclude may be on none of them.

    Raises:
        UserError: a file is missing or invalid, rows are bad (unless `drop_bad_rows`), a label to exclude is on no
            record, or no label is left.
    """
    config = complete_layout(config)
    sources = list_sources(config, packaged=packaged)
    report = Report(files=[source.name for source in sources])
    taxonomy = None
    if config.taxonomy is not None and config.taxonomy.path is not None:
        taxonomy_content = read_file(config.taxonomy, "taxonomy", packaged=packaged)
        report.files.append(taxonomy_content.name)
        taxonomy = parse_taxonomy(taxonomy_content)
    if config.labels.file is not None and config.labels.file.path is not None:
        report.files.append(str(locate_file(config.labels.file, "labels", packaged=packaged)))
    label_names = read_label_names(config, report, packaged=packaged)

    known = None
    if label_names is not None:
        known = set(label_names)
    elif taxonomy is not None and not config.filter.taxonomy_only:
        known = set(taxonomy.aliases)
    tables = open_tables(config, sources, list_used_columns(config), packaged=packaged)
    records, problems = build_records(tables, config, label_names, known, report)
    report.problems += problems
    report.stop_if_fatal()

    curated = set(taxonomy.aliases) if taxonomy is not None and config.filter.taxonomy_only else None
    task = Task.multiclass if is_multiclass(config.labels) else Task.multilabel
    if not other_records:
        _check_exclude(records, config.filter, known, report)
    uses, num_records = count_labels(records), len(records)
    records = _filter_records(records, config.filter, curated, task, report)
    labels = sorted({label for record in records for label in record.labels})
    if not labels:
        raise UserError(
            f"{report.files[0]}: no label is left of the {report.rows_read} rows: check data.filter and data.labels"
        )
    named = label_names or (taxonomy.aliases if taxonomy is not None else ())
    report.problems += find_odd_names(_select_uses(uses, report), num_records, config, set(named))
    report.problems += find_problems(records, config)
    records.sort(key=lambda record: record.id)
    _report_repeated_texts(records, report)
    return Prepared(
        name=config.name,
        task=task,
        records=records,
        labels=labels,
        targets=build_target_matrix([record.labels for record in records], labels),
        taxonomy=taxonomy or _derive_taxonomy(labels, config),
        version=hash_dataset(records, labels),
        report=report,
        known=build_known_matrix([record.unknown for record in records], labels),
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


def build_known_matrix(unknown_of: list[tuple[str, ...]], labels: list[str]) -> npt.NDArray[np.bool_] | None:
    """Return a matrix of shape (len(unknown_of), len(labels)) with False at unknown labels; None if all are known."""
    if not any(unknown_of):
        return None
    return np.equal(build_target_matrix(unknown_of, labels), 0)


def _derive_taxonomy(labels: list[str], config: DataConfig) -> Taxonomy:
    """Return a taxonomy of the labels themselves; the parent of a label that is a path is the path above it."""
    taxonomy = Taxonomy.from_labels(labels)
    if config.labels.levels is None:
        return taxonomy
    return replace(taxonomy, parents=parents_of_levels(labels, config.labels.levels))


def _check_exclude(records: list[Record], config: FilterConfig, known: Collection[str] | None, report: Report) -> None:
    """Refuse labels to exclude that nothing has; report those that only the label file or the taxonomy has."""
    used = {label for record in records for label in (*record.labels, *record.unknown)}
    absent = sorted(_normalise(config.exclude) - used)
    for label in absent:
        if label in (known or ()):
            message = "on no record: data.filter.exclude has no effect"
            report.problems.append(Problem("excluded label without records", f"label {label!r}", message, "kept"))
    unknown = [label for label in absent if label not in (known or ())]
    if unknown:
        raise UserError(
            "\n".join(
                f"data.filter.exclude: no record has the label {label!r}; {did_you_mean(label, used)}"
                for label in unknown
            )
        )


def _normalise(labels: Collection[str]) -> set[str]:
    """Return labels of the configuration in the Unicode form of the labels of records."""
    return {unicodedata.normalize("NFC", str(label)) for label in labels}


def _filter_records(
    records: list[Record], config: FilterConfig, curated: set[str] | None, task: Task, report: Report
) -> list[Record]:
    """Remove labels, then records that have none left. Add each removed label and its reason to the report."""
    counts = Counter(label for record in records for label in record.labels)
    exclude = _normalise(config.exclude)
    for label, count in sorted(counts.items()):
        if label in exclude:
            report.labels_left_out[label] = _EXCLUDED
        elif curated is not None and label not in curated:
            report.labels_left_out[label] = _NOT_IN_TAXONOMY
        elif count < config.min_records:
            report.labels_left_out[label] = f"on fewer than {config.min_records} records"
    left_out = report.labels_left_out
    kept = [
        replace(
            record,
            labels=tuple(label for label in record.labels if label not in left_out),
            unknown=tuple(label for label in record.unknown if label not in left_out),
        )
        for record in records
    ]
    if config.drop_unlabelled or task is Task.multiclass:  # a multi-class record must have exactly one label
        report.filtered["records without a label"] = sum(not record.labels for record in kept)
        kept = [record for record in kept if record.labels]
    return kept


def _select_uses(uses: dict[str, LabelUse], report: Report) -> dict[str, LabelUse]:
    """Return the labels whose names are checked: those that are used, and those left out only for being rare.

    A misspelt label is often rare. One that the configuration excludes is known to its author.
    """
    return {
        label: use
        for label, use in uses.items()
        if report.labels_left_out.get(label) not in (_EXCLUDED, _NOT_IN_TAXONOMY)
    }


def _report_repeated_texts(records: list[Record], report: Report) -> None:
    first_with_text: dict[str, Record] = {}
    for record in records:
        first = first_with_text.setdefault(record.text, record)
        if first is not record:
            problem = Problem("repeated text", record.place, f"the same text as record {first.id!r}", "kept")
            report.problems.append(problem)


def hash_dataset(records: list[Record], labels: list[str]) -> str:
    """Return the sha256 of the canonical records, sorted by id, and the label order."""
    digest = hashlib.sha256(json.dumps(labels, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    for record in records:
        date = record.created_at.isoformat() if record.created_at else None
        canonical: list[Any] = [record.id, record.text, record.labels, date, record.columns]
        if record.unknown or record.part is not None:
            canonical.append({"unknown": record.unknown, "part": record.part})
        line = json.dumps(canonical, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        digest.update(b"\n" + line.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def list_known_labels(prepared: Prepared) -> set[str]:
    """Return all labels of the data set, including aliases and labels removed by a filter."""
    return {*prepared.labels, *prepared.taxonomy.aliases, *prepared.report.labels_left_out}
