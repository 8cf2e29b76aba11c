"""Label the texts of an input, batch by batch; resume where a killed process stopped."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

import ratchet
from ratchet.data.formats import Dialect
from ratchet.data.taxonomy import words
from ratchet.data.texts import TextColumns
from ratchet.data.values import BadValue, NotText, is_blank
from ratchet.errors import UserError
from ratchet.inference.columns import Layout, Predicted, ScoreDetail
from ratchet.inference.partial_output import Parts, claim_parts, input_state, refuse_changed
from ratchet.inference.readers import INPUT_DIALECT, Advance, Reader, Scan
from ratchet.inference.rows import Batch
from ratchet.inference.scorer import Scorer
from ratchet.inference.several_files import find_conflict, open_input
from ratchet.inference.writers import output_format, writer_of

Begin = Callable[[str, int | None], Advance]


@dataclass(frozen=True)
class Request:
    """What to predict, and where to write it. Rows are scored `batch_size` at a time, which bounds the memory.

    `input` is a file, a directory, or a pattern for several files.
    """

    input: Path
    output: Path
    text: TextColumns
    layout: Layout
    batch_size: int
    replace: bool = False
    restart: bool = False
    dialect: Dialect = INPUT_DIALECT

    def options(self) -> dict[str, Any]:
        """Return the options that must be equal to resume finished parts."""
        return {
            "text": list(self.text.names),
            "text_separator": self.text.separator,
            **({"text_files": list(self.text.files)} if self.text.files else {}),
            "scores": self.layout.detail.name,
            "prefix": self.layout.prefix,
            "separator": self.layout.separator,
            "batch_size": self.batch_size,
            **self._dialect_options(),
        }

    def _dialect_options(self) -> dict[str, Any]:
        """Return the options of the input that are not the defaults, as text."""
        names = [field.name for field in fields(Dialect) if field.name != "option_prefix"]
        values = {name: getattr(self.dialect, name) for name in names}
        return {self.dialect.key(name): str(value) for name, value in values.items() if value != getattr(Dialect, name)}


def make_request(
    scorer: Scorer,
    *,
    input: Path,
    output: Path,
    text: str | None = None,
    detail: ScoreDetail = ScoreDetail.predicted,
    prefix: str = "",
    separator: str = ";",
    batch_size: int = 1024,
    replace: bool = False,
    restart: bool = False,
    dialect: Dialect = INPUT_DIALECT,
) -> Request:
    """Return a request with the model's labels, and its text columns unless `text` names others (`title,description`).

    Raises:
        UserError: `text` names no column.
    """
    columns = scorer.text
    if text is not None:
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        if not names:
            raise UserError(f"text={text!r} names no column: text=title,description")
        files = tuple(name for name in columns.files if name in names)
        columns = TextColumns(names, columns.separator, files, columns.encoding)
    one_label = scorer.thresholds.values is None  # multi-class: the largest score decides
    layout = Layout(scorer.labels, detail, prefix, separator, one_label)
    return Request(input, output, columns, layout, batch_size, replace, restart, dialect)


@dataclass(frozen=True)
class Summary:
    """Counts of all rows, and what this process did from row `resumed_at` on: `texts_scored` in `seconds`."""

    rows: int
    labels: int
    without_label: int
    without_text: int
    without_words: int
    resumed_at: int
    texts_scored: int
    seconds: float

    @property
    def texts_per_second(self) -> float | None:
        """Return the rate of this process, reading and writing included; None if it scored nothing."""
        return self.texts_scored / self.seconds if self.texts_scored else None

    @property
    def labels_a_text(self) -> float | None:
        """Return the mean number of labels of rows with a text; None without such rows."""
        texts = self.rows - self.without_text
        return self.labels / texts if texts else None


def predict_file(
    scorer: Scorer, request: Request, begin: Begin, on_resume: Callable[[int, int], None] = lambda row, rows: None
) -> Summary:
    """Predict the texts of a file, or of all files of a directory or a pattern.

    The complete input is read before the first text is scored, so that a broken row costs no work. If the process ends
    early, the finished batches stay in OUTPUT.parts, and the same request resumes after them.

    Args:
        scorer: the model.
        request: what to predict, and where to write it.
        begin: `begin(task, rows)` starts a progress bar and returns what advances it.
        on_resume: called with the row to resume after, and the number of all rows.

    Raises:
        UserError: the input is not readable or has a broken row; the output exists, or another process writes it; its
            parts were made from something else.
    """
    reader = open_input(request.input, request.dialect)
    output_format(request.output)
    _refuse_output(request, reader.files)
    with claim_parts(request.output) as parts:
        _refuse_output(request, reader.files)  # another process may have finished it in the meantime
        if request.restart:
            parts.clear()
        done = parts.done()
        start = sum(counts["rows"] for counts in done)
        origin, scan = _scan_or_resume(scorer, request, reader, parts, start, begin)
        writer = writer_of(request.output, reader, scan, request.layout)
        parts.begin({**origin, "survey": asdict(scan)}, done)
        if start:
            on_resume(start, scan.rows)
        began = time.perf_counter()
        advance = begin("predicting", scan.rows)
        advance(start)
        for batch in reader.batches(request.batch_size, start):
            predicted = predict_batch(scorer, batch, request.text)
            parts.add(len(done), writer.part(batch, predicted), predicted.counts())
            done.append(predicted.counts())
            advance(len(batch))
        seconds = time.perf_counter() - began
        _refuse_growing(open_input(request.input, request.dialect), origin["input"])
        parts.finish(writer, len(done), request.output)
    return _summarise(done, start, seconds)


def predict_batch(scorer: Scorer, batch: Batch, text: TextColumns) -> Predicted:
    """Score the texts of a batch. Rows without a text are not scored, and get no label.

    Raises:
        UserError: a value of the text is not text, or a file of a text cannot be read.
    """
    columns = zip(*(batch.column(name) for name in text.names), strict=True)
    try:
        texts = [text.text(values, batch.directory) for values in columns]
    except (NotText, BadValue) as error:
        raise UserError(str(error)) from None
    has_text = np.array([not is_blank(content) for content in texts], dtype=bool)
    scores = np.full((len(texts), len(scorer.labels)), np.nan, dtype=np.float32)
    decisions = np.zeros(scores.shape, dtype=np.uint8)
    if has_text.any():
        scored = scorer.score(list(compress(texts, has_text)))
        scores[has_text] = scored.scores
        decisions[has_text] = scored.decisions
    has_words = np.array([bool(words(content)) for content in texts], dtype=bool)
    return Predicted(scores, decisions, has_text, has_words)


def _refuse_output(request: Request, files: list[Path]) -> None:
    output = request.output
    if not output.parent.is_dir():
        raise UserError(f"{output.parent}: no such directory: create it, or choose another output")
    reason = "is a directory" if output.is_dir() else find_conflict(output, request.input, files)
    if reason is not None:
        raise UserError(f"{output} {reason}: choose another output")
    if output.exists() and not request.replace:
        raise UserError(f"{output} exists already: choose another output, or replace=true")


def _scan_or_resume(
    scorer: Scorer, request: Request, reader: Reader, parts: Parts, start: int, begin: Begin
) -> tuple[dict[str, Any], Scan]:
    """Return what the parts are made from, and the scan of the input: that of the finished parts if there are any.

    Raises:
        UserError: the finished parts were made from something else.
    """
    before = parts.state() if start else None
    now = {
        "ratchet": ratchet.__version__,
        "input": input_state(reader.path, reader.files, before and before["input"]),
        "model": {"name": str(scorer.identity), "digest": scorer.identity.sha256},
        "options": request.options(),
    }
    if before is None:
        return now, reader.scan(request.text, begin("reading", None))
    refuse_changed(before, now, parts.directory, start)
    return now, Scan(**before["survey"])


def _refuse_growing(reader: Reader, before: dict[str, Any]) -> None:
    if input_state(reader.path, reader.files, before)["sha256"] != before["sha256"]:
        raise UserError(f"{reader.path} changed while it was read: start again with restart=true once it is complete")


def _summarise(done: Sequence[dict[str, int]], start: int, seconds: float) -> Summary:
    total = Counter[str]()
    by_this_process = Counter[str]()
    for counts in done:
        if total["rows"] >= start:
            by_this_process.update(counts)
        total.update(counts)
    return Summary(
        rows=total["rows"],
        labels=total["labels"],
        without_label=total["without_label"],
        without_text=total["without_text"],
        without_words=total["without_words"],
        resumed_at=start,
        texts_scored=by_this_process["rows"] - by_this_process["without_text"],
        seconds=seconds,
    )
