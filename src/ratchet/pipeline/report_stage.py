"""Run the stage `report`: the page, its Markdown version and the charts."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from ratchet.charts.pictures import pictures_of
from ratchet.charts.theme import to_svg
from ratchet.comparison.results import Comparison
from ratchet.data.storing import read_prepared
from ratchet.errors import UserError
from ratchet.files import write_text
from ratchet.objective.gate import Verdict
from ratchet.objective.review import Review
from ratchet.pipeline.decision_stages import selected
from ratchet.pipeline.plan import (
    COMPARISON,
    DATA,
    LEADERBOARD,
    PAGE,
    PICTURES,
    REPORT,
    REVIEW,
    VERDICT,
    VERDICT_TEXT,
    PipelineConfig,
)
from ratchet.reporting.findings import Findings
from ratchet.reporting.page import build_page
from ratchet.reporting.texts import texts_in

Content = TypeVar("Content")


def write_report(plan: PipelineConfig) -> tuple[list[dict[str, str]], str]:
    """Write build/report.html, build/report.md, build/pictures; the ladder as rows, and the verdict in a line.

    Raises:
        UserError: the stages before were not run.
    """
    leaderboard, verdict = (_text(path).strip() for path in (LEADERBOARD, VERDICT_TEXT))
    headline, _, clauses = verdict.partition("\n")
    write_text(REPORT, f"# {headline}\n\n{leaderboard}\n\n## The verdict\n\n{clauses.strip()}\n")
    found = Findings(selected(plan), _read(COMPARISON, Comparison), _read(VERDICT, Verdict), _read(REVIEW, Review))
    write_text(PAGE, build_page(found, texts_in(read_prepared(DATA), found.selection)))
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, chart in pictures_of(found.comparison, found.selection).items():
        write_text(PICTURES / f"{name}.svg", to_svg(chart))
    return ladder_rows(found.comparison), headline


def _read(path: Path, kind: type[Content]) -> Content:
    try:
        return TypeAdapter(kind).validate_json(_text(path))
    except ValidationError as error:
        said = error.errors()[0]["msg"]
        raise UserError(f"{path}: not what this code writes ({said}): `dvc repro` writes it anew") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: not there: `dvc repro` runs the stages that write it") from error


def ladder_rows(found: Comparison) -> list[dict[str, str]]:
    """A comparison as rows of a table, a model each."""
    rows = []
    for each in found.candidates:
        own, against = each.metrics[found.metric], each.baseline
        rows.append(
            {
                "model": each.name,
                found.metric: f"{own.value:.3f} [{own.low:.3f}, {own.high:.3f}]",
                f"against {found.baseline}": (
                    f"{against.value:+.3f} [{against.low:+.3f}, {against.high:+.3f}]" if against else "-"
                ),
            }
        )
    return rows
