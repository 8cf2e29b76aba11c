"""Colours that can be seen, names that keep theirs, and charts as pictures."""

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

GROUNDS = {dark: look(dark=dark)["background"] for dark in (False, True)}
LONGEST = len(theme._COLOURS)
NOTHING = Selection("made", "test", "1a", (), ())


def scale(encoding: alt.Color | alt.Shape | alt.StrokeDash) -> dict[str, list[object]]:
    found = encoding.to_dict()["scale"]
    return {key: found[key] for key in ("domain", "range")}


def test_the_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("mark", sorted({*theme._COLOURS, *VERDICTS.values(), theme.NEUTRAL}))
def test_every_mark_stands_out_from_both_grounds(mark: str, dark: bool) -> None:
    assert contrast(mark, GROUNDS[dark]) >= 3


@pytest.mark.parametrize("dark", [False, True])
def test_what_is_written_can_be_read_on_both_grounds(dark: bool) -> None:
    found = look(dark=dark)
    written = {f"{part}.{key}": found[part][key] for part in found for key in ("labelColor", "titleColor", "color")
               if isinstance(found[part], dict) and key in found[part] and part != "rule"}  # fmt: skip
    assert set(written) == {
        *("axis.labelColor", "axis.titleColor", "legend.labelColor", "legend.titleColor", "title.color", "text.color")
    }
    for what, ink in written.items():
        assert contrast(ink, found["background"]) >= 4.5, what
    assert contrast(found["rule"]["color"], found["background"]) >= 3


def test_the_looks_differ_in_colours_alone() -> None:
    light, dark = look(), look(dark=True)
    assert light["background"] != dark["background"]
    assert light.keys() == dark.keys()
    assert light["axisX"] == dark["axisX"]
    for part in ("axis", "legend", "title", "text"):
        assert {key for key in light[part] if light[part][key] != dark[part][key]} <= {
            *("labelColor", "titleColor", "gridColor", "domainColor", "tickColor", "color")
        }


def test_names_within_the_palette_have_looks_of_their_own() -> None:
    names = [f"model {number}" for number in range(LONGEST)]
    for encoding in (colour(names), shape(names), dash(names, names)):
        found = scale(encoding)
        assert found["domain"] == names
        assert len({str(each) for each in found["range"]}) == LONGEST


def test_names_beyond_the_palette_have_colours_too() -> None:
    names = [f"model {number}" for number in range(2 * LONGEST + 3)]
    for encoding in (colour(names), shape(names), dash(names, names)):
        found = scale(encoding)
        assert found["domain"] == names
        assert len(found["range"]) == len(names)
        assert found["range"][LONGEST : 2 * LONGEST] == found["range"][:LONGEST], "from the beginning again"


def test_a_name_keeps_its_colour_when_others_come_after_it() -> None:
    few, many = scale(colour(["rule", "cnn"])), scale(colour(["rule", "cnn", "regression"]))
    assert many["range"][:2] == few["range"]
    assert few["range"][0] == theme.NEUTRAL, "the simplest is grey"


def test_a_legend_lists_what_is_shown_and_nothing_else() -> None:
    names = ["rule", "cnn", "regression"]
    for encoding in (colour(names, ["cnn"]), shape(names, ["cnn"]), dash(names, ["cnn"])):
        assert encoding.to_dict()["legend"]["values"] == ["cnn"]
        assert scale(encoding)["domain"] == names
    assert colour(names).to_dict()["legend"] is None


def test_a_verdict_is_said_by_colour_and_by_shape() -> None:
    by_colour, by_shape = scale(theme.verdict_colour()), scale(theme.verdict_shape())
    assert by_colour["domain"] == by_shape["domain"] == ["better", "worse", "not distinguishable"]
    assert by_shape["range"] == ["triangle-up", "triangle-down", "circle"]
    assert len(set(map(str, by_colour["range"]))) == 3


def test_a_list_begins_with_what_is_chosen_else_with_the_last() -> None:
    assert choice("model", ["rule", "cnn"]).param.to_dict()["value"] == "cnn"
    found = choice("model", ["rule", "cnn"], "rule").param.to_dict()
    assert found["value"] == "rule"
    assert found["bind"]["options"] == ["rule", "cnn"]


def test_a_title_says_what_is_chosen(render: Render) -> None:
    chart = (
        alt.Chart(alt.InlineData(values=[{"x": 1}]))
        .mark_point()
        .encode(x="x:Q")
        .add_params(choice("cost", ["time", "money"]))
        .properties(title=theme.computed_title("'F1 over ' + cost"))
    )
    assert "F1 over money" in texts(render(chart))


def test_what_vega_lite_warns_of_would_be_seen(render: Render) -> None:
    bars = alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_bar().encode(x="x:Q", shape="x:N")
    with pytest.raises(AssertionError, match="shape dropped"):
        render(bars)


def test_a_chart_becomes_a_picture_on_a_light_ground() -> None:
    chart = ladder(comparison(result("rule"), result("cnn")), NOTHING)
    svg = to_svg(chart)
    assert svg.startswith("<svg")
    assert f'fill="{look()["background"]}"' in svg
    assert {"rule", "cnn", "0.500"} <= set(texts(svg))


def test_pixels_are_two_to_each_of_its_own() -> None:
    chart = alt.Chart(alt.InlineData(values=[{"x": 1}])).mark_point().encode(x=alt.value(50), y=alt.value(25))
    png = to_png(chart.properties(width=100, height=50, padding=0))
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.size == (200, 100)
