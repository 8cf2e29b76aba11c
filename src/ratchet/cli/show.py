"""`ratchet runs show RUN`: one run, as far as a terminal can show it."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from ratchet.cli.lines import print_facts, print_text
from ratchet.cli.tables import Format, number, print_json, print_table
from ratchet.config import is_option, parse_options, plain
from ratchet.errors import UserError
from ratchet.runs import StoredRun, find_run


@dataclass
class Options:
    """Arguments of `runs show`."""

    format: Format = Format.table
    runs_dir: str = "runs"


def show(arguments: list[str]) -> None:
    """`ratchet runs show RUN`: its record, headline figures, reliability, and the behavioural cases that it fails."""
    if not arguments or is_option(arguments[0]):
        raise UserError("which run? `ratchet runs show RUN`; RUN is an id, a directory or `last`")
    options = parse_options(Options, arguments[1:])
    stored = find_run(Path(options.runs_dir), arguments[0])
    if options.format is Format.json:
        print_json(
            {**plain(stored.record), "path": str(stored.path), "status": stored.status, "figures": stored.figures()}
        )
        return
    record = stored.record
    git = record.git.get("commit")
    changed = " with changes (code.diff)" if record.git.get("dirty") else ""
    facts = {
        "run": record.id,
        "status": stored.status,
        "path": str(stored.path),
        "command": shlex.join(["python", "train.py", *record.overrides]),
        "name": f"{record.name} (model {record.model}, config {record.config_hash[:12]})",
        "data": f"{record.data}, version {_hash(record.dataset_version)}, split {_hash(record.split_hash)}",
        "seeds": f"split {record.split_seed}, training {record.seed}",
        "code": f"{git[:12]}{changed}" if git else "not in git",
        "started": record.started_at,
        "ended": record.finished_at or "-",
        "parent": record.parent or "-",
        "hypothesis": record.hypothesis or "-",
        "resumed": ", ".join(each["at"] for each in record.resumes) or "-",
    }
    if record.error:
        facts["error"] = f"{record.error['type']}: {record.error['message']}"
    for name, text in facts.items():
        if name == "command":
            print(f"{name:12}{text}")  # in one piece, to be copied
        else:
            print_facts([(name, text)], at=12)
    headline = {
        key: value
        for key, value in stored.figures().items()
        if key.count("/") == 1 and not key.endswith(("_low", "_high"))
    }
    if headline:
        print()
        rows = [{"figure": key, "value": _figure(value)} for key, value in headline.items()]
        print_table(rows, markdown=options.format is Format.md)
    _print_reliability(stored, options.format)
    _print_failed_cases(stored)


def _print_reliability(stored: StoredRun, form: Format) -> None:
    name = f"reliability/{stored.record.evaluate}.json"
    bins = stored.read_json(name) if (stored.path / name).is_file() else []
    rows = [
        {
            f"scores of {stored.record.evaluate}": f"{each['low']:.1f} to {each['high']:.1f}",
            "count": f"{each['count']:,}",
            "mean score": number(each["mean_score"]),
            "share true": number(each["share_positive"]),
        }
        for each in bins
    ]
    if rows:
        print()
        print_table(rows, markdown=form is Format.md)


def _print_failed_cases(stored: StoredRun) -> None:
    cases = stored.read_json("behaviour.json") if (stored.path / "behaviour.json").is_file() else []
    failed = [case for case in cases if case["passed"] is False]
    if failed:
        print()
        print(f"behavioural cases that fail ({len(failed)} of {sum(case['passed'] is not None for case in cases)})")
    for case in failed:
        print()
        print_text(f"{case['kind']}: {case['name']}")
        print_text(case["found"], indent=2)
        for text in case["texts"]:
            print_text(f"- {text}", indent=2)


def _hash(value: str | None) -> str:
    return value[:12] if value else "-"


def _figure(value: float | int | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
