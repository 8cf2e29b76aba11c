"""The page of a search: what was found, in words that hold, with nothing fetched and nothing run that data say."""

from tests.charts.search_results import FOUND, TRIALS
from tests.reporting.conftest import parse

from ratchet.config import Cost, SearchConfig
from ratchet.reporting.search_page import build_search_page
from ratchet.sweeps.trials import SearchResult


def headline(found: SearchResult) -> str:
    page = build_search_page("A search", found, SearchConfig(), [("study", "made")])
    return " ".join(" ".join(each.split()) for each in parse(page).texts("p", **{"class": "headline"}))


def test_it_says_whether_something_better_was_found() -> None:
    assert headline(FOUND).startswith("a better setting was found on val, where it was chosen")
    assert headline(SearchResult(TRIALS, TRIALS[0], [], {})).startswith(
        "no better setting was found than the default settings"
    )
    assert headline(SearchResult([], None, [], {})).startswith("no better setting was found")


def test_every_trial_is_a_row_and_the_best_is_marked() -> None:
    page = build_search_page("A search", FOUND, SearchConfig(), [])
    assert page.partition("<tbody>")[2].partition("</tbody>")[0].count("<tr>") == len(TRIALS)
    assert page.count('<span class="tone good">best</span>') == 1
    assert "C=3.5" in page


def test_what_quality_costs_is_shown_where_it_counts() -> None:
    settings = SearchConfig(cost=Cost.size_mb)
    found = SearchResult(TRIALS, TRIALS[2], [TRIALS[4], TRIALS[2]], {})
    assert 'id="front-chart"' in build_search_page("A search", found, settings, [])
    assert 'id="front-chart"' not in build_search_page("A search", FOUND, SearchConfig(), [])


def test_what_data_say_stays_text() -> None:
    nasty = "<script>alert(1)</script>"
    page = build_search_page(nasty, FOUND, SearchConfig(), [("study", nasty)])
    assert nasty not in page
    assert "Content-Security-Policy" in page
