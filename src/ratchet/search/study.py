"""An Optuna study in a directory of its own: what was tried outlives the process that tried it.

A trial's values hang on the seed, on how many trials came before it and on what those gave. So a search that is killed
and gone on with asks for the same trials, in the same order, as one that is not.
"""

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ratchet.config import SearchConfig
from ratchet.errors import UserError
from ratchet.files import write_json
from ratchet.search.space import Space, Values, distributions, every_value, rounded

if TYPE_CHECKING:
    import optuna

_STARTUP_TRIALS, _WARMUP_EPOCHS = 5, 3  # before the first may be pruned; of each
_NAME = "search"
JOURNAL = "journal.log"


@dataclass(frozen=True)
class Trial:
    """What is to be tried next."""

    number: int
    values: Values


class OpenStudy:
    """A study that this process alone adds trials to. Made by `open_study`."""

    def __init__(self, study: "optuna.Study", settings: SearchConfig, space: Space) -> None:
        self._study, self._settings, self._space = study, settings, space
        self._asked: dict[int, optuna.Trial] = {}

    @property
    def tried(self) -> int:
        """Trials that came to an end, pruned ones included, failed ones not."""
        return len(_in(self._study, "COMPLETE", "PRUNED"))

    @property
    def best(self) -> float:
        """The highest metric so far."""
        return max((trial.values[0] for trial in _in(self._study, "COMPLETE")), default=float("-inf"))

    def ask(self, count: int) -> list[Trial]:
        """The next `count` trials."""
        found, before = [], self.tried
        for index in range(before, before + count):
            self._study.sampler = _sampler(self._settings.seed, index)
            trial = self._study.ask(distributions(self._space))
            self._asked[trial.number] = trial
            found.append(Trial(trial.number, rounded(trial.params)))
        return found

    def tell(
        self, number: int, values: Sequence[float] | None, *, pruned: bool = False, run: str | None = None
    ) -> None:
        """What became of a trial: its values (metric, then cost), that it was pruned or, without either, failed."""
        from optuna.trial import TrialState

        trial = self._asked.pop(number)
        if run is not None:
            trial.set_user_attr("run", run)
        if values is not None:
            self._study.tell(trial, list(values))
        else:
            self._study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)


@contextmanager
def open_study(
    directory: Path, settings: SearchConfig, space: Space, default: Values | None, about: Mapping[str, Any]
) -> Iterator[OpenStudy]:
    """The study in `directory`, made if need be, with what failed or was killed before put at its head.

    `default` is what a new one tries first. `about` is written down in study.json.

    Raises:
        UserError: Optuna is not installed, another process searches there, or the study cannot be written or read.
    """
    from filelock import FileLock, Timeout

    _need_optuna()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory / ".lock").acquire(timeout=0):
            _forget_half_a_line(directory / JOURNAL)
            (directory / f"{JOURNAL}.lock").unlink(missing_ok=True)  # of one that was killed
            write_json(directory / "study.json", about)
            study = _load(directory, settings, create=True)
            _put_first(study, settings, space, default)
            yield OpenStudy(study, settings, space)
    except Timeout:
        raise UserError(f"{directory}: another process searches there: wait for it, or stop it") from None
    except OSError as error:
        raise UserError(f"{directory}: the study cannot be written: {error.strerror or error}") from error


def read_study(directory: Path, settings: SearchConfig) -> "optuna.Study":
    """The study in `directory`, to look at.

    Raises:
        UserError: Optuna is not installed, or there is no such study.
    """
    _need_optuna()
    if not (directory / JOURNAL).is_file():
        raise UserError(f"{directory}: no study is there")
    return _load(directory, settings, create=False)


def read_about(directory: Path) -> dict[str, Any]:
    """What was searched: study.json.

    Raises:
        UserError: it is not there, or broken.
    """
    path = directory / "study.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return content


def _need_optuna() -> None:
    try:
        import optuna
    except ImportError as error:
        raise UserError(
            "a search needs Optuna, the extra ratchet[search]: in the checkout, pip install -e '.[search]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def _load(directory: Path, settings: SearchConfig, *, create: bool) -> "optuna.Study":
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.study import StudyDirection

    pruner: optuna.pruners.BasePruner = optuna.pruners.NopPruner()
    if settings.prune and settings.cost is None:  # Optuna prunes for one aim alone
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
        raise UserError(f"{directory / JOURNAL}: not a study's journal: {error}; move it away to begin anew") from error


def _forget_half_a_line(journal: Path) -> None:
    """Of a process that was killed, or had no room left, while it wrote."""
    content = journal.read_bytes() if journal.is_file() else b""
    if content and not content.endswith(b"\n"):
        with journal.open("rb+") as file:
            file.truncate(content.rfind(b"\n") + 1)


def _in(study: "optuna.Study", *states: str) -> "list[optuna.trial.FrozenTrial]":
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in states]


def _put_first(study: "optuna.Study", settings: SearchConfig, space: Space, default: Values | None) -> None:
    """Trials that come before any is drawn: what was lost, or, of a new study, the default and all of a small space."""
    from optuna.trial import TrialState

    if not study.get_trials(deepcopy=False):
        first = [default] if default is not None else []
        for values in first + [each for each in every_value(space, settings.trials) if each != default]:
            study.enqueue_trial(values)
    for trial in _in(study, "RUNNING"):
        study.tell(trial.number, state=TrialState.FAIL)
    had = [trial.params for trial in _in(study, "COMPLETE", "PRUNED")]
    had += [trial.system_attrs.get("fixed_params", {}) for trial in _in(study, "WAITING")]
    for trial in _in(study, "FAIL"):
        if trial.params not in had:
            study.enqueue_trial(trial.params)
            had.append(trial.params)


def _sampler(seed: int, index: int) -> "optuna.samplers.BaseSampler":
    from optuna.samplers import TPESampler

    drawn = int(np.random.SeedSequence((seed, index)).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=FutureWarning)  # multivariate is called experimental
        return TPESampler(seed=drawn, multivariate=True)
