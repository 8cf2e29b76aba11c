"""Where every row comes from: code, data, machine, and the command that makes it again."""

import shlex
from collections.abc import Sequence

from ratchet.comparison.results import Comparison
from ratchet.reporting.blocks import Cell, Column, Table, number, text
from ratchet.reporting.tables import of_texts
from ratchet.runs.selection import Candidate, Selection
from ratchet.runs.stored import StoredRun


def runs_table(selection: Selection) -> Table:
    """A row a run."""
    columns = [
        *(Column("model"), Column("split", numeric=True), Column("seed", numeric=True), Column("train it again")),
        *(Column("commit"), Column("begun (UTC)"), Column("configuration"), Column("split hash")),
        *(Column("threads", numeric=True), Column("run")),
    ]
    rows = [_row(candidate, run) for candidate in selection.candidates for run in candidate.runs]
    return Table("Runs", columns, rows)


def _row(candidate: Candidate, run: StoredRun) -> list[Cell]:
    record = run.record
    return [
        *(text(candidate.name), number(record.split_seed, "d"), number(record.seed, "d")),
        Cell(f"ratchet reproduce {shlex.quote(run.path.as_posix())}", code=True),
        *(text(_commit(run)), text(record.started_at[:16].replace("T", " ")), text(record.config_hash[:8])),
        *(text(str(record.split_hash)[:8]), number(record.threads, "d"), text(record.id)),
    ]


def _commit(run: StoredRun) -> str:
    git = run.record.git
    if git.get("commit") is None:
        return "not in git"
    return f"{str(git['commit'])[:12]}{', changed' if git.get('dirty') else ''}"


def data_table(found: Comparison, selection: Selection) -> Table:
    """The data set, how it was divided, and how often it was looked at."""
    record = selection.candidates[0].runs[0].record
    rows = [
        ["data set", found.data],
        ["version", found.dataset_version],
        ["task", str(record.task)],
        ["labels", f"{len(record.train_label_counts):,}"],
        [f"distinct records of {found.part}", f"{found.records:,}"],
        ["resamples", f"{found.resamples:,}"],
    ]
    for split in found.splits:
        told = f"{split.split_hash[:16]}, {split.records:,} records{_read(split.test_readings)}"
        rows.append([f"split {split.split_seed}", told])
    return of_texts("Data", ["fact", "value"], rows)


def _read(times: int | None) -> str:
    if times is None:
        return ""
    return f", read {'once' if times == 1 else f'{times} times'} so far"


def environments(selection: Selection) -> list[tuple[dict[str, str], list[str]]]:
    """Each machine with its packages that runs were made on, and the runs."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for run in selection.runs:
        found.setdefault(tuple(_environment(run).items()), []).append(run.record.id)
    return [(dict(facts), ids) for facts, ids in found.items()]


def environment_tables(selection: Selection) -> Sequence[Table]:
    """One table each."""
    found = environments(selection)
    titles = ["All runs were made with"] if len(found) == 1 else [f"Environment {n + 1}" for n in range(len(found))]
    return [
        of_texts(title, ["fact", "value"], [*map(list, facts.items()), ["runs", ", ".join(ids)]])
        for title, (facts, ids) in zip(titles, found, strict=True)
    ]


def _environment(run: StoredRun) -> dict[str, str]:
    record = run.record
    names = ("python", "system", "architecture", "processor", "cores", "memory_mb")
    facts = {name: str(record.machine[name]) for name in names if name in record.machine}
    return {**facts, "lock": str(record.lock_hash)[:16], **record.packages}
