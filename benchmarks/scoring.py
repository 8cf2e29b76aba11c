"""Time the scoring of texts with exported runs, against the pipeline of Hugging Face transformers.

    python benchmarks/scoring.py RUN [RUN ...]     # finished runs of one data set, one of them a transformer

The peer is `pipeline("text-classification")` on an encoder of the size of ours (the packaged one) with a new layer on
top, which scores every label independently. Texts are the val texts of the first run, repeated. One text at a time: p50
and p95 of 400 calls, in ms. The sides take turns, so that other load on the machine affects all of them. In each turn a
side has 5 warm-up calls, then 40 timed calls, so that its weights are in the cache and the threads of the previous side
are idle. Many texts: texts per second, the median of five turns; the peer gets batches of 32, ours choose their own.
All sides have the same number of threads. int8 is timed whatever F1 `ratchet export` measures. A ratio above 1 is in
our favour.
"""

import logging
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline
from transformers.utils import logging as transformers_logging

from ratchet.config import load, register
from ratchet.data.prepared import prepare
from ratchet.inference.scorer import load_scorer
from ratchet.machine import available_cores, limited_threads
from ratchet.models import all_settings, tagger_class
from ratchet.neural.encoders import packaged_directory
from ratchet.runs import StoredRun
from ratchet.runs.stored import read_run
from ratchet.taggers import Exporter, ExportPrecision

WARMING, CALLS, TURNS = 5, 40, 10  # warm-up and timed calls per turn; many texts take half as many turns
PEER = "transformers pipeline"

Score = Callable[[Sequence[str]], object]


def load_peer(num_labels: int) -> Score:
    path = str(packaged_directory())
    score = pipeline(
        "text-classification",
        model=AutoModelForSequenceClassification.from_pretrained(
            path, num_labels=num_labels, problem_type="multi_label_classification"
        ),
        tokenizer=AutoTokenizer.from_pretrained(path),
        top_k=None,
        function_to_apply="sigmoid",
        device="cpu",
    )
    return lambda texts: score(list(texts), batch_size=32)


def load_exported(run: StoredRun, directory: Path) -> dict[str, Score]:
    """Export the tagger of the run in every precision that it supports. Return its score functions by name."""
    tagger = load_scorer(run, use_export=False).tagger
    scorers = {}
    for precision in ExportPrecision if isinstance(tagger, Exporter) else [None]:
        path = directory / f"{run.record.id}-{precision}"
        path.mkdir()
        if precision is None:
            tagger.save(path)
        else:
            tagger.export(path, precision)
        name = f"{run.record.name} {precision.value}" if precision else run.record.name
        scorers[name] = tagger_class(run.record.model).load(path).predict_proba
    return scorers


def time_single_texts(sides: dict[str, Score], texts: Sequence[str]) -> dict[str, list[float]]:
    """Return the milliseconds of every call."""
    milliseconds: dict[str, list[float]] = {name: [] for name in sides}
    repeated = cycle(texts)
    for _ in range(TURNS):
        selected = list(islice(repeated, WARMING + CALLS))
        for name, score in sides.items():
            for number, text in enumerate(selected):
                started = time.perf_counter()
                score([text])
                if number >= WARMING:
                    milliseconds[name].append((time.perf_counter() - started) * 1e3)
    return milliseconds


def time_many_texts(sides: dict[str, Score], texts: Sequence[str]) -> dict[str, list[float]]:
    """Return the texts per second of each turn."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(TURNS // 2):
        for name, score in sides.items():
            started = time.perf_counter()
            score(texts)
            rates[name].append(len(texts) / (time.perf_counter() - started))
    return rates


def main(*paths: str) -> None:
    register(all_settings())
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    runs = [read_run(Path(path)) for path in paths]
    prepared = prepare(load(runs[0].path / "config.yaml", all_settings()).data)
    texts = prepared.select(runs[0].read_json("split.json")["val"]).texts
    threads = available_cores()
    with tempfile.TemporaryDirectory() as directory, limited_threads(threads):
        torch.set_num_threads(threads)
        sides = {PEER: load_peer(len(prepared.labels))}
        for run in runs:
            sides |= load_exported(run, Path(directory))
        calls, rates = time_single_texts(sides, texts), time_many_texts(sides, texts)
    p50, p95 = ({name: float(np.quantile(values, q)) for name, values in calls.items()} for q in (0.5, 0.95))
    rate = {name: float(np.median(values)) for name, values in rates.items()}
    print(f"{prepared.name}, {len(texts)} val texts, {threads} threads; ratios to the peer")
    print(f"{'':22} {'p50 ms':>8} {'ratio':>7} {'p95 ms':>8} {'ratio':>7} {'texts/s':>9} {'ratio':>7}")
    for name in sides:
        print(
            f"{name:22} {p50[name]:8.2f} {p50[PEER] / p50[name]:7.1f} {p95[name]:8.2f} {p95[PEER] / p95[name]:7.1f} "
            f"{rate[name]:9.0f} {rate[name] / rate[PEER]:7.1f}"
        )


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(*sys.argv[1:])
