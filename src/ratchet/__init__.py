"""Ratchet: improve a machine-learning system in measured steps, one configuration per rung.

The public names are looked up at first use, so that importing ratchet loads nothing heavy:

    scorer = ratchet.load_scorer("last")
    scorer.score(["Speech recognition with a GAN"]).decided_labels()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ratchet.comparison.compare import compare_selected as compare
    from ratchet.inference.scorer import Scorer as Scorer
    from ratchet.inference.scorer import load_scorer as load_scorer
    from ratchet.runs.stored import read_run as load_run
    from ratchet.training import train as train

__all__ = ["Scorer", "compare", "load_run", "load_scorer", "train"]
__version__ = "0.1.0"

_PUBLIC = {
    "Scorer": ("ratchet.inference.scorer", "Scorer"),
    "compare": ("ratchet.comparison.compare", "compare_selected"),
    "load_run": ("ratchet.runs.stored", "read_run"),
    "load_scorer": ("ratchet.inference.scorer", "load_scorer"),
    "train": ("ratchet.training", "train"),
}  # public name -> module, name in it


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PUBLIC[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value
