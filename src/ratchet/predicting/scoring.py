"""From a file of texts to a file of predictions, batch by batch."""

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
from ratchet.predicting.batches import Batch
from ratchet.predicting.formats import format_of, reader_of, writer_of
from ratchet.predicting.model import Model
from ratchet.predicting.origin import input_state, refuse_changed
from ratchet.predicting.parts import Parts, claimed
from ratchet.predicting.reading import Advance, Reader, Survey
from ratchet.predicting.results import Layout, Predicted
from ratchet.scoring import Scorer
from ratchet.taggers import check_scores

Begin = Callable[[str, int | None], Advance]


@dataclass(frozen=True)
class Request:
    """What to predict, and where it goes. Rows are scored `batch_size` at a time, which bounds the memory."""

    input: Path
    output: Path
    text: TextColumns
    layout: Layout
    batch_size: int
    replace: bool = False
    restart: bool = False

    def options(self) -> dict[str, Any]:
        """What must be the same for parts to be gone on with."""
        return {
            "text": list(self.text.names),
            "text_separator": self.text.separator,
            "scores": self.layout.detail.name,
            "prefix": self.layout.prefix,
            "separator": self.layout.separator,
            "batch_size": self.batch_size,
        }


@dataclass(frozen=True)
class Summary:
    """What was written: counts of all rows, and what was done since row `resumed_at`, `texts_scored` in `seconds`."""

    rows: int
    labels: int
    without_label: int
    without_text: int
    resumed_at: int
    texts_scored: int
    seconds: float

    @property
    def texts_per_second(self) -> float | None:
        """Of what was scored now, reading and writing included; None where nothing was."""
        return self.texts_scored / self.seconds if self.texts_scored else None

    @property
    def labels_a_text(self) -> float | None:
        """The mean over rows with a text; None where there is none."""
        texts = self.rows - self.without_text
        return self.labels / texts if texts else None


def predict_file(
    model: Model, request: Request, begin: Begin, resuming: Callable[[int, int], None] = lambda row, rows: None
) -> Summary:
    """Predict the texts of a file; `begin(what, rows)` begins a progress bar, `resuming(row, rows)` is told of parts.

    The whole input is looked at before the first text is scored, so a broken row costs nothing. When the process ends
    early, all batches that were done stay in OUTPUT.parts, and the same request goes on after them.

    Raises:
        UserError: the input is not readable or has a broken row; the output is there already, or being written by
            another process; parts that were made of something else.
    """
    reader = reader_of(request.input)
    format_of(request.output, "output")
    _refuse_output(request)
    with claimed(request.output) as parts:
        _refuse_output(request)  # another process may have finished it in the meantime
        if request.restart:
            parts.clear()
        done = parts.done()
        start = sum(counts["rows"] for counts in done)
        origin, survey = _origin(model, request, reader, parts, start, begin)
        writer = writer_of(request.output, reader, survey, request.layout)
        parts.begin({**origin, "survey": asdict(survey)}, done)
        if start:
            resuming(start, survey.rows)
        began = time.perf_counter()
        advance = begin("predicting", survey.rows)
        advance(start)
        for batch in reader.batches(request.batch_size, start):
            predicted = predict_batch(model.scorer, batch, request.text)
            parts.add(len(done), writer.part(batch, predicted), predicted.counts())
            done.append(predicted.counts())
            advance(len(batch))
        seconds = time.perf_counter() - began
        _refuse_moving(request.input, origin["input"])
        parts.finish(writer, len(done), request.output)
    return _summary(done, start, seconds)


def predict_batch(scorer: Scorer, batch: Batch, text: TextColumns) -> Predicted:
    """Score the texts of a batch; rows without a text are not scored, and get no label."""
    texts = [text.text(values) for values in zip(*(batch.column(name) for name in text.names), strict=True)]
    has_text = np.array([bool(each.strip()) for each in texts], dtype=bool)
    scores = np.full((len(texts), len(scorer.labels)), np.nan, dtype=np.float32)
    decisions = np.zeros(scores.shape, dtype=np.uint8)
    if has_text.any():
        own = scorer.scores([each for each, there in zip(texts, has_text, strict=True) if there])
        scores[has_text] = check_scores(own, (int(has_text.sum()), len(scorer.labels)))
        decisions[has_text] = scorer.thresholds.decide(own)
    return Predicted(scores, decisions, has_text)


def _refuse_output(request: Request) -> None:
    output = request.output
    if not output.parent.is_dir():
        raise UserError(f"{output.parent}: no such directory: make it, or choose another output")
    if not output.exists():
        return
    if output.is_dir() or (request.input.exists() and output.samefile(request.input)):
        raise UserError(f"{output} is {'a directory' if output.is_dir() else 'the input'}: choose another output")
    if not request.replace:
        raise UserError(f"{output} exists already: choose another output, or replace=true")


def _origin(
    model: Model, request: Request, reader: Reader, parts: Parts, start: int, begin: Begin
) -> tuple[dict[str, Any], Survey]:
    """What the parts are made of, the same as those that there are; and what a look at the input found."""
    before = parts.state() if start else None
    now = {
        "ratchet": ratchet.__version__,
        "input": input_state(request.input, before and before["input"]),
        "model": {"name": model.name, "digest": model.digest},
        "options": request.options(),
    }
    if before is None:
        return now, reader.survey(request.text, begin("reading", None))
    refuse_changed(before, now, parts.directory, start)
    return now, Survey(**before["survey"])


def _refuse_moving(path: Path, before: dict[str, Any]) -> None:
    if input_state(path, before)["sha256"] != before["sha256"]:
        raise UserError(f"{path} changed while it was read: start anew with restart=true once it is complete")


def _summary(done: Sequence[dict[str, int]], start: int, seconds: float) -> Summary:
    total = Counter[str]()
    now = Counter[str]()
    for counts in done:
        if total["rows"] >= start:
            now.update(counts)
        total.update(counts)
    return Summary(
        rows=total["rows"],
        labels=total["labels"],
        without_label=total["without_label"],
        without_text=total["without_text"],
        resumed_at=start,
        texts_scored=now["rows"] - now["without_text"],
        seconds=seconds,
    )
