"""Render a chart as a picture."""

import pytest
import vl_convert
from tests.charts.contents import Render

from ratchet.charts.theme import Chart


@pytest.fixture
def render(capfd: pytest.CaptureFixture[str]) -> Render:
    """`render(chart, model="cnn")`: as SVG, once that is chosen; Vega-Lite has nothing to warn of."""

    def rendered(chart: Chart | None, **chosen: str) -> str:
        assert chart is not None
        spec = chart.to_dict()
        for each in spec.get("params", []):
            each["value"] = chosen.pop(each["name"], each["value"])
        assert not chosen, "no such lists"
        capfd.readouterr()
        svg = str(vl_convert.vegalite_to_svg(spec, show_warnings=True))
        assert capfd.readouterr() == ("", "")
        return svg

    return rendered
