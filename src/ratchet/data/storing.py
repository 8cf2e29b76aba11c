"""Write and read a prepared data set and its split, for pipelines that prepare once and train often."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from ratchet.data.dataset import Task
from ratchet.data.prepared import Prepared, build_target_matrix, hash_dataset
from ratchet.data.reading import Problem, Report
from ratchet.data.records import Record
from ratchet.data.splits import PARTS, Split
from ratchet.data.taxonomy import taxonomy_from_json
from ratchet.errors import UserError

_RECORD_KEYS = ("id", "text", "labels", "created_at", "columns", "place")


def serialise_prepared(prepared: Prepared) -> dict[str, str]:
    """Return the texts of the files that `read_prepared` reads, by file name."""
    report = prepared.report
    description = {
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
    return {
        "dataset.json": json.dumps(description, indent=1, ensure_ascii=False) + "\n",
        "records.jsonl": "".join(lines),
    }


def read_prepared(directory: Path) -> Prepared:
    """Read the prepared data set that `serialise_prepared` wrote into `directory`.

    Raises:
        UserError: a file is missing or invalid, or the records do not have the version in dataset.json.
    """
    description = _read_mapping(directory / "dataset.json")
    path = directory / "records.jsonl"
    try:
        records = [_record_from_json(json.loads(line)) for line in _read_text(path).split("\n") if line]
        labels = list(description["labels"])
        prepared = Prepared(
            name=description["name"],
            task=Task(description["task"]),
            records=records,
            labels=labels,
            targets=build_target_matrix([record.labels for record in records], labels),
            taxonomy=taxonomy_from_json(description["taxonomy"], str(directory / "dataset.json")),
            version=str(description["version"]),
            report=Report(
                files=description["files"],
                rows_read=description["rows_read"],
                problems=[Problem(**problem) for problem in description["problems"]],
                filtered=description["filtered"],
                labels_left_out=description["labels_left_out"],
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{directory}: not a prepared data set: {error}; prepare it again") from error
    if hash_dataset(records, labels) != prepared.version:
        raise UserError(f"{path}: not the records of version {prepared.version[:12]}: prepare the data again")
    return prepared


def split_to_json(split: Split) -> dict[str, Any]:
    """Return the ids of each part and the hash of the split."""
    return {"hash": split.hash, **{part: getattr(split, part) for part in PARTS}}


def read_split(path: Path, prepared: Prepared) -> Split:
    """Read a split of `prepared` from a file in the format of `split_to_json`.

    Raises:
        UserError: the file is missing or invalid, its ids do not match its hash, or are not those of the records.
    """
    content = _read_mapping(path)
    try:
        split = Split(**{part: list(content[part]) for part in PARTS})
        hash_matches = split.hash == content["hash"]
        ids = sorted([*split.train, *split.val, *split.test])
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: not a split: {error}; split the data again") from error
    if not hash_matches:
        raise UserError(f"{path}: the ids do not match the hash: split the data again")
    if ids != sorted(record.id for record in prepared.records):
        raise UserError(
            f"{path}: not a split of {prepared.name}, version {prepared.version[:12]}: split the data again"
        )
    return split


def _record_to_json(record: Record) -> dict[str, Any]:
    date = record.created_at.isoformat() if record.created_at else None
    values = (record.id, record.text, record.labels, date, record.columns, record.place)
    return dict(zip(_RECORD_KEYS, values, strict=True))


def _record_from_json(content: dict[str, Any]) -> Record:
    identifier, text, labels, date, columns, place = (content[key] for key in _RECORD_KEYS)
    return Record(identifier, text, tuple(labels), datetime.fromisoformat(date) if date else None, columns, place)


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be a mapping")
    return content


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
