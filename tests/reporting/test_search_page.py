"""Tests for the page of a search: its headline, table and charts, and that data stay text."""

from tests.charts.search_results import FOUND, TRIALS
from tests.reporting.conftest import parse

from ratchet.config import Cost, SearchConfig
from ratchet.reporting.search_page import build_search_page
from ratchet.sweeps.trials import SearchResult


def read_headline(search: SearchResult) -> str:
    page = build_search_page("A search", search, SearchConfig(), [("study", "made")])
    return " ".join(" ".join(text.split()) for text in parse(page).texts("p", **{"class": "headline"}))


def test_headline_states_whether_search_improved() -> None:
    assert read_headline(FOUND).startswith("+0.200 on val against the default on the records on which it was chosen")
    assert read_headline(SearchResult(TRIALS, TRIALS[0], [], {}, TRIALS[0])).startswith(
        "no better setting was found than the default settings, on val"
    )
    assert read_headline(SearchResult(TRIALS, TRIALS[2], [], {})).startswith(
        "whether this is better than the default is not known"
    )
    assert read_headline(SearchResult([], None, [], {})).startswith("no trial has finished")


def test_every_trial_has_row_and_best_is_marked() -> None:
    page = build_search_page("A search", FOUND, SearchConfig(), [])
    assert page.partition("<tbody>")[2].partition("</tbody>")[0].count("<tr>") == len(TRIALS)
    assert page.count('<span class="tone good">best</span>') == 1
    assert "C=3.5" in page


def test_front_is_shown_only_with_cost() -> None:
    settings = SearchConfig(cost=Cost.size_mb)
    search = SearchResult(TRIALS, TRIALS[2], [TRIALS[4], TRIALS[2]], {})
    assert 'id="front-chart"' in build_search_page("A search", search, settings, [])
    assert 'id="front-chart"' not in build_search_page("A search", FOUND, SearchConfig(), [])


def test_data_stay_text() -> None:
    nasty = "<script>alert(1)</script>"
    page = build_search_page(nasty, FOUND, SearchConfig(), [("study", nasty)])
    assert nasty not in page
    assert "Content-Security-Policy" in page
