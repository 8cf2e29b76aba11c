"""Run the stage `report`: the page, its Markdown version and the charts."""

import json
from pathlib import Path
from typing import TypeVar

from ratchet.comparison.results import Comparison
from ratchet.data.storing import read_prepared
from ratchet.errors import UserError
from ratchet.extras import require_extra
from ratchet.files import write_text
from ratchet.objective.gate import Verdict
from ratchet.objective.review import Review
from ratchet.pipeline.decision_stages import select_planned_runs
from ratchet.pipeline.plan import COMPARISON, DATA, PAGE, PICTURES, REPORT, REVIEW, VERDICT, PipelineConfig
from ratchet.reporting.blocks import Paragraph, TextBlock
from ratchet.reporting.comparison_tables import comparison_blocks, leaderboard
from ratchet.reporting.findings import Findings, match_texts
from ratchet.reporting.markdown import to_markdown
from ratchet.reporting.verdict_tables import verdict_blocks, verdict_headline
from ratchet.schema_versions import COMPARISON_SCHEMA, REVIEW_SCHEMA, VERDICT_SCHEMA, FileSchema, read_versioned

Content = TypeVar("Content")


def write_report(plan: PipelineConfig) -> list[TextBlock]:
    """Write build/report.html, build/report.md and build/pictures; return the leaderboard and the verdict's headline.

    Raises:
        UserError: the earlier stages were not run, or the extra `report` is not installed.
    """
    require_extra("report", what="the stage report")
    from ratchet.charts.pictures import pictures_of
    from ratchet.charts.theme import to_svg
    from ratchet.reporting.page import build_page

    comparison = _read(COMPARISON, Comparison, COMPARISON_SCHEMA)
    verdict = _read(VERDICT, Verdict, VERDICT_SCHEMA)
    findings = Findings(select_planned_runs(plan), comparison, verdict, _read(REVIEW, Review, REVIEW_SCHEMA))
    decision = verdict.decision
    headline = verdict_headline(verdict.data, decision.ships, decision.outcome, decision.why)
    tables, criteria = to_markdown(comparison_blocks(comparison)), to_markdown(verdict_blocks(verdict))
    write_text(REPORT, f"# {headline}\n\n{tables}\n## The verdict\n\n{criteria}")
    write_text(PAGE, build_page(findings, match_texts(read_prepared(DATA), findings.selection)))
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, chart in pictures_of(comparison, findings.selection).items():
        write_text(PICTURES / f"{name}.svg", to_svg(chart))
    return [leaderboard(comparison), Paragraph(headline)]


def _read(path: Path, kind: type[Content], schema: FileSchema) -> Content:
    from pydantic import TypeAdapter, ValidationError

    try:
        content = read_versioned(json.loads(path.read_text(encoding="utf-8")), schema, path)
        return TypeAdapter(kind).validate_python(content)
    except OSError as error:
        raise UserError(f"{path}: does not exist: `dvc repro` runs the stages that write it") from error
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise UserError(f"{path}: not of this version ({reason}): `dvc repro` writes it again") from error
    except ValueError as error:
        raise UserError(f"{path}: not of this version ({error}): `dvc repro` writes it again") from error
