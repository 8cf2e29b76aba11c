"""Run `ratchet VERB [arguments]`, and report errors as messages with an exit code."""

import io
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version

from ratchet import __version__
from ratchet.cli.help import VERBS, find_options, print_overview, print_verb
from ratchet.cli.locating import describe_replaced, enter_project
from ratchet.errors import RunFailed, UserError, did_you_mean, storage_error
from ratchet.machine import terminate
from ratchet.printable import filter_output
from ratchet.project import find_working_directory

HELP = {"-h", "--help"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb, or list all verbs if none is given; return the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    before = 2 if given[:1] == ["--project"] else int(bool(given) and given[0].startswith("--project="))
    verb, *rest = [*(given[before:] or ["help"]), *given[:before]]
    if verb in ("help", "-h", "--help"):
        return run_guarded(_print_overview)
    if verb in ("--version", "-V"):
        return run_guarded(print_version)
    return run_guarded(lambda: _run(verb, rest))


def _run(verb: str, arguments: list[str]) -> int:
    if verb not in VERBS:
        owners = [f"ratchet {owner} {verb}" for owner in VERBS if verb in VERBS[owner].actions]
        raise UserError(f"no verb {verb!r}; {'use ' + ' or '.join(owners) if owners else did_you_mean(verb, VERBS)}")
    if verb != "train" and not HELP.isdisjoint(arguments):  # the help of train composes the configuration
        print_verb(verb, arguments)
        return 0
    find_working_directory()  # a message now instead of a stack trace later, if it was deleted
    module = import_module(f"ratchet.cli.{verb}")
    if verb in ("init", "doctor"):  # init makes a project, doctor enters it itself: it may be broken
        return int(module.run(arguments))
    arguments = enter_project(arguments, list(find_options(verb).values()))
    print_replaced(verb, arguments)
    return int(module.run(arguments))


def print_replaced(verb: str, arguments: Sequence[str]) -> None:
    """Print one line if the project replaces packaged configurations of the groups that a verb reads."""
    from ratchet.config import take_config_dir  # here: it loads Hydra, which `--help` does not need

    groups = [group for action in VERBS[verb].actions.values() for group in action.groups]
    line = describe_replaced(groups, take_config_dir(arguments)[1]) if groups else None
    if line is not None:
        print(line, file=sys.stderr)


def _print_overview() -> int:
    print_overview()
    return 0


def print_version() -> int:
    """Print the version of Ratchet and those of Hydra and Python, on which its command line depends."""
    hydra = version("hydra-core")
    print(f"Ratchet {__version__} (Hydra {hydra}, Python {platform.python_version()})")
    return 0


def run_guarded(action: Callable[[], int]) -> int:
    """Return the exit code of `action`: 2 for a user's mistake, 1 for a failure, 130 or 143 if it was stopped.

    A mistake is shown as its message; anything else with its stack trace. HYDRA_FULL_ERROR=1 shows every trace.
    """
    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    signal.signal(signal.SIGTERM, terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):  # escape letters that the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    with filter_output():
        return _run_action(action, full=full)


def _run_action(action: Callable[[], int], *, full: bool) -> int:
    try:
        code = action()
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of the output ended, as in `| head`
        _discard_output()
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (UserError, RunFailed) as error:
        return print_error(error, full=full)
    except OSError as error:
        explained = storage_error(error, error.filename or "the output", ", or write it elsewhere")
        if explained is None:
            raise
        _discard_output()
        return print_error(explained, full=full)


def _discard_output() -> None:
    """Discard what is still buffered: writing it at the end of the process would fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_error(error: UserError | RunFailed, *, full: bool = False) -> int:
    """Print an error; return its exit code."""
    reason = error.reason if isinstance(error, RunFailed) else error
    if full or not isinstance(reason, UserError):
        traceback.print_exception(reason)
    print(f"error: {error}", file=sys.stderr)
    return reason.exit_code if isinstance(reason, UserError) else 1
