"""Tests for the colours and shapes of charts, and for charts as SVG and PNG."""

import io

import altair as alt
import pytest
from PIL import Image
from tests.builders import comparison, result
from tests.charts.contents import Render, contrast, texts

from ratchet.charts import theme
from ratchet.charts.comparison_charts import ladder
from ratchet.charts.theme import VERDICTS, choice, colour, dash, look, shape, to_png, to_svg
from ratchet.runs.selection import Selection

BACKGROUNDS = {dark: look(dark=dark)["background"] for dark in (False, True)}
PALETTE_SIZE = len(theme._COLOURS)
NO_RUNS = Selection("made", "test", "1a", (), ())


def read_scale(encoding: alt.Color | alt.Shape | alt.StrokeDash) -> dict[str, list[object]]:
    content = encoding.to_dict()["scale"]
    return {key: content[key] for key in ("domain", "range")}


def test_contrast_follows_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("mark", sorted({*theme._COLOURS, *VERDICTS.values(), theme.NEUTRAL}))
def test_marks_contrast_with_both_backgrounds(mark: str, dark: bool) -> None:
    assert contrast(mark, BACKGROUNDS[dark]) >= 3


@pytest.mark.parametrize("dark", [False, True])
def test_text_contrasts_with_both_backgrounds(dark: bool) -> None:
    config = look(dark=dark)
    inks = {f"{part}.{key}": config[part][key] for part in config for key in ("labelColor", "titleColor", "color")
               if isinstance(config[part], dict) and key in config[part] and part != "rule"}  # fmt: skip
    assert set(inks) == {
        *("axis.labelColor", "axis.titleColor", "legend.labelColor", "legend.titleColor", "title.color", "text.color")
    }
    for name, ink in inks.items():
        assert contrast(ink, config["background"]) >= 4.5, name
    assert contrast(config["rule"]["color"], config["background"]) >= 3


def test_light_and_dark_differ_only_in_colours() -> None:
    light, dark = look(), look(dark=True)
    assert light["background"] != dark["background"]
    assert light.keys() == dark.keys()
    assert light["axisX"] == dark["axisX"]
    for part in ("axis", "legend", "title", "text"):
        assert {key for key in light[part] if light[part][key] != dark[part][key]} <= {
            *("labelColor", "titleColor", "gridColor", "domainColor", "tickColor", "color")
        }


def test_names_within_palette_look_different() -> None:
    names = [f"model {number}" for number in range(PALETTE_SIZE)]
    for encoding in (colour(names), shape(names), dash(names, names)):
        encoded = read_scale(encoding)
        assert encoded["domain"] == names
        assert len({str(style) for style in encoded["range"]}) == PALETTE_SIZE


def test_names_beyond_palette_reuse_it() -> None:
    names = [f"model {number}" for number in range(2 * PALETTE_SIZE + 3)]
    for encoding in (colour(names), shape(names), dash(names, names)):
        encoded = read_scale(encoding)
        assert encoded["domain"] == names
        assert len(encoded["range"]) == len(names)
        assert encoded["range"][PALETTE_SIZE : 2 * PALETTE_SIZE] == encoded["range"][:PALETTE_SIZE], (
            "the palette starts again"
        )


def test_added_names_keep_earlier_colours() -> None:
    few, many = read_scale(colour(["rule", "cnn"])), read_scale(colour(["rule", "cnn", "regression"]))
    assert many["range"][:2] == few["range"]
    assert few["range"][0] == theme.NEUTRAL, "the simplest model is grey"


def test_legend_lists_only_shown_names() -> None:
    names = ["rule", "cnn", "regression"]
    for encoding in (colour(names, ["cnn"]), shape(names, ["cnn"]), dash(names, ["cnn"])):
        assert encoding.to_dict()["legend"]["values"] == ["cnn"]
        assert read_scale(encoding)["domain"] == names
    assert colour(names).to_dict()["legend"] is None


def test_verdicts_differ_in_colour_and_shape() -> None:
    by_colour, by_shape = read_scale(theme.verdict_colour()), read_scale(theme.verdict_shape())
    assert by_colour["domain"] == by_shape["domain"] == ["better", "worse", "not distinguishable"]
    assert by_shape["range"] == ["triangle-up", "triangle-down", "circle"]
    assert len(set(map(str, by_colour["range"]))) == 3


def test_list_selects_last_option_by_default() -> None:
    assert choice("model", ["rule", "cnn"]).param.to_dict()["value"] == "cnn"
    param = choice("model", ["rule", "cnn"], "rule").param.to_dict()
    assert param["value"] == "rule"
    assert param["bind"]["options"] == ["rule", "cnn"]


def test_title_names_selected_option(render: Render) -> None:
    chart = (
        alt.Chart(alt.InlineData(values=[{"x": 1}]))
        .mark_point()
        .encode(x="x:Q")
        .add_params(choice("cost", ["time", "money"]))
        .properties(title=theme.computed_title("'F1 over ' + cost"))
    )
    assert "F1 over money" in texts(render(chart))


def test_render_fixture_fails_on_vega_lite_warnings(render: Render) -> None:
    bars = alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_bar().encode(x="x:Q", shape="x:N")
    with pytest.raises(AssertionError, match="shape dropped"):
        render(bars)


def test_chart_converts_to_svg_with_light_background() -> None:
    chart = ladder(comparison(result("rule"), result("cnn")), NO_RUNS)
    svg = to_svg(chart)
    assert svg.startswith("<svg")
    assert f'fill="{look()["background"]}"' in svg
    assert {"rule", "cnn", "0.500"} <= set(texts(svg))


def test_png_has_two_pixels_per_unit() -> None:
    chart = alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_point().encode(x=alt.value(50), y=alt.value(25))
    png = to_png(chart.properties(width=100, height=50, padding=0))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (200, 100)


def test_pictures_leave_space_for_wider_fonts() -> None:
    svg = to_svg(ladder(comparison(result("a name of a candidate that is long")), NO_RUNS))
    assert f'font-size="{theme._FONT_SIZE}px"' in svg
    assert f'font-size="{theme._LAID_OUT}px"' not in svg
    assert theme._LAID_OUT / theme._FONT_SIZE >= 1.25
