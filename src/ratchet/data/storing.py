"""A prepared data set and its split as files, for pipelines that prepare once and train often."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from ratchet.data.dataset import Task
from ratchet.data.prepared import Prepared, dataset_version, target_matrix
from ratchet.data.reading import Problem, Report
from ratchet.data.records import Record
from ratchet.data.splits import PARTS, Split
from ratchet.data.taxonomy import taxonomy_from_json
from ratchet.errors import UserError

_RECORD_KEYS = ("id", "text", "labels", "created_at", "columns", "place")


def prepared_files(prepared: Prepared) -> dict[str, str]:
    """The files that `read_prepared` reads, as text by name: facts, and one record a line."""
    report = prepared.report
    facts = {
        "name": prepared.name,
        "version": prepared.version,
        "task": prepared.task.value,
        "records": len(prepared.records),
        "labels": prepared.labels,
        "taxonomy": prepared.taxonomy.to_json(),
        "files": report.files,
        "rows_read": report.rows_read,
        "problems": [vars(problem) for problem in report.problems],
        "filtered": report.filtered,
        "labels_left_out": report.labels_left_out,
    }
    lines = [json.dumps(_record_to_json(record), ensure_ascii=False) + "\n" for record in prepared.records]
    return {"dataset.json": json.dumps(facts, indent=1, ensure_ascii=False) + "\n", "records.jsonl": "".join(lines)}


def read_prepared(directory: Path) -> Prepared:
    """What `prepared_files` wrote into `directory`.

    Raises:
        UserError: not such files, or records that are not those of the version that is written beside them.
    """
    facts = _read(directory / "dataset.json")
    path = directory / "records.jsonl"
    try:
        records = [_record_from_json(json.loads(line)) for line in _text(path).split("\n") if line]
        labels = list(facts["labels"])
        prepared = Prepared(
            name=facts["name"],
            task=Task(facts["task"]),
            records=records,
            labels=labels,
            targets=target_matrix([record.labels for record in records], labels),
            taxonomy=taxonomy_from_json(facts["taxonomy"], str(directory / "dataset.json")),
            version=str(facts["version"]),
            report=Report(
                files=facts["files"],
                rows_read=facts["rows_read"],
                problems=[Problem(**problem) for problem in facts["problems"]],
                filtered=facts["filtered"],
                labels_left_out=facts["labels_left_out"],
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{directory}: not a prepared data set: {error}; prepare it anew") from error
    if dataset_version(records, labels) != prepared.version:
        raise UserError(f"{path}: not the records of version {prepared.version[:12]}: prepare them anew")
    return prepared


def split_to_json(split: Split) -> dict[str, Any]:
    """The ids of each part, and their hash."""
    return {"hash": split.hash, **{part: getattr(split, part) for part in PARTS}}


def read_split(path: Path, prepared: Prepared) -> Split:
    """A split of `prepared` that was written as `split_to_json` has it.

    Raises:
        UserError: not such a file, ids that do not give its hash, or not those of the records.
    """
    content = _read(path)
    try:
        split = Split(**{part: list(content[part]) for part in PARTS})
        genuine = split.hash == content["hash"]
        ids = sorted([*split.train, *split.val, *split.test])
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not a split: {error}; draw it anew") from error
    if not genuine:
        raise UserError(f"{path}: its ids do not give its hash: draw it anew")
    if ids != sorted(record.id for record in prepared.records):
        raise UserError(f"{path}: not a split of {prepared.name}, version {prepared.version[:12]}: draw it anew")
    return split


def _record_to_json(record: Record) -> dict[str, Any]:
    date = record.created_at.isoformat() if record.created_at else None
    values = (record.id, record.text, record.labels, date, record.columns, record.place)
    return dict(zip(_RECORD_KEYS, values, strict=True))


def _record_from_json(content: dict[str, Any]) -> Record:
    identifier, text, labels, date, columns, place = (content[key] for key in _RECORD_KEYS)
    return Record(identifier, text, tuple(labels), datetime.fromisoformat(date) if date else None, columns, place)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be a mapping")
    return content


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
