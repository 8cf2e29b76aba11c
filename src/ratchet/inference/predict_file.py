"""Label the texts of a file, batch by batch; resume where a killed process stopped."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ratchet
from ratchet.data.texts import TextColumns
from ratchet.errors import UserError
from ratchet.inference.columns import Layout, Predicted, ScoreDetail
from ratchet.inference.partial_output import Parts, claim_parts, input_state, refuse_changed
from ratchet.inference.readers import Advance, Reader, Scan, format_of, reader_of
from ratchet.inference.rows import Batch
from ratchet.inference.scorer import Scorer
from ratchet.inference.writers import writer_of

Begin = Callable[[str, int | None], Advance]


@dataclass(frozen=True)
class Request:
    """What to predict, and where to write it. Rows are scored `batch_size` at a time, which bounds the memory."""

    input: Path
    output: Path
    text: TextColumns
    layout: Layout
    batch_size: int
    replace: bool = False
    restart: bool = False

    def options(self) -> dict[str, Any]:
        """Return the options that must be equal to resume finished parts."""
        return {
            "text": list(self.text.names),
            "text_separator": self.text.separator,
            "scores": self.layout.detail.name,
            "prefix": self.layout.prefix,
            "separator": self.layout.separator,
            "batch_size": self.batch_size,
        }


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
        columns = TextColumns(names, columns.separator)
    one_label = scorer.thresholds.values is None  # multi-class: the largest score decides
    layout = Layout(scorer.labels, detail, prefix, separator, one_label)
    return Request(input, output, columns, layout, batch_size, replace, restart)


@dataclass(frozen=True)
class Summary:
    """Counts of all rows, and what this process did from row `resumed_at` on: `texts_scored` in `seconds`."""

    rows: int
    labels: int
    without_label: int
    without_text: int
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
    """Predict the texts of a file.

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
    reader = reader_of(request.input)
    format_of(request.output, "output")
    _refuse_output(request)
    with claim_parts(request.output) as parts:
        _refuse_output(request)  # another process may have finished it in the meantime
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
        _refuse_growing(request.input, origin["input"])
        parts.finish(writer, len(done), request.output)
    return _summarise(done, start, seconds)


def predict_batch(scorer: Scorer, batch: Batch, text: TextColumns) -> Predicted:
    """Score the texts of a batch. Rows without a text are not scored, and get no label."""
    texts = [text.text(values) for values in zip(*(batch.column(name) for name in text.names), strict=True)]
    has_text = np.array([bool(content.strip()) for content in texts], dtype=bool)
    scores = np.full((len(texts), len(scorer.labels)), np.nan, dtype=np.float32)
    decisions = np.zeros(scores.shape, dtype=np.uint8)
    if has_text.any():
        scored = scorer.score([content for content in texts if content.strip()])
        scores[has_text] = scored.scores
        decisions[has_text] = scored.decisions
    return Predicted(scores, decisions, has_text)


def _refuse_output(request: Request) -> None:
    output = request.output
    if not output.parent.is_dir():
        raise UserError(f"{output.parent}: no such directory: create it, or choose another output")
    if not output.exists():
        return
    if output.is_dir() or (request.input.exists() and output.samefile(request.input)):
        raise UserError(f"{output} is {'a directory' if output.is_dir() else 'the input'}: choose another output")
    if not request.replace:
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
        "input": input_state(request.input, before and before["input"]),
        "model": {"name": str(scorer.identity), "digest": scorer.identity.sha256},
        "options": request.options(),
    }
    if before is None:
        return now, reader.scan(request.text, begin("reading", None))
    refuse_changed(before, now, parts.directory, start)
    return now, Scan(**before["survey"])


def _refuse_growing(path: Path, before: dict[str, Any]) -> None:
    if input_state(path, before)["sha256"] != before["sha256"]:
        raise UserError(f"{path} changed while it was read: start again with restart=true once it is complete")


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
        resumed_at=start,
        texts_scored=by_this_process["rows"] - by_this_process["without_text"],
        seconds=seconds,
    )
