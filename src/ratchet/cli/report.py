"""`ratchet report`: write what the iterations improved as one HTML page that needs no network."""

from dataclasses import dataclass
from pathlib import Path

from ratchet.cli.selecting import SelectingOptions, parse_selecting, select_runs, show_progress
from ratchet.config import Part, located
from ratchet.extras import require_extra


@dataclass
class Options(SelectingOptions):
    """Arguments of `report`, in addition to those of the selection. `texts=false` omits the texts of the records."""

    baseline: str = "rule"
    """Name of the candidate that all others are compared with."""
    part: Part = Part.test
    """Part whose metrics are reported."""
    promotions_dir: str = located("promotions")
    """Directory of the promotions log."""
    out: str = located("report.html")
    """File of the page."""
    texts: bool = True
    """Whether the page may show texts of records."""


def run(arguments: list[str]) -> int:
    """Run the verb `report`: write the page and print its path."""
    require_extra("report", what="the report")
    from ratchet.files import write_text
    from ratchet.reporting.findings import Texts, compute_findings, read_texts
    from ratchet.reporting.page import build_page, refuse_output

    options, objective = parse_selecting(Options, arguments)
    path = Path(options.out)
    refuse_output(path)
    selection = select_runs(options, options.part.name, min_splits=objective.settings.evidence.repeats)
    with show_progress() as bar:
        findings = compute_findings(
            selection,
            objective,
            runs_dir=Path(options.runs_dir),
            baseline=options.baseline,
            promotions_dir=Path(options.promotions_dir),
            resamples=options.resamples,
            bar=bar,
        )
    texts = read_texts(selection) if options.texts else Texts(None, "texts=false")
    page = build_page(findings, texts)
    write_text(path, page)
    print(f"{path} ({len(page.encode()) / 1e6:.1f} MB): open it in a browser; it needs no network")
    return 0
