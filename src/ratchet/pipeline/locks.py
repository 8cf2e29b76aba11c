"""Compare the results of a pipeline with results.lock.json."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev

from ratchet.errors import UserError
from ratchet.files import write_json
from ratchet.pipeline.plan import PipelineConfig, run_directories
from ratchet.runs.provenance import run_git
from ratchet.runs.stored import StoredRun, read_run

RESULTS = Path("results.lock.json")
TOLERANCE = 0.005  # of a quality metric; costs differ from machine to machine and are never compared
_ERRORS = 3  # standard errors over the repeats that a model with randomness may differ by besides, on another machine
_ALIKE = ("python", "architecture", "processor", "features")


@dataclass(frozen=True)
class Results:
    """Where the runs were made, by which packages, and by model and repeat what they predicted and reached.

    `random` are the models whose training draws numbers.
    """

    machine: dict[str, str]
    lock_hash: str | None
    predictions: dict[str, str]
    metrics: dict[str, dict[str, float]]
    random: list[str] = field(default_factory=list)
    schema_version: int = 1


def found_results(plan: PipelineConfig) -> Results:
    """What the runs of the plan found, read from their directories.

    Raises:
        UserError: a run is not there or not finished.
    """
    runs = {"/".join(path.parts[-2:]): read_run(path) for path in run_directories(plan)}
    for run in runs.values():
        if run.status != "finished":
            raise UserError(f"{run.path}: the run is {run.status}: `dvc repro` makes it anew")
    first = next(iter(runs.values())).record
    return Results(
        machine={**{key: str(first.machine[key]) for key in _ALIKE}, "threads": str(first.threads)},
        lock_hash=first.lock_hash,
        predictions={name: _predictions_hash(run) for name, run in runs.items()},
        metrics={name: _quality(run) for name, run in runs.items()},
        random=sorted({run.record.name for run in runs.values() if not run.record.deterministic}),
    )


def write_results(results: Results) -> None:
    """Write results.lock.json."""
    write_json(RESULTS, vars(results))


def results_at(revision: str) -> Results:
    """The results that a commit holds.

    Raises:
        UserError: no such commit, or no results in it.
    """
    try:
        return Results(**json.loads(file_at(revision, RESULTS)))
    except (ValueError, TypeError) as error:
        raise UserError(f"{RESULTS} of {revision}: not results of this version: `ratchet pipeline lock`") from error


def file_at(revision: str, path: Path) -> str:
    """The content of a file of a commit.

    Raises:
        UserError: not in git, no such commit, or no such file in it.
    """
    content = run_git(Path.cwd(), "show", f"{revision}:./{path.as_posix()}")
    if content is None:
        raise UserError(f"{path} of {revision} cannot be read: no git repository, no such commit, or not in it")
    return content


def differences(expected: Results, found: Results) -> Iterator[str]:
    """Where `found` is not `expected`: on a like machine predictions at all, on another the metrics' means.

    A network that is trained on another processor is another network: its means over the repeats may be off by three
    of their standard errors more than the tolerance.
    """
    for name in sorted({*expected.predictions, *found.predictions}):
        before, now = expected.predictions.get(name), found.predictions.get(name)
        if before is None or now is None:
            yield f"{name}: {'not run' if now is None else 'a run that is not in the lock'}"
        elif alike(expected, found) and before != now:
            yield f"{name}: other predictions, on a like machine and by the same packages"
    yield from _moved(expected, found)


def alike(expected: Results, found: Results) -> bool:
    """Whether the same predictions, bit for bit, can be asked for."""
    return expected.machine == found.machine and expected.lock_hash == found.lock_hash


def changes(before: Results, now: Results) -> list[dict[str, str]]:
    """A row a model and metric whose mean over the repeats differs, as tables print it."""
    old, new = _means(before), _means(now)
    rows = []
    for model, metric in {**new, **old}:
        then, value = old.get((model, metric)), new.get((model, metric))
        if then is None or value is None:
            change = "new" if then is None else "gone"
        elif round(then, 4) != round(value, 4):
            change = f"{value - then:+.4f}"
        else:
            continue
        figures = {"then": _figure(then), "now": _figure(value), "change": change}
        rows.append({"model": model, "metric": metric, **figures})
    return rows


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _means(results: Results) -> dict[tuple[str, str], float]:
    return {key: mean(values) for key, values in _values(results).items()}


def _values(results: Results) -> dict[tuple[str, str], list[float]]:
    """By model and metric, what each repeat reached."""
    values: dict[tuple[str, str], list[float]] = {}
    for name, metrics in results.metrics.items():
        for metric, value in metrics.items():
            values.setdefault((name.partition("/")[0], metric), []).append(value)
    return values


def _moved(expected: Results, found: Results) -> Iterator[str]:
    before, now = _values(expected), _values(found)
    in_both = {model for model, _ in before} & {model for model, _ in now}
    for model, metric in sorted({*before, *now}):
        old, new = before.get((model, metric)), now.get((model, metric))
        if model not in in_both:
            continue
        if old is None or new is None:
            yield f"{model}: {metric}: {'gone' if new is None else 'new'}"
            continue
        most = TOLERANCE
        if model in expected.random and not alike(expected, found):
            most += _ERRORS * (stdev(old) / len(old) ** 0.5 if len(old) > 1 else 1)
        if abs(mean(new) - mean(old)) > most:
            yield f"{model}: {metric}: {mean(old):.4f} in the lock, {mean(new):.4f} now"


def _predictions_hash(run: StoredRun) -> str:
    digest = hashlib.sha256()
    for path in sorted((run.path / "predictions").glob("*.parquet")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _quality(run: StoredRun) -> dict[str, float]:
    """The overall metrics: neither those of labels, slices and intervals, nor counts."""
    figures = run.read_json("metrics.json")
    return {
        key: value
        for key, value in figures.items()
        if key.count("/") == 1 and isinstance(value, float) and not key.endswith(("_ci_low", "_ci_high"))
    }


@dataclass(frozen=True)
class Checked:
    """What differs from the results of a commit, a sentence each, and how closely they were compared."""

    differences: list[str]
    how: str


def check(plan: PipelineConfig, revision: str) -> Checked:
    """Compare the runs of the working directory with results.lock.json of `revision`.

    Whether dvc.lock is up to date is DVC's to say: `dvc repro --allow-missing` leaves it unchanged.

    Raises:
        UserError: no such commit, no results in it, or the pipeline was not run.
    """
    expected, found = results_at(revision), found_results(plan)
    exact = alike(expected, found)
    how = "predictions bit for bit" if exact else "on another machine or by other packages: metrics alone"
    return Checked(list(differences(expected, found)), how)
