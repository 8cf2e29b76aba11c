"""`ratchet export RUN`: write a finished run as a directory that scores texts without torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.cli.selecting import show_progress
from ratchet.config import is_option, located, parse_options, register
from ratchet.errors import UserError
from ratchet.models import all_settings
from ratchet.reporting.terminal import print_facts, print_text
from ratchet.runs import find_run
from ratchet.taggers import ExportPrecision

if TYPE_CHECKING:
    from ratchet.inference.export import Export

REFUSED = 3  # exit code: the export does not score as the run does


@dataclass
class Options:
    """Arguments of `export`: int8 is written only if its F1 is not worse; `out` is RUN/export by default."""

    precision: ExportPrecision = ExportPrecision.float32
    """Numbers of the exported network; int8 is smaller, and written only if its F1 is not worse."""
    out: str | None = located(None)
    """Directory of the export; null is the directory export of the run."""
    replace: bool = False
    """Replace an earlier export."""
    runs_dir: str = located("runs")
    """Directory of all runs."""


def run(arguments: list[str]) -> int:
    """Run the verb `export`; return 3 if the export does not score as the run does."""
    if not arguments or is_option(arguments[0]):
        raise UserError("which run? `ratchet export RUN [precision=int8]`; RUN is an id, a directory or `last`")
    options = parse_options(Options, arguments[1:])
    stored = find_run(Path(options.runs_dir), arguments[0])
    register(all_settings())

    from ratchet.inference.export import export_run
    from ratchet.inference.export_checks import ExportRefused

    try:
        with show_progress() as bar:
            export = export_run(
                stored,
                precision=options.precision,
                out=Path(options.out) if options.out else None,
                replace=options.replace,
                begin=bar("exporting"),
            )
    except ExportRefused as refused:
        print_text(f"not exported: {refused}")
        return REFUSED
    print_facts(_list_facts(export))
    return 0


def _list_facts(export: "Export") -> list[tuple[str, str]]:
    from ratchet.inference.export_checks import count_runs

    manifest = export.manifest
    check = manifest.check
    changed = check.changed_decisions or "no"
    facts = [
        ("written to", str(export.directory)),
        ("run", f"{manifest.name} ({manifest.run})"),
        ("size", f"{export.size_mb:.2f} MB (the run's model: {export.model_mb:.2f} MB)"),
        ("precision", manifest.precision or "as the run's"),
        (
            "checked on",
            f"{check.texts} val texts: scores differ by at most {check.largest_difference:.1e}, {changed} "
            f"decision{'' if changed == 1 else 's'} changed",
        ),
    ]
    if manifest.thresholds == "export":
        facts.append(("thresholds", "its own, chosen on its scores of these texts"))
    if check.f1_difference is not None:
        over = f"{count_runs(check.runs)}, {check.records} val texts"
        figure = f"{check.f1_difference:+.4f} over {over}; 95 % sure: above {check.f1_difference_lower:+.4f}"
        facts.append((check.metric, figure))
    return [*facts, ("use it", f"ratchet predict {export.directory} input=... output=...")]
