"""Call git: always with the same settings, whatever the user, the repository or the environment has set.

What is recorded of the code must not depend on how a user likes to read diffs, and no hook may run because of a run.
Only the settings that say how to read the repository count: `safe.directory`, filters such as git-lfs, ignored files.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_SECONDS = 60.0  # a network drive or a filter may never answer
_SETTINGS = {
    # What a file holds: bytes as they are, and no attributes of the user. Those of the repository are part of it.
    **{"core.autocrlf": "false", "core.safecrlf": "false", "core.eol": "lf", "core.attributesFile": os.devnull},
    # Which files changed: all that differ, without a monitor (a program) or flags that git sets by itself.
    **{"core.fsmonitor": "false", "core.untrackedCache": "false", "core.splitIndex": "false"},
    **{"core.ignoreStat": "false", "core.checkStat": "default", "core.bigFileThreshold": "512m"},
    # How a diff is written.
    **{"diff.context": "3", "diff.interHunkContext": "0", "diff.algorithm": "default", "diff.renames": "false"},
    **{"diff.indentHeuristic": "true", "diff.noprefix": "false", "diff.mnemonicPrefix": "false"},
    **{"diff.relative": "false", "diff.submodule": "short", "diff.suppressBlankEmpty": "false"},
    **{"diff.orderFile": os.devnull, "diff.wsErrorHighlight": "none", "core.quotePath": "true", "color.ui": "false"},
    # How it is applied.
    **{"apply.whitespace": "nowarn", "apply.ignoreWhitespace": "no"},
    # What else happens or is printed.
    **{"core.hooksPath": os.devnull, "submodule.recurse": "false", "log.showSignature": "false"},
    **{"status.showUntrackedFiles": "normal", "status.relativePaths": "true", "core.pager": "cat"},
}
# Variables that a user sets on purpose. Others, such as GIT_DIR or GIT_DIFF_OPTS, change the repository or the output.
_KEPT = (
    "GIT_CONFIG_", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH", "GIT_SSH",
)  # fmt: skip
# They say where the repository is: they count only for a project that is in none, not in a hook of another repository.
_LOCATION = (
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
)  # fmt: skip
_FIXED = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1"}


class GitError(Exception):
    """The reason why git gave no answer, with its own words and the remedy."""


def run_git(directory: Path, *arguments: str) -> str | None:
    """Run git in `directory` and return its output; None if it fails or is not installed."""
    try:
        return ask_git(directory, *arguments)
    except GitError:
        return None


def ask_git(
    directory: Path,
    *arguments: str,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
    seconds: float | None = None,
) -> str:
    """Run git in `directory` and return its output.

    Args:
        directory: the working directory.
        arguments: the command of git and its options.
        stdin: what git reads.
        environment: further variables.
        seconds: after which git is stopped; by default 60.

    Raises:
        GitError: it fails, reports an error, is not installed, or does not answer.
    """
    settings = [argument for key, value in _SETTINGS.items() for argument in ("-c", f"{key}={value}")]
    limit = _SECONDS if seconds is None else seconds
    try:
        result = subprocess.run(
            ["git", *settings, *arguments],
            cwd=directory,
            env={**_build_environment(directory), **(environment or {})},
            input=stdin.encode("utf-8", "surrogateescape"),
            capture_output=True,
            check=False,
            timeout=limit,
        )
    except FileNotFoundError as error:
        raise GitError("the program git is not installed: install it, or put it on PATH") from error
    except subprocess.TimeoutExpired as error:
        raise GitError(f"`git {arguments[0]}` did not answer within {limit:g} s") from error
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}") from error
    lines = [line.strip() for line in result.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    # A filter that fails is an error with exit code 0: git has compared something else then.
    if result.returncode or any(line.startswith("error:") for line in lines):
        raise GitError(_explain_refusal(lines) or f"`git {arguments[0]}` failed with exit code {result.returncode}")
    return result.stdout.decode("utf-8", "surrogateescape")  # text mode would convert line ends


def is_in_repository(directory: Path) -> bool:
    """Return whether the directory or one above it is a repository, whether git accepts it or not."""
    ceilings = os.environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    for parent in (directory, *directory.parents):
        if (parent / ".git").exists():
            return True
        if str(parent.parent) in ceilings:
            return False
    return False


def _build_environment(directory: Path) -> dict[str, str]:
    """Return the environment in which git finds the repository of the directory, and answers in English."""
    location = () if is_in_repository(directory) else _LOCATION
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_KEPT) or name in location
    }
    return kept | _FIXED


def _explain_refusal(lines: list[str]) -> str | None:
    """Return git's own line of an error, and the command that it recommends; None if git wrote nothing."""
    if not lines:
        return None
    reasons = [line for line in lines if line.startswith(("fatal:", "error:"))]
    remedies = [line for line in lines if line.startswith("git config ")]
    reason = (reasons or lines)[0].rstrip(".")
    return f"{reason}: {remedies[0]}" if remedies else reason
