"""Stage `report`: the verdict and the ladder on one page, in Markdown."""

import json

from ratchet.pipeline.layout import LEADERBOARD, METRICS, REPORT, VERDICT_TEXT
from ratchet.runs.files import write_text


def write_report() -> tuple[list[dict[str, str]], str]:
    """Write build/report.md; the ladder as rows of a table, and the verdict in a line."""
    leaderboard, verdict = (path.read_text(encoding="utf-8").strip() for path in (LEADERBOARD, VERDICT_TEXT))
    headline, _, clauses = verdict.partition("\n")
    write_text(REPORT, f"# {headline}\n\n{leaderboard}\n\n## The verdict\n\n{clauses.strip()}\n")
    return ladder_rows(json.loads(METRICS.read_text(encoding="utf-8"))), headline


def ladder_rows(metrics: dict[str, dict[str, float]]) -> list[dict[str, str]]:
    """build/metrics.json as rows of a table, a model each."""
    metric = next(iter(next(iter(metrics.values()))))
    rows = []
    for model, found in metrics.items():
        value, low, high = (found[f"{metric}{end}"] for end in ("", "_low", "_high"))
        difference = [found[f"difference_{key}"] for key in ("value", "low", "high") if "difference_value" in found]
        against = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*difference) if difference else "-"
        rows.append({"model": model, metric: f"{value:.3f} [{low:.3f}, {high:.3f}]", "against the baseline": against})
    return rows
