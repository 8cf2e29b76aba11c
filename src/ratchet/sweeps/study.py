"""Keep an Optuna study in a directory, where its trials outlive the process that ran them.

The values of a trial depend on the seed, the number of earlier trials and their results only. So a search that was
killed and resumed tries the same values, in the same order, as one that was not.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet.config import SearchConfig
from ratchet.errors import Pruned, UserError
from ratchet.extras import require_extra
from ratchet.files import write_json
from ratchet.schema_versions import STUDY_SCHEMA, read_versioned, version_keys
from ratchet.sweeps.space import Space, Values, list_values, round_values, to_distributions

if TYPE_CHECKING:
    import optuna

_STARTUP_TRIALS = 5  # no trial is pruned before so many have finished
_WARMUP_EPOCHS = 3  # no trial is pruned before its fourth epoch
_NAME = "search"
JOURNAL = "journal.log"


@dataclass(frozen=True)
class Trial:
    """A trial to run next."""

    number: int
    values: Values


class OpenStudy:
    """A study to which only this process adds trials. Returned by `open_study`."""

    def __init__(self, study: "optuna.Study", settings: SearchConfig, space: Space) -> None:
        self._study, self._settings, self._space = study, settings, space
        self._asked: dict[int, optuna.Trial] = {}

    @property
    def tried(self) -> int:
        """Return the number of trials that ended, with pruned ones, without failed ones."""
        return len(_trials_in(self._study, "COMPLETE", "PRUNED"))

    @property
    def best(self) -> float:
        """Return the highest metric so far; minus infinity if there is none."""
        return max((trial.values[0] for trial in _trials_in(self._study, "COMPLETE")), default=float("-inf"))

    def ask(self, count: int) -> list[Trial]:
        """Return the next `count` trials."""
        trials, before = [], self.tried
        for index in range(before, before + count):
            self._study.sampler = _sampler(self._settings.seed, index)
            trial = self._study.ask(to_distributions(self._space))
            self._asked[trial.number] = trial
            trials.append(Trial(trial.number, round_values(trial.params)))
        return trials

    def tell(
        self, number: int, values: Sequence[float] | None, *, pruned: bool = False, run: str | None = None
    ) -> None:
        """Store the result of a trial: its values (metric, then cost), or that it was pruned, else that it failed."""
        from optuna.trial import TrialState

        trial = self._asked.pop(number)
        if run is not None:
            trial.set_user_attr("run", run)
        if values is not None:
            self._study.tell(trial, list(values))
        else:
            self._study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)


def study_dir(runs_dir: Path, study_id: str) -> Path:
    """Return the directory of a study."""
    return runs_dir / ".studies" / study_id


def find_study(runs_dir: Path, study_id: str) -> Path:
    """Return the directory of the study with this id, or the only one whose id begins with `study_id`.

    Raises:
        UserError: none, or several.
    """
    known = sorted(path for path in (runs_dir / ".studies").glob("*") if (path / "study.json").is_file())
    matches = [path for path in known if path.name == study_id] or [p for p in known if p.name.startswith(study_id)]
    if len(matches) == 1:
        return matches[0]
    names = ", ".join(path.name for path in matches or known) or "there is none"
    raise UserError(f"{study_id!r} names {'several studies' if matches else 'no study'}: {names}")


@contextmanager
def open_study(
    directory: Path, settings: SearchConfig, space: Space, default: Values | None, about: Mapping[str, Any]
) -> Iterator[OpenStudy]:
    """Open the study in `directory`, or create it; trials that failed or were killed before come first.

    `default` is the first trial of a new study; None if it lies outside the space. It is written to study.json, as is
    `about`.

    Raises:
        UserError: Optuna is not installed, another process uses the study, it cannot be written or read, or a newer
            Ratchet wrote it.
    """
    from filelock import FileLock, Timeout

    _require_optuna()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory / ".lock").acquire(timeout=0):
            _drop_partial_line(directory / JOURNAL)
            (directory / f"{JOURNAL}.lock").unlink(missing_ok=True)  # left behind by a killed process
            _check_version(directory)
            write_json(directory / "study.json", {**about, "default": default, **version_keys(STUDY_SCHEMA)})
            study = _load(directory, settings, create=True)
            _enqueue_first(study, settings, space, default)
            yield OpenStudy(study, settings, space)
    except Timeout:
        raise UserError(f"{directory}: another process is using this study: wait for it, or stop it") from None
    except OSError as error:
        raise UserError(f"{directory}: the study cannot be written: {error.strerror or error}") from error


def read_study(directory: Path, settings: SearchConfig) -> "optuna.Study":
    """Open the study in `directory` to read it.

    Raises:
        UserError: Optuna is not installed, or there is no such study.
    """
    _require_optuna()
    if not (directory / JOURNAL).is_file():
        raise UserError(f"{directory}: there is no study in this directory")
    return _load(directory, settings, create=False)


def read_about(directory: Path) -> dict[str, Any]:
    """Return study.json: what is searched, and what makes its trials comparable.

    Raises:
        UserError: it is missing or damaged, or a newer Ratchet wrote it.
    """
    path = directory / "study.json"
    try:
        return _read_about(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def _read_about(path: Path) -> dict[str, Any]:
    return read_versioned(json.loads(path.read_text(encoding="utf-8")), STUDY_SCHEMA, path)


def _check_version(directory: Path) -> None:
    """Refuse a study that a newer Ratchet wrote, before it is changed. A missing or damaged study.json is replaced."""
    with suppress(FileNotFoundError, ValueError):
        _read_about(directory / "study.json")


def _require_optuna() -> None:
    require_extra("search", what="a search")
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _load(directory: Path, settings: SearchConfig, *, create: bool) -> "optuna.Study":
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import StudyDirection

    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if settings.prune and settings.cost is None:  # Optuna prunes studies with one objective only
        pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=_WARMUP_EPOCHS)
    try:
        storage = JournalStorage(JournalFileBackend(str(directory / JOURNAL)))
        if create:
            cost = [] if settings.cost is None else [StudyDirection.MINIMIZE]
            directions = [StudyDirection.MAXIMIZE, *cost]
            return optuna.create_study(
                storage=storage, study_name=_NAME, directions=directions, pruner=pruner, load_if_exists=True
            )
        return optuna.load_study(study_name=_NAME, storage=storage, pruner=pruner)
    except (ValueError, KeyError) as error:
        raise UserError(
            f"{directory / JOURNAL}: not the journal of a study: {error}; move it away to start a new one"
        ) from error


def _drop_partial_line(journal: Path) -> None:
    """Remove a last line that a process could not complete because it was killed or the disk was full."""
    content = journal.read_bytes() if journal.is_file() else b""
    if content and not content.endswith(b"\n"):
        with journal.open("rb+") as file:
            file.truncate(content.rfind(b"\n") + 1)


def _trials_in(study: "optuna.Study", *states: str) -> "list[optuna.trial.FrozenTrial]":
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in states]


def _enqueue_first(study: "optuna.Study", settings: SearchConfig, space: Space, default: Values | None) -> None:
    """Enqueue trials before any is sampled: lost ones or, in a new study, the default and all of a small space."""
    from optuna.trial import TrialState

    if not study.get_trials(deepcopy=False):
        first = [default] if default is not None else []
        first += [values for values in list_values(space, settings.trials) if values != default]
        for values in first:
            study.enqueue_trial(values)
    for trial in _trials_in(study, "RUNNING"):
        study.tell(trial.number, state=TrialState.FAIL)
    kept = [trial.params for trial in _trials_in(study, "COMPLETE", "PRUNED")]
    kept += [trial.system_attrs.get("fixed_params", {}) for trial in _trials_in(study, "WAITING")]
    for trial in _trials_in(study, "FAIL"):
        if trial.params not in kept:
            study.enqueue_trial(trial.params)
            kept.append(trial.params)


def _sampler(seed: int, index: int) -> "optuna.samplers.BaseSampler":
    from optuna.samplers import TPESampler

    # A seed per trial, because the state of a sampler does not survive its process.
    own_seed = int(np.random.SeedSequence((seed, index)).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=FutureWarning)  # multivariate is experimental in Optuna
        return TPESampler(seed=own_seed, multivariate=True)


def pruning_watch(settings: SearchConfig, runs_dir: Path) -> Callable[[int, Mapping[str, float]], None] | None:
    """Return the function that a training calls with each point of its curves; None if nothing can be pruned.

    The trial may run in another process than the search; they share the study's journal.

    Raises (when called):
        Pruned: the metric of an epoch is below the median of the earlier trials (Golovin et al. 2017, Vizier).
    """
    if settings.trial is None or settings.study is None or not settings.prune or settings.cost is not None:
        return None
    import optuna

    study = read_study(study_dir(runs_dir, settings.study), settings)
    # Optuna has no public way to report to a running trial from another process; the constructor takes its id.
    trial = optuna.Trial(study, study.get_trials(deepcopy=False)[settings.trial]._trial_id)

    def watch(step: int, metrics: Mapping[str, float]) -> None:
        value = next((value for key, value in metrics.items() if key.startswith("val/f1_")), None)
        if value is None or "epoch" not in metrics:
            return
        epoch = int(metrics["epoch"])
        trial.report(value, epoch)
        if trial.should_prune():
            raise Pruned(f"epoch {epoch}: {value:.3f} is below the median of the earlier trials")

    return watch
