"""Find out how DVC tracks a directory, initialise it there, and undo that."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ratchet.errors import UserError
from ratchet.runs.git import run_git

DVC = ".dvc"
IGNORED_BY_DVC = ".dvcignore"
PLOTS_PAGE = "plots/page.html"  # in .dvc
_PLOTS_TEMPLATE = Path(__file__).parent / "template" / "dvc_plots.html"
_QUIET = "    analytics = false\n    check_update = false\n"


def find_git_root(directory: Path) -> Path | None:
    """Return the root of the git repository that a directory is in; None without one. It need not exist."""
    return next((path for path in (directory, *directory.parents) if (path / ".git").exists()), None)


def choose_dvc_flags(root: Path) -> list[str] | None:
    """Return the flags of `dvc init` for a project in `root`; None if DVC tracks that directory already."""
    git_root = find_git_root(root)
    for directory in (root, *root.parents):
        if (directory / DVC).is_dir():
            return None
        if directory == git_root:
            break
    if git_root is None:
        return ["--no-scm"]
    return [] if git_root == root else ["--subdir"]


def init_dvc(root: Path, flags: list[str]) -> None:
    """Run `dvc init`, turn its analytics and its search for updates off, and set the page of `dvc plots`.

    Raises:
        UserError: DVC refuses, with its reason.
    """
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "init", *flags],
        cwd=root,
        env={**os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.strip().removeprefix("ERROR: ") or f"exit code {done.returncode}"
        raise UserError(f"{root}: `{' '.join(['dvc init', *flags])}` failed: {reason}\nNothing was written.")
    config = root / DVC / "config"
    text = config.read_text(encoding="utf-8")
    section, mark, rest = text.partition("[core]\n")  # --no-scm has written one
    text = f"{section}[core]\n{_QUIET}{rest}" if mark else f"[core]\n{_QUIET}{text}"
    config.write_text(f"{text}[plots]\n    html_template = {PLOTS_PAGE}\n", encoding="utf-8")
    page = root / DVC / PLOTS_PAGE
    page.parent.mkdir(exist_ok=True)
    shutil.copyfile(_PLOTS_TEMPLATE, page)
    if "--no-scm" not in flags:  # `dvc init` has added the file to the index of git, without these lines
        run_git(root, "add", "--", f"{DVC}/config", f"{DVC}/{PLOTS_PAGE}")


def remove_dvc(root: Path, *, is_new_ignore: bool) -> None:
    """Remove what `init_dvc` made, from the index of git, too: `dvc init` adds its files there."""
    shutil.rmtree(root / DVC)
    if is_new_ignore:
        (root / IGNORED_BY_DVC).unlink(missing_ok=True)
    if find_git_root(root) is not None:
        removed = [DVC, *[IGNORED_BY_DVC] * is_new_ignore]
        run_git(root, "rm", "-r", "--cached", "--quiet", "--ignore-unmatch", "--", *removed)
