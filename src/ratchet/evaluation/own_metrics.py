"""Compute the metrics that a project defines itself: the public functions of `metrics.py` in its root.

A metric gets the targets and the decisions (0 or 1) and the scores, each of shape (num_items, num_labels), and returns
one number; higher is better. Targets and decisions are 0 where it is not known whether an item has the label:

    def exact_match(targets, scores, decisions):
        return (targets == decisions).all(axis=1).mean()
"""

import math
from collections.abc import Callable
from inspect import isfunction
from typing import Any

import numpy as np
import numpy.typing as npt

from ratchet.errors import UserError
from ratchet.evaluation.metrics import Binary
from ratchet.project import current_project

OwnMetric = Callable[[Binary, npt.NDArray[Any], Binary], float]
_FILE = "metrics.py"


def find_own_metrics() -> dict[str, OwnMetric]:
    """Return the metrics of the project by name; empty without `metrics.py`, or outside of a project.

    Raises:
        UserError: the module cannot be imported; names its line.
    """
    project = current_project()
    if not project.is_marked or not (project.root / _FILE).is_file():
        return {}

    from ratchet.project_modules import import_project_module  # here: it installs a finder for a project's modules

    module = import_project_module(project.root, "metrics")
    functions = {name: value for name, value in vars(module).items() if isfunction(value)}
    return {
        name: function
        for name, function in functions.items()
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


def compute_own_metrics(
    targets: Binary, scores: npt.NDArray[Any], decisions: Binary, resamples: int
) -> dict[str, float]:
    """Return the project's metrics as `own/<name>`, with the 95 % interval over records (`_ci_low`, `_ci_high`).

    Raises:
        UserError: a metric raises an exception on all records, or does not return a number.
    """
    metrics: dict[str, float] = {}
    for name, function in find_own_metrics().items():
        metrics[f"own/{name}"] = _call(name, function, targets, scores, decisions)
        draw = np.random.default_rng(0)
        values = []
        for _ in range(resamples):
            rows = draw.integers(len(targets), size=len(targets))
            values.append(_call(name, function, targets[rows], scores[rows], decisions[rows]))
        low, high = np.nanpercentile(values, [2.5, 97.5]) if np.isfinite(values).any() else (math.nan, math.nan)
        metrics[f"own/{name}_ci_low"], metrics[f"own/{name}_ci_high"] = float(low), float(high)
    return metrics


def _call(name: str, function: OwnMetric, targets: Binary, scores: npt.NDArray[Any], decisions: Binary) -> float:
    line = function.__code__.co_firstlineno
    try:
        return float(function(targets, scores, decisions))
    except Exception as error:
        raise UserError(f"{_FILE}, line {line}: the metric {name} failed: {type(error).__name__}: {error}") from error
