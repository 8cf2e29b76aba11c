"""One HTML file that needs no network: tables, charts, and the library that draws them."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

from ratchet.charts.theme import look
from ratchet.comparison.results import metric_name
from ratchet.reporting.blocks import Block, Details, Figure, Section
from ratchet.reporting.findings import Findings
from ratchet.reporting.sections import sections_of
from ratchet.reporting.texts import Texts

_FOOTNOTE = (
    "Triangles up are better, triangles down worse, circles neither. p: the larger of a swap test over records and a "
    "t-test that counts training too, adjusted after Holm."
)
FILTERED_FROM = 8  # rows: shorter tables are seen at once


def build_page(found: Findings, texts: Texts) -> str:
    """The report as HTML."""
    title = f"{found.comparison.data}: what each iteration bought"
    return render_page(title, _headline(found), _facts(found), sections_of(found, texts), _FOOTNOTE)


def render_page(
    title: str, headline: dict[str, str], facts: Sequence[tuple[str, str]], sections: Sequence[Section], footnote: str
) -> str:
    """A page as HTML. What the data say stays text: it is escaped, and no script but the page's own would run."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("ratchet.reporting", "page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}  # keys stay in order: they become columns
    figures = _figures_of([block for section in sections for block in section.blocks])
    charts = {figure.name: figure.spec() for figure in figures}
    scripts = [chart_library(), _resource("page.js")]
    page = environment.get_template("page.html").render(
        title=title,
        headline=headline,
        facts=facts,
        sections=sections,
        footnote=footnote,
        filtered_from=FILTERED_FROM,
        payload={"charts": charts, "looks": {"light": look(), "dark": look(dark=True)}},
        style=_resource("page.css"),
        scripts=scripts,
        policy=_policy(scripts),
    )
    return page.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair is shown as its escape


@cache
def chart_library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert
    from altair import SCHEMA_VERSION

    version = ".".join(SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)).replace(
        "</script", "<\\/script"
    )


def _headline(found: Findings) -> dict[str, str]:
    decision = found.verdict.decision
    state = {"ships": "good", "nothing ships": "bad"}.get(decision.outcome, "even")
    said = f"{decision.ships} ships" if decision.ships else decision.outcome
    return {"said": said, "why": decision.why, "tone": state}


def _facts(found: Findings) -> Sequence[tuple[str, str]]:
    """What every figure of the page rests on."""
    comparison, runs = found.comparison, found.selection.runs
    splits = f"{len(comparison.splits)} split{'s' if len(comparison.splits) > 1 else ''}"
    read = [split.test_readings for split in comparison.splits if split.test_readings is not None]
    begun = sorted(run.record.started_at[:10] for run in runs)
    return [
        ("data", f"{comparison.data}, version {comparison.dataset_version[:12]}"),
        (
            "measured on",
            f"{comparison.part}, {comparison.records:,} records, {splits}",
        ),
        ("metric", metric_name(comparison.metric)),
        ("objective", found.verdict.objective.name),
        ("runs", f"{len(runs)}, {begun[0]}" + (f" to {begun[-1]}" if begun[-1] != begun[0] else "")),
        *([("test splits read", f"{max(read)} times so far" if max(read) > 1 else "once")] if read else []),
    ]


def _figures_of(blocks: Sequence[Block]) -> Iterator[Figure]:
    for block in blocks:
        if isinstance(block, Figure):
            yield block
        elif isinstance(block, Details):
            yield from _figures_of(block.blocks)


def _policy(scripts: Sequence[str]) -> str:
    """No address is ever asked, and no script runs that is not one of these: not even if something was not escaped."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    others = "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {allowed}; {others}"


def _resource(name: str) -> str:
    return resources.files("ratchet.reporting").joinpath("page", name).read_text(encoding="utf-8")
