"""The page as a browser reads it: nothing is fetched, no script runs but its own, and what the data say is text."""

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
ANY_TEXT = st.text(st.characters(exclude_categories=[]), min_size=1, max_size=60)  # halves of surrogate pairs, too


@pytest.fixture(scope="module")
def whole(found: Findings) -> str:
    return build_page(found, read_texts(found.selection))


@pytest.fixture(scope="module")
def page(whole: str) -> Page:
    return parse(whole)


def pair(directory: Path) -> tuple[Candidate, Candidate]:
    """Of which the second gains three records on the first."""
    right = ({key: (true, true) for key, (true, _) in each.items()} for each in JUDGED_TWICE)
    return made_candidate(directory, "rule", *JUDGED_TWICE), made_candidate(directory, "cnn", *right)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """A small one, to say other things of."""
    directory = tmp_path_factory.mktemp("plain")
    return made_findings(directory, *pair(directory))


def payload(page: Page) -> dict[str, Any]:
    """What the page's script reads; JSON has no NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    [content] = page.texts("script", id="payload")
    read: dict[str, Any] = json.loads(content, parse_constant=refuse)
    return read


def as_written(text: str) -> str:
    """Half a surrogate pair is written as its escape, as in all files."""
    return text.encode("utf-8", "backslashreplace").decode()


# --- it needs nothing and runs nothing else ---------------------------------------------------------------------------


def test_nothing_is_fetched(page: Page) -> None:
    links = [(each.tag, key, value) for each in page.all() for key, value in each.attributes.items() if key in FETCHING]
    assert links
    assert all((tag, key) == ("a", "href") and str(value).startswith("#") for tag, key, value in links)
    tags = {each.tag for each in page.all()}
    assert not tags & {"link", "img", "iframe", "object", "embed", "base", "form", "video", "audio", "source", "svg"}
    [style] = page.texts("style")
    assert not re.search(r"@import|@font-face|url\s*\(|image-set|://", style, re.IGNORECASE)
    assert [each.attributes for each in page.all("meta") if "http-equiv" in each.attributes] == [
        {"http-equiv": "Content-Security-Policy", "content": page.all("meta")[1].attributes["content"]}
    ], "and no refresh"


def test_links_lead_to_what_is_there(page: Page) -> None:
    ids = [str(each.attributes["id"]) for each in page.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    assert {str(each.attributes["href"])[1:] for each in page.all("a")} <= set(ids)
    labelled = [each.attributes["aria-labelledby"] for each in page.all() if "aria-labelledby" in each.attributes]
    assert len(labelled) == 8
    assert set(labelled) <= set(ids)


def test_the_policy_allows_the_scripts_of_the_page_and_no_others(page: Page) -> None:
    [policy] = [str(each.attributes["content"]) for each in page.all("meta") if "http-equiv" in each.attributes]
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    scripts = [each for each in page.all("script") if each.attributes.get("type") != "application/json"]
    assert len(scripts) == 2
    assert all(each.attributes == {} for each in scripts)
    hashes = [base64.b64encode(hashlib.sha256(each.text.encode()).digest()).decode() for each in scripts]
    assert rules == {
        "default-src": ["'none'"],
        "script-src": [f"'sha256-{each}'" for each in hashes],
        "style-src": ["'unsafe-inline'"],
        "img-src": ["data:"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    assert page.elements.index(page.all("meta")[1]) < page.elements.index(page.all("style")[0]), "before what it rules"


def test_no_attribute_is_a_script_or_a_style(page: Page) -> None:
    keys = {key for each in page.all() for key in each.attributes}
    assert not {key for key in keys if key.startswith("on")}
    assert "style" not in keys


def test_scripts_end_where_they_are_meant_to(page: Page) -> None:
    """Within a script, `<!--` and `<script` change where it ends, and a browser makes line ends of its own of CR."""
    for each in page.all("script"):
        assert not re.search(r"<!--|<script|</script|\r|\x00", each.text, re.IGNORECASE)
    assert chart_library() in page.texts("script")


def test_it_is_small_enough_to_be_sent(whole: str) -> None:
    assert len(whole.encode()) < 3_000_000
    assert len(whole.encode()) - len(chart_library().encode()) < 300_000


def test_the_same_findings_give_the_same_bytes(whole: str, found: Findings, trained: Path) -> None:
    found_in.cache_clear()
    anew = found_in(trained)
    assert anew is not found
    assert build_page(anew, read_texts(anew.selection)) == whole


# --- all of it is there -----------------------------------------------------------------------------------------------


def test_head_line_and_facts_are_those_of_the_findings(page: Page, found: Findings) -> None:
    comparison = found.comparison
    assert page.texts("title") == page.texts("h1") == ["sample: what each iteration improved"]
    assert page.texts("p", kind="headline") == [f"regression ships {found.verdict.decision.why}"]
    assert page.texts("span", kind="tone good")[0] == "regression ships"
    begun, *others = sorted({run.record.started_at[:10] for run in found.selection.runs})
    later = f" to {others[-1]}" if others else ""
    assert list(zip(page.texts("dt")[:6], page.texts("dd")[:6], strict=True)) == [
        ("data", f"sample, version {comparison.dataset_version[:12]}"),
        ("measured on", f"test, {comparison.records} records, 3 splits"),
        ("metric", "weighted F1"),
        ("objective", "default"),
        ("runs", f"6, {begun}{later}"),
        ("test-set accesses", "2 so far"),
    ]


@pytest.mark.parametrize(
    ("outcome", "ships", "tone"),
    [("ships", "cnn", "good"), ("nothing ships", None, "bad"), ("too little evidence", None, "even")],
)
def test_the_headline_says_what_the_gate_says(outcome: Any, ships: str | None, tone: str, plain: Findings) -> None:
    decision = replace(plain.verdict.decision, outcome=outcome, ships=ships, why="the reason")
    page = page_of(replace(plain, verdict=replace(plain.verdict, decision=decision)))
    assert page.texts("p", kind="headline") == [f"{'cnn ships' if ships else outcome} the reason"]
    assert page.all("span")[0].attributes["class"] == f"tone {tone}"


def test_one_split_that_was_read_once_and_runs_of_two_days(tmp_path: Path) -> None:
    days = ["2026-02-01T23:59:59+00:00", "2026-01-30T00:00:00+00:00"]
    runs = [made_run(tmp_path, JUDGED_TWICE[0], seed=seed, started_at=day) for seed, day in enumerate(days)]
    found = made_findings(tmp_path, Candidate("made", tuple(runs)))
    split = replace(found.comparison.splits[0], test_readings=1)
    page = page_of(replace(found, comparison=replace(found.comparison, splits=[split])))
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=False))
    assert facts["measured on"] == "test, 3 records, 1 split"
    assert facts["test-set accesses"] == "1 so far"
    assert facts["runs"] == "2, 2026-01-30 to 2026-02-01"
    assert payload(page)["charts"], "with no number that JSON does not have"
    on_val = replace(found.comparison, splits=[replace(split, test_readings=None)])
    assert "test-set accesses" not in page_of(replace(found, comparison=on_val)).texts("dt")


def test_sections_are_in_the_list_of_contents_and_in_the_page(page: Page, sections: list[Section]) -> None:
    listed = [each for each in page.all("a") if "nav" in each.inside]
    assert [(each.text, each.attributes["href"]) for each in listed] == [
        (each.name, f"#{each.anchor}") for each in sections
    ]
    assert [each.attributes["id"] for each in page.all("section")] == [each.anchor for each in sections]
    assert page.texts("h2") == [each.title for each in sections]


def test_every_cell_of_every_table_is_in_the_page(page: Page, sections: list[Section]) -> None:
    expected = tables(sections)
    assert page.texts("caption") == [table.title for table in expected]
    assert page.texts("td") == [cell for table in expected for row in cells(table) for cell in row]
    assert [each.text for each in page.all("th")] == [column.title for table in expected for column in table.columns]
    orders = [cell.order for table in expected for row in table.rows for cell in row]
    shown = [each.attributes.get("data-order") for each in page.all("td")]
    assert [None if order is None else float(order) for order in shown] == orders
    assert page.texts("code") == [cell.text for each in expected for row in each.rows for cell in row if cell.code]


def test_long_tables_can_be_filtered_and_every_table_sorted(page: Page, sections: list[Section]) -> None:
    expected = tables(sections)
    long = [table for table in expected if len(table.rows) >= FILTERED_FROM]
    assert 0 < len(long) < len(expected)
    assert len(page.all("div", kind="data filtered")) == len(long)
    assert page.texts("span", kind="count") == [f"{len(table.rows)} rows" for table in long]
    assert len(page.all("input", type="search")) == len(long)
    assert len([each for each in page.all("button") if "th" in each.inside]) == len(page.all("th"))


def test_a_table_is_long_from_so_many_rows_on(plain: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    most = max(len(table.rows) for table in tables(build_sections(plain, NO_TEXTS)))
    for rows, filtered in ((most, True), (most + 1, False)):
        monkeypatch.setattr("ratchet.reporting.page.FILTERED_FROM", rows)
        page = page_of(plain)
        assert bool(page.all("input", type="search")) is bool(page.all("div", kind="data filtered")) is filtered


def test_every_paragraph_is_in_the_page(page: Page, sections: list[Section]) -> None:
    shown = page.texts("p")
    for each in paragraphs(sections):
        assert each in shown


def test_every_figure_has_its_chart_in_the_payload(page: Page, sections: list[Section]) -> None:
    told = payload(page)
    assert list(told["looks"]) == ["light", "dark"]
    assert told["looks"] == json.loads(json.dumps({"light": look(), "dark": look(dark=True)}))
    assert set(told["charts"]) == set(figures(sections))
    assert [each.attributes["id"] for each in page.all("div", kind="chart")] == figures(sections)
    for figure in [block for each in sections for block in each.blocks if isinstance(block, Figure)]:
        assert told["charts"][figure.name] == json.loads(json.dumps(figure.spec()))
        assert figure.title in page.texts("h3")
        assert figure.caption in page.texts("figcaption")


def test_values_behind_a_chart_begin_with_whose_they_are(page: Page) -> None:
    """They become a table, whose first column stays in sight."""
    values = [rows for each in payload(page)["charts"].values() for rows in each["datasets"].values()]
    firsts = {next(iter(row)) for rows in values for row in rows if "model" in row or "name" in row}
    assert firsts == {"model", "name"}


def test_a_figure_that_folds_away_has_its_chart_too(found: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    def folded(*arguments: Any) -> Any:
        return [replace(each, blocks=[Details("more", each.blocks)]) for each in build_sections(*arguments)]

    monkeypatch.setattr("ratchet.reporting.page.build_sections", folded)
    page = page_of(found)
    assert len(payload(page)["charts"]) == len(page.all("figure")) == 8
    assert {each.inside[-1] for each in page.all("figure")} == {"details"}


def test_examples_show_texts_and_labels_of_both(page: Page, sections: list[Section]) -> None:
    lists = examples(sections)
    shown = [each for part in lists for each in part.examples]
    assert page.texts("p", kind="text") == [each.text for each in shown]
    assert page.texts("span", kind="id") == [each.id for each in shown]
    assert page.texts("p", kind="gain") == [f"F1 {each.gain:+.2f} {each.id}" for each in shown]
    labels = [each for each in page.all("span") if str(each.attributes.get("class")).startswith("label")]
    expected = []
    for each in shown:
        expected += [("label", label) for label in each.true]
        for predicted in (each.before, each.after):
            expected += [("label right" if label in each.true else "label wrong", label) for label in predicted]
    assert [(label.attributes["class"], label.text) for label in labels] == expected
    assert len(page.texts("span", kind="none")) == sum(not side for each in shown for side in (each.before, each.after))


@pytest.mark.parametrize("lead", ["", "标题 "])
def test_a_long_text_is_cut_and_not_lost(lead: str, plain: Findings) -> None:
    texts = {"a": lead + "word " * 400, "b": lead + "x" * 2000, "c": lead + "字" * 2000}
    shown = page_of(plain, Texts(texts)).texts("p", kind="text")
    assert sorted(each[:649] for each in shown) == sorted(each[:649] for each in texts.values())
    for each in shown:
        assert each.endswith("…")
        assert 650 <= len(each) <= 700


def test_a_text_that_is_not_long_is_shown_whole(plain: Findings) -> None:
    text = "word " * 139 + "fits"
    assert page_of(plain, Texts(dict.fromkeys("abc", text))).texts("p", kind="text") == [text] * 3


# --- what the data say is text ----------------------------------------------------------------------------------------


PLACES = 30
HARMLESS = tuple(f"word-{place:02}!" for place in range(PLACES))


def saying(found: Findings, words: list[str]) -> tuple[Findings, Texts]:
    """Findings that say these words, PLACES of them, wherever somebody's words are shown."""
    changes = Changes(words[0], words[1], {"code": [words[2]], "data": [words[3]]}, None, words[4], words[5])
    candidates = [replace(each, changes=changes) for each in found.comparison.candidates]
    comparison = replace(found.comparison, candidates=candidates, notes=words[6:18], left_out=words[18:28])
    state = replace(found.verdict.objective, changed=words[28])
    decision = replace(found.verdict.decision, why=words[29])
    verdict = replace(found.verdict, objective=state, decision=decision)
    return replace(found, comparison=comparison, verdict=verdict), Texts(dict(zip("abc", words, strict=False)))


@pytest.fixture(scope="module")
def said(plain: Findings) -> Callable[[tuple[str, ...]], Page]:
    """The page that says these words."""
    return cache(lambda words: page_of(*saying(plain, list(words))))


@settings(max_examples=12, deadline=None)
@given(words=st.lists(ANY_TEXT, min_size=PLACES, max_size=PLACES))
@example(words=(3 * NASTY)[:PLACES])
def test_whatever_is_said_stays_text(words: list[str], said: Callable[[tuple[str, ...]], Page]) -> None:
    """The page is that of harmless words, but for the words: in no tag, no attribute and no script is anything else."""
    page, harmless = said(tuple(words)), said(HARMLESS)

    def filled(text: str | None) -> str | None:
        return text and re.sub(r"word-(\d\d)!", lambda found: as_written(words[int(found[1])]), text)

    assert page.structure == harmless.structure
    assert [each.text for each in page.all()] == [filled(each.text) for each in harmless.all()]
    for each, other in zip(page.all(), harmless.all(), strict=True):
        for key in each.attributes.keys() - {"class"}:
            assert each.attributes[key] == filled(other.attributes[key])


def test_words_stand_where_they_are_looked_for(said: Callable[[tuple[str, ...]], Page]) -> None:
    harmless = said(HARMLESS)
    assert set(re.findall(r"word-\d\d!", harmless.all("main")[0].text + harmless.all("header")[0].text)) == {*HARMLESS}
    assert any("word-00!" in str(each.attributes.get("aria-label")) for each in harmless.all())
    assert not any(re.search(r"word-\d\d!", each) for each in harmless.texts("script"))


def test_labels_ids_and_names_stay_text_in_tables_and_in_charts(tmp_path: Path) -> None:
    labels = [each for each in NASTY if "\ud800" not in each]
    ids = [f"{label} id" for label in labels]
    right = {key: ([label], [label]) for key, label in zip(ids, labels, strict=True)}
    wrong = {key: ([label], [other]) for key, label, other in zip(ids, labels, labels[1:] + labels[:1], strict=True)}
    names = ["<b>rule</b>", "</script><i>"]
    candidates = [
        Candidate(name, (made_run(tmp_path, predictions(judged, labels), labels=labels, name=name),))
        for name, judged in zip(names, (wrong, right), strict=True)
    ]
    found = made_findings(tmp_path, *candidates)
    page = page_of(found, Texts({key: f"text of {key}" for key in ids}))
    assert {each.text for each in page.all("span", kind="label wrong")} <= set(labels)
    assert len(page.all("span", kind="label right")) == 10
    shown = page.texts("span", kind="id")
    assert len(shown) == 10
    assert set(shown) <= set(ids)
    assert {f"text of {each}" for each in shown} == set(page.texts("p", kind="text"))
    assert {each.text for each in page.all("td")} >= set(names)
    assert {each.attributes["class"] for each in page.all("th") if each.text == f"against {names[0]}"} == {"number"}
    assert not page.all("b")
    assert not page.all("i")
    confused = [row for rows in payload(page)["charts"]["confusions-chart"]["datasets"].values() for row in rows]
    assert {(row["missed"], row["predicted"]) for row in confused} == set(
        zip(labels, labels[1:] + labels[:1], strict=True)
    )
    assert {row["model"] for row in confused} == {names[0]}


def test_a_column_says_what_it_is_in_an_attribute_that_cannot_be_left(tmp_path: Path) -> None:
    name = '" onclick="alert(1)'
    run = made_run(tmp_path, JUDGED_TWICE[0], name=name)
    page = page_of(made_findings(tmp_path, Candidate(name, (run,)), Candidate("cnn", (run,))))
    about = [each.attributes["title"] for each in page.all("button") if "title" in each.attributes]
    assert f"standard error of the difference to {name}" in about
    assert not [each for each in page.all() if "onclick" in each.attributes]


def test_half_a_surrogate_pair_can_be_written_and_is_seen(plain: Findings, tmp_path: Path) -> None:
    texts = {"a": "\ud800", "b": "\udfff\ud800", "c": "a \ud83d b"}
    page = build_page(plain, Texts(texts))
    write_text(tmp_path / "report.html", page)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page
    assert set(parse(page).texts("p", kind="text")) == {"\\ud800", "\\udfff\\ud800", "a \\ud83d b"}


def test_texts_of_either_direction_have_a_paragraph_of_their_own(page: Page) -> None:
    texts: list[Element] = page.all("p", kind="text")
    assert texts
    assert {each.attributes["dir"] for each in texts} == {"auto"}


# --- it can be read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
def test_words_can_be_read_on_what_they_stand_on(dark: bool, page: Page) -> None:
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
