"""Read the contents of a chart: its data, options, marks, texts and colour contrasts."""

from collections.abc import Callable
from xml.etree import ElementTree

from ratchet.charts.theme import Chart, Row

Render = Callable[..., str]


def rows(chart: Chart | None, mark: str, nth: int = 0) -> list[Row]:
    """Return the values behind the nth layer of this mark, hidden or not."""
    assert chart is not None
    spec = chart.to_dict()
    layers = [layer for layer in spec.get("layer", [spec]) if layer["mark"]["type"] == mark]
    data = layers[nth].get("data") or spec["data"]
    values: list[Row] = data["values"] if "values" in data else spec["datasets"][data["name"]]
    return values


def options(chart: Chart | None) -> dict[str, list[str]]:
    """Return the options of each drop-down list, then the selected option behind a `!`."""
    assert chart is not None
    params = chart.to_dict().get("params", [])
    return {param["name"]: [*param["bind"]["options"], f"!{param['value']}"] for param in params}


def marks(svg: str, kind: str) -> list[dict[str, str]]:
    """Return the values of each mark of a kind (point, bar, tick, rule mark, text mark, ...)."""
    elements = [
        element for element in ElementTree.fromstring(svg).iter() if element.get("aria-roledescription") == kind
    ]
    labels = [element.get("aria-label", "").replace("−", "-").split("; ") for element in elements]
    return [dict(part.split(": ", 1) for part in label if ": " in part) for label in labels]


def texts(svg: str) -> list[str]:
    """Return all texts of an SVG."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def luminance(hexadecimal: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2.2 defines it."""
    shares = [int(hexadecimal[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, as WCAG 2.2 defines it."""
    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)
