"""A fixture that renders charts as SVG."""

import pytest
import vl_convert
from tests.charts.contents import Render

from ratchet.charts.theme import Chart


@pytest.fixture
def render(capfd: pytest.CaptureFixture[str]) -> Render:
    """Return `render(chart, model="cnn")`, which selects these options and returns SVG. Vega-Lite must not warn."""

    def render_svg(chart: Chart | None, **selected: str) -> str:
        assert chart is not None
        spec = chart.to_dict()
        for param in spec.get("params", []):
            param["value"] = selected.pop(param["name"], param["value"])
        assert not selected, "no drop-down list of that name"
        capfd.readouterr()
        svg = str(vl_convert.vegalite_to_svg(spec, show_warnings=True))
        assert capfd.readouterr() == ("", "")
        return svg

    return render_svg
