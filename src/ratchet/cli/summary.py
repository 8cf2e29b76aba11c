"""What a single run prints when it is done."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ratchet.cli.lines import print_facts, print_text
from ratchet.cli.tables import number, print_table, short, with_interval
from ratchet.runs.stored import read_run
from ratchet.training import Outcome

_SHOWN = (
    ("F1 weighted", "f1_weighted"),
    ("precision weighted", "precision_weighted"),
    ("recall weighted", "recall_weighted"),
    ("F1 micro", "f1_micro"),
    ("F1 macro", "f1_macro"),
    ("F1 samples", "f1_samples"),
    ("average precision macro", "average_precision_macro"),
)
_KINDS = ("invariance", "directional", "minimum")
_PLAIN = (("Brier score", "brier"), ("expected calibration error", "expected_calibration_error"))


def print_summary(outcome: Outcome) -> None:
    """Metrics with intervals, slices, cost, and where the run directory is."""
    run = read_run(outcome.path)
    record, figures = run.record, run.figures()
    parts = ["val", "test"] if record.evaluate == "test" else ["val"]
    seeds = f"split {record.split_seed}, seed {record.seed}"
    kept = ", ".join(f"{count} {part}" for part, count in record.records.items())
    print_text(f"{record.name} on {record.data} ({kept}), {seeds}")
    print()
    print_figures(figures, parts)
    print()
    facts = {
        "cost": _cost(figures),
        "thresholds": _thresholds(run.read_json("thresholds.json")),
        "calibration": _calibration(run.read_json("calibration.json")),
        "behaviour": _behaviour(figures),
        "test split": _readings(outcome.test_readings),
        "run": str(run.path),
    }
    print_facts([(name, text) for name, text in facts.items() if text], at=12)


def print_figures(figures: dict[str, Any], parts: Sequence[str]) -> None:
    """The headline metrics of `parts` side by side, and the slices of the last part."""
    rows = [{"": name, **{part: with_interval(figures, f"{part}/{key}") for part in parts}} for name, key in _SHOWN]
    rows.append({"": "labels a record (true)", **{part: _labels(figures, part) for part in parts}})
    rows.append({"": "records without label (true)", **{part: _without(figures, part) for part in parts}})
    rows += [{"": name, **{part: number(figures.get(f"{part}/{key}")) for part in parts}} for name, key in _PLAIN]
    print_table(rows)
    slices = _slices(figures, parts[-1])
    if slices:
        print()
        print_table(slices)


def print_job_line(job: str, path: Path) -> None:
    """One line for a job of a grid or of a pipeline, whose run is in `path`."""
    run = read_run(path)
    part = run.record.evaluate
    f1 = with_interval(run.figures(), f"{part}/f1_weighted")
    print_text(f"{job}: {part} F1 {f1}  {run.path}")
    sys.stdout.flush()


def _labels(figures: dict[str, Any], part: str) -> str:
    predicted, true = (figures[f"{part}/labels_per_record_{which}"] for which in ("predicted", "true"))
    return f"{predicted:.2f} ({true:.2f})"


def _without(figures: dict[str, Any], part: str) -> str:
    predicted, true = (figures[f"{part}/share_without_label_{which}"] for which in ("predicted", "true"))
    return f"{predicted:.1%} ({true:.1%})"


def _slices(figures: dict[str, Any], part: str) -> list[dict[str, str]]:
    prefix, suffix = f"{part}/slices/", "/records"
    names = [key[len(prefix) : -len(suffix)] for key in figures if key.startswith(prefix) and key.endswith(suffix)]
    return [
        {
            f"slice of {part}": name,
            "records": str(figures[f"{prefix}{name}/records"]),
            "F1": number(figures[f"{prefix}{name}/f1_weighted"]),
            "precision": number(figures[f"{prefix}{name}/precision_weighted"]),
            "recall": number(figures[f"{prefix}{name}/recall_weighted"]),
        }
        for name in names
    ]


def _cost(figures: dict[str, Any]) -> str:
    cost = {key.removeprefix("cost/"): value for key, value in figures.items() if key.startswith("cost/")}
    return (
        f"fit {short(cost['fit_seconds'])} s, {short(cost['latency_ms_p50'])} ms a text "
        f"(p95 {short(cost['latency_ms_p95'])}), {short(cost['items_per_second'])} texts/s, {short(cost['size_mb'])} MB"
    )


def _thresholds(content: dict[str, Any]) -> str:
    values = sorted(set((content["values"] or {}).values()))
    if not values:
        return str(content["method"])
    shown = f"{values[0]:.3f}" if len(values) == 1 else f"{values[0]:.3f} to {values[-1]:.3f}"
    return f"{content['method']}, {shown}"


def _calibration(content: dict[str, Any]) -> str:
    if content["temperature"] is None:
        return ""
    return f"temperature {content['temperature']:.2f} ({'over' if content['temperature'] > 1 else 'under'}-confident)"


def _readings(count: int | None) -> str:
    times = "once" if count == 1 else f"{count} times"
    return "" if count is None else f"read {times} so far (evaluate=val while choosing)"


def _behaviour(figures: dict[str, Any]) -> str:
    cases = figures.get("behaviour/cases")
    if not cases:
        return ""
    passed = round(figures["behaviour/score"] * cases)
    kinds = [f"{kind} {figures[f'behaviour/{kind}']:.2f}" for kind in _KINDS if f"behaviour/{kind}" in figures]
    return f"{passed} of {cases} cases pass: {', '.join(kinds)}"
