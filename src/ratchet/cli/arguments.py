"""Check the arguments of `train` before Hydra reads them: what Hydra knows and Ratchet does not use is refused.

Hydra would take these arguments without an effect, or answer with its own usage text. Each error names what to write.
"""

import dataclasses
import re
from collections.abc import Sequence

from ratchet.config.schema import Config
from ratchet.config.suggestions import find_field, is_mapping, suggest_key
from ratchet.errors import UserError, did_you_mean

VERSION = "--version"
_WITH_VALUE = {
    "--cfg", "-c", "--package", "-p", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd",
    "--info", "-i",
}  # fmt: skip
_WITHOUT_VALUE = {
    "--help", "-h", "--hydra-help", VERSION, "--resolve", "--run", "-r", "--multirun", "-m", "--shell-completion",
    "-sc",
}  # fmt: skip
_RUNS = "run_dir=DIRECTORY is the directory of one run, runs_dir=DIRECTORY that of all runs"
_LOG = "the log of a run is log.txt in its directory"
_GRID = "give the values on the command line, as -m model.C=1,2"
_HYDRA = {
    "hydra.run": f"runs do not go there: {_RUNS}",
    "hydra.sweep": "runs do not go there: runs_dir=DIRECTORY is the directory of all runs; the plan of a sweep is in "
    ".sweeps below it",
    "hydra.output_subdir": "a run stores its configuration as config.yaml in its directory; " + _RUNS,
    "hydra.job.chdir": "a run does not change the working directory; " + _RUNS,
    "hydra.job.name": "name=NAME is the name of the candidate in tables",
    "hydra.job_logging": _LOG,
    "hydra.hydra_logging": _LOG,
    "hydra/job_logging": _LOG,
    "hydra/hydra_logging": _LOG,
    "hydra.sweeper.params": _GRID,
    "hydra/sweeper": "a search is -m sweep=MODEL; a grid needs no sweeper: " + _GRID,
    "hydra/launcher": "choose launcher=NAME, which also sets the threads of a job",
}


def check_arguments(arguments: Sequence[str]) -> None:
    """Check the arguments of `train`, without those of the project.

    Raises:
        UserError: an unknown flag, a key of Hydra that has no effect here, or the removal of a setting.
    """
    remaining = iter(arguments)
    for argument in remaining:
        flag, equals, value = argument.partition("=")
        if flag in _WITHOUT_VALUE and not equals:
            continue
        if flag in _WITHOUT_VALUE:
            raise UserError(f"command line, {argument}: {flag} is a flag without a value: leave ={value} out")
        if flag in _WITH_VALUE:
            if not equals:
                next(remaining, None)
        elif re.match(r"--?[A-Za-z]", argument):
            raise _explain_flag(argument, next(remaining, ""))
        elif argument.startswith("~"):
            _check_removal(argument)
        else:
            _check_hydra_key(argument)


def _explain_flag(argument: str, following: str) -> UserError:
    """Return the error for a flag that does not exist: often a setting written as one, `--model regression`."""
    key, equals, value = argument.lstrip("-").partition("=")
    if not equals and "=" not in following and not following.startswith("-"):
        value = following
    key = key.replace("-", "_")
    if key.partition(".")[0] in _list_settings() or "." in key:
        return UserError(
            f"command line, {argument}: settings are written without dashes, as key=value: {key}={value or '...'}"
        )
    flag = argument.partition("=")[0]
    known = did_you_mean(flag, sorted({*_WITHOUT_VALUE, *_WITH_VALUE, "--project"}))
    setting = suggest_key(key, _list_settings())
    if setting.startswith("did you mean"):
        known = f"settings are written as key=value: {setting}"
    elif not known.startswith("did you mean"):
        known = "settings are written as key=value: `ratchet train --help` lists them"
    return UserError(f"command line, {argument}: there is no flag {flag}; {known}")


def _list_settings() -> list[str]:
    return [*(field.name for field in dataclasses.fields(Config)), "launcher", "experiment", "debug"]


def _check_hydra_key(argument: str) -> None:
    key = argument.partition("=")[0].lstrip("+").partition("@")[0]
    for name, remedy in _HYDRA.items():
        if key == name or key.startswith(f"{name}."):
            raise UserError(f"command line, {argument}: Ratchet does not use {name}: {remedy}")


def check_hydra_settings(run_dir: str, changes_directory: bool, source: str) -> None:
    """Check the composed settings of Hydra, which files may set as well. `source` names the file.

    Raises:
        UserError: they would move the run, or its working directory.
    """
    for name, is_changed in (("hydra.run", run_dir != "."), ("hydra.job.chdir", changes_directory)):
        if is_changed:
            raise UserError(f"{source}: Ratchet does not use {name}: {_HYDRA[name]}")


def _check_removal(argument: str) -> None:
    """Check that `~key` removes an entry of a mapping, such as a slice: a setting would only get its default."""
    key = argument[1:].partition("=")[0]
    declared = find_field(key)
    if declared is not None and is_mapping(declared):
        raise UserError(
            f"command line, {argument}: {key} cannot be removed as a whole: remove its entries, as ~{key}.NAME"
        )
    if declared is not None or key.partition(".")[0] == "model" or key in _list_settings():
        raise UserError(
            f"command line, {argument}: a setting cannot be removed: set another value, as {key}=null where null is "
            "allowed (`ratchet train --help`), or leave the argument out"
        )
