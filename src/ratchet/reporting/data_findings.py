"""What a run recorded about its data: the records and labels that were left out, and what is odd about the others."""

from collections.abc import Iterable, Mapping
from typing import Any

from ratchet.runs.stored import StoredRun

LEAK = "leak between given parts"
_FINDINGS = 3  # kinds of findings about the data that a summary shows


def list_left_out(runs: Iterable[StoredRun]) -> list[str]:
    """Return what the data of these runs lack: each kind of records or labels that were left out, once."""
    findings = [finding for run in runs for finding in _read_findings(run)]
    return list(dict.fromkeys(describe_left_out(finding) for finding in findings if finding["outcome"] != "kept"))


def list_findings(run: StoredRun) -> list[tuple[str, str]]:
    """Return the facts of a summary: what was left out, the first kinds of findings, and how many more there are."""
    left_out = list_left_out([run])
    kept = [finding for finding in _read_findings(run) if finding["outcome"] == "kept"]
    lines = [f"{finding['count']:,} x {finding['kind']}, as {finding['first']}" for finding in kept[:_FINDINGS]]
    if len(kept) > _FINDINGS:
        lines.append(f"{len(kept) - _FINDINGS} more kinds of findings: ratchet data describe")
    return [*_name_first("left out", left_out), *_name_first("data", lines)]


def describe_left_out(finding: Mapping[str, Any]) -> str:
    """Return how many records (or labels) of one kind were left out, the reason, and the first if it is known."""
    count, kind, first = finding["count"], finding["kind"], finding["first"]
    if not first:
        return f"{count:,} {kind}"
    if kind == LEAK:
        records = "record" if count == 1 else "records"
        return f"{count:,} {records} of train or val that a later part has, too, as {first}"
    return f"{count:,} x {kind}, as {first}"


def _read_findings(run: StoredRun) -> list[dict[str, Any]]:
    if not (run.path / "findings.json").is_file():
        return []
    findings: list[dict[str, Any]] = run.read_json("findings.json")
    return findings


def _name_first(name: str, lines: list[str]) -> list[tuple[str, str]]:
    return [(name if index == 0 else "", line) for index, line in enumerate(lines)]
