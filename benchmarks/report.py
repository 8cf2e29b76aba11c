"""What the report costs: its size, seconds to build and to interactive in Chromium, and what axe finds in it.

    python benchmarks/report.py runs_dir=runs data=madewithml      # any arguments of `ratchet report`

Peers, measured in the same run, in turn: `ratchet compare` on the same runs for the time to build, and for the time to
interactive a page of the one chart that Altair itself writes with its library in it (`chart.save(..., inline=True)`).
Three rounds after one that does not count; medians and ranges.
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


def command(*arguments: str) -> float:
    began = time.perf_counter()
    program = Path(sys.executable).with_name("ratchet")
    subprocess.run([program, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def interactive(browser: Browser, path: Path, ready: str) -> float:
    """Seconds from the beginning of the navigation until `ready` is there."""
    page = browser.new_page()
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_selector(ready, state="attached")
    seconds = float(page.evaluate("performance.now()")) / 1000
    page.close()
    return seconds


def in_turn(*measures: Callable[[], float]) -> list[list[float]]:
    rounds = [[measure() for measure in measures] for _ in range(ROUNDS + 1)]
    return [list(values) for values in zip(*rounds[1:], strict=True)]


def told(title: str, ours: list[float], theirs: list[float], peer: str) -> str:
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    spread = f"({min(ours):.2f} to {max(ours):.2f})"
    return f"{title} {statistics.median(ours):.2f} s {spread}, {statistics.median(ratios):.2f} times {peer}"


def found_by_axe(browser: Browser, path: Path, scheme: str, width: int) -> str:
    page = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}).new_page()  # type: ignore[arg-type]
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    violations = Axe().run(page).response["violations"]
    page.context.close()
    return ", ".join(f"{each['id']} ({each['impact']})" for each in violations) or "nothing"


def main(*arguments: str) -> None:
    chart = altair.Chart(altair.InlineData(values=[{"x": 1, "y": 2}])).mark_point().encode(x="x:Q", y="y:Q")
    selecting = [each for each in arguments if not each.startswith(("out=", "texts="))]
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        page, peer = Path(directory, "report.html"), Path(directory, "peer.html")
        built, compared = in_turn(
            lambda: command("report", *arguments, f"out={page}"), lambda: command("compare", *selecting)
        )
        chart.save(peer, inline=True)
        program = which("chromium") or which("google-chrome")
        browser = playwright.chromium.launch(executable_path=program, headless=True)
        shown, simple = in_turn(
            lambda: interactive(browser, page, "html[data-ready]"), lambda: interactive(browser, peer, "svg, canvas")
        )
        print(f"size {page.stat().st_size / 1e6:.2f} MB, of that the chart library {peer.stat().st_size / 1e6:.2f}")
        print(told("to build", built, compared, "`ratchet compare`"))
        print(told("to interactive", shown, simple, "a page of one chart by Altair"))
        for scheme, width in (("light", 1280), ("dark", 1280), ("light", 360)):
            print(f"axe, {scheme}, {width} px: {found_by_axe(browser, page, scheme, width)}")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
