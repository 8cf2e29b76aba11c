"""A run against the MVP's on the very same records, by the statistics of `ratchet compare`."""

import logging
from pathlib import Path

from ratchet.comparison.differences import compare_pair
from ratchet.comparison.evidence import gather
from ratchet.runs import StoredRun, find_runs
from ratchet.runs.selection import Candidate, Selection

log = logging.getLogger(__name__)
PRIMARY = "f1_weighted"
SHOWN = (PRIMARY, "f1_macro", "f1_micro", "f1_samples", "precision_weighted", "recall_weighted")


def against_baseline(run: StoredRun, runs_dir: Path, baseline: str) -> dict[str, float]:
    """`baseline/<metric>`, `delta/<metric>` with `_low` and `_high`, and `delta/p` of the weighted F1.

    Measured on the part that the run reports. The baseline itself has its own figures and no delta; without a finished
    run of that name on the same data and split there is nothing.
    """
    part = run.record.evaluate
    if run.record.name == baseline:
        return _figures(run, part)
    other = _newest(run, runs_dir, baseline)
    if other is None:
        log.info("tracker: no finished run of %s on this split of these data: nothing to be compared with", baseline)
        return {}
    candidates = tuple(Candidate(each.record.name, (each,)) for each in (run, other))
    evidence = gather(Selection(run.record.data, part, str(run.record.dataset_version), candidates, ()))
    ours, theirs = evidence.candidates
    found, _ = compare_pair(ours, theirs, evidence, PRIMARY, lambda done: None)
    deltas: dict[str, float] = {}
    for name in SHOWN:
        interval = found.metrics[name]
        deltas |= {f"delta/{name}": interval.value}
        deltas |= {f"delta/{name}_low": interval.low, f"delta/{name}_high": interval.high}
    return {**_figures(other, part), **deltas, "delta/p": found.p}


def _newest(run: StoredRun, runs_dir: Path, name: str) -> StoredRun | None:
    """Of the finished runs that predicted the same part of the same split; debug runs do not count."""
    mine = run.record
    found = [
        each
        for each in find_runs(runs_dir)
        if (each.record.name, each.status) == (name, "finished")
        and (each.record.data, each.record.dataset_version) == (mine.data, mine.dataset_version)
        and each.record.split_hash == mine.split_hash
        and each.record.evaluate in (mine.evaluate, "test")
        and "debug" not in each.record.tags
    ]
    return found[-1] if found else None


def _figures(run: StoredRun, part: str) -> dict[str, float]:
    figures = run.figures()
    return {f"baseline/{name}": figures[f"{part}/{name}"] for name in SHOWN}
