"""Where studies stand."""

from pathlib import Path

from ratchet.errors import UserError


def study_dir(runs_dir: Path, study: str) -> Path:
    """The directory of a study, by its id."""
    return runs_dir / ".studies" / study


def find_study(runs_dir: Path, wanted: str) -> Path:
    """The directory of the study that `wanted`, an id or its unique beginning, names.

    Raises:
        UserError: none, or several.
    """
    known = sorted(path for path in (runs_dir / ".studies").glob("*") if (path / "study.json").is_file())
    found = [path for path in known if path.name == wanted] or [p for p in known if p.name.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(path.name for path in found or known) or "there is none"
    raise UserError(f"{wanted!r} names {'several studies' if found else 'no study'}: {names}")
