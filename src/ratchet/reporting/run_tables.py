"""The tables of many runs: the list, the ladder, costs, and where each run comes from."""

import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ratchet.comparison.results import COST_TITLES, Comparison
from ratchet.evaluation.cost import measure_size_mb
from ratchet.reporting.blocks import (
    Cell,
    Column,
    Table,
    amount,
    format_metric,
    format_number,
    number,
    table_of_texts,
    text,
)
from ratchet.reporting.comparison_tables import BRIEF_COSTS
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import StoredRun

# Short titles: a row with an interval must fit a terminal of 80 columns.
_QUALITY = {"prec.": "precision_weighted", "recall": "recall_weighted", "AP": "average_precision_macro"}
Candidates = dict[tuple[Any, ...], list[StoredRun]]


# --- for `ratchet runs` -----------------------------------------------------------------------------------------------


def list_runs(runs: Sequence[StoredRun], *, sizes: bool = False) -> Table:
    """Return a row for each run, and with `sizes` what its directory takes on disk."""
    columns = [
        *(Column("run", whole=True), Column("data"), Column("name"), Column("status", whole=True)),
        *(Column("seeds", numeric=True), Column("F1 weighted", numeric=True)),
        *([Column("MB", numeric=True)] if sizes else []),
    ]
    return Table(
        "", columns, [[*_list_row(run), *([amount(measure_size_mb(run.path))] if sizes else [])] for run in runs]
    )


def _list_row(run: StoredRun) -> list[Cell]:
    record, part = run.record, run.record.evaluate
    f1 = run.read_metrics().get(f"{part}/f1_weighted")
    return [
        *map(text, (record.id, record.data, record.name, run.status, f"{record.split_seed}/{record.seed}")),
        text(f"{part} {format_number(f1)}"),
    ]


def ladder(runs: Sequence[StoredRun]) -> list[Table]:
    """Return a table for each data set and part, with a row for each candidate, the simplest first.

    Several runs of a candidate are summarised as mean and standard deviation.
    """
    return [_build_ladder_table(data, part, candidates) for (data, part), candidates in _group_candidates(runs)]


def _build_ladder_table(data: str, part: str, candidates: Candidates) -> Table:
    several = any(len(runs) > 1 for runs in candidates.values())
    spread = "mean and sd over runs" if several else "with 95 % interval over records"
    columns = [
        *(Column("model"), Column("runs", numeric=True), Column("F1", numeric=True)),
        *(Column(title, numeric=True) for title in (*_QUALITY, *BRIEF_COSTS)),
    ]
    rows = [_build_ladder_row(candidates[key], part) for key in sorted(candidates)]
    averages = "F1, precision and recall weighted, AP macro"
    return Table(f"{data}, {part}: {averages}, {spread}", columns, rows)


def _build_ladder_row(runs: Sequence[StoredRun], part: str) -> list[Cell]:
    metrics = [run.read_metrics() for run in runs]
    values = [each_run[f"{part}/f1_weighted"] for each_run in metrics]
    mean = statistics.mean(values)
    spread = (
        f"{mean:.3f} ± {statistics.stdev(values):.3f}"
        if len(runs) > 1
        else format_metric(metrics[0], f"{part}/f1_weighted")
    )
    return [
        text(runs[0].record.name),
        number(len(runs), "d"),
        Cell(spread, mean),
        *(number(_mean_of(metrics, f"{part}/{key}")) for key in _QUALITY.values()),
        *(amount(_mean_of(metrics, f"cost/{key}")) for key in BRIEF_COSTS.values()),
    ]


def run_costs(runs: Sequence[StoredRun]) -> list[Table]:
    """Return a table for each data set and part, with the costs of each candidate, means over its runs."""
    columns = [
        *(Column("model"), Column("runs", numeric=True), Column("parameters", numeric=True)),
        *(Column(title, numeric=True) for title in COST_TITLES.values()),
    ]
    return [
        Table(
            f"{data}, {part}: costs, means over runs",
            columns,
            [_build_cost_row(candidates[key]) for key in sorted(candidates)],
        )
        for (data, part), candidates in _group_candidates(runs)
    ]


def _build_cost_row(runs: Sequence[StoredRun]) -> list[Cell]:
    metrics = [run.read_metrics() for run in runs]
    return [
        text(runs[0].record.name),
        number(len(runs), "d"),
        number(runs[0].record.num_parameters or 0, ",d"),
        *(amount(_mean_of(metrics, f"cost/{key}")) for key in COST_TITLES),
    ]


def _group_candidates(runs: Sequence[StoredRun]) -> list[tuple[tuple[str, str], Candidates]]:
    """Group runs by data set and part, and then by candidate."""
    tables: dict[tuple[str, str], Candidates] = {}
    for run in runs:
        record = run.record
        candidate = (record.complexity, record.name, record.config_hash, record.code_hash or "")
        tables.setdefault((record.data, record.evaluate), {}).setdefault(candidate, []).append(run)
    return sorted(tables.items())


def _mean_of(metrics: Sequence[Mapping[str, Any]], key: str) -> float | None:
    values = [of_run[key] for of_run in metrics if of_run.get(key) is not None]
    return statistics.mean(values) if values else None


# --- provenance: code, data, machine, and the command that reproduces a run -------------------------------------------


def provenance(selection: Selection) -> Table:
    """Return a row for each run of a selection, with the command that trains it again if its code is recorded."""
    columns = [
        *(Column("model"), Column("split", numeric=True), Column("seed", numeric=True), Column("train it again")),
        *(Column("commit"), Column("started (UTC)"), Column("config"), Column("split hash")),
        *(Column("threads", numeric=True), Column("run", whole=True)),
    ]
    rows = [_build_provenance_row(candidate, run) for candidate in selection.candidates for run in candidate.runs]
    return Table("Runs", columns, rows)


def _build_provenance_row(candidate: Candidate, run: StoredRun) -> list[Cell]:
    record = run.record
    command = f"ratchet reproduce {shlex.quote(run.path.as_posix())}"
    return [
        *(text(candidate.name), number(record.split_seed, "d"), number(record.seed, "d")),
        Cell(command, code=True) if has_recorded_code(run) else text("-"),
        *(text(_format_commit(run)), text(record.started_at[:16].replace("T", " ")), text(record.config_hash[:8])),
        *(text(str(record.split_hash)[:8]), number(record.threads, "d"), text(record.id)),
    ]


def has_recorded_code(run: StoredRun) -> bool:
    """Return whether the run has a commit, and its uncommitted changes are known and were not too large to record."""
    git = run.record.git
    are_lost = git.get("dirty") and not git.get("diff_complete") and not git.get("files")
    return git.get("commit") is not None and not git.get("problem") and not are_lost


def _format_commit(run: StoredRun) -> str:
    git = run.record.git
    if git.get("commit") is None:
        return "not in git"
    changed = ", changes unknown" if git.get("problem") else ", changed" if git.get("dirty") else ""
    return f"{str(git['commit'])[:12]}{changed}"


def data_table(comparison: Comparison, selection: Selection) -> Table:
    """Return the data set, its splits, and the number of test-set accesses."""
    record = selection.candidates[0].runs[0].record
    rows = [
        ["data set", comparison.data],
        ["version", comparison.dataset_version],
        ["task", str(record.task)],
        ["labels", f"{len(record.train_label_counts):,}"],
        [f"distinct records of {comparison.part}", f"{comparison.records:,}"],
        ["resamples", f"{comparison.resamples:,}"],
    ]
    for split in comparison.splits:
        count = split.test_readings
        accesses = "" if count is None else f", {count} test-set access{'es' if count != 1 else ''}"
        rows.append([f"split {split.split_seed}", f"{split.split_hash[:16]}, {split.records:,} records{accesses}"])
    return table_of_texts("Data", ["fact", "value"], rows)


def environments(selection: Selection) -> list[tuple[dict[str, str], list[str]]]:
    """Return each distinct machine with its packages, and the ids of the runs that were trained there."""
    grouped: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for run in selection.runs:
        grouped.setdefault(tuple(_describe_environment(run).items()), []).append(run.record.id)
    return [(dict(facts), ids) for facts, ids in grouped.items()]


def environment_tables(selection: Selection) -> Sequence[Table]:
    """Return a table for each environment."""
    groups = environments(selection)
    titles = ["Environment of all runs"] if len(groups) == 1 else [f"Environment {n + 1}" for n in range(len(groups))]
    return [
        table_of_texts(title, ["fact", "value"], [*map(list, facts.items()), ["runs", ", ".join(ids)]])
        for title, (facts, ids) in zip(titles, groups, strict=True)
    ]


def _describe_environment(run: StoredRun) -> dict[str, str]:
    record = run.record
    names = ("python", "system", "architecture", "processor", "cores", "memory_mb")
    facts = {name: str(record.machine[name]) for name in names if name in record.machine}
    return {**facts, "lock": str(record.lock_hash)[:16], **record.packages}
