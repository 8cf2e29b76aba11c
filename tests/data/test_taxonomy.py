import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratchet.data.sources import Content
from ratchet.data.taxonomy import Match, NameMatcher, Taxonomy, load_english_stemmer, parse_taxonomy, words
from ratchet.errors import UserError

ENTRIES = [
    {"tag": "computer-vision", "aliases": ["cv", "machine vision"], "parents": []},
    {"tag": "object-detection", "aliases": [], "parents": ["computer-vision"]},
    {"tag": "face-detection", "parents": ["object-detection", "faces"]},
    {"tag": "graph-neural-networks", "aliases": ["GNN", "graph network"], "parents": ["graphs"]},
    {"tag": "graphs", "aliases": None},
    {"tag": "vision"},
    {"tag": "Étude № 1", "aliases": ["Übung"]},
]
NAMES = [name for entry in ENTRIES for name in (entry["tag"], *(entry.get("aliases") or ()))]
TEXTS = st.lists(st.sampled_from(NAMES) | st.text(max_size=12)).map(" ".join) | st.text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PyTorch, and TensorFlow 2.0!", ["pytorch", "and", "tensorflow", "2", "0"]),
        ("time-series_analysis/forecasting", ["time", "series", "analysis", "forecasting"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ﬁne-tuning", ["fine", "tuning"]),
        ("ＧＰＴ", ["gpt"]),
        ("Модель 模型 ３", ["модель", "模型", "3"]),
        ("don't", ["don", "t"]),
        ("", []),
        (" -–_…🎉 ", []),
    ],
)
def test_words_are_letters_and_digits_in_one_form(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize("word", ["हिन्दी", "தமிழ்", "Μαΐου", "İstanbul"])
def test_a_word_written_with_combining_marks_stays_whole(word: str) -> None:
    # Vowel signs are marks, not letters; folding case splits marks off some letters (Greek ΐ, Turkish İ).
    assert len(words(word)) == 1


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_the_unicode_normal_form_of_a_text_does_not_matter(text: str) -> None:
    forms = {tuple(words(unicodedata.normalize(form, text))) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert forms == {tuple(words(text))}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1)), st.sampled_from([" ", "-", "_", ", ", "\n"])
)
def test_words_come_back_in_their_order_whatever_separates_them(expected: list[str], separator: str) -> None:
    assert words(separator.join(expected).upper()) == expected


@pytest.mark.parametrize(
    ("word", "stem"),
    [("transformers", "transform"), ("segmentation", "segment"), ("networks", "network"), ("gan", "gan"), ("", "")],
)
def test_the_stemmer_takes_english_endings_off(word: str, stem: str) -> None:
    assert load_english_stemmer()(word) == stem


def parse(entries: Any) -> Taxonomy:
    text = entries if isinstance(entries, str) else json.dumps(entries)
    return parse_taxonomy(Content("tags.json", text.encode(), ""))


def find(text: str, *, stemming: bool = False, labels: list[str] | None = None) -> list[tuple[str, str]]:
    taxonomy = parse(ENTRIES)
    matcher = NameMatcher(taxonomy, labels or taxonomy.aliases, stemming=stemming)
    return [(match.label, match.words) for match in matcher.find(text)]


# --- parsing ----------------------------------------------------------------------------------------------------------
def test_a_taxonomy_has_names_and_parents() -> None:
    taxonomy = parse(ENTRIES)
    assert taxonomy.names("computer-vision") == ("computer-vision", "cv", "machine vision")
    assert taxonomy.names("vision") == ("vision",)
    assert taxonomy.parents["object-detection"] == ("computer-vision",)
    assert taxonomy.parents["graphs"] == ()
    assert list(taxonomy.aliases) == list(taxonomy.parents) == [entry["tag"] for entry in ENTRIES]


def test_what_is_written_reads_back_the_same() -> None:
    taxonomy = parse(ENTRIES)
    assert parse(taxonomy.to_json()) == taxonomy


def test_labels_alone_make_a_taxonomy_of_their_names() -> None:
    taxonomy = Taxonomy.from_labels(["b", "a"])
    assert taxonomy.names("b") == ("b",)
    assert taxonomy.ancestors("a") == set()
    assert parse(taxonomy.to_json()) == taxonomy


@pytest.mark.parametrize(
    ("entries", "parts"),
    [
        ('[{"tag": "a"},\n{"tag" "b"}]', ["line 2", "not valid JSON"]),
        ("", ["not valid JSON"]),
        ("[" * 100_000, ["not valid JSON"]),
        ({"tag": "a"}, ["dict"]),
        ([{"tag": "a"}, {"name": "b"}], ["item 2", "'tag'"]),
        (["a"], ["item 1", "'tag'"]),
        ([{"tag": " "}], ["item 1", "'tag'"]),
        ([{"tag": 3}], ["item 1", "'tag'"]),
        ([{"tag": "a"}, {"tag": "b"}, {"tag": "a"}], ["item 3", "'a'"]),
        ([{"tag": "a", "aliases": "b"}], ["item 1", "'aliases'", "list of strings"]),
        ([{"tag": "a"}, {"tag": "b", "parents": [1]}], ["item 2", "'parents'", "list of strings"]),
        ([{"tag": "a", "parents": {"b": 1}}], ["item 1", "'parents'", "list of strings"]),
    ],
)
def test_a_broken_taxonomy_is_refused_with_the_place(entries: Any, parts: list[str]) -> None:
    with pytest.raises(UserError, match=r"tags\.json") as caught:
        parse(entries)
    assert all(part in str(caught.value) for part in parts)


def test_a_taxonomy_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(UserError, match=r"tags\.json, line 2.*0xe9"):
        parse_taxonomy(Content("tags.json", b'[{"tag":\n"caf\xe9"}]', ""))


# --- ancestors --------------------------------------------------------------------------------------------------------
def test_ancestors_are_parents_and_theirs() -> None:
    taxonomy = parse(ENTRIES)
    assert taxonomy.ancestors("face-detection") == {"object-detection", "computer-vision", "faces"}
    assert taxonomy.ancestors("computer-vision") == set()
    assert taxonomy.ancestors("not there") == set()


@pytest.mark.parametrize(
    ("label", "expected"), [("a", {"b", "c"}), ("b", {"c", "a"}), ("self", set()), ("child", {"a", "b", "c"})]
)
def test_a_cycle_of_parents_ends_and_leaves_the_label_itself_out(label: str, expected: set[str]) -> None:
    parents = {"a": ("b",), "b": ("c",), "c": ("a",), "self": ("self",), "child": ("a",)}
    assert Taxonomy(dict.fromkeys(parents, ()), parents).ancestors(label) == expected


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdef"), max_size=4).map(tuple)))
def test_the_parents_of_an_ancestor_are_ancestors(parents: dict[str, tuple[str, ...]]) -> None:
    taxonomy = Taxonomy(dict.fromkeys(parents, ()), parents)
    for label in "abcdef":
        ancestors = taxonomy.ancestors(label)
        assert label not in ancestors
        assert set(parents.get(label, ())) - {label} <= ancestors
        for ancestor in ancestors:
            assert set(parents.get(ancestor, ())) - {label} <= ancestors


# --- names in texts ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A survey of graphs.", [("graphs", "graphs")]),
        ("graphsage, bargraphs, graph", []),
        ("CV: my curriculum", [("computer-vision", "cv")]),
        ("cvs and mcv", []),
        ("Object  DETECTION", [("object-detection", "object detection")]),
        ("object-detection", [("object-detection", "object detection")]),
        ("object_detection", [("object-detection", "object detection")]),
        ("objectdetection, object of detection", []),
        ("übung macht", [("Étude № 1", "übung")]),
        ("U\u0308BUNG", [("Étude № 1", "übung")]),
        ("étude no 1", [("Étude № 1", "étude no 1")]),
        ("ｇｎｎ", [("graph-neural-networks", "gnn")]),
        ("", []),
        ("!?", []),
    ],
)
def test_names_are_found_as_whole_words_in_any_case(text: str, expected: list[tuple[str, str]]) -> None:
    assert find(text) == expected


def test_names_inside_longer_names_are_found_too_in_the_order_of_the_text() -> None:
    assert find("Machine vision and computer vision with graphs") == [
        ("computer-vision", "machine vision"),
        ("vision", "vision"),
        ("computer-vision", "computer vision"),
        ("vision", "vision"),
        ("graphs", "graphs"),
    ]


def test_a_name_is_found_as_often_as_it_stands_there() -> None:
    assert find("gnn gnn GNN") == [("graph-neural-networks", "gnn")] * 3


def test_only_the_labels_asked_for_are_found() -> None:
    assert find("computer vision, graphs", labels=["graphs"]) == [("graphs", "graphs")]


def test_labels_without_a_taxonomy_are_found_by_their_names() -> None:
    matcher = NameMatcher(Taxonomy.from_labels([]), ["time-series"], stemming=False)
    assert matcher.find("Time series!") == [Match("time-series", "time series")]


def test_a_name_that_two_labels_share_finds_both_and_a_repeated_alias_once() -> None:
    taxonomy = parse([{"tag": "a", "aliases": ["rl", "RL"]}, {"tag": "b", "aliases": ["rl"]}])
    assert NameMatcher(taxonomy, ["a", "b"], stemming=False).find("rl") == [Match("a", "rl"), Match("b", "rl")]


def test_a_name_without_words_is_never_found() -> None:
    taxonomy = parse([{"tag": "!!!", "aliases": ["…"]}])
    assert NameMatcher(taxonomy, ["!!!"], stemming=False).find("!!! … and words") == []


def test_with_stemming_endings_do_not_matter_and_the_words_stay_as_they_stand() -> None:
    assert find("Detecting objects: object detections") == []
    assert find("Detecting objects: Object detections", stemming=True) == [("object-detection", "object detections")]
    assert find("a graph", stemming=True) == [("graphs", "graph")]


@settings(max_examples=60, deadline=None)
@given(text=TEXTS, stemming=st.booleans())
def test_a_match_is_a_name_that_stands_in_the_text(text: str, stemming: bool) -> None:
    taxonomy = parse(ENTRIES)
    stem = load_english_stemmer() if stemming else str
    found = f" {' '.join(words(text))} "
    for match in NameMatcher(taxonomy, taxonomy.aliases, stemming=stemming).find(text):
        assert f" {match.words} " in found
        names = [[stem(word) for word in words(name)] for name in taxonomy.names(match.label)]
        assert [stem(word) for word in match.words.split()] in names


@settings(max_examples=60, deadline=None)
@given(before=st.text(), after=st.text(), name=st.sampled_from(NAMES), stemming=st.booleans())
def test_a_name_between_any_two_texts_is_found(before: str, after: str, name: str, stemming: bool) -> None:
    label = next(entry["tag"] for entry in ENTRIES if name in (entry["tag"], *(entry.get("aliases") or ())))
    assert (label, " ".join(words(name))) in find(f"{before} {name.upper()} {after}", stemming=stemming)
