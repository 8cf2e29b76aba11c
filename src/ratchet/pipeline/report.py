"""Stage `report`: the verdict and the ladder on one page, in Markdown."""

import json
from typing import Any

from ratchet.errors import UserError
from ratchet.pipeline.layout import COMPARISON, LEADERBOARD, REPORT, VERDICT_TEXT
from ratchet.runs.files import write_text


def write_report() -> tuple[list[dict[str, str]], str]:
    """Write build/report.md; the ladder as rows of a table, and the verdict in a line.

    Raises:
        UserError: the stages before were not run.
    """
    for path in (LEADERBOARD, VERDICT_TEXT, COMPARISON):
        if not path.is_file():
            raise UserError(f"{path}: not there: `dvc repro` runs the stages that write it")
    leaderboard, verdict = (path.read_text(encoding="utf-8").strip() for path in (LEADERBOARD, VERDICT_TEXT))
    headline, _, clauses = verdict.partition("\n")
    write_text(REPORT, f"# {headline}\n\n{leaderboard}\n\n## The verdict\n\n{clauses.strip()}\n")
    return ladder_rows(json.loads(COMPARISON.read_text(encoding="utf-8"))), headline


def ladder_rows(comparison: dict[str, Any]) -> list[dict[str, str]]:
    """build/comparison.json as rows of a table, a model each."""
    metric, baseline = comparison["metric"], comparison["baseline"]
    rows = []
    for each in comparison["candidates"]:
        own, against = each["metrics"][metric], each["baseline"]
        rows.append(
            {
                "model": each["name"],
                metric: "{value:.3f} [{low:.3f}, {high:.3f}]".format(**own),
                f"against {baseline}": "{value:+.3f} [{low:+.3f}, {high:+.3f}]".format(**against) if against else "-",
            }
        )
    return rows
