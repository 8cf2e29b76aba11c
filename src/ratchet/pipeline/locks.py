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
from ratchet.runs.git import run_git
from ratchet.runs.stored import StoredRun, read_run
from ratchet.schema_versions import RESULTS_SCHEMA, read_versioned

RESULTS = Path("results.lock.json")
TOLERANCE = 0.005  # allowed difference of a quality metric; costs depend on the machine and are never compared
_ERRORS = 3  # on another machine, a random model may differ by this many standard errors more
_ALIKE = ("python", "architecture", "processor", "features")


@dataclass(frozen=True)
class Results:
    """Machine and packages of the runs, and for each model and repeat the hash of the predictions and the metrics.

    `random` are the models whose training uses random numbers.
    """

    machine: dict[str, str]
    lock_hash: str | None
    predictions: dict[str, str]
    metrics: dict[str, dict[str, float]]
    random: list[str] = field(default_factory=list)
    schema_version: int = RESULTS_SCHEMA.version


def read_results(plan: PipelineConfig) -> Results:
    """Read the results of the plan from the directories of its runs.

    Raises:
        UserError: a run does not exist or is not finished.
    """
    directories = run_directories(plan)
    for path in directories:
        if not path.exists():
            raise UserError(f"{path}: does not exist: `dvc repro` trains the run")
    runs = {"/".join(path.parts[-2:]): read_run(path) for path in directories}
    for run in runs.values():
        if run.status != "finished":
            raise UserError(f"{run.path}: the run is {run.status}: `dvc repro` runs it again")
    first = next(iter(runs.values())).record
    return Results(
        machine={**{key: str(first.machine[key]) for key in _ALIKE}, "threads": str(first.threads)},
        lock_hash=first.lock_hash,
        predictions={name: _hash_predictions(run) for name, run in runs.items()},
        metrics={name: _select_quality_metrics(run) for name, run in runs.items()},
        random=sorted({run.record.name for run in runs.values() if not run.record.deterministic}),
    )


def write_results(results: Results) -> None:
    """Write results.lock.json."""
    write_json(RESULTS, vars(results))


def read_committed_results(revision: str) -> Results:
    """Return the results that a commit contains.

    Raises:
        UserError: no such commit, no results in it, or results of a newer Ratchet.
    """
    text, location = read_committed_file(revision, RESULTS), f"{RESULTS} of {revision}"
    try:
        return Results(**read_versioned(json.loads(text), RESULTS_SCHEMA, location))
    except (ValueError, TypeError) as error:
        raise UserError(f"{location}: not results of this version: `ratchet pipeline lock`") from error


def read_committed_file(revision: str, path: Path) -> str:
    """Return the content of a file of a commit.

    Raises:
        UserError: not in git, no such commit, or no such file in it.
    """
    content = run_git(Path.cwd(), "cat-file", "blob", f"{revision}:./{path.as_posix()}")
    if content is None:
        raise UserError(f"{path} of {revision} cannot be read: no git repository, no such commit, or not in it")
    return content


def find_differences(expected: Results, actual: Results) -> Iterator[str]:
    """Yield the differences: of predictions in the same environment, of mean metrics in another one.

    A network that is trained on another processor is another network: its means over the repeats may differ by three
    standard errors more than the tolerance.
    """
    for name in sorted({*expected.predictions, *actual.predictions}):
        before, now = expected.predictions.get(name), actual.predictions.get(name)
        if before is None or now is None:
            yield f"{name}: {'not run' if now is None else 'a run that is not in the lock'}"
        elif is_same_environment(expected, actual) and before != now:
            yield f"{name}: different predictions on the same kind of machine with the same packages"
    yield from _find_changed_means(expected, actual)


def is_same_environment(expected: Results, actual: Results) -> bool:
    """Return whether predictions must be equal bit for bit: same machine type, same packages."""
    return expected.machine == actual.machine and expected.lock_hash == actual.lock_hash


def list_changes(before: Results, now: Results) -> list[dict[str, str]]:
    """Return a table row for each model and metric whose mean over the repeats changed, as tables round it."""
    old, new = _average_repeats(before), _average_repeats(now)
    rows = []
    for model, metric in {**new, **old}:
        then, value = old.get((model, metric)), new.get((model, metric))
        if then is None or value is None:
            change = "new" if then is None else "gone"
        elif round(then, 4) != round(value, 4):
            change = f"{value - then:+.4f}"
        else:
            continue
        figures = {"then": _format_value(then), "now": _format_value(value), "change": change}
        rows.append({"model": model, "metric": metric, **figures})
    return rows


def _format_value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _average_repeats(results: Results) -> dict[tuple[str, str], float]:
    return {key: mean(values) for key, values in _group_values(results).items()}


def _group_values(results: Results) -> dict[tuple[str, str], list[float]]:
    """Group the metrics by model and metric name: one value per repeat."""
    values: dict[tuple[str, str], list[float]] = {}
    for name, metrics in results.metrics.items():
        for metric, value in metrics.items():
            values.setdefault((name.partition("/")[0], metric), []).append(value)
    return values


def _find_changed_means(expected: Results, actual: Results) -> Iterator[str]:
    before, now = _group_values(expected), _group_values(actual)
    in_both = {model for model, _ in before} & {model for model, _ in now}
    for model, metric in sorted({*before, *now}):
        old, new = before.get((model, metric)), now.get((model, metric))
        if model not in in_both:
            continue
        if old is None or new is None:
            yield f"{model}: {metric}: {'gone' if new is None else 'new'}"
            continue
        most = TOLERANCE
        if model in expected.random and not is_same_environment(expected, actual):
            most += _ERRORS * (stdev(old) / len(old) ** 0.5 if len(old) > 1 else 1)
        if abs(mean(new) - mean(old)) > most:
            yield f"{model}: {metric}: {mean(old):.4f} in the lock, {mean(new):.4f} now"


def _hash_predictions(run: StoredRun) -> str:
    digest = hashlib.sha256()
    for path in sorted((run.path / "predictions").glob("*.parquet")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _select_quality_metrics(run: StoredRun) -> dict[str, float]:
    """Return the overall metrics, without counts, intervals, labels and slices."""
    figures = run.read_json("metrics.json")
    return {
        key: value
        for key, value in figures.items()
        if key.count("/") == 1 and isinstance(value, float) and not key.endswith(("_ci_low", "_ci_high"))
    }


@dataclass(frozen=True)
class Checked:
    """Differences from the results of a commit, one sentence each, and how they were compared."""

    differences: list[str]
    how: str


def check(plan: PipelineConfig, revision: str) -> Checked:
    """Compare the runs of the working directory with results.lock.json of `revision`.

    DVC checks whether dvc.lock is up to date: `dvc repro --allow-missing` leaves it unchanged.

    Raises:
        UserError: no such commit, no results in it, or the pipeline was not run.
    """
    expected, actual = read_committed_results(revision), read_results(plan)
    exact = is_same_environment(expected, actual)
    how = "predictions bit for bit" if exact else "on another machine or with other packages: metrics only"
    return Checked(list(find_differences(expected, actual)), how)
