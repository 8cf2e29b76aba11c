"""`ratchet <verb> [arguments]`: which verbs there are, and what an error looks like."""

import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module

from ratchet.errors import RunFailed, UserError, did_you_mean, storage_error
from ratchet.machine import terminate

VERBS = {
    "train": "run one configuration, or a grid with -m (the same as python train.py)",
    "evaluate": "score a finished run on other records: RUN [part=test] [data=...]",
    "predict": "label the texts of a file: RUN input=texts.csv output=predictions.csv",
    "reproduce": "RUN: train it again from its record and compare the predictions (exit code 0: identical)",
    "export": "RUN: a directory that scores texts without torch, checked against the run",
    "explain": "the words behind a run's labels for a text: RUN text='...'",
    "data": "describe [data=...] | list | fetch data=...",
    "models": "what there is to train | NAME: every setting of one, its default, what it may be",
    "compare": "candidates against the MVP baseline: intervals, p-values, verdicts",
    "gate": "which model ships under an objective: objective=default (exit code 0 ships, 3 not)",
    "promote": "record what the gate says in promotions/ | show | rollback",
    "report": "one page with charts of what each iteration bought: [out=report.html] [texts=false]",
    "objective": "review: what would ship under other plausible objectives",
    "pipeline": "STAGE: what `dvc repro` runs | lock | check | diff against=COMMIT",
    "sweep": "list | show [SWEEP|STUDY] [out=search.html]: the jobs of a grid, the trials of a search",
    "runs": "list | show RUN | prune [delete=true]",
    "completion": "SHELL: what TAB completes, for bash, zsh or fish: source <(ratchet completion bash)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; without one, list what there is. Returns the exit code."""
    verb, *rest = (sys.argv[1:] if arguments is None else list(arguments)) or ["help"]
    if verb in ("help", "-h", "--help"):
        return guarded(_print_overview)
    return guarded(lambda: _run(verb, rest))


def _run(verb: str, arguments: list[str]) -> int:
    if verb not in VERBS:
        raise UserError(f"no verb {verb!r}; {did_you_mean(verb, VERBS)}")
    module = import_module(f"ratchet.cli.{verb}")
    if verb != "train" and {"-h", "--help"} & set(arguments):  # Hydra has a help of its own
        return _print_usage(verb)
    code: int = module.run(arguments)
    return code


def _print_overview() -> int:
    from ratchet.reporting.terminal import print_facts, print_text

    print("usage: ratchet <verb> [key=value ...]\n")
    print_facts([(f"  {verb}", what) for verb, what in VERBS.items()], at=13)
    print()
    print_text("`ratchet VERB --help` shows what a verb takes, `ratchet train --help` the configuration.")
    print_text("`format=table|md|json` where a table is printed.")
    return 0


def actions_of(verb: str) -> dict[str, type]:
    """The options of each action of a verb, a dataclass each; what a verb does without an action is ""."""
    module = import_module(f"ratchet.cli.{verb}")
    alone = {"": module.Options} if hasattr(module, "Options") else {}
    actions: dict[str, type] = getattr(module, "ACTIONS", alone)
    return actions


def _print_usage(verb: str) -> int:
    from ratchet.reporting.terminal import print_facts, print_text

    print_text(f"ratchet {verb}: {VERBS[verb]}")
    for action, options in actions_of(verb).items():
        defaults = vars(options())
        if defaults:
            print(f"\nkeys{f' of {action}' if action else ''} and their defaults:")
            print_facts([(f"  {key}", _as_argument(value)) for key, value in defaults.items()])
    return 0


def _as_argument(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(getattr(value, "value", value) if value is not None else "null")


def guarded(action: Callable[[], int]) -> int:
    """The exit code of `action`: 2 for a user's mistake, 1 for a failure (a full disk too), 130 and 143 interrupted.

    A mistake is shown as its message; anything else with its stack trace. HYDRA_FULL_ERROR=1 shows every trace.
    """
    full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    signal.signal(signal.SIGTERM, terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that the terminal does not know is shown as its escape
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = action()
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of our output went away, as in `| head`
        _print_no_more()
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except (UserError, RunFailed) as error:
        return report(error, full=full)
    except OSError as error:
        told = storage_error(error, error.filename or "the output", ", or write it elsewhere")
        if told is None:
            raise
        _print_no_more()
        return report(told, full=full)


def _print_no_more() -> None:
    """What is still to be printed would be an error again when the process ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report(error: UserError | RunFailed, *, full: bool = False) -> int:
    """Say what went wrong; the exit code that goes with it."""
    reason = error.reason if isinstance(error, RunFailed) else error
    if full or not isinstance(reason, UserError):
        traceback.print_exception(reason)
    print(f"error: {error}", file=sys.stderr)
    return reason.exit_code if isinstance(reason, UserError) else 1
