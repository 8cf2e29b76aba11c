"""Write and read a prepared data set and its split, for pipelines that prepare once and train often."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from ratchet.data.dataset import Task
from ratchet.data.prepared import Prepared, build_known_matrix, build_target_matrix, hash_dataset
from ratchet.data.problems import Problem, Report
from ratchet.data.records import Record
from ratchet.data.splits import PARTS, Split
from ratchet.data.taxonomy import taxonomy_from_json
from ratchet.errors import UserError
from ratchet.files import replacing, write_text

_OTHER_IDS = ("dropped", "leaked")  # of a split, next to its parts
_RECORD_KEYS = ("id", "text", "labels", "created_at", "columns", "place")


def write_prepared(prepared: Prepared, directory: Path) -> None:
    """Write dataset.json and records.jsonl, which `read_prepared` reads, into an existing directory.

    Records are written one by one: their JSON is never in memory at once.
    """
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
    write_text(directory / "dataset.json", json.dumps(description, indent=1, ensure_ascii=False) + "\n")
    with (
        replacing(directory / "records.jsonl") as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        file.writelines(json.dumps(_record_to_json(record), ensure_ascii=False) + "\n" for record in prepared.records)


def read_prepared(directory: Path) -> Prepared:
    """Read the prepared data set that `write_prepared` wrote into `directory`.

    Raises:
        UserError: a file is missing or invalid, or the records do not have the version in dataset.json.
    """
    description = _read_mapping(directory / "dataset.json")
    path = directory / "records.jsonl"
    try:
        records = [_record_from_json(json.loads(line)) for line in _read_lines(path)]
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
            known=build_known_matrix([record.unknown for record in records], labels),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{directory}: not a prepared data set: {error}; prepare it again") from error
    if hash_dataset(records, labels) != prepared.version:
        raise UserError(f"{path}: not the records of version {prepared.version[:12]}: prepare the data again")
    return prepared


def split_to_json(split: Split) -> dict[str, Any]:
    """Return the ids of each part and the hash of the split, and the ids that are in no part or leak into one."""
    others = {name: ids for name in _OTHER_IDS if (ids := getattr(split, name))}
    return {"hash": split.hash, **{part: getattr(split, part) for part in PARTS}, **others}


def read_split(path: Path, prepared: Prepared) -> Split:
    """Read a split of `prepared` from a file in the format of `split_to_json`.

    Raises:
        UserError: the file is missing or invalid, its ids do not match its hash, or are not those of the records.
    """
    content = _read_mapping(path)
    try:
        train, val, test = (list(content[part]) for part in PARTS)
        dropped, leaked = (list(content.get(name, [])) for name in _OTHER_IDS)
        split = Split(train, val, test, dropped, leaked)
        hash_matches = split.hash == content["hash"]
        ids = sorted([*split.train, *split.val, *split.test, *split.dropped])
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
    content = dict(zip(_RECORD_KEYS, values, strict=True))
    if record.unknown:
        content["unknown"] = record.unknown
    if record.part is not None:
        content["part"] = record.part
    return content


def _record_from_json(content: dict[str, Any]) -> Record:
    identifier, text, labels, date, columns, place = (content[key] for key in _RECORD_KEYS)
    return Record(
        id=identifier,
        text=text,
        labels=tuple(labels),
        created_at=datetime.fromisoformat(date) if date else None,
        columns=columns,
        place=place,
        unknown=tuple(content.get("unknown", ())),
        part=content.get("part"),
    )


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_read_text(path))
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be a mapping")
    return content


def _read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file one by one. Only \\n ends a line: texts may hold other ends of lines."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                if text := line.removesuffix("\n"):
                    yield text
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
