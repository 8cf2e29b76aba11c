"""What a terminal shows of a single run: the summary after a training, and `ratchet runs show`."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ratchet.reporting.blocks import (
    Cell,
    Column,
    Facts,
    Paragraph,
    Table,
    TextBlock,
    format_amount,
    format_metric,
    number,
    text,
)
from ratchet.reporting.data_findings import list_findings
from ratchet.reporting.terminal import print_text
from ratchet.runs.provenance import format_size
from ratchet.runs.stored import StoredRun, build_command, describe_texts_without_rule, read_run

_METRICS = {
    "F1 weighted": "f1_weighted",
    "precision weighted": "precision_weighted",
    "recall weighted": "recall_weighted",
    "F1 micro": "f1_micro",
    "F1 macro": "f1_macro",
    "F1 samples": "f1_samples",
    "average precision macro": "average_precision_macro",
}
_WITHOUT_INTERVAL = {"Brier score": "brier", "expected calibration error": "expected_calibration_error"}
_KINDS = ("invariance", "directional", "minimum")


# --- after a training -------------------------------------------------------------------------------------------------


def summarise_run(run: StoredRun, test_accesses: int | None) -> list[TextBlock]:
    """Return metrics with intervals, slices, costs, and the run directory.

    `test_accesses` is how often the test split has been read so far; None if it was not.
    """
    record, metrics = run.record, run.read_metrics()
    parts = ["val", "test"] if record.evaluate == "test" else ["val"]
    sizes = ", ".join(f"{count} {part}" for part, count in record.records.items())
    facts = {
        "cost": _describe_cost(metrics),
        "thresholds": _describe_thresholds(run.read_json("thresholds.json")),
        "calibration": _describe_calibration(run.read_json("calibration.json")),
        "no rule fires": describe_texts_without_rule(run, record.evaluate),
        "behaviour": _describe_behaviour(metrics),
        "test set": "" if test_accesses is None else describe_accesses(test_accesses),
        "run": str(run.path),
    }
    return [
        Paragraph(f"{record.name} on {record.data} ({sizes}), split {record.split_seed}, seed {record.seed}"),
        *metric_tables(metrics, parts),
        Facts(
            "",
            [*list_findings(run), *((name, described) for name, described in facts.items() if described)],
            whole=("run",),
        ),
    ]


def metric_tables(metrics: dict[str, Any], parts: Sequence[str]) -> list[Table]:
    """Return the main metrics of `parts` next to each other, and the slices of the last part if there are any."""
    rows = [(title, [format_metric(metrics, f"{part}/{key}") for part in parts]) for title, key in _METRICS.items()]
    rows.append(("labels a record (true)", [_format_labels_per_record(metrics, part) for part in parts]))
    rows.append(("records without label (true)", [_format_share_without_label(metrics, part) for part in parts]))
    rows += [
        (title, [number(metrics.get(f"{part}/{key}")).text for part in parts])
        for title, key in _WITHOUT_INTERVAL.items()
    ]
    rows += [(name, [format_metric(metrics, f"{part}/own/{name}") for part in parts]) for name in _list_own(metrics)]
    columns = [Column("metric"), *(Column(part, numeric=True) for part in parts)]
    main = Table("", columns, [[text(title), *map(text, values)] for title, values in rows])
    slices = _build_slice_table(metrics, parts[-1])
    return [main, slices] if slices.rows else [main]


def _list_own(metrics: dict[str, Any]) -> list[str]:
    """Return the names of the metrics that the project defines itself."""
    keys = (key.split("/own/") for key in metrics if "/own/" in key and not key.endswith(("_ci_low", "_ci_high")))
    return list(dict.fromkeys(key[1] for key in keys if "/" not in key[0]))


def print_job_line(job: str, path: Path) -> None:
    """Print one line for a job of a grid or of the pipeline; `path` is its run directory."""
    run = read_run(path)
    part = run.record.evaluate
    print_text(f"{job}: {part} F1 {format_metric(run.read_metrics(), f'{part}/f1_weighted')}  {run.path}")
    sys.stdout.flush()


def describe_accesses(count: int) -> str:
    """Return how often a test split has been read."""
    return f"{count} access{'es' if count != 1 else ''} so far (evaluate=val while choosing)"


def _format_labels_per_record(metrics: dict[str, Any], part: str) -> str:
    predicted, true = (metrics[f"{part}/labels_per_record_{kind}"] for kind in ("predicted", "true"))
    return f"{predicted:.2f} ({true:.2f})"


def _format_share_without_label(metrics: dict[str, Any], part: str) -> str:
    predicted, true = (metrics[f"{part}/share_without_label_{kind}"] for kind in ("predicted", "true"))
    return f"{predicted:.1%} ({true:.1%})"


def _build_slice_table(metrics: dict[str, Any], part: str) -> Table:
    prefix, suffix = f"{part}/slices/", "/records"
    names = [key[len(prefix) : -len(suffix)] for key in metrics if key.startswith(prefix) and key.endswith(suffix)]
    titles = {"F1": "f1_weighted", "precision": "precision_weighted", "recall": "recall_weighted"}
    columns = [Column(f"slice of {part}"), *(Column(title, numeric=True) for title in ("records", *titles))]
    rows = [
        [
            text(name),
            number(metrics[f"{prefix}{name}/records"], ",d"),
            *(number(metrics[f"{prefix}{name}/{key}"]) for key in titles.values()),
        ]
        for name in names
    ]
    return Table("", columns, rows)


def _describe_cost(metrics: dict[str, Any]) -> str:
    fit, p50, p95, throughput, size = (
        format_amount(metrics[f"cost/{key}"])
        for key in ("fit_seconds", "latency_ms_p50", "latency_ms_p95", "items_per_second", "size_mb")
    )
    return f"fit {fit} s, {p50} ms a text (p95 {p95}), {throughput} texts/s, {size} MB"


def _describe_thresholds(content: dict[str, Any]) -> str:
    values = sorted(set((content["values"] or {}).values()))
    if not values:
        return str(content["method"])
    shown = f"{values[0]:.3f}" if len(values) == 1 else f"{values[0]:.3f} to {values[-1]:.3f}"
    return f"{content['method']}, {shown}"


def _describe_calibration(content: dict[str, Any]) -> str:
    if content["temperature"] is None:
        return ""
    return f"temperature {content['temperature']:.2f} ({'over' if content['temperature'] > 1 else 'under'}-confident)"


def _describe_behaviour(metrics: dict[str, Any]) -> str:
    cases = metrics.get("behaviour/cases")
    if not cases:
        return ""
    passed = round(metrics["behaviour/score"] * cases)
    kinds = [f"{kind} {metrics[f'behaviour/{kind}']:.2f}" for kind in _KINDS if f"behaviour/{kind}" in metrics]
    return f"{passed} of {cases} cases pass: {', '.join(kinds)}"


# --- `ratchet runs show` ----------------------------------------------------------------------------------------------


def show_run(run: StoredRun) -> list[TextBlock]:
    """Return a run's record, its main metrics, its reliability, and the behavioural tests that fail."""
    tables = [table for table in (_build_main_metrics(run), _build_reliability(run)) if table.rows]
    return [_record_facts(run), *tables, *_build_failed_cases(run)]


def _describe_code(git: Mapping[str, Any]) -> str:
    """Return the commit, where the changes are, or the reason why there is no commit."""
    if git.get("commit") is None:
        return f"no commit: {git['problem']}" if git.get("problem") else "not in git"
    by_hash = ", ".join(f"{file['path']} ({format_size(file['size'])})" for file in git.get("files", []))
    changes = [
        *(["code.diff"] if git.get("diff_sha256") else []),
        *([f"by hash: {by_hash}"] if by_hash else []),
    ]
    changed = f" with changes ({'; '.join(changes) or 'code.diff'})" if git.get("dirty") else ""
    if git.get("problem"):
        changed = f", changes unknown: {git['problem']}"
    return f"{str(git['commit'])[:12]}{changed}"


def _record_facts(run: StoredRun) -> Facts:
    record = run.record
    version, split = _shorten_hash(record.dataset_version), _shorten_hash(record.split_hash)
    facts = {
        "run": record.id,
        "status": ": ".join(filter(None, [run.status, run.explain_unknown_process()])),
        "path": str(run.path),
        "command": build_command(record, record.overrides),
        "name": f"{record.name} (model {record.model}, config {record.config_hash[:12]})",
        "data": f"{record.data}, version {version}, split {split}",
        "seeds": f"split {record.split_seed}, training {record.seed}",
        "code": _describe_code(record.git),
        "started": record.started_at,
        "ended": record.finished_at or "-",
        "parent": record.parent or "-",
        "hypothesis": record.hypothesis or "-",
        "resumed": ", ".join(resume["at"] for resume in record.resumes) or "-",
    }
    if record.code_changed:
        facts["code"] += f"; unknown, it changed while the run was in progress: {', '.join(record.code_changed)}"
    if record.error:
        facts["error"] = f"{record.error['type']}: {record.error['message']}"
    return Facts("", list(facts.items()), whole=("command",))


def _build_main_metrics(run: StoredRun) -> Table:
    main = {
        key: value
        for key, value in run.read_metrics().items()
        if (key.count("/") == 1 or "/own/" in key) and not key.endswith(("_low", "_high"))
    }
    columns = [Column("metric"), Column("value", numeric=True)]
    return Table("", columns, [[text(key), _shorten_value(value)] for key, value in main.items()])


def _shorten_value(value: float | None) -> Cell:
    return number(value, "," if isinstance(value, int) else ".4g")


def _build_reliability(run: StoredRun) -> Table:
    part = run.record.evaluate
    path = run.path / f"reliability/{part}.json"
    bins = run.read_json(f"reliability/{part}.json") if path.is_file() else []
    columns = [
        Column(f"scores of {part}"),
        *(Column(title, numeric=True) for title in ("count", "mean score", "share true")),
    ]
    rows = [
        [
            text(f"{members['low']:.1f} to {members['high']:.1f}"),
            number(members["count"], ",d"),
            number(members["mean_score"]),
            number(members["share_positive"]),
        ]
        for members in bins
    ]
    return Table("", columns, rows)


def _build_failed_cases(run: StoredRun) -> list[TextBlock]:
    cases = run.read_json("behaviour.json") if (run.path / "behaviour.json").is_file() else []
    failed = [case for case in cases if case["passed"] is False]
    if not failed:
        return []
    judged = sum(case["passed"] is not None for case in cases)
    return [
        Paragraph(f"behavioural tests that fail ({len(failed)} of {judged})"),
        *(
            Facts(
                f"{case['kind']}: {case['name']}",
                [("", case["found"]), *(("", f"- {content}") for content in case["texts"])],
            )
            for case in failed
        ),
    ]


def _shorten_hash(value: str | None) -> str:
    return value[:12] if value else "-"
