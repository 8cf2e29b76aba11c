"""Measure the report: its size, seconds to build and to interactive in Chromium, and violations found by axe.

    python benchmarks/report.py runs_dir=runs data=madewithml      # any arguments of `ratchet report`

Peers, measured in the same run, in turn: `ratchet compare` on the same runs for the time to build; for the time to
interactive, a page of one chart that Altair writes with its library inline (`chart.save(..., inline=True)`).
Three rounds after a warm-up round; medians and ranges.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from shutil import which

import altair
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

ROUNDS = 3


def time_command(*arguments: str) -> float:
    started = time.perf_counter()
    program = Path(sys.executable).with_name("ratchet")
    subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def time_to_interactive(browser: Browser, path: Path, ready: str) -> float:
    """Return the seconds from the start of the navigation until the selector `ready` matches."""
    page = browser.new_page()
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector(ready, state="attached")
    seconds = float(page.evaluate("performance.now()")) / 1000
    page.close()
    return seconds


def measure_in_turn(*measures: Callable[[], float]) -> list[list[float]]:
    rounds = [[measure() for measure in measures] for _ in range(ROUNDS + 1)]
    return [list(values) for values in zip(*rounds[1:], strict=True)]


def format_comparison(title: str, ours: list[float], theirs: list[float], peer: str) -> str:
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    spread = f"({min(ours):.2f} to {max(ours):.2f})"
    return f"{title} {statistics.median(ours):.2f} s {spread}, {statistics.median(ratios):.2f} times {peer}"


def list_violations(browser: Browser, path: Path, scheme: str, width: int) -> str:
    page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}).new_page()  # type: ignore[arg-type]
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    violations = Axe().run(page).response["violations"]
    page.context.close()
    return ", ".join(f"{violation['id']} ({violation['impact']})" for violation in violations) or "nothing"


def main(*arguments: str) -> None:
    chart = altair.Chart(altair.InlineData(values=[{"x": 1, "y": 2}])).mark_point().encode(x="x:Q", y="y:Q")
    selection = [argument for argument in arguments if not argument.startswith(("out=", "texts="))]
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        page, peer = Path(directory, "report.html"), Path(directory, "peer.html")
        built, compared = measure_in_turn(
            lambda: time_command("report", *arguments, f"out={page}"), lambda: time_command("compare", *selection)
        )
        chart.save(peer, inline=True)
        program = which("chromium") or which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, headless=True)
        shown, simple = measure_in_turn(
            lambda: time_to_interactive(browser, page, "html[data-ready]"),
            lambda: time_to_interactive(browser, peer, "svg, canvas"),
        )
        print(f"size {page.stat().st_size / 1e6:.2f} MB, of that the chart library {peer.stat().st_size / 1e6:.2f}")
        print(format_comparison("to build", built, compared, "`ratchet compare`"))
        print(format_comparison("to interactive", shown, simple, "a page of one chart by Altair"))
        for scheme, width in (("light", 1280), ("dark", 1280), ("light", 360)):
            print(f"axe, {scheme}, {width} px: {list_violations(browser, page, scheme, width)}")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
