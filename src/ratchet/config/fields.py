"""Fields of a configuration that carry more than a type: a range, or that they tell nothing of what is trained."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from omegaconf import MISSING


def bounded(
    default: Any = MISSING, *, low: float | None = None, high: float | None = None, above: float | None = None
) -> Any:
    """A field whose value lies within [low, high], and above `above`; checked before any work starts."""
    return field(default=default, metadata={"low": low, "high": high, "above": above})


def range_in_words(limits: Mapping[str, Any]) -> str:
    """The range that `bounded` gave to a field, as `at least 0 and at most 1`; empty where there is none."""
    words = {"low": "at least", "above": "above", "high": "at most"}
    return " and ".join(f"{word} {limits[key]}" for key, word in words.items() if limits.get(key) is not None)


def unhashed(default: Any = None, **kwargs: Any) -> Any:
    """A field that says where, when or on what a run happens, not what is trained."""
    metadata = {"hashed": False}
    if "default_factory" in kwargs:
        return field(default_factory=kwargs["default_factory"], metadata=metadata)
    return field(default=default, metadata=metadata)
