"""Run all checks on a model, and explain those that it fails."""

import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ratchet.contract.fit_checks import FIT_CHECKS
from ratchet.contract.score_checks import SCORE_CHECKS
from ratchet.contract.storage_checks import STORAGE_CHECKS
from ratchet.contract.subject import Check, ContractBroken, NotChecked, Subject
from ratchet.errors import UserError
from ratchet.project import current_project
from ratchet.taggers import Tagger


def check_fit(subject: Subject) -> None:
    """Require a fit on a small data set."""
    _ = subject.fitted


CHECKS = (Check("it learns a small data set", check_fit), *SCORE_CHECKS, *FIT_CHECKS, *STORAGE_CHECKS)


class Status(Enum):
    """The result of a check."""

    ok = "ok"
    failed = "failed"
    not_run = "not run"


@dataclass(frozen=True)
class Outcome:
    """The result of a check. Unless it is `ok`, it has an explanation, and the line of the model if it is known."""

    check: str
    status: Status
    explanation: str = ""
    location: str | None = None


def run_checks(subject: Subject, advance: Callable[[int], None] = lambda done: None) -> list[Outcome]:
    """Run every check; `advance(1)` is called after each. If the model cannot be fitted, the others are not run.

    Raises:
        UserError: the model cannot be fitted on this machine, such as where a library is not installed.
    """
    first, *others = CHECKS
    try:
        _ = subject.fitted
    except UserError:
        raise
    except Exception as error:
        skipped = [Outcome(check.name, Status.not_run, "It needs a fitted model.") for check in others]
        return [_describe_failure(first, error, subject.tagger), *skipped]
    outcomes = []
    for check in CHECKS:
        outcomes.append(run_check(check, subject))
        advance(1)
    return outcomes


def run_check(check: Check, subject: Subject) -> Outcome:
    """Run a check; an exception that the model raises is a failure, too."""
    try:
        check.run(subject)
    except NotChecked as reason:
        return Outcome(check.name, Status.not_run, str(reason))
    except Exception as error:
        return _describe_failure(check, error, subject.tagger)
    return Outcome(check.name, Status.ok)


def _describe_failure(check: Check, error: Exception, tagger: type[Tagger]) -> Outcome:
    message = " ".join(str(error).split())
    if not isinstance(error, (ContractBroken, UserError)):
        message = f"{type(error).__name__}: {message}" if message else type(error).__name__
    notes = getattr(error, "__notes__", [])
    explanation = f"With {', '.join(reversed(notes))}: {message}" if notes else message
    return Outcome(check.name, Status.failed, explanation, _locate(error, tagger))


def _locate(error: BaseException, tagger: type[Tagger]) -> str | None:
    """Return the last line of the model that led to an exception, or to its cause; None if it was not in the model.

    The lines of a model are those of its module, and of the modules next to it.
    """
    module = Path(inspect.getfile(tagger))
    frames = traceback.extract_tb(error.__traceback__)
    if error.__cause__ is not None:
        frames += traceback.extract_tb(error.__cause__.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).parent == module.parent]
    if own:
        return f"{current_project().show(Path(own[-1].filename))}, line {own[-1].lineno}, in {own[-1].name}"
    return None if isinstance(error, ContractBroken) else current_project().show(module)
