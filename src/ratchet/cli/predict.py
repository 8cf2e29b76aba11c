"""`ratchet predict RUN input=texts.csv output=predictions.csv`: label the texts of a file."""

import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ratchet.cli.selecting import show_row_bars
from ratchet.config import Format as FileFormat
from ratchet.config import bounded, is_option, located, parse_options, register
from ratchet.data.formats import Dialect
from ratchet.errors import UserError
from ratchet.files import expand_home
from ratchet.inference.columns import ScoreDetail
from ratchet.inference.partial_output import parts_directory
from ratchet.inference.predict_file import Request, Summary, make_request, predict_file
from ratchet.inference.scorer import Scorer, load_scorer
from ratchet.machine import available_cores, limited_threads
from ratchet.models import all_settings
from ratchet.reporting.blocks import format_amount
from ratchet.reporting.terminal import Format, print_facts, print_json, print_table

PREFIX = "input_"
USAGE = "`ratchet predict RUN input=texts.csv output=predictions.csv`"


@dataclass
class Options:
    """Arguments of `predict`. `text` names columns, separated by commas; `separator` stands between labels in CSV."""

    input: str = located("")
    """File of texts, in any format that training reads; also a directory or a pattern."""
    output: str = located("")
    """File to write; its suffix decides the format."""
    text: str | None = None
    """Columns that are joined into the text, separated by commas; null uses those of the run."""
    scores: ScoreDetail = ScoreDetail.predicted
    """Labels whose scores are written."""
    separator: str = ";"
    """Text between two labels of a row in CSV and TSV."""
    prefix: str = ""
    """Text before the names of the new columns."""
    batch_size: int = bounded(1024, low=1, high=1_000_000)
    """Number of rows that are read, scored and written at a time."""
    input_format: FileFormat = FileFormat.auto
    """Format of the input; auto uses its suffix."""
    input_encoding: str = "utf-8"
    """Text encoding of the input."""
    input_header: bool = True
    """Whether the first line of CSV or TSV names its columns; without it they are called 1, 2, and so on."""
    input_separator: str | None = None
    """Character between two fields of the input; null is a comma, or a tab for TSV."""
    input_quote: str | None = '"'
    """Character around fields of the input; null means that nothing is quoted."""
    input_escape: str | None = None
    """Character before a quote within a quoted field; null means that the quote is doubled."""
    input_skip_initial_space: bool = False
    """Whether spaces after a separator are skipped."""
    input_comment: str | None = None
    """Text at the start of lines of the input that are skipped, as #."""
    input_skip_rows: int = bounded(0, low=0)
    """Number of lines before the header that are skipped."""
    input_under: str | None = None
    """Key of a JSON file below which its records are, as data.items."""
    input_query: str | None = None
    """Query that selects the rows of an SQLite file."""
    input_sheet: str | None = None
    """Sheet of an Excel workbook; null reads the first."""
    restart: bool = False
    """Start again instead of resuming an interrupted run of the command."""
    replace: bool = False
    """Replace an existing output."""
    format: Format = Format.table
    """How the summary is printed."""
    runs_dir: str = located("runs")
    """Directory of all runs."""


def run(arguments: list[str]) -> int:
    """Run the verb `predict`."""
    if not arguments or is_option(arguments[0]):
        raise UserError(f"which run? {USAGE}; RUN is an id, a directory or `last`")
    name, *rest = arguments
    options = parse_options(Options, rest)
    for key in ("input", "output"):
        if not getattr(options, key):
            raise UserError(f"{key}= is missing: {USAGE}")
    register(all_settings())
    with limited_threads(available_cores()):  # this also turns off busy waiting, which slows networks down
        scorer = load_scorer(name, runs_dir=Path(options.runs_dir))
        request = make_request(
            scorer,
            input=expand_home(options.input),
            output=expand_home(options.output),
            text=options.text,
            detail=options.scores,
            prefix=options.prefix,
            separator=options.separator,
            batch_size=options.batch_size,
            replace=options.replace,
            restart=options.restart,
            dialect=_make_dialect(options),
        )
        summary = _predict(scorer, request, options.format)
    _print(str(scorer.identity), request, summary, options.format)
    return 0


def _make_dialect(options: Options) -> Dialect:
    """Return how the input is written: as the options input_* say."""
    names = [field.name.removeprefix(PREFIX) for field in fields(Options) if field.name.startswith(PREFIX)]
    return Dialect(option_prefix=PREFIX, **{name: getattr(options, f"{PREFIX}{name}") for name in names})


def _predict(scorer: Scorer, request: Request, form: Format) -> Summary:
    """Label the texts with a progress bar; after an interruption, print how to resume."""

    def report_resume(row: int, rows: int) -> None:
        if form is Format.table:
            print(f"resuming after row {row:,} of {rows:,}", flush=True)

    try:
        with show_row_bars() as begin:
            return predict_file(scorer, request, begin, report_resume)
    except (KeyboardInterrupt, SystemExit):
        parts = parts_directory(request.output)
        if parts.is_dir():
            print(f"finished batches are kept in {parts}: the same command resumes", file=sys.stderr)
        raise


def _print(model: str, request: Request, summary: Summary, form: Format) -> None:
    if form is Format.json:
        rates = {"texts_per_second": summary.texts_per_second, "labels_a_text": summary.labels_a_text}
        print_json({"run": model, **asdict(summary), **rates, "output": str(request.output)})
        return
    labels = summary.labels_a_text
    facts = [
        ("model", model),
        ("text", request.text.separator.join(request.text.names)),
        ("rows", f"{summary.rows:,}"),
        ("without text", f"{summary.without_text:,}"),
        ("without words", f"{summary.without_words:,}"),
        ("without label", f"{summary.without_label:,}"),
        ("labels a text", "-" if labels is None else f"{labels:.2f}"),
        ("texts/s", format_amount(summary.texts_per_second)),
        ("written to", str(request.output)),
    ]
    if form is Format.md:
        print_table([{"fact": name, "value": value} for name, value in facts], markdown=True, left=2)
    else:
        print_facts(facts)
