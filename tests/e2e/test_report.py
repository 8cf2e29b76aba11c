"""Tests for the report in a real browser: charts, tables, hostile texts, accessibility, and a phone."""

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from tests.builders import comparison, difference, group, result
from tests.commands import HANG_SECONDS
from tests.sample_runs import copy_run, find_named_runs

from ratchet.charts.comparison_charts import differences, group_differences
from ratchet.charts.theme import to_svg
from ratchet.cli.main import main
from ratchet.config import compose
from ratchet.training import train

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ATTACKS = (
    "<script>document.hacked = 1</script>",
    '"><img src=x onerror="document.hacked = 1">',
    "</script><svg onload=document.hacked=1>",
    "{{ 7 * 7 }} ${7 * 7} <!-- &lt;b&gt;",
)
TAGS = {
    "<img src=x onerror=document.hacked=1>": "invoice refund charge payment amount card",
    "log'in\" & <b>account</b>": "password signin locked reset username mail",
    "доставка 配送 שילוח": "parcel delivery courier address tracking late",
}
VIEWS = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "color_scheme": "light"},
}


def write_hostile_data(directory: Path) -> None:
    """Write records whose texts and labels would run as scripts if used as HTML. Labels are frequent and learnable."""
    generator = random.Random(0)
    rows = []
    for index in range(240):
        tags = [list(TAGS)[index % 3]] + ([list(TAGS)[(index + 1) % 3]] if index % 5 == 0 else [])
        topics = tags if index % 4 else [generator.choice(list(TAGS))]  # some texts are about another label
        words = [word for tag in topics for word in generator.sample(TAGS[tag].split(), 3)]
        attacks = " ".join(ATTACKS[(index + shift) % len(ATTACKS)] for shift in range(2))  # the report shows few texts
        text = f"{' '.join(words)} {attacks} {generator.randbytes(8).hex()}"
        rows.append({"id": f"<i>{index}", "text": text, "labels": tags})
    (directory / "hostile.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (directory / "config/data").mkdir(parents=True)
    (directory / "config/data/hostile.yaml").write_text(
        "defaults: [base_data, _self_]\nname: hostile\nid: id\ntext: [text]\nlabels: {column: labels}\n"
        f"records: {{path: {directory}/hostile.jsonl}}\n",
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report on two splits of hostile records: a rule, a regression, and a model with learning curves."""
    directory = tmp_path_factory.mktemp("report")
    write_hostile_data(directory)
    for model in ("rule", "regression"):
        for seed in (0, 1):
            settings = [f"model={model}", "data=hostile", f"split.seed={seed}", "evaluation.resamples=100"]
            train(compose([*settings, f"runs_dir={directory}/runs"], directory / "config"))
    for run in find_named_runs(directory / "runs", "regression"):
        copied = copy_run(run, f"network-{run.record.split_seed}", name="network", config_hash="n", complexity=2)
        lines = [f"{epoch},0,{key},{epoch / 9}" for epoch in range(9) for key in ("val/f1_weighted", "val/loss")]
        (copied.path / "history.csv").write_text("\n".join(["epoch,step,key,value", *lines, ""]), encoding="utf-8")
    path = directory / "report.html"
    assert main(["report", f"runs_dir={directory}/runs", f"out={path}", "resamples=200"]) == 0
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser: install one of {', '.join(BROWSERS)} (.ci/run does)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, headless=True)
        yield browser
        browser.close()


def open_page(browser: Browser, path: Path, view: str) -> tuple[Page, list[str]]:
    """Open the page and wait for its charts; return it with its console messages, errors and requests."""
    page = browser.new_context(**VIEWS[view]).new_page()
    page.set_default_timeout(HANG_SECONDS * 1000)
    events: list[str] = []
    page.on("console", lambda message: events.append(message.text))
    page.on("pageerror", lambda error: events.append(str(error)))
    page.on("request", lambda request: None if request.url == path.as_uri() else events.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=HANG_SECONDS * 1000)
    return page, events


@pytest.fixture(scope="module", params=list(VIEWS))
def view(request: pytest.FixtureRequest, browser: Browser, page_path: Path) -> Iterator[tuple[Page, list[str]]]:
    """Yield the page in the light look, in the dark look, and on a phone."""
    page, events = open_page(browser, page_path, request.param)
    yield page, events
    page.context.close()


@pytest.fixture
def page(browser: Browser, page_path: Path) -> Iterator[Page]:
    page, _ = open_page(browser, page_path, "light")
    yield page
    page.context.close()


def test_charts_are_drawn_without_messages_or_requests(view: tuple[Page, list[str]]) -> None:
    page, events = view
    mark_counts: dict[str, int] = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".chart")].map((chart) => [chart.id,
          [...chart.querySelectorAll("svg [class*='role-mark'] :is(path, line, text)")].filter((mark) => {
            const box = mark.getBoundingClientRect(), frame = chart.getBoundingClientRect();
            return box.width + box.height > 1 && box.left >= frame.left - 1 && box.right <= frame.right + 1;
          }).length]))"""
    )
    assert mark_counts.keys() == {
        *("ladder-chart", "differences-chart", "cost-chart", "label-chart", "slice-chart"),
        *("learning-chart", "threshold-chart", "calibration-chart", "confusions-chart"),
    }
    assert {name: count for name, count in mark_counts.items() if count < 2} == {}
    assert events == []


def test_only_tables_and_navigation_scroll_sideways(view: tuple[Page, list[str]]) -> None:
    page, _ = view
    for details in page.query_selector_all("details:not([open]) > summary"):
        details.click()
    width = page.evaluate("window.innerWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = page.evaluate(
        """() => [...document.querySelectorAll("body *")]
          .filter((each) => !each.closest(".scroll, nav, .unseen, .skip, svg"))
          .filter((each) => each.getBoundingClientRect().right > window.innerWidth + 1)
          .map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert wide == []


def test_leaderboard_fits_a_desktop(page: Page) -> None:
    hidden = page.evaluate("(table => table.scrollWidth - table.clientWidth)(document.querySelector('.scroll'))")
    assert hidden == 0


def test_axe_finds_no_serious_violation(view: tuple[Page, list[str]]) -> None:
    page, _ = view
    for details in page.query_selector_all("details:not([open]) > summary"):
        details.click()
    violations: list[dict[str, Any]] = Axe().run(page).response["violations"]
    assert [
        (violation["id"], violation["nodes"][0]["html"])
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ] == []


def test_hostile_data_are_shown_as_text(view: tuple[Page, list[str]]) -> None:
    page, _ = view
    for details in page.query_selector_all("details:not([open]) > summary"):
        details.click()
    for mark in page.query_selector_all(".chart svg .role-mark.mark-symbol path")[:12]:
        mark.hover(force=True)
    assert page.evaluate("document.hacked") is None
    assert page.locator("script").count() == 3, "the values, the chart library and the page's own"
    assert page.locator("img, iframe, object, embed, link, form:not(.vega-bindings)").count() == 0
    seen = page.inner_text("body")
    for attack in ATTACKS:
        assert attack in seen
    for tag in TAGS:
        assert tag in seen
        assert any(text.startswith(tag[:9]) for text in page.locator("#label-chart svg text").all_text_contents())


def test_content_security_policy_blocks_injected_scripts(page: Page) -> None:
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "document.hacked = 1";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='document.hacked = 2'>");
        }"""
    )
    while not any("Content Security Policy" in text for text in messages):
        page.wait_for_timeout(100)
    assert page.evaluate("document.hacked") is None


def read_column(page: Page, table: str, column: int) -> list[str]:
    return page.locator(f"{table} tbody tr:not([hidden]) > td:nth-child({column})").all_text_contents()


def test_click_and_key_sort_in_both_directions(page: Page) -> None:
    table = "#labels table"
    before = read_column(page, table, 4)
    assert before != sorted(before, key=float)
    header = page.locator(f"{table} th").nth(3)
    header.locator("button").click()
    assert read_column(page, table, 4) == sorted(before, key=float)
    assert header.get_attribute("aria-sort") == "ascending"
    header.locator("button").focus()
    page.keyboard.press("Enter")
    assert [float(cell) for cell in read_column(page, table, 4)] == sorted(map(float, before), reverse=True)
    assert header.get_attribute("aria-sort") == "descending"
    page.locator(f"{table} th button").nth(0).click()
    assert read_column(page, table, 1) == sorted(read_column(page, table, 1))
    assert header.get_attribute("aria-sort") is None


def test_differences_sort_as_numbers_with_missing_first(page: Page) -> None:
    table = "#ladder .data:has(button:text-is('against rule')) table"
    page.locator(f"{table} th button").nth(3).click()
    values = read_column(page, table, 4)
    assert len(values) == 3
    assert values[0] == "-"
    numbers = [float(value.split()[0]) for value in values[1:]]
    assert numbers == sorted(numbers)


def test_search_filters_rows_and_shows_their_number(page: Page) -> None:
    table = page.locator(".data", has=page.get_by_role("region", name="Other objectives, with one change each"))
    total = table.locator("tbody tr").count()
    table.get_by_role("searchbox").fill("margin 0.0")
    shown = table.locator("tbody tr:visible")
    assert 0 < shown.count() < total
    assert all("margin" in text for text in shown.all_inner_texts())
    assert table.get_by_role("status").inner_text() == f"{shown.count()} of {total} rows"
    table.get_by_role("searchbox").fill("")
    assert shown.count() == total


def test_selection_redraws_the_chart_and_survives_dark_look(page: Page) -> None:
    def read_chart() -> str:
        return str(page.inner_html("#differences-chart svg g.root"))

    before, light = read_chart(), page.evaluate("getComputedStyle(document.body).backgroundColor")
    selection = page.locator("#differences-chart select")
    selection.select_option("the next simpler one")
    page.wait_for_function(
        "before => document.querySelector('#differences-chart svg g.root').innerHTML !== before", arg=before
    )
    page.get_by_role("button", name="Dark").click()
    page.wait_for_selector("html[data-look=dark][data-ready]")
    assert page.locator("#differences-chart select").input_value() == "the next simpler one"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    assert page.locator("#differences-chart svg").count() == 1


def test_values_of_a_chart_can_be_read_and_sorted(page: Page) -> None:
    figure = page.locator("figure", has=page.locator("#ladder-chart"))
    figure.get_by_text("Values of this chart").click()
    figure.locator("table").first.wait_for()
    models = figure.locator("table").first.locator("tbody td:first-child").all_text_contents()
    assert models == ["rule", "regression", "network"]
    figure.get_by_role("button", name="model").first.click()
    assert figure.locator("table").first.locator("tbody td:first-child").all_text_contents() == sorted(models)


def test_page_can_be_used_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
    assert reached >= {"BUTTON", "SUMMARY", "SELECT", "DIV"}, "table headers, folds, selections, scrollable tables"


def test_tables_are_visible_without_scripts(browser: Browser, page_path: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_path.as_uri())
    assert page.get_by_text("Charts need scripts").is_visible()
    assert page.locator("#ladder tbody tr").first.inner_text().startswith("rule")
    context.close()


@pytest.mark.parametrize("font", ["system-ui", "DejaVu Sans", "DejaVu Sans Mono"])
def test_texts_of_pictures_fit_in_the_font_of_the_reader(browser: Browser, font: str) -> None:
    name = "a candidate WITH A LONG NAME of forty-two"
    effect = difference("rule", 0.2, "better")
    groups = [group("a label WITH A LONG NAME of many letters", 0.1), group("m", -0.1, verdict="worse")]
    results = comparison(result("rule"), result(name, baseline=effect, predecessor=effect, groups=groups))
    charts = (differences(results), group_differences(results, "label"))
    for picture in (to_svg(chart) for chart in charts if chart is not None):
        page = browser.new_page()
        page.set_content(f"<style>svg text {{ font-family: '{font}', {font} !important; }}</style>{picture}")
        clipped = page.evaluate(
            """() => { const frame = document.querySelector("svg").getBoundingClientRect();
              return [...document.querySelectorAll("svg text")].filter((text) => {
                const box = text.getBoundingClientRect();
                return box.left < frame.left || box.right > frame.right;
              }).map((text) => text.textContent); }"""
        )
        assert clipped == []
        page.close()
