"""The look of all charts, and their export as pictures.

The colours are those of Okabe and Ito ("Color Universal Design", 2008), adjusted so that each has a contrast of at
least 3:1 on a white and on a near-black background (WCAG 2.2, 1.4.11). Shapes and dashes repeat the distinction.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt

WIDTH = 620  # pixels, where the page does not set the width
ROW = 34  # pixels: the height of the row of a candidate
NEUTRAL = "#808791"
VERDICTS = {"better": "#1f83c4", "worse": "#d5600f", "not distinguishable": NEUTRAL}
_VERDICT_SHAPES = ("triangle-up", "triangle-down", "circle")
_COLOURS = ("#808791", "#1f83c4", "#d5600f", "#159a72", "#b3689a", "#9c7a06", "#6a6fd8")
_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right")
_DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (4, 4), (10, 4), (1, 3))
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif"
_FONT_SIZE, _LAID_OUT = 12, 15  # pixels: as texts are shown, and as they are measured in pictures

Chart = alt.Chart | alt.LayerChart | alt.FacetChart
Row = dict[str, Any]


def colour(names: Sequence[str], shown: Sequence[str] | None = None) -> alt.Color:
    """Return the colours of candidates: a candidate has the same colour in every chart, and the simplest is grey.

    The legend lists the names in `shown`; without them there is no legend.
    """
    scale = alt.Scale(domain=list(names), range=_first(_COLOURS, names))
    return alt.Color("model:N", scale=scale, legend=_legend(shown))


def shape(names: Sequence[str], shown: Sequence[str] | None = None) -> alt.Shape:
    """Return the shapes of candidates, in the same order as their colours."""
    scale = alt.Scale(domain=list(names), range=_first(_SHAPES, names))
    return alt.Shape("model:N", scale=scale, legend=_legend(shown))


def dash(names: Sequence[str], shown: Sequence[str]) -> alt.StrokeDash:
    """Return the dashes of the lines of candidates, in the same order as their colours."""
    scale = alt.Scale(domain=list(names), range=[list(pattern) for pattern in _first(_DASHES, names)])
    return alt.StrokeDash("model:N", scale=scale, legend=_legend(shown))


def _legend(shown: Sequence[str] | None) -> alt.Legend | None:
    return None if shown is None else alt.Legend(title=None, orient="top", values=list(shown))


def verdict_colour() -> alt.Color:
    """Return the colours of the verdicts: better, worse, not distinguishable."""
    scale = alt.Scale(domain=list(VERDICTS), range=list(VERDICTS.values()))
    return alt.Color("verdict:N", scale=scale, legend=alt.Legend(title=None, orient="top", symbolOpacity=1))


def verdict_shape() -> alt.Shape:
    """Return the shapes of the verdicts, in the same legend as their colours."""
    return alt.Shape("verdict:N", scale=alt.Scale(domain=list(VERDICTS), range=list(_VERDICT_SHAPES)))


def choice(name: str, options: Sequence[str], chosen: str | None = None) -> alt.Parameter:
    """Return a drop-down list; `chosen`, or the last option, is selected first and in pictures."""
    bind = alt.binding_select(options=list(options), name=f"{name} ")
    return alt.param(name=name, value=chosen or options[-1], bind=bind)


def computed_title(expression: str) -> alt.TitleParams:
    """Return a title that depends on a choice, which the title of an axis cannot."""
    return alt.TitleParams(text=alt.ExprRef(expression))


def look(*, dark: bool = False) -> dict[str, Any]:
    """Return the Vega-Lite configuration of all charts, for a light or a dark background."""
    ink, muted, line, ground = (
        ("#eceef0", "#b4bac2", "#3a4048", "#16191d") if dark else ("#1b1f24", "#525a64", "#dfe3e8", "#ffffff")
    )
    return {
        "background": ground,
        "font": _FONT,
        "view": {"stroke": None},
        "axis": {
            "labelColor": ink,
            "titleColor": muted,
            "gridColor": line,
            "domainColor": line,
            "tickColor": line,
            "labelFontSize": _FONT_SIZE,
            "titleFontSize": _FONT_SIZE,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "labelLimit": 240,
            "labelOverlap": "greedy",
        },
        "axisX": {"tickCount": {"expr": "ceil(width / 80)"}, "labelFlush": False, "titleAnchor": "end"},
        "legend": {
            "labelColor": ink,
            "titleColor": muted,
            "labelFontSize": _FONT_SIZE,
            "symbolSize": 90,
            "labelLimit": 240,
            "columns": 5,
        },
        "title": {"color": ink, "fontSize": _FONT_SIZE, "fontWeight": "normal", "anchor": "start", "frame": "group"},
        "rule": {"color": muted},
        "text": {"color": ink, "fontSize": _FONT_SIZE},
    }


def in_notebooks() -> None:
    """Show charts in notebooks as in the report: as pictures, which need no network and keep notebooks small."""
    config: Any = look()
    alt.theme.register("ratchet", enable=True)(lambda: {"config": config})
    alt.renderers.register("ratchet", lambda spec, **_: {"image/svg+xml": _draw(spec)})
    alt.renderers.enable("ratchet")


def to_svg(chart: Chart) -> str:
    """Return a chart as SVG, on a light background."""
    return _draw(chart.to_dict())


def _draw(spec: dict[str, Any]) -> str:
    """Return a specification as SVG whose texts fit in fonts up to a quarter wider than the one that measures them.

    Only the reader's program knows its fonts. So texts are laid out in a larger size than they are shown in.
    """
    import vl_convert

    config = look()
    for part in config.values():
        if isinstance(part, dict):
            part.update({key: _LAID_OUT for key in part if key.endswith("ontSize")})
            part.update({key: round(part[key] * _LAID_OUT / _FONT_SIZE) for key in part if key == "labelLimit"})
    own = {key: value for key, value in spec.items() if key != "config" or value != look()}  # the theme of notebooks
    svg = str(vl_convert.vegalite_to_svg(own, config=config))
    return svg.replace(f'font-size="{_LAID_OUT}px"', f'font-size="{_FONT_SIZE}px"')


def to_png(chart: Chart) -> bytes:
    """Return a chart as PNG, with two pixels for each pixel of the chart."""
    import vl_convert

    return bytes(vl_convert.vegalite_to_png(chart.to_dict(), scale=2, config=look()))


def _first(values: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Return a value for each name; they repeat if there are more names."""
    return [values[index % len(values)] for index in range(len(names))]
