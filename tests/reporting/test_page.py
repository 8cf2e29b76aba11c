"""Tests for the report page: it fetches nothing, runs only its own scripts, and shows all data as text."""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.builders import JUDGED_TWICE, made_candidate, made_run, predictions
from tests.charts.contents import contrast
from tests.reporting.conftest import (
    NO_TEXTS,
    Element,
    Page,
    cells,
    examples,
    figures,
    found_in,
    made_findings,
    page_of,
    paragraphs,
    parse,
    tables,
)

from ratchet.charts.theme import look
from ratchet.comparison.results import Changes
from ratchet.files import write_text
from ratchet.reporting.blocks import Details, Figure, Section
from ratchet.reporting.findings import Findings, Texts, read_texts
from ratchet.reporting.page import FILTERED_FROM, build_page, chart_library
from ratchet.reporting.sections import build_sections
from ratchet.runs.selection import Candidate

FETCHING = {"src", "href", "srcset", "data", "action", "formaction", "poster", "background", "ping", "manifest", "cite"}
NASTY = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{7*7}} {% raw %} {# #}",
    "<!-- --> <![CDATA[ ]]>",
    "&lt;b&gt; &amp;amp; &#x3c;",
    "\ud800 half a pair \udfff",
    "\u202eright to left\u202c שלום \u2066",
    "javascript:alert(1)",
    "${7*7} `x` \\u003cscript\\u003e",
    "</textarea></title></style></noscript></svg>",
    "\x00\x0b\x7f\u2028\u2029",
    "  white\t\n\r\n space  ",
]
ANY_TEXT = st.text(st.characters(exclude_categories=[]), min_size=1, max_size=60)  # includes halves of surrogate pairs


@pytest.fixture(scope="module")
def html(found: Findings) -> str:
    return build_page(found, read_texts(found.selection))


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return parse(html)


def make_pair(directory: Path) -> tuple[Candidate, Candidate]:
    """Return two candidates; the second gains three records."""
    right = ({key: (true, true) for key, (true, _) in judged.items()} for judged in JUDGED_TWICE)
    return made_candidate(directory, "rule", *JUDGED_TWICE), made_candidate(directory, "cnn", *right)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """Return the findings of two small candidates, for tests to modify."""
    directory = tmp_path_factory.mktemp("plain")
    return made_findings(directory, *make_pair(directory))


def read_payload(page: Page) -> dict[str, Any]:
    """Return what the script of the page reads. JSON has no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    [content] = page.texts("script", id="payload")
    parsed: dict[str, Any] = json.loads(content, parse_constant=refuse)
    return parsed


def escape_surrogates(text: str) -> str:
    """Replace half surrogate pairs by their escapes, as files do."""
    return text.encode("utf-8", "backslashreplace").decode()


# --- no external resources and no other scripts -----------------------------------------------------------------------


def test_page_fetches_nothing(page: Page) -> None:
    links = [
        (element.tag, key, value)
        for element in page.all()
        for key, value in element.attributes.items()
        if key in FETCHING
    ]
    assert links
    assert all((tag, key) == ("a", "href") and str(value).startswith("#") for tag, key, value in links)
    tags = {element.tag for element in page.all()}
    assert not tags & {"link", "img", "iframe", "object", "embed", "base", "form", "video", "audio", "source", "svg"}
    [style] = page.texts("style")
    assert not re.search(r"@import|@font-face|url\s*\(|image-set|://", style, re.IGNORECASE)
    assert [element.attributes for element in page.all("meta") if "http-equiv" in element.attributes] == [
        {"http-equiv": "Content-Security-Policy", "content": page.all("meta")[1].attributes["content"]}
    ], "no other http-equiv, such as a refresh"


def test_links_and_labels_have_targets(page: Page) -> None:
    ids = [str(element.attributes["id"]) for element in page.all() if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    assert {str(element.attributes["href"])[1:] for element in page.all("a")} <= set(ids)
    labelled = [
        element.attributes["aria-labelledby"] for element in page.all() if "aria-labelledby" in element.attributes
    ]
    assert len(labelled) == 8
    assert set(labelled) <= set(ids)


def test_policy_allows_only_scripts_of_page(page: Page) -> None:
    [policy] = [
        str(element.attributes["content"]) for element in page.all("meta") if "http-equiv" in element.attributes
    ]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    scripts = [script for script in page.all("script") if script.attributes.get("type") != "application/json"]
    assert len(scripts) == 2
    assert all(script.attributes == {} for script in scripts)
    hashes = [base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode() for script in scripts]
    assert rules == {
        "default-src": ["'none'"],
        "script-src": [f"'sha256-{digest}'" for digest in hashes],
        "style-src": ["'unsafe-inline'"],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    assert page.elements.index(page.all("meta")[1]) < page.elements.index(page.all("style")[0]), (
        "the policy precedes the style"
    )


def test_attributes_hold_no_script_or_style(page: Page) -> None:
    keys = {key for element in page.all() for key in element.attributes}
    assert not {key for key in keys if key.startswith("on")}
    assert "style" not in keys


def test_script_content_cannot_end_script(page: Page) -> None:
    """Within a script, `<!--` and `<script` change where it ends, and browsers replace CR."""
    for script in page.all("script"):
        assert not re.search(r"<!--|<script|</script|\r|\x00", script.text, re.IGNORECASE)
    assert chart_library() in page.texts("script")


def test_page_size_is_limited(html: str) -> None:
    assert len(html.encode()) < 3_000_000
    assert len(html.encode()) - len(chart_library().encode()) < 300_000


def test_same_findings_give_same_bytes(html: str, found: Findings, trained: Path) -> None:
    found_in.cache_clear()
    recomputed = found_in(trained)
    assert recomputed is not found
    assert build_page(recomputed, read_texts(recomputed.selection)) == html


# --- completeness -----------------------------------------------------------------------------------------------------


def test_headline_and_facts_match_findings(page: Page, found: Findings) -> None:
    comparison = found.comparison
    assert page.texts("title") == page.texts("h1") == ["sample: what each iteration improved"]
    assert page.texts("p", kind="headline") == [f"regression ships {found.verdict.decision.why}"]
    assert page.texts("span", kind="tone good")[0] == "regression ships"
    first, *later_days = sorted({run.record.started_at[:10] for run in found.selection.runs})
    later = f" to {later_days[-1]}" if later_days else ""
    assert list(zip(page.texts("dt")[:6], page.texts("dd")[:6], strict=True)) == [
        ("data", f"sample, version {comparison.dataset_version[:12]}"),
        ("measured on", f"test, {comparison.records} records, 3 splits"),
        ("metric", "weighted F1"),
        ("objective", "default"),
        ("runs", f"6, {first}{later}"),
        ("test-set accesses", "2 so far"),
    ]


@pytest.mark.parametrize(
    ("outcome", "ships", "tone"),
    [("ships", "cnn", "good"), ("nothing ships", None, "bad"), ("too little evidence", None, "even")],
)
def test_headline_shows_gate_outcome(outcome: Any, ships: str | None, tone: str, small: Findings) -> None:
    decision = replace(small.verdict.decision, outcome=outcome, ships=ships, why="the reason")
    page = page_of(replace(small, verdict=replace(small.verdict, decision=decision)))
    assert page.texts("p", kind="headline") == [f"{'cnn ships' if ships else outcome} the reason"]
    assert page.all("span")[0].attributes["class"] == f"tone {tone}"


def test_facts_show_single_split_and_date_range(tmp_path: Path) -> None:
    days = ["2026-02-01T23:59:59+00:00", "2026-01-30T00:00:00+00:00"]
    runs = [made_run(tmp_path, JUDGED_TWICE[0], seed=seed, started_at=day) for seed, day in enumerate(days)]
    findings = made_findings(tmp_path, Candidate("made", tuple(runs)))
    split = replace(findings.comparison.splits[0], test_readings=1)
    page = page_of(replace(findings, comparison=replace(findings.comparison, splits=[split])))
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=False))
    assert facts["measured on"] == "test, 3 records, 1 split"
    assert facts["test-set accesses"] == "1 so far"
    assert facts["runs"] == "2, 2026-01-30 to 2026-02-01"
    assert read_payload(page)["charts"], "the payload has no NaN"
    on_val = replace(findings.comparison, splits=[replace(split, test_readings=None)])
    assert "test-set accesses" not in page_of(replace(findings, comparison=on_val)).texts("dt")


def test_sections_are_listed_in_contents_and_page(page: Page, sections: list[Section]) -> None:
    links = [link for link in page.all("a") if "nav" in link.inside]
    assert [(link.text, link.attributes["href"]) for link in links] == [
        (section.name, f"#{section.anchor}") for section in sections
    ]
    assert [section.attributes["id"] for section in page.all("section")] == [section.anchor for section in sections]
    assert page.texts("h2") == [section.title for section in sections]


def test_every_table_cell_is_in_page(page: Page, sections: list[Section]) -> None:
    expected = tables(sections)
    assert page.texts("caption") == [table.title for table in expected]
    assert page.texts("td") == [cell for table in expected for row in cells(table) for cell in row]
    assert [header.text for header in page.all("th")] == [
        column.title for table in expected for column in table.columns
    ]
    orders = [cell.order for table in expected for row in table.rows for cell in row]
    shown_orders = [cell.attributes.get("data-order") for cell in page.all("td")]
    assert [None if order is None else float(order) for order in shown_orders] == orders
    assert page.texts("code") == [cell.text for table in expected for row in table.rows for cell in row if cell.code]


def test_long_tables_have_filters_and_all_sort_buttons(page: Page, sections: list[Section]) -> None:
    expected = tables(sections)
    long_tables = [table for table in expected if len(table.rows) >= FILTERED_FROM]
    assert 0 < len(long_tables) < len(expected)
    assert len(page.all("div", kind="data filtered")) == len(long_tables)
    assert page.texts("span", kind="count") == [f"{len(table.rows)} rows" for table in long_tables]
    assert len(page.all("input", type="search")) == len(long_tables)
    assert len([button for button in page.all("button") if "th" in button.inside]) == len(page.all("th"))


def test_filter_needs_minimum_number_of_rows(small: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    most = max(len(table.rows) for table in tables(build_sections(small, NO_TEXTS)))
    for rows, filtered in ((most, True), (most + 1, False)):
        monkeypatch.setattr("ratchet.reporting.page.FILTERED_FROM", rows)
        page = page_of(small)
        assert bool(page.all("input", type="search")) is bool(page.all("div", kind="data filtered")) is filtered


def test_every_paragraph_is_in_page(page: Page, sections: list[Section]) -> None:
    shown_texts = page.texts("p")
    for text in paragraphs(sections):
        assert text in shown_texts


def test_every_figure_has_chart_in_payload(page: Page, sections: list[Section]) -> None:
    content = read_payload(page)
    assert list(content["looks"]) == ["light", "dark"]
    assert content["looks"] == json.loads(json.dumps({"light": look(), "dark": look(dark=True)}))
    assert set(content["charts"]) == set(figures(sections))
    assert [element.attributes["id"] for element in page.all("div", kind="chart")] == figures(sections)
    for figure in [block for section in sections for block in section.blocks if isinstance(block, Figure)]:
        assert content["charts"][figure.name] == json.loads(json.dumps(figure.spec()))
        assert figure.title in page.texts("h3")
        assert figure.caption in page.texts("figcaption")


def test_chart_rows_start_with_their_name(page: Page) -> None:
    """The rows become a table whose first column stays visible."""
    values = [rows for chart in read_payload(page)["charts"].values() for rows in chart["datasets"].values()]
    firsts = {next(iter(row)) for rows in values for row in rows if "model" in row or "name" in row}
    assert firsts == {"model", "name"}


def test_folded_figure_has_chart_in_payload(found: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fold_sections(*arguments: Any) -> Any:
        return [replace(section, blocks=[Details("more", section.blocks)]) for section in build_sections(*arguments)]

    monkeypatch.setattr("ratchet.reporting.page.build_sections", fold_sections)
    page = page_of(found)
    assert len(read_payload(page)["charts"]) == len(page.all("figure")) == 8
    assert {figure.inside[-1] for figure in page.all("figure")} == {"details"}


def test_examples_show_texts_and_labels_of_both_candidates(page: Page, sections: list[Section]) -> None:
    lists = examples(sections)
    shown_examples = [entry for part in lists for entry in part.examples]
    assert page.texts("p", kind="text") == [entry.text for entry in shown_examples]
    assert page.texts("span", kind="id") == [entry.id for entry in shown_examples]
    assert page.texts("p", kind="gain") == [f"F1 {entry.gain:+.2f} {entry.id}" for entry in shown_examples]
    labels = [element for element in page.all("span") if str(element.attributes.get("class")).startswith("label")]
    expected = []
    for entry in shown_examples:
        expected += [("label", label) for label in entry.true]
        for predicted in (entry.before, entry.after):
            expected += [("label right" if label in entry.true else "label wrong", label) for label in predicted]
    assert [(label.attributes["class"], label.text) for label in labels] == expected
    assert len(page.texts("span", kind="none")) == sum(
        not side for entry in shown_examples for side in (entry.before, entry.after)
    )


@pytest.mark.parametrize("lead", ["", "标题 "])
def test_long_text_is_truncated(lead: str, small: Findings) -> None:
    texts = {"a": lead + "word " * 400, "b": lead + "x" * 2000, "c": lead + "字" * 2000}
    shown = page_of(small, Texts(texts)).texts("p", kind="text")
    assert sorted(text[:649] for text in shown) == sorted(text[:649] for text in texts.values())
    for text in shown:
        assert text.endswith("…")
        assert 650 <= len(text) <= 700


def test_short_text_is_not_truncated(small: Findings) -> None:
    text = "word " * 139 + "fits"
    assert page_of(small, Texts(dict.fromkeys("abc", text))).texts("p", kind="text") == [text] * 3


# --- data are shown as text -------------------------------------------------------------------------------------------


NUM_WORDS = 30
HARMLESS = tuple(f"word-{number:02}!" for number in range(NUM_WORDS))


def insert_texts(findings: Findings, words: list[str]) -> tuple[Findings, Texts]:
    """Return findings and texts with these NUM_WORDS words wherever a page shows text from data."""
    changes = Changes(words[0], words[1], {"code": [words[2]], "data": [words[3]]}, None, words[4], words[5])
    candidates = [replace(candidate, changes=changes) for candidate in findings.comparison.candidates]
    comparison = replace(findings.comparison, candidates=candidates, notes=words[6:18], left_out=words[18:28])
    state = replace(findings.verdict.objective, changed=words[28])
    decision = replace(findings.verdict.decision, why=words[29])
    verdict = replace(findings.verdict, objective=state, decision=decision)
    return replace(findings, comparison=comparison, verdict=verdict), Texts(dict(zip("abc", words, strict=False)))


@pytest.fixture(scope="module")
def render_words(small: Findings) -> Callable[[tuple[str, ...]], Page]:
    """Return a function that renders the page with these words."""
    return cache(lambda words: page_of(*insert_texts(small, list(words))))


@settings(max_examples=12, deadline=None)
@given(words=st.lists(ANY_TEXT, min_size=NUM_WORDS, max_size=NUM_WORDS))
@example(words=(3 * NASTY)[:NUM_WORDS])
def test_any_text_stays_text(words: list[str], render_words: Callable[[tuple[str, ...]], Page]) -> None:
    """The page differs from that of harmless words only in its texts, not in tags, attributes or scripts."""
    page, harmless = render_words(tuple(words)), render_words(HARMLESS)

    def insert_words(text: str | None) -> str | None:
        return text and re.sub(r"word-(\d\d)!", lambda match: escape_surrogates(words[int(match[1])]), text)

    assert page.structure == harmless.structure
    assert [element.text for element in page.all()] == [insert_words(element.text) for element in harmless.all()]
    for element, original in zip(page.all(), harmless.all(), strict=True):
        for key in element.attributes.keys() - {"class"}:
            assert element.attributes[key] == insert_words(original.attributes[key])


def test_harmless_words_are_all_shown(render_words: Callable[[tuple[str, ...]], Page]) -> None:
    harmless = render_words(HARMLESS)
    assert set(re.findall(r"word-\d\d!", harmless.all("main")[0].text + harmless.all("header")[0].text)) == {*HARMLESS}
    assert any("word-00!" in str(element.attributes.get("aria-label")) for element in harmless.all())
    assert not any(re.search(r"word-\d\d!", script) for script in harmless.texts("script"))


def test_labels_ids_and_names_stay_text(tmp_path: Path) -> None:
    labels = [text for text in NASTY if "\ud800" not in text]
    ids = [f"{label} id" for label in labels]
    right = {key: ([label], [label]) for key, label in zip(ids, labels, strict=True)}
    wrong = {
        key: ([label], [predicted]) for key, label, predicted in zip(ids, labels, labels[1:] + labels[:1], strict=True)
    }
    names = ["<b>rule</b>", "</script><i>"]
    candidates = [
        Candidate(name, (made_run(tmp_path, predictions(outcomes, labels), labels=labels, name=name),))
        for name, outcomes in zip(names, (wrong, right), strict=True)
    ]
    findings = made_findings(tmp_path, *candidates)
    page = page_of(findings, Texts({key: f"text of {key}" for key in ids}))
    wrong_labels = {element.text for element in page.all("span", kind="label wrong")}
    assert wrong_labels
    assert wrong_labels <= set(labels)
    assert len(page.all("span", kind="label right")) == 10
    shown_ids = page.texts("span", kind="id")
    assert len(shown_ids) == 10
    assert set(shown_ids) <= set(ids)
    assert {f"text of {key}" for key in shown_ids} == set(page.texts("p", kind="text"))
    assert {cell.text for cell in page.all("td")} >= set(names)
    assert {header.attributes["class"] for header in page.all("th") if header.text == f"against {names[0]}"} == {
        "number"
    }
    assert not page.all("b")
    assert not page.all("i")
    confused = [row for rows in read_payload(page)["charts"]["confusions-chart"]["datasets"].values() for row in rows]
    assert {(row["missed"], row["predicted"]) for row in confused} == set(
        zip(labels, labels[1:] + labels[:1], strict=True)
    )
    assert {row["model"] for row in confused} == {names[0]}


def test_column_note_cannot_leave_its_attribute(tmp_path: Path) -> None:
    name = '" onclick="alert(1)'
    run = made_run(tmp_path, JUDGED_TWICE[0], name=name)
    page = page_of(made_findings(tmp_path, Candidate(name, (run,)), Candidate("cnn", (run,))))
    about = [button.attributes["title"] for button in page.all("button") if "title" in button.attributes]
    assert f"standard error of the difference to {name}" in about
    assert not [element for element in page.all() if "onclick" in element.attributes]


def test_half_surrogate_pairs_are_written_escaped(small: Findings, tmp_path: Path) -> None:
    texts = {"a": "\ud800", "b": "\udfff\ud800", "c": "a \ud83d b"}
    page = build_page(small, Texts(texts))
    write_text(tmp_path / "report.html", page)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert set(parse(page).texts("p", kind="text")) == {"\\ud800", "\\udfff\\ud800", "a \\ud83d b"}


def test_texts_have_automatic_direction(page: Page) -> None:
    texts: list[Element] = page.all("p", kind="text")
    assert texts
    assert {text.attributes["dir"] for text in texts} == {"auto"}


# --- readability ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
def test_text_colours_contrast_with_backgrounds(dark: bool, page: Page) -> None:
    [style] = page.texts("style")
    looks = re.findall(r"^:root\S* \{([^}]*)\}", style, flags=re.M)
    assert len(looks) == 2
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", looks[dark]))
    assert colours["ground"] == look(dark=dark)["background"]
    for ground in ("ground", "raised"):
        for ink in ("ink", "muted", "accent", "good", "bad", "even"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    assert contrast(colours["ink"], colours["note"]) >= 4.5
    assert contrast(colours["note-line"], colours["ground"]) >= 2.5
