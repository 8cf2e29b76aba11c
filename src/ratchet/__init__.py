"""Ratchet: improve a machine-learning system in measured steps, one configuration per rung.

The public names are looked up at first use, so that importing ratchet loads nothing heavy:

    from ratchet import compare, load_scorer, train

    train("model=rule")
    train("model=regression")
    print(compare().verdict())
    load_scorer("last").score(["Speech recognition with a GAN"]).decided_labels()

docs/reference/api.md describes them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratchet.api.comparing import Comparison as Comparison
    from ratchet.api.comparing import Verdict as Verdict
    from ratchet.api.comparing import compare as compare
    from ratchet.api.runs import Run as Run
    from ratchet.api.runs import load_run as load_run
    from ratchet.api.runs import load_scorer as load_scorer
    from ratchet.api.runs import train as train
    from ratchet.errors import RunFailed as RunFailed
    from ratchet.errors import UserError as UserError
    from ratchet.inference.scorer import Scorer as Scorer
    from ratchet.project import Project as Project

__all__ = [
    "Comparison",
    "Project",
    "Run",
    "RunFailed",
    "Scorer",
    "UserError",
    "Verdict",
    "compare",
    "load_run",
    "load_scorer",
    "train",
]
__version__ = "0.1.0"

_PUBLIC = {
    "Comparison": ("ratchet.api.comparing", "Comparison"),
    "Project": ("ratchet.project", "Project"),
    "Run": ("ratchet.api.runs", "Run"),
    "RunFailed": ("ratchet.errors", "RunFailed"),
    "Scorer": ("ratchet.inference.scorer", "Scorer"),
    "UserError": ("ratchet.errors", "UserError"),
    "Verdict": ("ratchet.api.comparing", "Verdict"),
    "compare": ("ratchet.api.comparing", "compare"),
    "load_run": ("ratchet.api.runs", "load_run"),
    "load_scorer": ("ratchet.api.runs", "load_scorer"),
    "train": ("ratchet.api.runs", "train"),
}  # public name -> module, name in it


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the names that TAB completes, those that were not used yet included."""
    return sorted({*globals(), *__all__})
