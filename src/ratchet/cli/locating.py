"""Run a command in the root of its project, wherever in the project it was called.

Paths on the command line are relative to the directory of the call, so they are rewritten; paths in files are relative
to the root. Below this, the working directory is the root.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ratchet.config.directories import list_replaced
from ratchet.config.fields import list_path_keys
from ratchet.config.schema import Config
from ratchet.errors import UserError
from ratchet.project import VARIABLE, current_project, find_working_directory, read_named

_PROJECT = "--project"
_CONFIG_DIR = ("--config-dir", "-cd")
_PERHAPS = ("resume", "parent", "model.encoder")  # a path, or a name: a path if it exists
_WORDS = ("", "null", "last", "none")
_PATH_IN_LIST = re.compile(r"""'[^']*'|"[^"]*"|[^,()\s][^,()]*(?![^,()]*\()""")  # of `a,'b c'`, of `choice(a,b)`


def enter_project(arguments: Sequence[str], options: Sequence[type] = ()) -> list[str]:
    """Change to the root of the project, and return the arguments as they are to be read there.

    The project is that of `--project DIR`, of RATCHET_PROJECT, or that of the working directory. `options` are the
    dataclasses of a verb's options: their paths are rewritten as those of the configuration are.

    Raises:
        UserError: --project or RATCHET_PROJECT names no project, or the working directory was deleted.
    """
    start = find_working_directory()
    rest = list(_take_project(arguments))
    root = current_project().root
    if os.environ.get(VARIABLE):  # it may be relative to `start`
        os.environ[VARIABLE] = str(root)
    if root == start.resolve():
        return rest
    os.chdir(root)
    plain = {key for schema in options for key in list_path_keys(schema)}
    return list(_relocate(rest, plain, {*list_path_keys(Config)} - plain, start, root))


def _take_project(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments without `--project DIR`, after DIR became RATCHET_PROJECT, which child processes read too."""
    remaining = iter(arguments)
    for argument in remaining:
        flag, equals, value = argument.partition("=")
        if flag != _PROJECT:
            yield argument
            continue
        directory = value if equals else next(remaining, "")
        if not directory:
            raise UserError("command line: --project needs a directory")
        root, _ = read_named(Path(directory), f"command line: --project {directory}")
        os.environ[VARIABLE] = str(root)


def _relocate(
    arguments: Sequence[str], plain_keys: set[str], config_keys: set[str], start: Path, root: Path
) -> Iterator[str]:
    """Yield the arguments with paths that are relative to `root` instead of `start`.

    The value of one of `config_keys` may be a list of paths: a grid.
    """

    def move(text: str) -> str:
        path = Path(text)
        is_fixed = path.is_absolute() or text.startswith("~") or "://" in text or text in _WORDS
        return text if is_fixed else os.path.relpath(start / path, root)

    previous = ""
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        key = flag.lstrip("+")
        one_path = start / _remove_quotes(value)[0]
        if previous in _CONFIG_DIR:
            yield move(argument)
        elif equals and flag in _CONFIG_DIR:
            yield f"{flag}={move(value)}"
        elif equals and key in config_keys and not one_path.exists():
            yield f"{flag}={_PATH_IN_LIST.sub(lambda match: _move_quoted(match[0], move), value)}"
        elif equals and (key in {*plain_keys, *config_keys} or (key in _PERHAPS and one_path.exists())):
            yield f"{flag}={_move_quoted(value, move)}"
        elif re.match(r"[\w.+~-]+=", argument) is None and not argument.startswith("-") and _is_model(start / argument):
            moved = move(argument)
            yield f"./{moved}" if "=" in moved else moved  # it is no key=value
        else:
            yield argument
        previous = argument


def _move_quoted(value: str, move: Callable[[str], str]) -> str:
    """Return a value with its path moved, in quotes if it had them or needs them in Hydra's grammar."""
    plain, quote = _remove_quotes(value)
    moved = move(plain)
    if not quote and moved != plain and not re.fullmatch(r"[\w./+-]*", moved, re.ASCII):
        quote = '"' if "'" in moved else "'"
    return f"{quote}{moved}{quote}"


def _remove_quotes(value: str) -> tuple[str, str]:
    quote = value[0] if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'" else ""
    return value.removeprefix(quote).removesuffix(quote), quote


def _is_model(path: Path) -> bool:
    """Return whether a positional argument names a run, an export or a log of promotions by its path."""
    is_log = path.suffix == ".jsonl" and path.is_file()
    return is_log or (path / "record.json").is_file() or (path / "manifest.json").is_file()


def describe_replaced(groups: Sequence[str], config_dir: Path | None = None) -> str | None:
    """Return one line about the configurations of these groups that replace packaged ones; None if there are none."""
    names = [name for name in list_replaced(config_dir) if name.partition("/")[0] in groups]
    if not names:
        return None
    files = ", ".join(f"{name}.yaml" for name in names)
    return f"conf: {files} {'replaces the one' if len(names) == 1 else 'replace those'} that Ratchet brings"
