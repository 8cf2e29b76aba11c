"""Load a tagger's directory: with torch if it was saved, with ONNX Runtime if it was exported."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ratchet.neural.exported import ExportedClassifier, is_exported, load_exported

if TYPE_CHECKING:
    from ratchet.neural.classifier import TextClassifier


def load_saved_or_exported(directory: Path, network_module: str) -> "TextClassifier | ExportedClassifier":
    """Load what `save` or `export` wrote into `directory`.

    `network_module` has `build(architecture, num_labels)`; it and torch are imported for a saved network only.

    Raises:
        UserError: the network is exported, and ONNX Runtime is not installed.
    """
    if is_exported(directory):
        return load_exported(directory)
    from ratchet.neural.classifier import load_classifier

    return load_classifier(directory, import_module(network_module).build)
