"""Measure preparing a data set (read and check, group, split): seconds and peak memory by number of records.

    python benchmarks/prepare.py                              # 10,000, 100,000 and 1,000,000 records
    python benchmarks/prepare.py 1000 10000 out=prepare.svg   # other numbers; the file of the plot

Records are JSON Lines of 200 characters with one to three of 30 labels. Every number is prepared in a process of its
own, as the peak memory (MB, of the whole process) is that of a process. Both axes of the plot are logarithmic: a line
of slope 1 is linear.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from near_duplicates import make_unlike

from ratchet.config import DataConfig, Duplicates, LabelsConfig, Leaks, RecordsConfig, SplitConfig, SplitMethod

STEPS = ("check", "group", "split")


def write_records(path: Path, count: int) -> None:
    generator = np.random.default_rng(1)
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, count, 10_000):
            for number, text in enumerate(make_unlike(min(10_000, count - start)), start=start):
                labels = [
                    f"label {label}" for label in set(generator.integers(0, 30, generator.integers(1, 4)).tolist())
                ]
                # The same 10,000 texts again would be duplicates: numbers in words make them unlike.
                text = " ".join(f"{word}{start // 10_000}" for word in text.split())[:200] if start else text[:200]
                file.write(json.dumps({"id": f"{number:07}", "text": text, "labels": labels}) + "\n")


def measure(path: Path) -> dict[str, float]:
    """Prepare and split the file. Return the CPU seconds of each step and the peak memory in MB."""
    from ratchet.data import splits
    from ratchet.data.prepared import prepare

    seconds = {}
    group = splits.group_duplicates

    def time_group(*arguments, **options):
        started = time.process_time()
        groups = group(*arguments, **options)
        seconds["group"] = time.process_time() - started
        return groups

    splits.group_duplicates = time_group
    config = DataConfig(
        name="many", records=RecordsConfig(path=str(path)), id="id", text=["text"], labels=LabelsConfig(column="labels")
    )
    started, wall = time.process_time(), time.perf_counter()
    prepared = prepare(config)
    seconds["check"] = time.process_time() - started
    started = time.process_time()
    settings = SplitConfig(0, SplitMethod.stratified, 0.15, 0.15, Leaks.stop, Duplicates.near, 0.8)
    splits.make_split(prepared, settings, None)
    seconds["split"] = time.process_time() - started - seconds["group"]
    seconds["wall"] = time.perf_counter() - wall
    return {**seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}


def plot(rows: list[dict[str, float]], path: Path) -> None:
    import altair

    values = [
        {"records": row["records"], "value": row[key], "what": key, "panel": panel}
        for row in rows
        for panel, keys in (("CPU seconds", (*STEPS, "total")), ("peak MB", ("peak",)))
        for key in keys
    ]
    log = altair.Scale(type="log")
    lines = altair.Chart(altair.InlineData(values=values)).mark_line(point=True)
    lines = lines.encode(
        altair.X("records:Q", scale=log),
        altair.Y("value:Q", scale=log, title=None),
        altair.Color("what:N", title=None),
    )
    panels = lines.properties(width=320, height=280).facet(column=altair.Column("panel:N", title=None))
    panels.resolve_scale(y="independent").save(path)
    print(f"plotted in {path}")


def main(*arguments: str) -> None:
    if arguments[:1] == ("--measure",):
        print(json.dumps(measure(Path(arguments[1]))))
        return
    out = next((argument.removeprefix("out=") for argument in arguments if argument.startswith("out=")), "prepare.svg")
    counts = [int(argument) for argument in arguments if argument.isdigit()] or [10_000, 100_000, 1_000_000]
    heads = " ".join(f"{head:>7}" for head in (*STEPS, "CPU s", "wall s"))
    print(f"{'records':>9} {heads} {'us/record':>9} {'peak MB':>8}")
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "records.jsonl")
            write_records(path, count)
            done = subprocess.run(
                [sys.executable, __file__, "--measure", str(path)], check=True, capture_output=True, text=True
            )
        row = {"records": count, **json.loads(done.stdout.splitlines()[-1])}
        row["total"] = sum(row[step] for step in STEPS)
        steps = " ".join(f"{row[step]:7.1f}" for step in (*STEPS, "total", "wall"))
        print(f"{count:9,} {steps} {row['total'] / count * 1e6:9.0f} {row['peak']:8,.0f}", flush=True)
        rows.append(row)
    plot(rows, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
