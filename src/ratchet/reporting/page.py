"""Sections as one HTML file that needs no network: tables, charts, and the library that draws them."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from ratchet.charts.theme import look
from ratchet.comparison.results import metric_name
from ratchet.errors import UserError
from ratchet.reporting.blocks import Block, Details, Figure, Section
from ratchet.reporting.comparison_tables import P_VALUE
from ratchet.reporting.findings import Findings, Texts
from ratchet.reporting.sections import build_sections

_FOOTNOTE = f"Triangles up are better, triangles down worse, circles not distinguishable. p: {P_VALUE}."
_MARK = b'<p class="name">Ratchet report</p>'  # in every page: only these are replaced
FILTERED_FROM = 8  # rows: shorter tables need no filter


def build_page(findings: Findings, texts: Texts) -> str:
    """Return the report as HTML."""
    title = f"{findings.comparison.data}: what each iteration improved"
    sections = build_sections(findings, texts)
    return render_page(title, _build_headline(findings), _build_facts(findings), sections, _FOOTNOTE)


def render_page(
    title: str, headline: dict[str, str], facts: Sequence[tuple[str, str]], sections: Sequence[Section], footnote: str
) -> str:
    """Return a page as HTML. Content from the data is escaped; the policy allows only the page's own scripts."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ratchet.reporting", "page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.policies["json.dumps_kwargs"] = {
        "separators": (",", ":")
    }  # the order of the keys is that of the columns
    figures = _list_figures([block for section in sections for block in section.blocks])
    charts = {figure.name: figure.spec() for figure in figures}
    scripts = [chart_library(), _read_resource("page.js")]
    page = environment.get_template("page.html").render(
        title=title,
        headline=headline,
        facts=facts,
        sections=sections,
        footnote=footnote,
        filtered_from=FILTERED_FROM,
        payload={"charts": charts, "looks": {"light": look(), "dark": look(dark=True)}},
        style=_read_resource("page.css"),
        scripts=scripts,
        policy=_build_policy(scripts),
    )
    return page.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is written as its escape


def refuse_output(path: Path) -> None:
    """Refuse a file to write a page to, if it exists and is no page.

    Raises:
        UserError: it is a directory or another file, or its directory does not exist.
    """
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"out={path}: {'a directory' if path.is_dir() else 'no such directory'}: name a file")
    if path.exists() and _MARK not in path.read_bytes():
        raise UserError(f"out={path}: exists and is no report: choose another file")


@cache
def chart_library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert
    from altair import SCHEMA_VERSION

    version = ".".join(SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)).replace(
        "</script", "<\\/script"
    )


def _build_headline(findings: Findings) -> dict[str, str]:
    decision = findings.verdict.decision
    tone = {"ships": "good", "nothing ships": "bad"}.get(decision.outcome, "even")
    answer = f"{decision.ships} ships" if decision.ships else decision.outcome
    return {"answer": answer, "why": decision.why, "tone": tone}


def _build_facts(findings: Findings) -> Sequence[tuple[str, str]]:
    """Return what all numbers of the page are based on."""
    comparison, runs = findings.comparison, findings.selection.runs
    splits = f"{len(comparison.splits)} split{'s' if len(comparison.splits) > 1 else ''}"
    accesses = [split.test_readings for split in comparison.splits if split.test_readings is not None]
    days = sorted(run.record.started_at[:10] for run in runs)
    return [
        ("data", f"{comparison.data}, version {comparison.dataset_version[:12]}"),
        ("measured on", f"{comparison.part}, {comparison.records:,} records, {splits}"),
        ("metric", metric_name(comparison.metric)),
        ("objective", findings.verdict.objective.name),
        ("runs", f"{len(runs)}, {days[0]}" + (f" to {days[-1]}" if days[-1] != days[0] else "")),
        *([("test-set accesses", f"{max(accesses)} so far")] if accesses else []),
    ]


def _list_figures(blocks: Sequence[Block]) -> Iterator[Figure]:
    for block in blocks:
        if isinstance(block, Figure):
            yield block
        elif isinstance(block, Details):
            yield from _list_figures(block.blocks)


def _build_policy(scripts: Sequence[str]) -> str:
    """Allow these scripts and no network access, as a second line of defence should an escape be missing."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    others = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; {others}"


def _read_resource(name: str) -> str:
    return resources.files("ratchet.reporting").joinpath("page", name).read_text(encoding="utf-8")
