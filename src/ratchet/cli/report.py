"""`ratchet report`: what the iterations bought, on one page that needs no network."""

from dataclasses import dataclass
from pathlib import Path

from ratchet.cli.selecting import SelectingOptions, parse_selecting, progress, selection_of
from ratchet.config import Part
from ratchet.errors import UserError


@dataclass
class Options(SelectingOptions):
    """Arguments of `report`, beside those of the selection. `texts=false` leaves the records' texts out of the page."""

    baseline: str = "rule"
    part: Part = Part.test
    promotions_dir: str = "promotions"
    out: str = "report.html"
    texts: bool = True


def run(arguments: list[str]) -> int:
    """The verb `report`; writes the page and says where it is."""
    from ratchet.files import write_text
    from ratchet.reporting.findings import find
    from ratchet.reporting.page import build_page
    from ratchet.reporting.texts import Texts, texts_of

    options, objective = parse_selecting(Options, arguments)
    path = Path(options.out)
    if path.is_dir() or not path.parent.is_dir():
        raise UserError(f"out={options.out}: {'a directory' if path.is_dir() else 'no such directory'}: name a file")
    selection = selection_of(options, options.part.name)
    with progress() as bar:
        found = find(
            selection,
            objective,
            runs_dir=Path(options.runs_dir),
            baseline=options.baseline,
            promotions_dir=Path(options.promotions_dir),
            resamples=options.resamples,
            bar=bar,
        )
    texts = texts_of(selection) if options.texts else Texts(None, "texts=false")
    page = build_page(found, texts)
    write_text(path, page)
    print(f"{path} ({len(page.encode()) / 1e6:.1f} MB): open it in a browser; it needs no network")
    return 0
