"""Read what a chart contains: its data, its choices, its marks, its words and its contrasts."""

from collections.abc import Callable
from xml.etree import ElementTree

from ratchet.charts.theme import Chart, Row

Render = Callable[..., str]


def rows(chart: Chart | None, mark: str, nth: int = 0) -> list[Row]:
    """The values behind the nth layer of this mark, whether a choice hides them or not."""
    assert chart is not None
    spec = chart.to_dict()
    layers = [each for each in spec.get("layer", [spec]) if each["mark"]["type"] == mark]
    data = layers[nth].get("data") or spec["data"]
    found: list[Row] = data["values"] if "values" in data else spec["datasets"][data["name"]]
    return found


def options(chart: Chart | None) -> dict[str, list[str]]:
    """By drop-down list, what can be chosen, and behind a `!` what is chosen at first."""
    assert chart is not None
    params = chart.to_dict().get("params", [])
    return {each["name"]: [*each["bind"]["options"], f"!{each['value']}"] for each in params}


def marks(svg: str, kind: str) -> list[dict[str, str]]:
    """Return the values of each mark of a kind (point, bar, tick, rule mark, text mark, ...)."""
    found = [each for each in ElementTree.fromstring(svg).iter() if each.get("aria-roledescription") == kind]
    told = [each.get("aria-label", "").replace("−", "-").split("; ") for each in found]
    return [dict(part.split(": ", 1) for part in each if ": " in part) for each in told]


def texts(svg: str) -> list[str]:
    """All that can be read in a picture."""
    return [each.text or "" for each in ElementTree.fromstring(svg).iter() if each.tag.endswith("text")]


def luminance(hexadecimal: str) -> float:
    """As WCAG 2.2 defines it."""
    shares = [int(hexadecimal[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)
