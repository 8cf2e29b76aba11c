"""Check the tools around a project: git, DVC, W&B. None of them is run to change or to send anything."""

import configparser
import netrc
import os
import shutil
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from ratchet.extras import has_modules
from ratchet.runs.git import run_git
from ratchet.scaffold.dvc_setup import DVC, choose_dvc_flags, find_git_root
from ratchet.scaffold.machine_checks import Check, Status
from ratchet.scaffold.planning import PIPELINE_FILE

_LATER = "commit once, so that a run records the code that made it"


def check_git(root: Path) -> Check:
    """Check that the project is in a git repository that has a commit: a run records it."""
    if shutil.which("git") is None:
        return Check("git", Status.note, "not installed: runs record no commit", "install git: https://git-scm.com")
    repository = find_git_root(root)
    if repository is None:
        return Check("git", Status.note, "no repository: runs record no commit", "`git init`, then commit")
    if run_git(root, "rev-parse", "--git-dir") is None:
        return Check("git", Status.problem, f"git cannot read {repository}", "`git status` there explains why")
    commit = run_git(root, "rev-parse", "--short", "HEAD")
    if commit is None:
        who = run_git(root, "config", "user.email")
        first = "" if who else "`git config --global user.email YOU@EXAMPLE.ORG`, then "
        return Check("git", Status.note, f"{repository} has no commit", f"{first}{_LATER}")
    return Check("git", Status.ok, f"{repository}, at commit {commit.strip()}")


def check_dvc(root: Path) -> Check:
    """Check that DVC can read dvc.yaml and tracks the project."""
    file = root / PIPELINE_FILE
    if not file.is_file():
        return Check("DVC", Status.ok, f"no {PIPELINE_FILE}: the project has no pipeline")
    reason = find_reason_unreadable(file)
    if reason is not None:
        return Check("DVC", Status.problem, f"{PIPELINE_FILE}{reason}", f"correct {PIPELINE_FILE}")
    flags = choose_dvc_flags(root)
    if flags is not None:
        return Check("DVC", Status.problem, f"no {DVC}: `dvc repro` fails", f"`{' '.join(['dvc init', *flags])}`")
    if not has_modules("dvc"):  # the check of the extra reports it
        return Check("DVC", Status.ok, "not installed")
    return Check("DVC", Status.ok, f"{PIPELINE_FILE} is valid; {_describe_remote(root)}")


def find_reason_unreadable(file: Path) -> str | None:
    """Return why DVC cannot read dvc.yaml, with the line if it is known; None if it can.

    Without DVC, only the syntax of YAML is checked.
    """
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return f"{line}: not valid YAML: {error.problem}"
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        return f": cannot be read: {str(error).splitlines()[0]}"
    if content is not None and not isinstance(content, dict):
        return ": must be a mapping with the key `stages`"
    if not has_modules("dvc"):
        return None

    import voluptuous
    from dvc.schema import COMPILED_MULTI_STAGE_SCHEMA  # type: ignore[import-untyped]

    try:
        COMPILED_MULTI_STAGE_SCHEMA(content or {})
    except voluptuous.Invalid as error:
        return f": {error}"
    return None


def _describe_remote(root: Path) -> str:
    directory = next(path for path in (root, *root.parents) if (path / DVC).is_dir()) / DVC
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read([directory / "config", directory / "config.local"], encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return f"{directory / 'config'} cannot be read"
    remote = parser.get("core", "remote", fallback=None)
    return f"remote {remote}" if remote else "no remote: results stay on this machine"


def check_wandb(*, is_needed: bool) -> Check:
    """Check whether runs can be sent to W&B: its package is installed and has an API key. Nothing is sent."""
    try:
        version = metadata.version("wandb")
    except metadata.PackageNotFoundError:
        return Check("W&B", Status.ok, "not installed")
    source = _find_key_source()
    if source is not None:
        return Check("W&B", Status.ok, f"{version}, API key in {source}")
    if not is_needed:
        return Check("W&B", Status.ok, f"{version}, not logged in")
    seen = f"{version}, not logged in, but tracker=wandb: runs stay on this machine"
    return Check("W&B", Status.note, seen, "`wandb login`, or set WANDB_API_KEY; or choose tracker=none")


def _find_key_source() -> str | None:
    """Return where W&B finds its API key, in its order; None if there is none."""
    for variable in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        if os.environ.get(variable):
            return variable
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").netloc
    named = os.environ.get("NETRC")
    for path in [Path(named)] if named else [Path.home() / name for name in (".netrc", "_netrc")]:
        with suppress(OSError, UnicodeDecodeError, netrc.NetrcParseError):
            if netrc.netrc(path.expanduser()).authenticators(host):
                return str(path)
    return None
