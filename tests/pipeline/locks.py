"""Results of a pipeline for tests, and changed copies of them."""

import copy
from dataclasses import replace

from ratchet.pipeline.locks import Results

MACHINE = {"python": "3.11.7", "architecture": "x86_64", "processor": "Some CPU", "features": "ff", "threads": "2"}
FOUND = Results(
    MACHINE,
    "lock",
    predictions={"rule/0": "aa", "rule/1": "bb", "cnn/0": "cc"},
    metrics={
        "rule/0": {"test/f1_macro": 0.5, "val/f1_macro": 0.6},
        "rule/1": {"test/f1_macro": 0.7, "val/f1_macro": 0.6},
        "cnn/0": {"test/f1_macro": 0.8},
    },
    random=["cnn"],
)


def with_metric(name: str, key: str, value: float | None) -> Results:
    metrics = copy.deepcopy(FOUND.metrics)
    metrics[name] = {kept: other for kept, other in metrics[name].items() if kept != key}
    if value is not None:
        metrics[name][key] = value
    return replace(FOUND, metrics=metrics)


def without(name: str) -> Results:
    remaining = {key: value for key, value in FOUND.metrics.items() if key != name}
    return replace(FOUND, metrics=remaining, predictions={key: FOUND.predictions[key] for key in remaining})
